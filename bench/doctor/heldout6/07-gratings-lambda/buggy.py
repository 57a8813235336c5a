import math
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(99)
rng = np.random.default_rng(99)

# eight kinds of grating: four orientations x two spacings, plus noise
def sample(label):
    yy, xx = np.mgrid[0:28, 0:28]
    theta = (label % 4) * math.pi / 4 + rng.normal(0, 0.1)
    period = (4.5, 8.0)[label // 4] * rng.uniform(0.9, 1.1)
    phase = rng.uniform(0, 2 * math.pi)
    wave = np.sin(2 * math.pi * (xx * math.cos(theta) + yy * math.sin(theta)) / period + phase)
    return rng.uniform(0.5, 1.0) * wave + rng.normal(0, 0.8, (28, 28))

labels = rng.integers(0, 8, 1500)
images = torch.tensor(np.stack([sample(k) for k in labels])[:, None], dtype=torch.float32)
labels = torch.tensor(labels)
x_train, y_train = images[:1120], labels[:1120]
x_test, y_test = images[1120:], labels[1120:]
mean, std = x_train.mean(), x_train.std()
x_train, x_test = (x_train - mean) / std, (x_test - mean) / std


class Residual(nn.Module):
    def __init__(self, ch):
        super().__init__()
        self.n1, self.n2 = nn.GroupNorm(4, ch), nn.GroupNorm(4, ch)
        self.c1 = nn.Conv2d(ch, ch, 3, padding=1)
        self.c2 = nn.Conv2d(ch, ch, 3, padding=1)

    def forward(self, x):
        y = self.c1(F.relu(self.n1(x)))
        return x + self.c2(F.relu(self.n2(y)))


net = nn.Sequential(
    nn.Conv2d(1, 16, 5, stride=2, padding=2), Residual(16),
    nn.Conv2d(16, 32, 3, stride=2, padding=1), Residual(32),
    nn.GroupNorm(4, 32), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 8),
)

epochs, batch = 6, 32
base_lr, warmup = 3e-3, 20
steps = epochs * len(x_train) // batch

def schedule(step):
    if step < warmup:
        return base_lr * (step + 1) / warmup
    t = (step - warmup) / (steps - warmup)
    return base_lr * 0.5 * (1 + math.cos(math.pi * t))

optimizer = torch.optim.Adam(net.parameters(), lr=base_lr)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lr_lambda=schedule)

for epoch in range(epochs):
    net.train()
    perm = torch.randperm(len(x_train))
    total = 0.0
    for idx in perm.split(batch):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x_train[idx]), y_train[idx])
        loss.backward()
        optimizer.step()
        scheduler.step()
        total += loss.item() * len(idx)
    print(f"epoch {epoch + 1}/{epochs}  train loss {total / len(x_train):.3f}")

net.eval()
with torch.no_grad():
    acc = (net(x_test).argmax(1) == y_test).float().mean().item()
print(f"accuracy: {acc:.3f}")
