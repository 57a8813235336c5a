# coding: utf-8
# In[1]:
import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw

rng = np.random.default_rng(11)
torch.manual_seed(11)

# In[2]:
# draw shapes; PIL gives height x width x channel
SHAPES = ["disc", "square", "triangle", "cross", "ring"]


def draw(shape):
    back = tuple(int(v) for v in rng.integers(0, 130, 3))
    fore = tuple(int(v) for v in rng.integers(100, 256, 3))
    img = Image.new("RGB", (32, 32), back)
    d = ImageDraw.Draw(img)
    r = int(rng.integers(5, 9))
    cx, cy = (int(v) for v in rng.integers(r + 1, 31 - r, 2))
    box = (cx - r, cy - r, cx + r, cy + r)
    if shape == "disc":
        d.ellipse(box, fill=fore)
    elif shape == "square":
        d.rectangle(box, fill=fore)
    elif shape == "triangle":
        d.polygon([(cx, cy - r), (cx - r, cy + r), (cx + r, cy + r)], fill=fore)
    elif shape == "cross":
        d.line((cx - r, cy, cx + r, cy), fill=fore, width=4)
        d.line((cx, cy - r, cx, cy + r), fill=fore, width=4)
    else:
        d.ellipse(box, outline=fore, width=3)
    noisy = np.asarray(img).astype(np.float32) + rng.normal(0, 12, (32, 32, 3))
    return noisy.clip(0, 255)


# In[3]:
y = rng.integers(0, 5, 2600)
X = np.stack([draw(SHAPES[k]) for k in y])
print(X.shape, X.dtype)

# In[4]:
X = torch.tensor(X / 255.0, dtype=torch.float32).permute(0, 3, 1, 2).contiguous()
X = (X - 0.45) / 0.25
y = torch.tensor(y)
X_train, y_train, X_test, y_test = X[:2000], y[:2000], X[2000:], y[2000:]

# In[5]:
model = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveMaxPool2d(2),
    nn.Flatten(), nn.Linear(128, 5),
)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.002)

# In[6]:
history = []
for epoch in range(7):
    model.train()
    order = torch.randperm(len(X_train))
    for k in range(0, len(order), 40):
        idx = order[k:k + 40]
        optimizer.zero_grad()
        loss = criterion(model(X_train[idx]), y_train[idx])
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    print(epoch, np.mean(history[-50:]))

# In[7]:
model.eval()
with torch.no_grad():
    pred = model(X_test).argmax(dim=1)
print("accuracy: {:.3f}".format((pred == y_test).float().mean().item()))
