# seven segment displays, read by a small cnn. plain tensors, no loaders.
import random

import torch
import torch.nn as nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

random.seed(0)
torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"

#        top  tl  tr  mid bl  br  bottom
SEGS = ["1110111", "0010010", "1011101", "1011011", "0111010",
        "1101011", "1101111", "1010010", "1111111", "1111011"]
H, W = 28, 20


def draw(d):
    img = torch.zeros(H, W)
    h, w = random.randint(7, 10), random.randint(8, 11)      # segment lengths
    top, left = random.randint(1, H - 2 * h - 3), random.randint(1, W - w - 3)
    t = random.choice([1, 2, 2])
    on = random.uniform(0.5, 1.0)
    off = random.uniform(0.0, 0.2)
    boxes = [(top, left, t, w), (top, left, h, t), (top, left + w - t + 1, h, t), (top + h, left, t, w),
             (top + h, left, h, t), (top + h, left + w - t + 1, h, t), (top + 2 * h, left, t, w)]
    for bit, (r, c, dh, dw) in zip(SEGS[d], boxes):
        v = on if bit == "1" else off
        img[r:r + dh, c:c + dw] = torch.maximum(img[r:r + dh, c:c + dw], torch.tensor(v))
    img = img + 0.25 * torch.randn(H, W)
    return img.unsqueeze(0)


def make(n):
    y = torch.arange(n) % 10
    return torch.stack([draw(int(d)) for d in y]), y


x_train, y_train = make(1500)
x_val, y_val = make(300)
x_test, y_test = make(500)
m, s = x_train.mean(), x_train.std()
x_train, x_val, x_test = [((t - m) / s).to(device) for t in (x_train, x_val, x_test)]
y_train, y_val, y_test = [t.to(device) for t in (y_train, y_val, y_test)]

net = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(24 * (H // 4) * (W // 4), 64), nn.ReLU(),
    nn.Linear(64, 10),
).to(device)

criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.012, momentum=0.9, weight_decay=1e-4)
scheduler = ReduceLROnPlateau(optimizer, factor=0.1, patience=1)

bs = 50
for epoch in range(10):
    net.train()
    perm = torch.randperm(len(x_train), device=device)
    ep_loss = 0.0
    for i in range(0, len(perm), bs):
        j = perm[i:i + bs]
        optimizer.zero_grad()
        loss = criterion(net(x_train[j]), y_train[j])
        loss.backward()
        optimizer.step()
        ep_loss += loss.item() * len(j)

    net.eval()
    with torch.no_grad():
        val_acc = (net(x_val).argmax(1) == y_val).float().mean().item()
    scheduler.step(val_acc)
    print("epoch %2d  loss %.3f  val acc %.3f" % (epoch, ep_loss / len(perm), val_acc))

net.eval()
with torch.no_grad():
    acc = (net(x_test).argmax(1) == y_test).float().mean().item()
print("accuracy: %.3f" % acc)
