"""Pretrain on one task, then train only a new head on another with the body frozen."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
patterns = torch.randn(9, 1, 5, 5)


def task(classes, n):
    y = torch.randint(0, len(classes), (n,))
    x = torch.randn(n, 1, 15, 15) * 0.4
    for i in range(n):
        r, c = torch.randint(0, 11, (2,)).tolist()
        x[i, :, r : r + 5, c : c + 5] += patterns[classes[y[i]]]
    return x, y


class Body(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 16, 3, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
        )


def train(net, data, params, epochs, lr):
    optimizer = torch.optim.Adam(params, lr=lr)
    for _ in range(epochs):
        for idx in torch.randperm(len(data[0])).split(50):
            loss = F.cross_entropy(net(data[0][idx]), data[1][idx])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return loss.item()


body = Body()
pretrain = nn.Sequential(body, nn.Linear(32, 6))
print("pretraining", train(pretrain, task([0, 1, 2, 3, 4, 5], 2000), pretrain.parameters(), 4, 5e-3))

for p in body.parameters():
    p.requires_grad = False
body.eval()
head = nn.Linear(32, 3)
model = nn.Sequential(body, head)
print("fine-tuning", train(model, task([6, 7, 8], 600), head.parameters(), 10, 2e-2))

x, y = task([6, 7, 8], 400)
model.eval()
with torch.no_grad():
    print(f"accuracy: {(model(x).argmax(1) == y).float().mean().item():.4f}")
