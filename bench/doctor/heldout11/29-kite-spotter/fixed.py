"""Kite spotter: what sort of kite hangs in the sky over the beach."""
import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset, random_split

KITES = ("diamond", "delta", "box", "sled", "parafoil", "octopus")
SIDE = 24


def grid():
    line = torch.linspace(-1, 1, SIDE)
    v, u = torch.meshgrid(line, line, indexing="ij")
    return u, v


def sky(kind, gen):
    def rnd(lo, hi):
        return (lo + (hi - lo) * torch.rand(1, generator=gen)).item()

    u, v = grid()
    tilt = torch.tensor(rnd(-0.5, 0.5))
    du, dv = u - rnd(-0.3, 0.3), v - rnd(-0.3, 0.2)
    x, y = du * tilt.cos() + dv * tilt.sin(), dv * tilt.cos() - du * tilt.sin()
    s = rnd(0.38, 0.6)
    x, y = x / s, y / s
    if kind == 0:
        shape = (x.abs() * 1.2 + y.abs()) < 1
    elif kind == 1:
        shape = (y > -0.6) & (y < 0.7) & (x.abs() < (y + 0.6))
    elif kind == 2:
        shape = (x.abs() < 0.75) & (y.abs() < 0.9) & (y.abs() > 0.3)
    elif kind == 3:
        shape = (y.abs() < 0.9) & (x.abs() < 0.75 - 0.3 * y) & ~((x.abs() < 0.25) & (y > -0.3))
    elif kind == 4:
        shape = ((y + 0.35 * x * x).abs() < 0.35) & (x.abs() < 1.1)
    else:
        head = (x * x + (y + 0.5) ** 2) < 0.25
        legs = (y > -0.5) & (y < 1.0) & (x.abs() < 0.6) & (torch.sin(11 * x) > 0.1)
        shape = head | legs
    paint = 0.35 + 0.65 * torch.rand(3, 1, 1, generator=gen)
    air = torch.tensor([0.3, 0.45, 0.7]).view(3, 1, 1) - 0.2 * v + rnd(-0.1, 0.1)
    img = torch.where(shape, paint * torch.ones(3, SIDE, SIDE), air)
    for _ in range(3):  # gulls
        gx, gy = rnd(-1, 1), rnd(-1, 1)
        gull = ((v - gy) + (u - gx).abs() * 0.5).abs() < 0.05
        img = torch.where(gull & ((u - gx).abs() < 0.2), torch.full_like(img, 0.9), img)
    return img + 0.15 * torch.randn(img.shape, generator=gen)


class KiteData:
    def __init__(self, n=2000, batch=40, seed=3):
        gen = torch.Generator().manual_seed(seed)
        y = torch.randint(len(KITES), (n,), generator=gen)
        x = torch.stack([sky(int(k), gen) for k in y])
        n_test = n // 4
        self.train, self.test = random_split(TensorDataset(x * 2 - 1, y), [n - n_test, n_test], generator=gen)
        self.batch = batch

    def train_dataloader(self):
        return DataLoader(self.train, self.batch, shuffle=True)

    def test_dataloader(self):
        return DataLoader(self.test, 250)


class Module(nn.Module):
    """Just enough of the well-known interface."""

    def training_step(self, batch):
        raise NotImplementedError

    def test_step(self, batch):
        raise NotImplementedError

    def configure_optimizers(self):
        raise NotImplementedError


class KiteModule(Module):
    def __init__(self, width=14, lr=0.01, decay_every=3, gamma=0.3):
        super().__init__()
        self.lr, self.decay_every, self.gamma = lr, decay_every, gamma

        def block(i, o):
            return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2))

        self.features = nn.Sequential(block(3, width), block(width, 2 * width), block(2 * width, 3 * width))
        self.classifier = nn.Linear(3 * width * 9, len(KITES))

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))

    def training_step(self, batch):
        x, y = batch
        return F.cross_entropy(self(x), y)

    def test_step(self, batch):
        x, y = batch
        return (self(x).argmax(-1) == y).sum().item(), len(y)

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=self.lr, momentum=0.9)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {
                "scheduler": StepLR(optimizer, self.decay_every, self.gamma),
                "interval": "epoch",
            },
        }


class Runner:
    def __init__(self, max_epochs):
        self.max_epochs = max_epochs

    def fit(self, module, data):
        conf = module.configure_optimizers()
        optimizer = conf["optimizer"]
        scheduler, interval = conf["lr_scheduler"]["scheduler"], conf["lr_scheduler"]["interval"]
        for epoch in range(self.max_epochs):
            module.train()
            log = []
            for batch in data.train_dataloader():
                optimizer.zero_grad()
                loss = module.training_step(batch)
                loss.backward()
                optimizer.step()
                if interval == "step":
                    scheduler.step()
                log.append(loss.item())
            if interval == "epoch":
                scheduler.step()
            print(f"epoch {epoch}: mean batch loss {sum(log) / len(log):.3f}")

    @torch.no_grad()
    def test(self, module, data):
        module.eval()
        counts = [module.test_step(batch) for batch in data.test_dataloader()]
        return sum(c for c, _ in counts) / sum(n for _, n in counts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=3)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    data, module = KiteData(seed=args.seed), KiteModule()
    runner = Runner(max_epochs=args.epochs)
    runner.fit(module, data)
    print(f"test accuracy: {runner.test(module, data):.3f}")
