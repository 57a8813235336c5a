"""Pre-train on four textures, then fine-tune the head on three new ones."""

import numpy as np
import torch
import torch.nn as nn


def textures(freqs, angles, n, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, len(freqs), n)
    ii, jj = np.meshgrid(np.arange(16), np.arange(16), indexing="ij")
    out = np.zeros((n, 1, 16, 16), dtype=np.float32)
    for k in range(n):
        f, a = freqs[y[k]], angles[y[k]] + rng.normal(0, 0.08)
        out[k, 0] = np.cos(f * (ii * np.sin(a) + jj * np.cos(a)) + rng.uniform(0, 6.28)) + 0.5 * rng.normal(
            size=(16, 16)
        )
    return torch.from_numpy(out), torch.from_numpy(y)


class Backbone(nn.Module):
    def __init__(self, num_classes=4):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 5, padding=2, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
        )
        self.fc = nn.Linear(128, num_classes)

    def forward(self, x):
        return self.fc(self.features(x).flatten(1))


def fit(model, optimizer, x, y, epochs):
    ce = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        for idx in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            loss = ce(model(x[idx]), y[idx])
            loss.backward()
            optimizer.step()
        print("epoch %d: %.4f" % (epoch, loss.item()))


torch.manual_seed(2)
px, py = textures([0.6, 1.0, 1.4, 0.8], [0.0, 0.8, 1.6, 2.4], 800, seed=0)
model = Backbone(num_classes=4)
model.train()
fit(model, torch.optim.Adam(model.parameters(), lr=2e-3), px, py, epochs=4)

# transfer
tx, ty = textures([0.7, 1.2, 0.9], [0.4, 1.2, 2.0], 600, seed=1)
vx, vy = textures([0.7, 1.2, 0.9], [0.4, 1.2, 2.0], 300, seed=2)
for p in model.features.parameters():
    p.requires_grad = False
model.fc = nn.Linear(model.fc.in_features, 3)
trainable = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.Adam(trainable, lr=5e-3)
model.eval()
fit(model, optimizer, tx, ty, epochs=8)
with torch.no_grad():
    acc = (model(vx).argmax(1) == vy).float().mean().item()
print(f"accuracy: {acc:.4f}")
