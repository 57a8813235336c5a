"""White blood cells under the microscope: four kinds, drawn on the fly, averaged weights."""
import copy
import math

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SIZE = 28
KINDS = ["lymphocyte", "monocyte", "neutrophil", "eosinophil"]


def ellipse(yy, xx, cy, cx, ry, rx, angle):
    c, s = math.cos(angle), math.sin(angle)
    u = (xx - cx) * c + (yy - cy) * s
    v = -(xx - cx) * s + (yy - cy) * c
    return 1.0 / (1.0 + np.exp(4.0 * ((u / rx) ** 2 + (v / ry) ** 2 - 1.0)))


def draw_cell(kind, rng):
    yy, xx = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    cy, cx = SIZE / 2 + rng.uniform(-3.5, 3.5, 2)
    r = rng.uniform(7.0, 9.5)
    background = rng.uniform(0.75, 0.95)
    img = np.full((3, SIZE, SIZE), background, dtype=np.float32)

    def stain(mask, colour, strength):
        for ch in range(3):
            img[ch] = img[ch] * (1 - strength * mask) + colour[ch] * strength * mask

    for _ in range(rng.integers(1, 4)):                      # red cells around
        ry, rx = rng.uniform(0, SIZE, 2)
        stain(ellipse(yy, xx, ry, rx, 4.0, 4.0, 0.0), (0.85, 0.55, 0.55), 0.6)
    stain(ellipse(yy, xx, cy, cx, r, r * rng.uniform(0.85, 1.1), rng.uniform(0, 3)), (0.72, 0.70, 0.85), 0.8)
    a = rng.uniform(0, 2 * math.pi)
    nucleus = (0.35, 0.20, 0.55)
    if kind == 0:
        stain(ellipse(yy, xx, cy, cx, r * 0.75, r * 0.7, a), nucleus, 0.9)
    elif kind == 1:
        stain(ellipse(yy, xx, cy, cx, r * 0.42, r * 0.75, a), nucleus, 0.9)
    else:
        lobes = 3 if kind == 2 else 2
        for k in range(lobes):
            b = a + 2 * math.pi * k / lobes + rng.uniform(-0.3, 0.3)
            stain(ellipse(yy, xx, cy + 0.45 * r * math.sin(b), cx + 0.45 * r * math.cos(b), r * 0.32, r * 0.32, 0), nucleus, 0.9)
    img = img * rng.uniform(0.8, 1.15) + rng.normal(0, 0.09, img.shape)
    return img.astype(np.float32)


def make_split(per_kind, seed):
    rng = np.random.default_rng(seed)
    images, labels = [], []
    for kind in range(len(KINDS)):
        for _ in range(per_kind):
            images.append(draw_cell(kind, rng))
            labels.append(kind)
    return torch.from_numpy(np.stack(images)), torch.tensor(labels)


class CellNet(nn.Module):
    def __init__(self, kinds):
        super().__init__()

        def stage(a, b):
            return nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2))

        self.body = nn.Sequential(stage(3, 16), stage(16, 32), stage(32, 48))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(48 * 3 * 3, 64), nn.ReLU(), nn.Dropout(0.4), nn.Linear(64, kinds))

    def forward(self, x):
        return self.head(self.body(x))


class WeightAverage:
    """Keeps a slowly moving copy of the network."""

    def __init__(self, model, decay):
        self.module = copy.deepcopy(model)
        self.module.requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model):
        for avg, p in zip(self.module.parameters(), model.parameters()):
            avg.lerp_(p, 1.0 - self.decay)
        for avg, b in zip(self.module.buffers(), model.buffers()):
            avg.copy_(b)


class Trainer:
    def __init__(self, model, train_loader, val_loader, epochs, lr):
        self.model = model
        self.average = WeightAverage(model, decay=0.97)
        self.train_loader, self.val_loader = train_loader, val_loader
        self.epochs = epochs
        self.loss = nn.CrossEntropyLoss()
        self.opt = torch.optim.Adam(model.parameters(), lr=lr)
        self.sched = torch.optim.lr_scheduler.OneCycleLR(self.opt, max_lr=lr, total_steps=epochs * len(train_loader))

    def train_epoch(self):
        self.model.train()
        running = 0.0
        for x, y in self.train_loader:
            self.opt.zero_grad()
            loss = self.loss(self.model(x), y)
            loss.backward()
            self.opt.step()
            self.sched.step()
            self.average.update(self.model)
            running += loss.item() * len(y)
        return running / len(self.train_loader.dataset)

    @torch.no_grad()
    def validate(self):
        self.model.eval()
        hits = 0
        for x, y in self.val_loader:
            hits += (self.average.module(x).argmax(1) == y).sum().item()
        return hits / len(self.val_loader.dataset)

    def run(self):
        for epoch in range(1, self.epochs + 1):
            loss = self.train_epoch()
            acc = self.validate()
            print(f"epoch {epoch}: train loss {loss:.3f}  val accuracy {acc:.3f}")
        return acc


def main():
    torch.manual_seed(11)
    x_train, y_train = make_split(per_kind=450, seed=1)
    x_val, y_val = make_split(per_kind=150, seed=2)
    mean = x_train.mean(dim=(0, 2, 3), keepdim=True)
    std = x_train.std(dim=(0, 2, 3), keepdim=True)
    train = DataLoader(TensorDataset((x_train - mean) / std, y_train), batch_size=40, shuffle=True)
    val = DataLoader(TensorDataset((x_val - mean) / std, y_val), batch_size=50)
    trainer = Trainer(CellNet(len(KINDS)), train, val, epochs=6, lr=3e-3)
    print(f"final val accuracy {trainer.run():.3f}")


if __name__ == "__main__":
    main()
