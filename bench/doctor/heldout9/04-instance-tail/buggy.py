"""Shape recognition under changing light. Instance norm takes out brightness and contrast."""
import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw

SHAPES = ("disc", "ring", "square", "frame", "triangle", "cross", "bar", "diamond")


def polygon(kind, r):
    if kind in ("square", "frame"):
        return [(-r, -r), (r, -r), (r, r), (-r, r)]
    if kind == "triangle":
        return [(0, -1.2 * r), (1.1 * r, 0.8 * r), (-1.1 * r, 0.8 * r)]
    if kind == "diamond":
        return [(0, -1.4 * r), (0.8 * r, 0), (0, 1.4 * r), (-0.8 * r, 0)]
    w = 0.35 * r
    if kind == "bar":
        return [(-1.4 * r, -w), (1.4 * r, -w), (1.4 * r, w), (-1.4 * r, w)]
    return [(-w, -r), (w, -r), (w, -w), (r, -w), (r, w), (w, w), (w, r), (-w, r), (-w, w), (-r, w), (-r, -w), (-w, -w)]


def render(kind, rng):
    dark, light = rng.uniform(20, 110), rng.uniform(140, 240)
    img = Image.new("L", (64, 64), int(dark))
    pen = ImageDraw.Draw(img)
    cx, cy = rng.uniform(24, 40, 2)
    r = rng.uniform(11, 17)
    fill = int(light)
    if kind in ("disc", "ring"):
        box = [cx - r, cy - r, cx + r, cy + r]
        pen.ellipse(box, fill=fill) if kind == "disc" else pen.ellipse(box, outline=fill, width=5)
    else:
        t = rng.uniform(-0.25, 0.25)
        pts = [(cx + x * np.cos(t) - y * np.sin(t), cy + x * np.sin(t) + y * np.cos(t)) for x, y in polygon(kind, r)]
        pen.line(pts + pts[:2], fill=fill, width=5) if kind == "frame" else pen.polygon(pts, fill=fill)
    out = np.asarray(img.resize((32, 32), Image.BILINEAR), dtype=np.float32)
    ramp = np.linspace(-1, 1, 32)[None] * rng.uniform(-25, 25)
    return (out + ramp + rng.normal(0, 8, out.shape)).clip(0, 255).astype(np.uint8)


class Shapes(torch.utils.data.Dataset):
    def __init__(self, n, seed):
        rng = np.random.default_rng(seed)
        self.y = rng.integers(0, len(SHAPES), n)
        self.x = np.stack([render(SHAPES[k], rng) for k in self.y])

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        x = torch.from_numpy(self.x[i]).float().unsqueeze(0) / 255
        return (x - 0.42) / 0.22, int(self.y[i])


class Inverted(nn.Module):
    """Inverted residual with a linear projection."""

    def __init__(self, c_in, c_out, stride, expand=3):
        super().__init__()
        mid = c_in * expand
        self.skip = stride == 1 and c_in == c_out
        self.body = nn.Sequential(
            nn.Conv2d(c_in, mid, 1, bias=False), nn.InstanceNorm2d(mid, affine=True), nn.ReLU6(),
            nn.Conv2d(mid, mid, 3, stride, 1, groups=mid, bias=False), nn.InstanceNorm2d(mid, affine=True), nn.ReLU6(),
            nn.Conv2d(mid, c_out, 1, bias=False), nn.InstanceNorm2d(c_out, affine=True),
        )

    def forward(self, x):
        return x + self.body(x) if self.skip else self.body(x)


class ShapeNet(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1, bias=False), nn.InstanceNorm2d(16, affine=True), nn.ReLU6())
        self.blocks = nn.Sequential(Inverted(16, 16, 1), Inverted(16, 32, 2), Inverted(32, 32, 1))
        self.last = nn.Sequential(nn.Conv2d(32, 96, 1, bias=False), nn.InstanceNorm2d(96, affine=True))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(96, n_classes)

    def forward(self, x):
        x = self.last(self.blocks(self.stem(x)))
        return self.fc(self.pool(x).flatten(1))


class Trainer:
    def __init__(self, model, train_set, test_set, lr=8e-3, batch_size=40, epochs=6):
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = model.to(self.device)
        self.train_loader = torch.utils.data.DataLoader(train_set, batch_size, shuffle=True)
        self.test_loader = torch.utils.data.DataLoader(test_set, 100)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=lr, epochs=epochs, steps_per_epoch=len(self.train_loader))
        self.epochs = epochs

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = self.criterion(self.model(x.to(self.device)), y.to(self.device))
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        return loss.item()

    def run(self):
        for epoch in range(1, self.epochs + 1):
            self.model.train()
            losses = [self.step(x, y) for x, y in self.train_loader]
            print(f"epoch {epoch:2d}  mean loss {sum(losses) / len(losses):.4f}")
        return self.test()

    @torch.no_grad()
    def test(self):
        self.model.eval()
        right = 0
        for x, y in self.test_loader:
            right += (self.model(x.to(self.device)).argmax(1).cpu() == y).sum().item()
        return right / len(self.test_loader.dataset)


if __name__ == "__main__":
    torch.manual_seed(3)
    trainer = Trainer(ShapeNet(len(SHAPES)), Shapes(1200, seed=10), Shapes(400, seed=20))
    print(f"accuracy: {trainer.run():.3f}")
