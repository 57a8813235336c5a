"""Pressure gauge classifier: six ranges of the dial, images kept as PNG files in one folder per range."""
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

RANGES = ["vacuum", "low", "normal", "raised", "high", "alarm"]
SIZE = 40


def draw_gauge(k: int, rng: np.random.Generator) -> np.ndarray:
    """A dial with tick marks and a needle; grey values between 0 and 1."""
    yy, xx = np.mgrid[:SIZE, :SIZE].astype(np.float64)
    cy, cx = SIZE / 2 + rng.uniform(-2, 2, 2)
    radius = rng.uniform(14, 17)
    dist = np.hypot(yy - cy, xx - cx)
    img = np.full((SIZE, SIZE), rng.uniform(0.08, 0.25))
    img[dist < radius] = rng.uniform(0.3, 0.4)
    img = np.maximum(img, 0.6 * np.exp(-((dist - radius) ** 2) / 1.2))
    start, sweep = np.deg2rad(150), np.deg2rad(240)
    frac = (k + rng.uniform(0.12, 0.88)) / len(RANGES)
    angle = start + sweep * frac
    along = (xx - cx) * np.cos(angle) + (yy - cy) * np.sin(angle)
    across = -(xx - cx) * np.sin(angle) + (yy - cy) * np.cos(angle)
    needle = (along > -2) & (along < radius - 3) & (np.abs(across) < 1.1)
    img[needle] = rng.uniform(0.75, 0.9)
    return img + rng.uniform(-0.05, 0.05, img.shape)


def save_png(img: np.ndarray, path: Path) -> None:
    Image.fromarray((img * 255).astype(np.uint8)).save(path)


def write_folder(root: Path, per_class: int, rng: np.random.Generator) -> None:
    for k, name in enumerate(RANGES):
        folder = root / name
        folder.mkdir(parents=True)
        for i in range(per_class):
            save_png(draw_gauge(k, rng), folder / f"{i:04d}.png")


class GaugeFolder(Dataset):
    def __init__(self, root: Path):
        self.classes = sorted(p.name for p in root.iterdir())
        self.items = [(f, c) for c, name in enumerate(self.classes) for f in sorted((root / name).glob("*.png"))]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        path, label = self.items[i]
        with Image.open(path) as im:
            x = np.array(im.convert("L"), dtype=np.float32) / 255.0
        return torch.from_numpy(x)[None], label


def build_net(n_classes: int) -> nn.Module:
    def stage(cin, cout):
        return [nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(), nn.MaxPool2d(2)]

    return nn.Sequential(
        *stage(1, 16), *stage(16, 24), *stage(24, 32),
        nn.Flatten(), nn.Linear(32 * 5 * 5, 64), nn.ReLU(), nn.Linear(64, n_classes),
    )


def accuracy(net, loader, device):
    net.eval()
    good = n = 0
    with torch.no_grad():
        for x, y in loader:
            good += (net(x.to(device)).argmax(1).cpu() == y).sum().item()
            n += len(y)
    return good / n


def main():
    torch.manual_seed(11)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        write_folder(tmp / "train", 160, np.random.default_rng(21))
        write_folder(tmp / "test", 60, np.random.default_rng(22))
        train_set, test_set = GaugeFolder(tmp / "train"), GaugeFolder(tmp / "test")
        train_loader = DataLoader(train_set, batch_size=32, shuffle=True)
        test_loader = DataLoader(test_set, batch_size=120)

        net = build_net(len(train_set.classes)).to(device)
        opt = torch.optim.Adam(net.parameters(), lr=2e-3)
        sched = torch.optim.lr_scheduler.StepLR(opt, step_size=3, gamma=0.2)
        loss_fn = nn.CrossEntropyLoss()
        for epoch in range(4):
            net.train()
            losses = []
            for x, y in train_loader:
                x, y = x.to(device), y.to(device)
                opt.zero_grad()
                loss = loss_fn(net(x), y)
                loss.backward()
                opt.step()
                losses.append(loss.item())
            sched.step()
            print(f"[{epoch}] train loss {np.mean(losses):.4f}")
        print(f"accuracy: {accuracy(net, test_loader, device):.3f}")


if __name__ == "__main__":
    main()
