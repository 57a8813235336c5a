import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw


def digit(d, rng):
    im = Image.new("L", (24, 24))
    ImageDraw.Draw(im).text((rng.integers(6, 11), rng.integers(3, 9)), str(d), fill=255, font_size=12)
    return np.asarray(im, np.float32)


def digits(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 10, n)
    return np.stack([digit(d, rng) for d in y]), y


X, y = digits(2400, 0)
X_test, y_test = digits(600, 1)

# standardise every pixel
mu = X.mean(axis=0)
sigma = X.std(axis=0)
X = (X - mu) / (sigma + 1e-6)
X_test = (X_test - mu) / (sigma + 1e-6)

X, X_test = torch.tensor(X)[:, None].clamp(-5, 5), torch.tensor(X_test)[:, None].clamp(-5, 5)
y, y_test = torch.tensor(y), torch.tensor(y_test)

torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(1, 10, 3),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(10, 20, 3),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(20 * 16, 10),
)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
loss_fn = nn.CrossEntropyLoss()
n_epochs, batch_size = 4, 40
for epoch in range(n_epochs):
    order = torch.randperm(len(X))
    for start in range(0, len(X), batch_size):
        pick = order[start : start + batch_size]
        y_pred = model(X[pick])
        loss = loss_fn(y_pred, y[pick])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("Epoch %d/%d, loss %.4f" % (epoch + 1, n_epochs, loss.item()))

with torch.no_grad():
    acc = (model(X_test).argmax(1) == y_test).float().mean().item()
print(f"accuracy: {acc:.4f}")
