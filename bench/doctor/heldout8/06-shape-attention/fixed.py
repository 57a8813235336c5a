"""CNN features + one self-attention layer over the feature map, on drawn shapes."""
import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset

CLASSES = ("circle", "square", "triangle", "star", "cross", "ellipse")


def polygon(cx, cy, radii, rot):
    n = len(radii)
    ang = rot + 2 * np.pi * np.arange(n) / n
    return [(cx + r * np.cos(a), cy + r * np.sin(a)) for r, a in zip(radii, ang)]


class Shapes(Dataset):
    def __init__(self, count, seed, size=32):
        self.size = size
        rng = np.random.default_rng(seed)
        self.targets = rng.integers(len(CLASSES), size=count)
        self.images = np.stack([self._draw(CLASSES[t], rng) for t in self.targets])

    def _draw(self, kind, rng):
        s = self.size * 2
        bg, fg = rng.integers(0, 100, 3), rng.integers(130, 256, 3)
        bg, fg = tuple(map(int, bg)), tuple(map(int, fg))
        im = Image.new("RGB", (s, s), bg)
        d = ImageDraw.Draw(im)
        r = rng.uniform(12, 20)
        cx, cy = rng.uniform(r + 2, s - r - 2, 2)
        rot = rng.uniform(-0.4, 0.4)
        if kind == "circle":
            d.ellipse((cx - r, cy - r, cx + r, cy + r), fill=fg)
        elif kind == "square":
            d.polygon(polygon(cx, cy, [r] * 4, rot), fill=fg)
        elif kind == "triangle":
            d.polygon(polygon(cx, cy, [r] * 3, rot), fill=fg)
        elif kind == "star":
            d.polygon(polygon(cx, cy, [r, r * 0.42] * 5, rot), fill=fg)
        elif kind == "cross":
            for a in (rot, rot + np.pi / 2):
                dx, dy = r * np.cos(a), r * np.sin(a)
                d.line((cx - dx, cy - dy, cx + dx, cy + dy), fill=fg, width=7)
        else:
            d.ellipse((cx - r, cy - r * 0.5, cx + r, cy + r * 0.5), fill=fg)
        im = im.resize((self.size, self.size), Image.BOX)
        return np.asarray(im, dtype=np.uint8)

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, i):
        x = torch.from_numpy(self.images[i]).permute(2, 0, 1).float()
        return (x - 80.0) / 62.0, int(self.targets[i])


class AttentionPool(nn.Module):
    """Lets the positions of a feature map look at each other, then averages them."""

    def __init__(self, dim, positions, heads=4):
        super().__init__()
        self.pos = nn.Parameter(torch.randn(positions, 1, dim) * 0.02)
        self.norm = nn.LayerNorm(dim)
        self.attn = nn.MultiheadAttention(dim, heads)

    def forward(self, fmap):
        tokens = fmap.flatten(2).permute(2, 0, 1)
        tokens = self.norm(tokens + self.pos)
        mixed, _ = self.attn(tokens, tokens, tokens, need_weights=False)
        return mixed.mean(dim=0)


class HybridNet(nn.Module):
    def __init__(self, classes, dim=32):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, dim, 3, padding=1, bias=False), nn.BatchNorm2d(dim), nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(dim, dim, 3, padding=1, bias=False), nn.BatchNorm2d(dim), nn.ReLU(),
        )
        self.pool = AttentionPool(dim, positions=64)
        self.head = nn.Linear(dim, classes)

    def forward(self, x):
        return self.head(self.pool(self.backbone(x)))


def run_epoch(model, loader, device, optimizer=None, scheduler=None):
    training = optimizer is not None
    model.train(training)
    criterion = nn.CrossEntropyLoss()
    loss_sum, correct, seen = 0.0, 0, 0
    with torch.set_grad_enabled(training):
        for x, y in loader:
            x, y = x.to(device), y.to(device)
            out = model(x)
            loss = criterion(out, y)
            if training:
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                scheduler.step()
            loss_sum += loss.item() * len(y)
            correct += (out.argmax(1) == y).sum().item()
            seen += len(y)
    return loss_sum / seen, correct / seen


def main(epochs=5, batch_size=25):
    torch.manual_seed(5)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_loader = DataLoader(Shapes(1200, seed=100), batch_size=batch_size, shuffle=True)
    test_loader = DataLoader(Shapes(400, seed=200), batch_size=batch_size)
    model = HybridNet(len(CLASSES)).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(train_loader))
    for epoch in range(1, epochs + 1):
        loss, acc = run_epoch(model, train_loader, device, optimizer, scheduler)
        print(f"{epoch:2d}/{epochs}  train loss {loss:.3f}  train acc {acc:.3f}")
    _, acc = run_epoch(model, test_loader, device)
    print(f"accuracy: {acc:.3f}")


if __name__ == "__main__":
    main()
