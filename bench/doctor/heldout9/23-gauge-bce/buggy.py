"""Reads pressure gauges: which of eight sectors does the needle point at?

One-against-rest logistic outputs, so that an unreadable dial may score low everywhere.
"""
import math
import random

import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset

SECTORS = 8


def draw_gauge(sector: int, rnd: random.Random, side: int = 36) -> Image.Image:
    scale = 3
    n = side * scale
    face = rnd.randint(170, 240)
    im = Image.new("L", (n, n), rnd.randint(40, 120))
    d = ImageDraw.Draw(im)
    cx, cy = n / 2 + rnd.uniform(-4, 4), n / 2 + rnd.uniform(-4, 4)
    r = rnd.uniform(42, 50)
    d.ellipse((cx - r, cy - r, cx + r, cy + r), fill=face, outline=30, width=4)
    for k in range(SECTORS + 1):
        a = math.radians(135 + 270 * k / SECTORS)
        d.line((cx + 0.8 * r * math.cos(a), cy + 0.8 * r * math.sin(a),
                cx + 0.95 * r * math.cos(a), cy + 0.95 * r * math.sin(a)), fill=60, width=3)
    a = math.radians(135 + 270 * (sector + rnd.uniform(0.12, 0.88)) / SECTORS)
    reach = rnd.uniform(0.6, 0.8) * r
    d.line((cx - 0.15 * reach * math.cos(a), cy - 0.15 * reach * math.sin(a),
            cx + reach * math.cos(a), cy + reach * math.sin(a)), fill=rnd.randint(10, 70), width=5)
    d.ellipse((cx - 5, cy - 5, cx + 5, cy + 5), fill=20)
    return im.resize((side, side), Image.BILINEAR)


class Gauges(Dataset):
    def __init__(self, count: int, seed: int):
        rnd = random.Random(seed)
        gen = torch.Generator().manual_seed(seed)
        self.labels = [i % SECTORS for i in range(count)]
        pictures = [torch.frombuffer(bytearray(draw_gauge(s, rnd).tobytes()), dtype=torch.uint8).view(1, 36, 36)
                    for s in self.labels]
        x = torch.stack(pictures).float() / 255
        x = x + 0.03 * torch.randn(x.shape, generator=gen)
        self.x = (x - x.mean((2, 3), keepdim=True)) / x.std((2, 3), keepdim=True)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.x[i], self.labels[i]


class GaugeReader(nn.Module):
    def __init__(self, width: int = 16, prior: float = 0.01):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1), nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, stride=2, padding=1), nn.ReLU(),
        )
        self.head = nn.Sequential(
            nn.Conv2d(2 * width, 2 * width, 3, padding=1), nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * width * 81, 64), nn.ReLU(),
            nn.Linear(64, SECTORS),
        )
        self.reset_parameters(prior)

    def reset_parameters(self, prior: float):
        for name, p in self.named_parameters():
            if name == "head.5.weight":
                nn.init.normal_(p, std=0.01)
            elif p.dim() > 1:
                nn.init.kaiming_normal_(p, nonlinearity="relu")
            elif name.startswith("head"):
                # start from a low score everywhere, as in the focal-loss paper
                nn.init.constant_(p, -math.log((1 - prior) / prior))
            else:
                nn.init.zeros_(p)

    def forward(self, x):
        return self.head(self.backbone(x))

    def training_step(self, batch):
        x, y = batch
        target = F.one_hot(y, SECTORS).float()
        return F.binary_cross_entropy_with_logits(self(x), target, reduction="none").sum(1).mean()

    @torch.no_grad()
    def validation_step(self, batch):
        x, y = batch
        return (self(x).argmax(1) == y).sum().item()


def fit(model, train_loader, val_loader, epochs, peak_lr, device):
    model.to(device)
    opt = torch.optim.SGD(model.parameters(), lr=peak_lr / 10, momentum=0.9)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=peak_lr, epochs=epochs,
                                                steps_per_epoch=len(train_loader))
    accuracy = 0.0
    for epoch in range(epochs):
        model.train()
        seen = 0.0
        for batch in train_loader:
            loss = model.training_step([t.to(device) for t in batch])
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
            seen += loss.item()
        model.eval()
        right = sum(model.validation_step([t.to(device) for t in batch]) for batch in val_loader)
        accuracy = right / len(val_loader.dataset)
        print(f"epoch {epoch:2d}  loss {seen / len(train_loader):.3f}  val {accuracy:.3f}")
    return accuracy


if __name__ == "__main__":
    torch.manual_seed(12)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_loader = DataLoader(Gauges(1600, seed=1), batch_size=32, shuffle=True)
    val_loader = DataLoader(Gauges(400, seed=2), batch_size=100)
    accuracy = fit(GaugeReader(), train_loader, val_loader, epochs=6, peak_lr=0.02, device=device)
    print(f"accuracy: {accuracy:.3f}")
