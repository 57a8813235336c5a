"""Woven fabric classifier.

Ten weaves (five thread directions, two thread densities) photographed under uneven light.
A small fully convolutional net looks at overlapping patches; every patch gives its opinion and
the image gets the average of them.
"""
import copy
import math
import random
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

SEED = 11
SIZE = 32
DIRECTIONS = 5
PERIODS = (4.2, 5.6)
N_CLASSES = DIRECTIONS * len(PERIODS)
PER_CLASS = 160
EPOCHS = 7
BATCH = 40


def seed_everything(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def draw_fabric(label, rng):
    direction, density = label % DIRECTIONS, label // DIRECTIONS
    angle = math.pi * direction / DIRECTIONS + rng.normal(0, 0.09)
    period = PERIODS[density] * rng.uniform(0.9, 1.1)
    yy, xx = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    u = xx * math.cos(angle) + yy * math.sin(angle)
    threads = np.sin(2 * math.pi * u / period + rng.uniform(0, 2 * math.pi))
    # slowly varying light, a fold, and the sensor
    light = 0.5 + 0.25 * rng.uniform(-1, 1) * (xx / SIZE - 0.5) + 0.25 * rng.uniform(-1, 1) * (yy / SIZE - 0.5)
    fold = rng.integers(6, SIZE - 6)
    image = light + rng.uniform(0.05, 0.2) * threads
    image[:, fold - 2:fold + 2] *= rng.uniform(0.5, 0.9)
    image += rng.normal(0, 0.17, image.shape)
    return np.clip(image, 0, 1).astype(np.float32)


def make_splits(rng):
    labels = np.repeat(np.arange(N_CLASSES), PER_CLASS)
    images = np.stack([draw_fabric(int(c), rng) for c in labels])[:, None]
    part = {"train": [], "val": [], "test": []}
    for c in range(N_CLASSES):
        idx = rng.permutation(np.flatnonzero(labels == c))
        part["train"].append(idx[:96])
        part["val"].append(idx[96:120])
        part["test"].append(idx[120:])
    part = {k: np.concatenate(v) for k, v in part.items()}
    mean, std = images[part["train"]].mean(), images[part["train"]].std()
    images = (images - mean) / std
    return {k: TensorDataset(torch.from_numpy(images[v]), torch.from_numpy(labels[v])) for k, v in part.items()}


def conv_unit(c_in, c_out, stride=1):
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(c_out),
        nn.ReLU(inplace=True),
    )


class PatchVoter(nn.Module):
    def __init__(self, n_classes, width=16):
        super().__init__()
        self.trunk = nn.Sequential(
            conv_unit(1, width),
            conv_unit(width, width, stride=2),
            conv_unit(width, 2 * width),
            conv_unit(2 * width, 2 * width, stride=2),
        )
        self.opinion = nn.Conv2d(2 * width, n_classes, 1)

    def forward(self, x):
        votes = self.opinion(self.trunk(x))         # (N, classes, 8, 8), one vote per patch
        return votes.flatten(2).mean(-1)


@torch.no_grad()
def score(model, loader):
    model.eval()
    loss, right, seen = 0.0, 0, 0
    for x, y in loader:
        out = model(x)
        loss += F.cross_entropy(out, y, reduction="sum").item()
        right += (out.argmax(1) == y).sum().item()
        seen += len(y)
    return loss / seen, right / seen


def fit(model, train_loader, val_loader):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.1, total_steps=EPOCHS * len(train_loader), pct_start=0.25)
    best, best_state = math.inf, None
    for epoch in range(EPOCHS):
        model.train()
        running = 0.0
        for x, y in train_loader:
            optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            scheduler.step()
            running += loss.item() * len(y)
        val_loss, val_acc = score(model, val_loader)
        print(f"epoch {epoch + 1}  train loss {running / len(train_loader.dataset):.3f}  "
              f"val loss {val_loss:.3f}  val acc {val_acc:.3f}")
        if val_loss < best:
            best, best_state = val_loss, copy.deepcopy(model.state_dict())
    model.load_state_dict(best_state)


if __name__ == "__main__":
    seed_everything(SEED)
    t0 = time.time()
    data = make_splits(np.random.default_rng(SEED))
    train_loader = DataLoader(data["train"], batch_size=BATCH, shuffle=True)
    val_loader = DataLoader(data["val"], batch_size=120)
    test_loader = DataLoader(data["test"], batch_size=200)
    model = PatchVoter(N_CLASSES)
    fit(model, train_loader, val_loader)
    test_loss, test_acc = score(model, test_loader)
    print(f"took {time.time() - t0:.1f} s")
    print(f"test loss {test_loss:.3f}, test accuracy {test_acc:.4f}")
