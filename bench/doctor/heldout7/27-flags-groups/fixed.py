"""Signal flags: write them as PNG files, one folder a flag, then train on the folders."""
import random
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageEnhance
from torch import nn
from torch.utils.data import DataLoader, Dataset

RED, BLUE, YELLOW, WHITE, BLACK = (200, 30, 40), (30, 60, 160), (240, 210, 40), (245, 245, 245), (25, 25, 25)
FLAGS = ["delta", "foxtrot", "golf", "hotel", "kilo", "lima", "november", "oscar", "papa", "uniform"]


def base_flag(name):
    im = Image.new("RGB", (48, 48), WHITE)
    d = ImageDraw.Draw(im)
    if name == "delta":
        im.paste(YELLOW, (0, 0, 48, 48)); d.rectangle([0, 12, 47, 35], fill=BLUE)
    elif name == "foxtrot":
        d.polygon([(24, 0), (47, 24), (24, 47), (0, 24)], fill=RED)
    elif name == "golf":
        for k in range(6):
            d.rectangle([8 * k, 0, 8 * k + 7, 47], fill=YELLOW if k % 2 == 0 else BLUE)
    elif name == "hotel":
        d.rectangle([24, 0, 47, 47], fill=RED)
    elif name == "kilo":
        d.rectangle([0, 0, 23, 47], fill=YELLOW); d.rectangle([24, 0, 47, 47], fill=BLUE)
    elif name == "lima":
        im.paste(YELLOW, (0, 0, 48, 48)); d.rectangle([24, 0, 47, 23], fill=BLACK); d.rectangle([0, 24, 23, 47], fill=BLACK)
    elif name == "november":
        for i in range(4):
            for j in range(4):
                d.rectangle([12 * i, 12 * j, 12 * i + 11, 12 * j + 11], fill=BLUE if (i + j) % 2 == 0 else WHITE)
    elif name == "oscar":
        im.paste(YELLOW, (0, 0, 48, 48)); d.polygon([(0, 0), (47, 0), (47, 47)], fill=RED)
    elif name == "papa":
        im.paste(BLUE, (0, 0, 48, 48)); d.rectangle([14, 14, 33, 33], fill=WHITE)
    else:
        d.rectangle([0, 0, 23, 23], fill=RED); d.rectangle([24, 24, 47, 47], fill=RED)
    return im


def snapshot(name, rng):
    sky = tuple(rng.randint(90, 230) for _ in range(3))
    scene = Image.new("RGB", (48, 48), sky)
    flag = base_flag(name).resize((rng.randint(20, 40), rng.randint(20, 40))).convert("RGBA")
    flag = flag.rotate(rng.uniform(-30, 30), expand=True, resample=Image.BILINEAR)
    scene.paste(flag, (rng.randint(-4, max(-3, 52 - flag.width)), rng.randint(-4, max(-3, 52 - flag.height))), flag)
    d = ImageDraw.Draw(scene)
    for _ in range(rng.randint(1, 3)):
        x, y = rng.randint(0, 47), rng.randint(0, 47)
        d.rectangle([x, y, x + rng.randint(4, 10), y + rng.randint(4, 10)], fill=tuple(rng.randint(0, 255) for _ in range(3)))
    scene = ImageEnhance.Brightness(scene).enhance(rng.uniform(0.5, 1.2))
    scene = ImageEnhance.Color(scene).enhance(rng.uniform(0.1, 1.0))
    return scene.resize((32, 32), Image.BILINEAR)


def write_split(root, per_class, seed):
    rng = random.Random(seed)
    for name in FLAGS:
        folder = Path(root) / name
        folder.mkdir(parents=True)
        for k in range(per_class):
            snapshot(name, rng).save(folder / f"{name}_{k:04d}.png")


class FlagFolder(Dataset):
    def __init__(self, root, jitter=False):
        self.classes = sorted(p.name for p in Path(root).iterdir())
        self.files = [(f, i) for i, c in enumerate(self.classes) for f in sorted((Path(root) / c).glob("*.png"))]
        self.jitter = jitter

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        path, label = self.files[i]
        with Image.open(path) as im:
            x = torch.from_numpy(np.array(im.convert("RGB"))).permute(2, 0, 1).float().div(255)
        x = (x - 0.5) / 0.25
        if self.jitter:
            padded = nn.functional.pad(x, (2, 2, 2, 2), mode="replicate")
            dy, dx = torch.randint(0, 5, (2,)).tolist()
            x = padded[:, dy:dy + 32, dx:dx + 32]
        return x, label


def cbr(cin, cout, stride=1):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout), nn.ReLU())


class FlagNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.features = nn.Sequential(cbr(3, 16, 2), cbr(16, 32), cbr(32, 48, 2), cbr(48, 64, 2))
        self.classifier = nn.Linear(64 * 4 * 4, classes)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


def split_parameters(model, weight_decay):
    decay, plain = [], []
    for name, p in model.named_parameters():
        if p.ndim <= 1:
            plain.append(p)
        else:
            decay.append(p)
    return [{"params": decay, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]


def evaluate(model, loader, device):
    model.eval()
    right = 0
    with torch.no_grad():
        for x, y in loader:
            right += (model(x.to(device)).argmax(1).cpu() == y).sum().item()
    return right / len(loader.dataset)


def main():
    torch.manual_seed(21)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    epochs = 5
    with tempfile.TemporaryDirectory() as tmp:
        write_split(Path(tmp) / "train", 100, seed=1)
        write_split(Path(tmp) / "test", 30, seed=2)
        train_set = FlagFolder(Path(tmp) / "train", jitter=True)
        test_set = FlagFolder(Path(tmp) / "test")
        train_loader = DataLoader(train_set, batch_size=50, shuffle=True)
        test_loader = DataLoader(test_set, batch_size=100)

        model = FlagNet(len(train_set.classes)).to(device)
        optimizer = torch.optim.AdamW(split_parameters(model, 0.05), lr=3e-3)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, total_steps=epochs * len(train_loader))
        for epoch in range(epochs):
            model.train()
            for x, y in train_loader:
                loss = nn.functional.cross_entropy(model(x.to(device)), y.to(device))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                scheduler.step()
            print("epoch", epoch, "last loss %.3f" % loss.item())
        print("accuracy: %.3f" % evaluate(model, test_loader, device))


if __name__ == "__main__":
    main()
