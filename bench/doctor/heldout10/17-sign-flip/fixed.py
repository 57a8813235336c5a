# Road-sign pictogram classifier. v2: moved the loop into a Trainer, depthwise convs so that it fits the camera board.
import random

import torch
from PIL import Image, ImageDraw, ImageFilter, ImageOps
from torch import nn
from torch.utils.data import DataLoader, Dataset

SIGNS = ("ahead", "back", "warning", "yield", "dead_end", "plaza", "no_entry")


def draw_sign(kind, rnd):
    bg = tuple(rnd.randint(60, 200) for _ in range(3))
    img = Image.new("RGB", (64, 64), bg)
    d = ImageDraw.Draw(img)
    for _ in range(4):  # clutter: walls, bushes
        x, y = rnd.randint(0, 64), rnd.randint(0, 64)
        d.rectangle([x, y, x + rnd.randint(4, 20), y + rnd.randint(4, 20)], fill=tuple(rnd.randint(40, 220) for _ in range(3)))
    dx, dy = rnd.randint(-5, 5), rnd.randint(-5, 5)
    s = rnd.uniform(0.8, 1.1)

    def P(*pts):
        return [(32 + dx + s * a, 32 + dy + s * b) for a, b in pts]

    white = tuple(rnd.randint(215, 255) for _ in range(3))
    dark = tuple(rnd.randint(0, 60) for _ in range(3))
    red = (rnd.randint(170, 230), rnd.randint(10, 60), rnd.randint(10, 60))
    if kind in ("ahead", "back"):
        d.ellipse(P((-24, -24), (24, 24)), fill=(20, 60, rnd.randint(140, 220)))
        v = 1 if kind == "ahead" else -1
        d.polygon(P((0, -18 * v), (-12, -4 * v), (12, -4 * v)), fill=white)
        d.polygon(P((-4, -6 * v), (4, -6 * v), (4, 17 * v), (-4, 17 * v)), fill=white)
    elif kind in ("warning", "yield"):
        v = 1 if kind == "warning" else -1
        d.polygon(P((0, -24 * v), (-25, 20 * v), (25, 20 * v)), fill=red)
        d.polygon(P((0, -13 * v), (-15, 14 * v), (15, 14 * v)), fill=white)
    elif kind in ("dead_end", "plaza"):
        v = 1 if kind == "dead_end" else -1
        d.polygon(P((-22, -22), (22, -22), (22, 22), (-22, 22)), fill=white)
        d.polygon(P((-14, -15 * v), (14, -15 * v), (14, -7 * v), (-14, -7 * v)), fill=dark)
        d.polygon(P((-4, -8 * v), (4, -8 * v), (4, 18 * v), (-4, 18 * v)), fill=dark)
    else:
        d.ellipse(P((-24, -24), (24, 24)), fill=red)
        d.polygon(P((-16, -5), (16, -5), (16, 5), (-16, 5)), fill=white)
    img = img.rotate(rnd.uniform(-8, 8), resample=Image.BILINEAR, fillcolor=bg)
    return img.filter(ImageFilter.GaussianBlur(rnd.uniform(0.3, 1.5))).resize((32, 32), Image.BILINEAR)


class SignDataset(Dataset):
    def __init__(self, n, seed, augment):
        rnd = random.Random(seed)
        self.samples = []
        for i in range(n):
            label = i % len(SIGNS)
            self.samples.append((draw_sign(SIGNS[label], rnd), label))
        self.augment = augment

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, idx):
        img, label = self.samples[idx]
        if self.augment:
            # every pictogram is left-right symmetric, so a horizontal flip costs nothing
            if random.random() < 0.5:
                img = ImageOps.mirror(img)
            if random.random() < 0.5:
                img = ImageOps.expand(img, border=3, fill=(110, 110, 110))
                x, y = random.randint(0, 6), random.randint(0, 6)
                img = img.crop((x, y, x + 32, y + 32))
        t = torch.frombuffer(bytearray(img.tobytes()), dtype=torch.uint8).view(32, 32, 3)
        t = t.permute(2, 0, 1).float().div_(255.0)
        return (t - 0.5) / 0.25, label


class SepConv(nn.Module):
    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.dw = nn.Conv2d(cin, cin, 3, stride, 1, groups=cin, bias=False)
        self.pw = nn.Conv2d(cin, cout, 1, bias=False)
        self.bn = nn.BatchNorm2d(cout)

    def forward(self, x):
        return torch.relu(self.bn(self.pw(self.dw(x))))


class SignNet(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.body = nn.Sequential(SepConv(16, 32), SepConv(32, 48, 2), SepConv(48, 64), SepConv(64, 64, 2))
        self.head = nn.Linear(64 * 4 * 4, n_classes)

    def forward(self, x):
        return self.head(self.body(self.stem(x)).flatten(1))


class Trainer:
    def __init__(self, model, train_set, test_set, epochs=8, lr=3e-3, batch=50):
        self.model, self.epochs = model, epochs
        self.train_loader = DataLoader(train_set, batch, shuffle=True)
        self.test_loader = DataLoader(test_set, 140)
        self.criterion = nn.CrossEntropyLoss()
        self.optim = torch.optim.Adam(model.parameters(), lr=lr)
        self.sched = torch.optim.lr_scheduler.OneCycleLR(self.optim, lr, total_steps=epochs * len(self.train_loader))

    def fit(self):
        for epoch in range(self.epochs):
            self.model.train()
            losses, good, seen = [], 0, 0
            for x, y in self.train_loader:
                self.optim.zero_grad(set_to_none=True)
                out = self.model(x)
                loss = self.criterion(out, y)
                loss.backward()
                self.optim.step()
                self.sched.step()
                losses.append(loss.item())
                good += int((out.argmax(1) == y).sum())
                seen += len(y)
            print(f"[{epoch:02d}] loss={sum(losses) / len(losses):.4f} train_acc={good / seen:.3f}")

    def evaluate(self):
        self.model.eval()
        per_class = torch.zeros(len(SIGNS), 2)
        with torch.no_grad():
            for x, y in self.test_loader:
                ok = self.model(x).argmax(1) == y
                for c in range(len(SIGNS)):
                    per_class[c, 0] += (ok & (y == c)).sum()
                    per_class[c, 1] += (y == c).sum()
        for name, (k, n) in zip(SIGNS, per_class.tolist()):
            print(f"   {name:9s} {k / n:.3f}")
        return (per_class[:, 0].sum() / per_class[:, 1].sum()).item()


if __name__ == "__main__":
    random.seed(7)
    torch.manual_seed(7)
    trainer = Trainer(SignNet(len(SIGNS)), SignDataset(700, seed=1, augment=True), SignDataset(350, seed=2, augment=False))
    trainer.fit()
    print("test accuracy: %.4f" % trainer.evaluate())
