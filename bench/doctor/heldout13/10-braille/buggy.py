"""Embossed Braille: ten letters, photographed under raking light."""
import argparse
import random

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset, random_split

DOTS = {"a": "1", "b": "12", "c": "14", "d": "145", "e": "15", "f": "124", "g": "1245", "h": "125", "i": "24", "j": "245"}
PHOTOGRAPHED = {"a": 217, "b": 195, "c": 204, "d": 199, "e": 213, "f": 190, "g": 184, "h": 203, "i": 210, "j": 186}
SIDE = 22


# ---------------------------------------------------------------- data
def photograph(letter, rng):
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(float)
    light = rng.normal(-2.3, 0.35)
    ox, oy = rng.uniform(6.0, 9.0), rng.uniform(4.0, 6.5)
    pitch = rng.uniform(5.0, 6.0)
    turn = rng.normal(0, 0.1)
    page = rng.uniform(0.5, 0.7) + 0.05 * ((x - 11) * np.cos(light) + (y - 11) * np.sin(light)) / 11
    for d in DOTS[letter]:
        col, row = divmod(int(d) - 1, 3)
        px = ox + pitch * (col * np.cos(turn) - row * np.sin(turn))
        py = oy + pitch * (col * np.sin(turn) + row * np.cos(turn))
        dx, dy = x - px + rng.normal(0, 0.3), y - py + rng.normal(0, 0.3)
        bump = np.exp(-(dx ** 2 + dy ** 2) / 3.0)
        page += rng.uniform(0.12, 0.22) * bump * (dx * np.cos(light) + dy * np.sin(light))
    return page + rng.normal(0, 0.045, page.shape)


def photographs(rng):
    images, letters = [], []
    for index, (letter, count) in enumerate(PHOTOGRAPHED.items()):
        images += [photograph(letter, rng) for _ in range(count)]
        letters += [index] * count
    return torch.tensor(np.array(images), dtype=torch.float32).unsqueeze(1), torch.tensor(letters)


# ---------------------------------------------------------------- layers
class ConvUnit(nn.Module):
    def __init__(self, n_in, n_out, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(n_out)
        self.act = nn.ELU()

    def forward(self, x):
        return self.act(self.norm(self.conv(x)))


class LinearUnit(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.linear = nn.Linear(n_in, n_out, bias=False)
        self.norm = nn.BatchNorm1d(n_out)
        self.act = nn.ELU()

    def forward(self, x):
        return self.act(self.norm(self.linear(x)))


def braille_net(n_letters):
    return nn.Sequential(
        ConvUnit(1, 16), ConvUnit(16, 24, stride=2), ConvUnit(24, 32, stride=2), nn.Flatten(),
        LinearUnit(32 * 6 * 6, 64), nn.Dropout(0.3), nn.Linear(64, n_letters))


# ---------------------------------------------------------------- training
def correct(net, loader):
    net.eval()
    with torch.no_grad():
        return sum(int((net(x).argmax(1) == y).sum()) for x, y in loader) / len(loader.dataset)


def main(opt):
    random.seed(opt.seed)
    torch.manual_seed(opt.seed)
    x, y = photographs(np.random.default_rng(opt.seed))
    parts = random_split(range(len(x)), [0.7, 0.1, 0.2], generator=torch.Generator().manual_seed(opt.seed))
    train_idx, val_idx, test_idx = (torch.tensor(list(p)) for p in parts)
    mean, std = x[train_idx].mean(), x[train_idx].std()
    x = (x - mean) / std

    def loader(index, **kw):
        return DataLoader(TensorDataset(x[index], y[index]), batch_size=opt.batch, **kw)

    train = loader(train_idx, shuffle=True)
    val, test = loader(val_idx), loader(test_idx)
    net = braille_net(len(DOTS))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adamax(net.parameters(), lr=opt.lr)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", factor=0.3, patience=2)

    best, weights = -1.0, None
    for epoch in range(1, opt.epochs + 1):
        net.train()
        seen, total = 0, 0.0
        for xb, yb in train:
            optimizer.zero_grad()
            loss = criterion(net(xb), yb)
            loss.backward()
            optimizer.step()
            seen, total = seen + len(yb), total + loss.item() * len(yb)
        acc = correct(net, val)
        plateau.step(acc)
        print(f"{epoch:>3}  train loss {total / seen:.4f}  val acc {acc:.4f}")
        if acc > best:
            best, weights = acc, {k: v.detach().clone() for k, v in net.state_dict().items()}
    net.load_state_dict(weights)
    print(f"accuracy on {len(test_idx)} test letters: {correct(net, test):.4f}")


if __name__ == "__main__":
    cli = argparse.ArgumentParser()
    cli.add_argument("--epochs", type=int, default=9)
    cli.add_argument("--batch", type=int, default=40)
    cli.add_argument("--lr", type=float, default=4e-3)
    cli.add_argument("--seed", type=int, default=2)
    main(cli.parse_args())
