"""Pretrain on 4 patterns, then fine-tune the backbone with a new head on 8 patterns."""
import torch
import torch.nn as nn


class Backbone(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 5, stride=2, padding=2), nn.ReLU(),
            nn.Conv2d(16, 24, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2))
        self.fc = nn.Linear(96, classes)

    def forward(self, x):
        return self.fc(self.features(x).flatten(1))


def patterns(n, classes, g):
    y = torch.randint(0, classes, (n,), generator=g)
    a = y.float().view(-1, 1, 1) * 3.14159 / classes + 0.05 * torch.randn(n, 1, 1, generator=g)
    r = torch.arange(20).float()
    ph = 6.2832 * torch.rand(n, 1, 1, generator=g)
    x = torch.sin(0.9 * (r.view(1, -1, 1) * torch.sin(a) + r.view(1, 1, -1) * torch.cos(a)) + ph)
    return (x + 0.6 * torch.randn(x.shape, generator=g)).unsqueeze(1), y


def train(model, opt, x, y, epochs):
    lossf = nn.CrossEntropyLoss()
    for _ in range(epochs):
        model.train()
        for i in torch.randperm(len(y)).split(50):
            opt.zero_grad()
            loss = lossf(model(x[i]), y[i])
            loss.backward()
            opt.step()
        print("loss", round(loss.item(), 3))


torch.manual_seed(5)
gen = torch.Generator().manual_seed(5)
model = Backbone(4)
train(model, torch.optim.Adam(model.parameters(), 2e-3), *patterns(500, 4, gen), epochs=5)

print("fine-tuning")
model.fc = nn.Linear(96, 8)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
train(model, optimizer, *patterns(1000, 8, gen), epochs=4)
model.eval()
x, y = patterns(500, 8, gen)
with torch.no_grad():
    print("accuracy: %.3f" % (model(x).argmax(1) == y).float().mean())
