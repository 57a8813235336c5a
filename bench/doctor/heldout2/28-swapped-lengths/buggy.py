"""Leaf or no leaf damage: three kinds of spots (none, few, many) on two kinds of leaves."""

import json

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset, random_split

config = json.loads("""
{
  "n_images": 1500,
  "val_fraction": 0.1,
  "batch_size": 30,
  "steps": 500,
  "learning_rate": 0.002,
  "width": 16,
  "seed": 123
}
""")


def leaves(n, g):
    yy, xx = torch.meshgrid(torch.linspace(-1, 1, 20), torch.linspace(-1, 1, 20), indexing="ij")
    kind = torch.randint(2, (n,), generator=g)
    spots = torch.randint(3, (n,), generator=g)
    imgs = torch.empty(n, 3, 20, 20)
    for i in range(n):
        t = 3.1416 * torch.rand(1, generator=g)
        u, v = xx * t.cos() + yy * t.sin(), -xx * t.sin() + yy * t.cos()
        mask = (u / 0.95) ** 2 + (v / 0.55) ** 2 < 1 if kind[i] else (u.abs() / 0.95 + v.abs() / 0.75) < 1
        green = torch.tensor([0.2, 0.6, 0.2]) + 0.12 * torch.randn(3, generator=g)
        img = torch.where(mask, green[:, None, None], torch.tensor(0.6))
        for _ in range([0, 2, 5][int(spots[i])]):
            a, b = (1.0 * (torch.rand(2, generator=g) - 0.5)).tolist()
            hit = (xx - a) ** 2 + (yy - b) ** 2 < 0.015
            img[:, hit] = torch.tensor([0.45, 0.3, 0.1])[:, None]
        imgs[i] = img
    imgs += 0.08 * torch.randn(imgs.shape, generator=g)
    return imgs, kind * 3 + spots


def split(dataset, fraction):
    n_val = int(len(dataset) * fraction)
    n_train = len(dataset) - n_val
    train, val = random_split(dataset, [n_val, n_train])
    return train, val


def forever(loader):
    while True:
        yield from loader


def accuracy(model, loader):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        hits = [model(x).argmax(1) == y for x, y in loader]
    model.train(was_training)
    return torch.cat(hits).float().mean().item()


def run(cfg):
    torch.manual_seed(cfg["seed"])
    x, y = leaves(cfg["n_images"], torch.Generator().manual_seed(cfg["seed"]))
    x = (x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), keepdim=True)
    train, val = split(TensorDataset(x, y), cfg["val_fraction"])
    train_loader = DataLoader(train, batch_size=cfg["batch_size"], shuffle=True)
    val_loader = DataLoader(val, batch_size=150)
    w = cfg["width"]
    model = nn.Sequential(
        nn.Conv2d(3, w, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(w, w, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(w, 2 * w, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(2 * w * 25, 6),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=cfg["learning_rate"])
    loss_fn = nn.CrossEntropyLoss()
    model.train()
    for step, (xb, yb) in enumerate(forever(train_loader), 1):
        optimizer.zero_grad()
        loss = loss_fn(model(xb), yb)
        loss.backward()
        optimizer.step()
        if step % 100 == 0:
            print(f"step {step}: batch loss {loss.item():.4f}, val {accuracy(model, val_loader):.3f}")
        if step == cfg["steps"]:
            break
    return accuracy(model, val_loader)


print(f"accuracy: {run(config):.3f}")
