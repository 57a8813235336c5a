"""
Decoration of pottery sherds (bands, meander, cord, comb, impressed dots), few pictures, strong decay.
"""
import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, TensorDataset

DECORATIONS = ["bands", "meander", "cord", "comb", "dots"]
RES = 28


def sherd(deco, rng):
    S = 2 * RES
    clay = np.array([170, 115, 80]) * rng.uniform(0.7, 1.25) + rng.normal(0, 8, 3)
    paint = tuple(int(v) for v in np.clip(clay * rng.uniform(0.45, 0.7), 0, 255))
    img = Image.new("RGB", (S, S), tuple(int(v) for v in np.clip(clay, 0, 255)))
    d = ImageDraw.Draw(img)
    off = rng.integers(0, 12)
    if deco == "bands":
        for y in range(off, S, 13):
            d.rectangle((0, y, S, y + 3), fill=paint)
    elif deco == "meander":
        y = 14 + off
        for x in range(-int(off), S, 14):
            d.line([(x, y), (x, y + 10), (x + 7, y + 10), (x + 7, y), (x + 14, y)], fill=paint, width=3)
    elif deco == "cord":
        for y in range(off, S, 13):
            for x in range(0, S, 6):
                d.line([(x, y + 4), (x + 4, y)], fill=paint, width=2)
    elif deco == "comb":
        for x in range(off, S, 16):
            for k in range(3):
                d.line([(x + 4 * k, 8), (x + 4 * k + 6, S - 8)], fill=paint, width=1)
    else:
        for y in range(off, S, 12):
            for x in range(off, S, 12):
                d.ellipse((x, y, x + 5, y + 5), fill=paint)
    img = img.rotate(rng.uniform(-25, 25), resample=Image.BILINEAR, fillcolor=tuple(int(v) for v in clay.clip(0, 255)))
    mask = Image.new("L", (S, S), 0)
    t = np.sort(rng.uniform(0, 2 * np.pi, 7))
    r = rng.uniform(22, 31, 7)
    ImageDraw.Draw(mask).polygon([(S / 2 + a * np.cos(b), S / 2 + a * np.sin(b)) for a, b in zip(r, t)], fill=255)
    table = Image.new("RGB", (S, S), (int(rng.integers(190, 240)),) * 3)
    table.paste(img, (0, 0), mask)
    a = np.asarray(table.resize((RES, RES), Image.BOX), dtype=np.float32) / 255
    return a + rng.normal(0, 0.10, a.shape)


def excavate(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, len(DECORATIONS), n)
    x = torch.tensor(np.stack([sherd(DECORATIONS[k], rng) for k in y]), dtype=torch.float32)
    return x.permute(0, 3, 1, 2).contiguous(), torch.tensor(y)


def norm_act(channels):
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())


class PreActUnit(nn.Module):
    """Pre-activation residual unit; the shortcut has no parameters."""

    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.branch = nn.Sequential(
            norm_act(cin), nn.Conv2d(cin, cout, 3, stride, 1, bias=False),
            norm_act(cout), nn.Conv2d(cout, cout, 3, 1, 1, bias=False),
        )
        self.pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.extra = cout - cin

    def forward(self, x):
        shortcut = nn.functional.pad(self.pool(x), (0, 0, 0, 0, 0, self.extra))
        return shortcut + self.branch(x)


class SherdNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.units = nn.Sequential(PreActUnit(16, 32, 2), PreActUnit(32, 48, 2), PreActUnit(48, 48))
        self.last = norm_act(48)
        self.classifier = nn.Linear(48, len(DECORATIONS))

    def forward(self, x):
        x = self.last(self.units(self.stem(x)))
        return self.classifier(x.mean((2, 3)))


def parameter_groups(model, weight_decay):
    """Weight decay is meant for the kernels of the convolutions and the classifier."""
    decay, no_decay = [], []
    for name, p in model.named_parameters():
        if "bn" in name or "norm" in name:
            no_decay.append(p)
        else:
            decay.append(p)
    return [{"params": decay, "weight_decay": weight_decay}, {"params": no_decay, "weight_decay": 0.0}]


def gamma_summary(model):
    g = torch.cat([m.weight.detach() for m in model.modules() if isinstance(m, nn.BatchNorm2d)])
    return f"batch-norm scale {g.abs().mean():.3f} (min {g.abs().min():.3f})"


@torch.no_grad()
def accuracy(model, loader):
    model.eval()
    return float(torch.cat([model(x).argmax(1) == y for x, y in loader]).float().mean())


def main():
    torch.manual_seed(6)
    x, y = excavate(900, 1)
    xt, yt = excavate(500, 2)
    mean, std = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True)
    train = DataLoader(TensorDataset((x - mean) / std, y), batch_size=30, shuffle=True, drop_last=True)
    test = DataLoader(TensorDataset((xt - mean) / std, yt), batch_size=250)

    epochs = 9
    model = SherdNet()
    opt = torch.optim.SGD(parameter_groups(model, weight_decay=3e-2), lr=0.1, momentum=0.9, nesterov=True)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=0.1, total_steps=epochs * len(train), pct_start=0.15)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for xb, yb in train:
            if torch.rand(()) < 0.5:
                xb = xb.flip(3)
            opt.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            opt.step()
            sched.step()
            total += loss.item()
        print(f"epoch {epoch + 1}: loss {total / len(train):.3f}, {gamma_summary(model)}")
    print(f"test accuracy: {accuracy(model, test):.4f}")


if __name__ == "__main__":
    main()
