import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim


def load():
    rng = np.random.RandomState(0)
    labels = np.repeat(np.arange(6), 350)
    images = rng.randn(len(labels), 1, 15, 15).astype("float32")
    for i, k in enumerate(labels):
        if k < 3:
            images[i, 0, 5 * k : 5 * k + 5] += 0.8
        else:
            images[i, 0, :, 5 * (k - 3) : 5 * (k - 3) + 5] += 0.8
    return images, labels


def shuffle(a, b, rng):
    order = rng.permutation(len(a))
    return a[order], b[order]


images, labels = load()
images, labels = shuffle(images, labels, np.random.RandomState(1))
split = 1700
to = torch.from_numpy
x_train, y_train, x_test, y_test = to(images[:split]), to(labels[:split]), to(images[split:]), to(labels[split:])

torch.manual_seed(0)
cnn = nn.Sequential(
    nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(256, 6)
)
loss_func = nn.CrossEntropyLoss()
optimizer = optim.Adam(cnn.parameters(), lr=0.002)
BATCH = 34
for epoch in range(5):
    for step in range(split // BATCH):
        b_x = x_train[step * BATCH : (step + 1) * BATCH]
        b_y = y_train[step * BATCH : (step + 1) * BATCH]
        output = cnn(b_x)
        loss = loss_func(output, b_y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("Epoch:", epoch, "| train loss: %.4f" % loss.item())

with torch.no_grad():
    pred_y = cnn(x_test).argmax(1).numpy()
print("accuracy: %.4f" % (pred_y == y_test.numpy()).mean())
