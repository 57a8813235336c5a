"""Weather-icon recognition, with a tiny module/runner split in the manner of Lightning."""
import math
import random

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn, optim
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


# ------------------------------------------------------------------ data module
class IconData:
    names = ["sun", "cloud", "rain", "snow", "storm", "fog", "moon"]
    side = 20

    def __init__(self, sizes=(1600, 300, 500), batch_size=32):
        self.batch_size = batch_size
        self.splits = [self._make(n, seed) for n, seed in zip(sizes, (21, 22, 23))]

    def _make(self, n, seed):
        rnd, noise = random.Random(seed), np.random.default_rng(seed)
        labels = [rnd.randrange(len(self.names)) for _ in range(n)]
        x = np.stack([self._icon(self.names[k], rnd) for k in labels]) / 255.0
        x = x + noise.normal(0, 0.13, x.shape)
        return TensorDataset(torch.tensor(x[:, None] - 0.4, dtype=torch.float32), torch.tensor(labels))

    def _icon(self, name, rnd):
        s = self.side * 4
        back = rnd.randint(40, 110)
        ink = back + rnd.randint(80, 140)
        im = Image.new("L", (s, s), back)
        d = ImageDraw.Draw(im)
        cx, cy, r = s / 2 + rnd.uniform(-9, 9), s / 2 + rnd.uniform(-7, 7), rnd.uniform(15, 21)

        def cloud(y):
            d.ellipse([cx - r * 1.2, y - r * .3, cx - r * .1, y + r * .55], fill=ink)
            d.ellipse([cx - r * .6, y - r * .8, cx + r * .5, y + r * .4], fill=ink)
            d.ellipse([cx, y - r * .4, cx + r * 1.2, y + r * .55], fill=ink)
            d.rectangle([cx - r * .7, y, cx + r * .7, y + r * .55], fill=ink)

        if name == "sun":
            d.ellipse([cx - r * .6, cy - r * .6, cx + r * .6, cy + r * .6], fill=ink)
            turn, rays = rnd.uniform(0, 1), rnd.choice([6, 8])
            for k in range(rays):
                t = turn + 2 * math.pi * k / rays
                d.line([cx + r * .85 * math.cos(t), cy + r * .85 * math.sin(t),
                        cx + r * 1.4 * math.cos(t), cy + r * 1.4 * math.sin(t)], fill=ink, width=4)
        elif name == "moon":
            d.ellipse([cx - r, cy - r, cx + r, cy + r], fill=ink)
            o = rnd.uniform(.4, .7) * r
            d.ellipse([cx - r + o, cy - r - o * .3, cx + r + o, cy + r - o * .3], fill=back)
        elif name == "fog":
            for k in range(4):
                y, j = cy + (k - 1.5) * r * .5, rnd.uniform(-6, 6)
                d.line([cx - r + j, y, cx + r + j, y], fill=ink, width=4)
        elif name == "cloud":
            cloud(cy)
        else:
            top = cy - r * .4
            cloud(top)
            for dx in (-.6, 0, .6):
                x, y = cx + dx * r, top + r
                if name == "rain":
                    d.line([x + 3, y - 4, x - 4, y + r * .55], fill=ink, width=4)
                elif name == "snow":
                    y += rnd.uniform(-2, r * .3)
                    d.ellipse([x - 4, y - 3, x + 4, y + 5], fill=ink)
            if name == "storm":
                d.line([cx + 4, top + r * .6, cx - 5, top + r * 1.1, cx + 5, top + r * 1.1, cx - 3, top + r * 1.7],
                       fill=ink, width=5)
        return np.asarray(im.resize((self.side, self.side), Image.BOX), dtype=np.float32)

    def loader(self, split, shuffle=False):
        return DataLoader(self.splits[split], batch_size=self.batch_size, shuffle=shuffle)


# ------------------------------------------------------------------ module
class IconModule(nn.Module):
    def __init__(self, classes, lr_body=0.03, lr_head=0.02):
        super().__init__()
        self.lr_body, self.lr_head = lr_body, lr_head
        self.body = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(),
        )
        self.head = nn.Sequential(nn.Linear(24 * 25, 48), nn.ReLU(), nn.Linear(48, classes))

    def forward(self, x):
        return self.head(self.body(x))

    def training_step(self, batch):
        x, y = batch
        return F.cross_entropy(self(x), y)

    def validation_step(self, batch):
        x, y = batch
        return (self(x).argmax(-1) == y).sum().item(), len(y)

    def configure_optimizers(self):
        return [optim.SGD(self.body.parameters(), lr=self.lr_body, momentum=0.9),
                optim.SGD(self.head.parameters(), lr=self.lr_head, momentum=0.9)]


# ------------------------------------------------------------------ runner
class Runner:
    def __init__(self, max_epochs):
        self.max_epochs = max_epochs

    def fit(self, module, data):
        optimizers = module.configure_optimizers()
        for epoch in range(self.max_epochs):
            module.train()
            total, count = 0.0, 0
            for batch in data.loader(0, shuffle=True):
                loss = module.training_step(batch)
                loss.backward()
                for opt in optimizers:
                    opt.step()
                opt.zero_grad()
                total += loss.item() * len(batch[1])
                count += len(batch[1])
            print(f"epoch {epoch}: train_loss={total / count:.4f} val_acc={self.validate(module, data.loader(1)):.4f}")

    @torch.no_grad()
    def validate(self, module, loader):
        module.eval()
        hits, seen = map(sum, zip(*(module.validation_step(batch) for batch in loader)))
        return hits / seen


if __name__ == "__main__":
    torch.manual_seed(0)
    data = IconData()
    module = IconModule(len(data.names))
    runner = Runner(max_epochs=12)
    runner.fit(module, data)
    print(f"test_acc={runner.validate(module, data.loader(2)):.4f}")
