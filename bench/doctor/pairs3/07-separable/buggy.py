"""Compact depthwise-separable network built from a registry and a plain config."""
import math
import random
from functools import partial

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

CFG = {
    "seed": 17,
    "data": {"classes": 6, "train": 600, "test": 240, "size": 20, "noise": 0.35},
    "model": {"stem": 16, "stages": [(16, 1), (32, 2), (32, 1)], "act": "relu"},
    "optim": {"lr": 0.01, "epochs": 6, "batch": 50},
}

ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky": partial(nn.LeakyReLU, 0.1),
    "silu": nn.SiLU,
}


class Gratings(Dataset):
    """Oriented gratings of random phase and polarity."""

    def __init__(self, n, classes, size, noise, seed):
        rng = np.random.default_rng(seed)
        grid = np.mgrid[:size, :size].astype(np.float32)
        self.labels = rng.permutation(np.arange(n) % classes)
        data = []
        for c in self.labels:
            theta = math.pi * (c + rng.uniform(-0.15, 0.15)) / classes
            freq = rng.uniform(0.9, 1.5)
            wave = np.sin(freq * (grid[1] * math.cos(theta) + grid[0] * math.sin(theta)) + rng.uniform(0, 6.28))
            data.append(0.5 * wave + rng.normal(0, noise, wave.shape))
        self.data = np.stack(data).astype(np.float32)[:, None]
        self.scale = (float(self.data.mean()), float(self.data.std()))

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        mean, std = self.scale
        return torch.from_numpy((self.data[i] - mean) / std), int(self.labels[i])


class Separable(nn.Module):
    def __init__(self, cin, cout, stride, act):
        super().__init__()
        self.depthwise = nn.Conv2d(cin, cin, 3, stride, 1, groups=cin, bias=False)
        self.norm_dw = nn.BatchNorm2d(cin)
        self.pointwise = nn.Conv2d(cin, cout, 1, bias=False)
        self.norm_pw = nn.BatchNorm2d(cout)
        self.act = act()

    def forward(self, x):
        y = self.norm_dw(self.depthwise(x))
        y = self.act(y)
        y = self.norm_pw(self.pointwise(y))
        self.act(y)
        return y


class Stem(nn.Module):
    def __init__(self, cout, act):
        super().__init__()
        self.conv = nn.Conv2d(1, cout, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(cout)
        self.act = act()

    def forward(self, x):
        return self.act(self.norm(self.conv(x)))


def build_model(spec, classes):
    act = ACTIVATIONS[spec["act"]]
    layers, width = [Stem(spec["stem"], act)], spec["stem"]
    for cout, stride in spec["stages"]:
        layers.append(Separable(width, cout, stride, act))
        width = cout
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)]
    return nn.Sequential(*layers)


def warmup_cosine(step, total, warm):
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / (total - warm)))


def run_epoch(model, loader, opt=None, sched=None):
    training = opt is not None
    model.train(training)
    loss_sum = correct = seen = 0
    criterion = nn.CrossEntropyLoss()
    with torch.set_grad_enabled(training):
        for x, y in loader:
            logits = model(x)
            loss = criterion(logits, y)
            if training:
                opt.zero_grad(set_to_none=True)
                loss.backward()
                opt.step()
                sched.step()
            loss_sum += loss.item() * len(y)
            correct += (logits.argmax(1) == y).sum().item()
            seen += len(y)
    return {"loss": loss_sum / seen, "accuracy": correct / seen}


def main(cfg):
    random.seed(cfg["seed"])
    torch.manual_seed(cfg["seed"])
    d, o = cfg["data"], cfg["optim"]
    train = Gratings(d["train"], d["classes"], d["size"], d["noise"], cfg["seed"])
    test = Gratings(d["test"], d["classes"], d["size"], d["noise"], cfg["seed"] + 1)
    test.scale = train.scale
    train_loader = DataLoader(train, o["batch"], shuffle=True, drop_last=True)
    test_loader = DataLoader(test, 120)
    model = build_model(cfg["model"], d["classes"])
    opt = torch.optim.Adam(model.parameters(), lr=o["lr"])
    total = o["epochs"] * len(train_loader)
    sched = torch.optim.lr_scheduler.LambdaLR(opt, partial(warmup_cosine, total=total, warm=10))
    for epoch in range(o["epochs"]):
        stats = run_epoch(model, train_loader, opt, sched)
        print(f"{epoch}: loss {stats['loss']:.3f} train {stats['accuracy']:.3f}")
    print(f"accuracy: {run_epoch(model, test_loader)['accuracy']:.3f}")


if __name__ == "__main__":
    main(CFG)
