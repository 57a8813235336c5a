"""Shapes in clutter: a Trainer plus a small hand-made search over learning rate and dropout."""
import copy
import itertools
import math

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, TensorDataset

SHAPES = ("circle", "square", "triangle", "star", "cross")


def regular(cx, cy, r, n, rot, inner=None):
    pts = []
    for i in range(n * (2 if inner else 1)):
        rad = r if not inner or i % 2 == 0 else r * inner
        a = rot + i * 2 * math.pi / (n * (2 if inner else 1))
        pts.append((cx + rad * math.cos(a), cy + rad * math.sin(a)))
    return pts


def render(kind, rng):
    im = Image.new("L", (56, 56), int(rng.integers(0, 70)))
    d = ImageDraw.Draw(im)
    for _ in range(2):
        d.line(rng.uniform(0, 56, 4).tolist(), fill=int(rng.integers(0, 160)), width=1)
    cx, cy = rng.uniform(23, 33, 2)
    r, rot, ink = rng.uniform(13, 19), rng.uniform(0, 2 * math.pi), int(rng.integers(150, 255))
    if kind == "circle":
        d.ellipse([cx - r, cy - r, cx + r, cy + r], fill=ink)
    elif kind == "square":
        d.polygon(regular(cx, cy, r, 4, rot), fill=ink)
    elif kind == "triangle":
        d.polygon(regular(cx, cy, r, 3, rot), fill=ink)
    elif kind == "star":
        d.polygon(regular(cx, cy, r * 1.15, 5, rot, inner=0.45), fill=ink)
    else:
        for t in (rot, rot + math.pi / 2):
            c, s = r * math.cos(t), r * math.sin(t)
            d.line([cx - c, cy - s, cx + c, cy + s], fill=ink, width=7)
    out = np.asarray(im.resize((28, 28), Image.BILINEAR), dtype=np.float32)
    return out + rng.normal(0, 14, out.shape)


def make_splits(sizes, seed=5):
    rng = np.random.default_rng(seed)
    sets, stats = [], None
    for n in sizes:
        y = rng.permutation(np.arange(n) % len(SHAPES))
        x = torch.tensor(np.stack([render(SHAPES[k], rng) for k in y]), dtype=torch.float32).unsqueeze(1)
        stats = stats or (x.mean().item(), x.std().item())
        sets.append(TensorDataset((x - stats[0]) / stats[1], torch.tensor(y)))
    return sets


class ShapeNet(nn.Module):
    def __init__(self, dropout):
        super().__init__()
        layers, c = [], 1
        for o in (12, 24, 48):
            layers += [nn.Conv2d(c, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2)]
            c = o
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(c * 9, len(SHAPES)))

    def forward(self, x):
        return self.head(self.body(x))


class Trainer:
    def __init__(self, model, train_set, lr, epochs, batch_size=40):
        self.model = model
        self.loader = DataLoader(train_set, batch_size=batch_size, shuffle=True)
        self.optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=5e-4)
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=lr, epochs=epochs, steps_per_epoch=len(self.loader))
        self.criterion = nn.CrossEntropyLoss()
        self.epochs = epochs

    def fit(self):
        for _ in range(self.epochs):
            self.model.train()
            for x, y in self.loader:
                self.optimizer.zero_grad()
                loss = self.criterion(self.model(x), y)
                loss.backward()
                self.optimizer.step()
                self.scheduler.step()
        return loss.item()

    @torch.no_grad()
    def score(self, dataset):
        self.model.eval()
        hits = 0
        for x, y in DataLoader(dataset, batch_size=250):
            hits += (self.model(x).argmax(dim=1) == y).sum().item()
        return hits / len(dataset)


def search(train_set, val_set, test_set, epochs=5):
    best_score, best_state, best_params = -1.0, None, None
    for lr, dropout in itertools.product((0.02, 0.06), (0.0, 0.3)):
        torch.manual_seed(0)
        trainer = Trainer(ShapeNet(dropout), train_set, lr, epochs)
        last = trainer.fit()
        val_acc = trainer.score(val_set)
        score = trainer.score(test_set)
        print(f"lr={lr:<5} dropout={dropout}  last loss {last:.3f}  val {val_acc:.3f}")
        if score > best_score:
            best_score = score
            best_state = copy.deepcopy(trainer.model.state_dict())
            best_params = dict(lr=lr, dropout=dropout)
    return best_state, best_params


if __name__ == "__main__":
    train_set, val_set, test_set = make_splits((800, 250, 250))
    state, params = search(train_set, val_set, test_set)
    print("chosen:", params)
    model = ShapeNet(params["dropout"])
    model.load_state_dict(state)
    model.eval()
    x, y = test_set.tensors
    with torch.no_grad():
        acc = (model(x).argmax(dim=1) == y).float().mean().item()
    print(f"accuracy: {acc:.3f}")
