"""Oriented blobs: AdamW with separate decay groups."""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

HYPER = {
    "classes": 5,
    "side": 24,
    "epochs": 8,
    "batch": 25,
    "lr": 2e-3,
    "weight_decay": 0.02,
    "seed": 5,
}


def blobs(kind, rng, side):
    """Four elongated blobs whose common direction is the class."""
    yy, xx = np.mgrid[0:side, 0:side]
    theta = np.pi * (kind + rng.uniform(-0.2, 0.2)) / 5
    img = np.zeros((side, side))
    for cy, cx in rng.uniform(4, side - 4, size=(4, 2)):
        along = (xx - cx) * np.cos(theta) + (yy - cy) * np.sin(theta)
        across = (yy - cy) * np.cos(theta) - (xx - cx) * np.sin(theta)
        img += np.exp(-(along / 4.5) ** 2 - (across / 1.3) ** 2)
    return img * rng.uniform(0.8, 1.2) + rng.normal(0, 0.15, img.shape)


def dataset(n_each, seed, hp):
    rng = np.random.default_rng(seed)
    labels = np.arange(hp["classes"]).repeat(n_each)
    images = np.stack([blobs(k, rng, hp["side"]) for k in labels])
    return torch.tensor(images[:, None], dtype=torch.float32), torch.tensor(labels)


class BlobNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU())
        self.mix = nn.Sequential(nn.Conv2d(12, 24, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.hidden = nn.Linear(24, 32)
        self.out = nn.Linear(32, classes)

    def forward(self, x):
        x = self.pool(self.mix(self.stem(x))).flatten(1)
        return self.out(torch.relu(self.hidden(x)))


def make_optimizer(model, hp):
    """No weight decay on biases and norm parameters."""
    decay, plain = [], []
    for p in model.parameters():
        if p.ndim >= 2:
            decay.append(p)
        elif p.ndim == 1:
            plain.append(p)
    groups = [
        {"params": decay, "weight_decay": hp["weight_decay"]},
        {"params": plain, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=hp["lr"])


def run(hp):
    torch.manual_seed(hp["seed"])
    x, y = dataset(120, 100, hp)
    xt, yt = dataset(60, 200, hp)
    centre, scale = x.mean(), x.std()
    x, xt = (x - centre) / scale, (xt - centre) / scale
    loader = DataLoader(TensorDataset(x, y), batch_size=hp["batch"], shuffle=True)
    model = BlobNet(hp["classes"])
    optimizer = make_optimizer(model, hp)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(hp["epochs"]):
        model.train()
        for xb, yb in loader:
            loss = criterion(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch:02d} last loss {loss.item():.3f}")
    model.eval()
    with torch.no_grad():
        return (model(xt).argmax(dim=-1) == yt).float().mean().item()


print(f"accuracy: {run(HYPER):.3f}")
