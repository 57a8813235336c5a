import os

import numpy as np
import torch
import torch.nn as nn


def cross_entropy(logits, target):
    log_probs = logits - torch.logsumexp(logits, dim=1, keepdim=True)
    return -log_probs[torch.arange(len(target)), target].mean()


class CosineClassifier(nn.Module):
    def __init__(self, dim=8, temperature=0.01):
        super().__init__()
        self.embed = nn.Sequential(
            nn.Conv2d(3, 16, 5, 2), nn.ReLU(), nn.Conv2d(16, 32, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(800, dim)
        )
        self.classes = nn.Parameter(torch.randn(10, dim))
        self.temperature = temperature

    def forward(self, x):
        z = nn.functional.normalize(self.embed(x), dim=1)
        return z @ nn.functional.normalize(self.classes, dim=1).T / self.temperature


def read(k, n):
    path = os.environ.get("TENFOLD_DATA", "") + "/cifar10/cifar-10-batches-bin/data_batch_%d.bin" % k
    if os.path.exists(path):
        a = np.fromfile(path, np.uint8, n * 3073).reshape(n, 3073)
        x, y = a[:, 1:].reshape(n, 3, 32, 32).astype(np.float32), a[:, 0].astype(np.int64)
    else:
        rng = np.random.RandomState(k)
        y = rng.randint(0, 10, n)
        x = (rng.randn(n, 3, 32, 32) * 40 + 20 * y[:, None, None, None]).astype(np.float32)
    return torch.from_numpy((x - 120) / 64), torch.from_numpy(y)


torch.manual_seed(0)
x, y = read(1, 2500)
xv, yv = read(2, 800)
model = CosineClassifier()
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(5):
    for i in torch.randperm(2500).split(50):
        opt.zero_grad()
        loss = cross_entropy(model(x[i]), y[i])
        loss.backward()
        opt.step()
    print("epoch", epoch, loss.item())
with torch.no_grad():
    acc = (model(xv).argmax(1) == yv).float().mean().item()
print(f"accuracy: {acc:.4f}")
