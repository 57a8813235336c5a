"""Rotation pretext task, then classification with a short head-only stage (CIFAR-10 slice)."""
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Plan:
    n_train: int = 1500
    n_test: int = 500
    batch: int = 50
    pretext_epochs: int = 1
    head_epochs: int = 1
    full_epochs: int = 4
    lr: float = 0.05
    seed: int = 5


def read_bin(path, n):
    raw = np.fromfile(path, dtype=np.uint8, count=n * 3073).reshape(n, 3073)
    x = torch.from_numpy(raw[:, 1:].reshape(n, 3, 32, 32).copy()).float() / 255
    return x, torch.from_numpy(raw[:, 0].astype(np.int64))


def conv_bn(cin, cout, stride):
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(cout),
        nn.ReLU(inplace=True),
    )


class Encoder(nn.Sequential):
    out_dim = 64

    def __init__(self):
        super().__init__(conv_bn(3, 16, 2), conv_bn(16, 32, 2), conv_bn(32, 64, 2), conv_bn(64, 64, 1),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Classifier(nn.Module):
    def __init__(self, encoder, classes):
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.out_dim, classes)

    def forward(self, x):
        return self.head(self.encoder(x))

    def set_encoder_trainable(self, flag):
        for p in self.encoder.parameters():
            p.requires_grad_(flag)


def batches(n, size, gen):
    order = torch.randperm(n, generator=gen)
    for start in range(0, n - size + 1, size):
        yield order[start:start + size]


def rotate_batch(x, gen):
    k = torch.randint(4, (len(x),), generator=gen)
    out = torch.empty_like(x)
    for r in range(4):
        out[k == r] = torch.rot90(x[k == r], r, dims=(2, 3))
    return out, k


def pretext(encoder, x, plan, gen):
    model = Classifier(encoder, 4)
    opt = torch.optim.SGD(model.parameters(), lr=plan.lr, momentum=0.9)
    for _ in range(plan.pretext_epochs):
        model.train()
        for idx in batches(len(x), plan.batch, gen):
            xb, kb = rotate_batch(x[idx], gen)
            opt.zero_grad()
            loss = F.cross_entropy(model(xb), kb)
            loss.backward()
            opt.step()
    print(f"pretext: last loss {loss.item():.3f}")
    return encoder


class FineTuner:
    def __init__(self, model, plan):
        self.model, self.plan = model, plan
        model.set_encoder_trainable(False)
        self.opt = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=plan.lr, momentum=0.9)

    def on_epoch_start(self, epoch):
        if epoch == self.plan.head_epochs:
            self.model.set_encoder_trainable(True)

    def fit(self, x, y, gen):
        for epoch in range(self.plan.head_epochs + self.plan.full_epochs):
            self.on_epoch_start(epoch)
            self.model.train()
            losses = []
            for idx in batches(len(x), self.plan.batch, gen):
                self.opt.zero_grad()
                loss = F.cross_entropy(self.model(x[idx]), y[idx])
                loss.backward()
                self.opt.step()
                losses.append(loss.item())
            print(f"epoch {epoch}: {np.mean(losses):.3f}")

    @torch.no_grad()
    def score(self, x, y):
        self.model.eval()
        pred = torch.cat([self.model(xb).argmax(1) for xb in x.split(250)])
        return (pred == y).float().mean().item()


def main():
    plan = Plan()
    torch.manual_seed(plan.seed)
    gen = torch.Generator().manual_seed(plan.seed)
    folder = Path(os.environ["TENFOLD_DATA"]) / "cifar10" / "cifar-10-batches-bin"
    xtr, ytr = read_bin(folder / "data_batch_1.bin", plan.n_train)
    xte, yte = read_bin(folder / "test_batch.bin", plan.n_test)
    mean, std = xtr.mean((0, 2, 3), keepdim=True), xtr.std((0, 2, 3), keepdim=True)
    xtr, xte = (xtr - mean) / std, (xte - mean) / std
    encoder = pretext(Encoder(), xtr, plan, gen)
    tuner = FineTuner(Classifier(encoder, 10), plan)
    tuner.fit(xtr, ytr, gen)
    print(f"accuracy: {tuner.score(xte, yte):.3f}")


if __name__ == "__main__":
    main()
