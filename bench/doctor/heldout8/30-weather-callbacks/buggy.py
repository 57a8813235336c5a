import math
import random

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset

ICONS = ("sun", "cloud", "rain", "snow", "bolt", "moon", "wind")


def icon(kind, rnd):
    sky = tuple(rnd.randint(60, 200) for _ in range(3))
    ink = tuple(min(255, c + rnd.randint(40, 110)) if rnd.random() < 0.5 else max(0, c - rnd.randint(50, 110)) for c in sky)
    im = Image.new("RGB", (64, 64), sky)
    d = ImageDraw.Draw(im)
    x, y, s = rnd.uniform(26, 38), rnd.uniform(26, 38), rnd.uniform(0.8, 1.2)

    def disc(dx, dy, r, fill=ink):
        d.ellipse([x + s * (dx - r), y + s * (dy - r), x + s * (dx + r), y + s * (dy + r)], fill=fill)

    def stroke(*pts, width=3):
        d.line([(x + s * px, y + s * py) for px, py in pts], fill=ink, width=width)

    def cloud(dy):
        disc(-9, dy, 7), disc(0, dy - 5, 9), disc(9, dy, 7)
        d.rectangle([x - s * 9, y + s * (dy - 1), x + s * 9, y + s * (dy + 7)], fill=ink)

    if kind == "sun":
        disc(0, 0, 9)
        a0 = rnd.uniform(0, 1)
        for k in range(8):
            a = a0 + k * math.pi / 4
            stroke((12 * math.cos(a), 12 * math.sin(a)), (19 * math.cos(a), 19 * math.sin(a)))
    elif kind == "cloud":
        cloud(0)
    elif kind == "rain":
        cloud(-7)
        for dx in (-8, 0, 8):
            stroke((dx + 1, 4), (dx - 3, 14))
    elif kind == "snow":
        for k in range(3):
            a = k * math.pi / 3 + 0.2
            stroke((-15 * math.cos(a), -15 * math.sin(a)), (15 * math.cos(a), 15 * math.sin(a)))
    elif kind == "bolt":
        stroke((5, -17), (-6, 1), (5, 0), (-5, 17), width=4)
    elif kind == "moon":
        disc(0, 0, 14)
        disc(6, -3, 12, fill=sky)
    else:
        for dy in (-9, 0, 9):
            stroke((-16, dy), (-6, dy - 3), (4, dy + 3), (14, dy))
    arr = np.asarray(im.resize((32, 32), Image.BILINEAR), dtype=np.float32)
    return arr


class WeatherIcons(Dataset):
    def __init__(self, per_class, seed, train):
        rnd = random.Random(seed)
        noise = np.random.RandomState(seed)
        items = [(icon(k, rnd), i) for i, k in enumerate(ICONS) for _ in range(per_class)]
        x = np.stack([a for a, _ in items]) + noise.normal(0, 14, (len(items), 32, 32, 3))
        x = torch.tensor(np.clip(x, 0, 255) / 255, dtype=torch.float32).permute(0, 3, 1, 2)
        self.x = ((x - 0.5) / 0.19).contiguous()
        self.y = torch.tensor([i for _, i in items])
        self.train = train

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        x = self.x[i]
        if self.train:
            dx, dy = torch.randint(-2, 3, (2,)).tolist()
            x = torch.roll(x, (dy, dx), (1, 2))
        return x, self.y[i]


class Separable(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.depthwise = nn.Conv2d(cin, cin, 3, stride, 1, groups=cin, bias=False)
        self.pointwise = nn.Conv2d(cin, cout, 1, bias=False)
        self.norm = nn.BatchNorm2d(cout)

    def forward(self, x):
        return torch.relu(self.norm(self.pointwise(self.depthwise(x))))


class TinyMobile(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.blocks = nn.Sequential(Separable(16, 32, 1), Separable(32, 64, 2), Separable(64, 64, 1))
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.head = nn.Linear(64 * 16, classes)

    def forward(self, x):
        return self.head(self.pool(self.blocks(self.stem(x))).flatten(1))


class Callback:
    def on_batch_end(self, learner):
        pass

    def on_epoch_end(self, learner):
        pass


class Schedule(Callback):
    def __init__(self, scheduler):
        self.scheduler = scheduler

    def on_batch_end(self, learner):
        self.scheduler.step()


class LossLog(Callback):
    def __init__(self):
        self.losses = []

    def on_batch_end(self, learner):
        self.losses.append(learner.loss.item())

    def on_epoch_end(self, learner):
        print(f"epoch {learner.epoch}: mean loss {sum(self.losses) / len(self.losses):.4f}")
        self.losses.clear()


class Learner:
    def __init__(self, model, loader, optimizer, callbacks):
        self.model, self.loader, self.optimizer, self.callbacks = model, loader, optimizer, callbacks
        self.criterion = nn.CrossEntropyLoss()
        self.device = next(model.parameters()).device

    def call(self, event):
        for cb in self.callbacks:
            getattr(cb, event)(self)

    def fit(self, epochs):
        for self.epoch in range(1, epochs + 1):
            self.model.train()
            for x, y in self.loader:
                self.optimizer.zero_grad()
                self.loss = self.criterion(self.model(x.to(self.device)), y.to(self.device))
                self.loss.backward()
                self.optimizer.step()
                self.call("on_batch_end")
            self.call("on_epoch_end")

    @torch.inference_mode()
    def score(self, loader):
        self.model.eval()
        return sum((self.model(x.to(self.device)).argmax(1).cpu() == y).sum().item() for x, y in loader) / len(loader.dataset)


def run():
    torch.manual_seed(21)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    train = DataLoader(WeatherIcons(150, 21, train=True), batch_size=30, shuffle=True)
    test = DataLoader(WeatherIcons(40, 22, train=False), batch_size=140)
    model = TinyMobile(len(ICONS)).to(device)
    optimizer = optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.7)
    learner = Learner(model, train, optimizer, [LossLog(), Schedule(scheduler)])
    learner.fit(6)
    print(f"accuracy: {learner.score(test):.3f}")


if __name__ == "__main__":
    run()
