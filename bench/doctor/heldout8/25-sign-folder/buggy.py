"""Train a small CNN on a folder of road-sign pictures (one sub-folder per class)."""
import argparse
import math
import random
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset

SIGNS = {"triangle": 3, "diamond": 4, "yield": 3, "round": 40, "cross": 0, "arrow": 1}

OPTIMIZERS = {
    "sgd": (torch.optim.SGD, dict(lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)),
    "adamw": (torch.optim.AdamW, dict(lr=2e-3, weight_decay=0.01)),
}


def parse_args():
    parser = argparse.ArgumentParser(description="road signs")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--opt", choices=sorted(OPTIMIZERS), default="adamw")
    parser.add_argument("--lr", type=float, default=0.1, help="initial learning rate, replaces the optimizer's preset")
    parser.add_argument("--per-class", type=int, default=130)
    parser.add_argument("--seed", type=int, default=3)
    return parser.parse_args()


def polygon(cx, cy, r, n, rot):
    return [(cx + r * math.cos(rot + 2 * math.pi * k / n), cy + r * math.sin(rot + 2 * math.pi * k / n)) for k in range(n)]


def draw_sign(name, rnd):
    bg = tuple(rnd.randint(40, 200) for _ in range(3))
    img = Image.new("RGB", (32, 32), bg)
    d = ImageDraw.Draw(img)
    for _ in range(3):
        x, y = rnd.randint(0, 31), rnd.randint(0, 31)
        d.rectangle([x, y, x + rnd.randint(3, 10), y + rnd.randint(3, 10)], fill=tuple(rnd.randint(20, 220) for _ in range(3)))
    cx, cy, r = rnd.uniform(12, 20), rnd.uniform(12, 20), rnd.uniform(8, 12)
    rot = rnd.uniform(-0.25, 0.25)
    rim = rnd.choice([(200, 20, 30), (20, 50, 180), (210, 170, 20)])
    if name == "cross":
        for a in (rot + math.pi / 4, rot - math.pi / 4):
            dx, dy = r * math.cos(a), r * math.sin(a)
            d.line([cx - dx, cy - dy, cx + dx, cy + dy], fill=rim, width=5)
    elif name == "arrow":
        dx, dy = r * math.sin(rot), -r * math.cos(rot)
        d.line([cx - dx, cy - dy, cx + dx, cy + dy], fill=rim, width=4)
        d.polygon(polygon(cx + dx * 0.6, cy + dy * 0.6, 6, 3, rot - math.pi / 2), fill=rim)
    else:
        n = SIGNS[name]
        start = rot + (math.pi / 2 if name == "yield" else -math.pi / 2)
        d.polygon(polygon(cx, cy, r, n, start), fill=rim)
        d.polygon(polygon(cx, cy, r * 0.65, n, start), fill=(245, 245, 240))
    noise = np.random.RandomState(rnd.randint(0, 2**31 - 1)).normal(0, 12, (32, 32, 3))
    return Image.fromarray(np.clip(np.asarray(img) + noise, 0, 255).astype(np.uint8))


def write_folder(root, per_class, seed):
    rnd = random.Random(seed)
    for name in SIGNS:
        (root / name).mkdir(parents=True)
        for i in range(per_class):
            draw_sign(name, rnd).save(root / name / f"{i:04d}.png")


class SignFolder(Dataset):
    mean = torch.tensor([0.50, 0.48, 0.49]).view(3, 1, 1)
    std = torch.tensor([0.24, 0.24, 0.24]).view(3, 1, 1)

    def __init__(self, root):
        self.classes = sorted(p.name for p in root.iterdir())
        self.files = [(f, c) for c, name in enumerate(self.classes) for f in sorted((root / name).glob("*.png"))]

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        path, label = self.files[i]
        x = torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1).float() / 255
        return (x - self.mean) / self.std, label


class SignNet(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 12, 5, padding=2)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1)
        self.conv3 = nn.Conv2d(24, 32, 3, padding=1)
        self.fc1 = nn.Linear(32 * 4 * 4, 64)
        self.fc2 = nn.Linear(64, num_classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.max_pool2d(F.relu(self.conv3(x)), 2)
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)


def build_optimizer(model, args):
    cls, preset = OPTIMIZERS[args.opt]
    kwargs = dict(preset)
    if args.lr is not None:
        kwargs["lr"] = args.lr
    return cls(model.parameters(), **kwargs)


def train(model, device, loader, optimizer, epoch):
    model.train()
    total = 0.0
    for data, target in loader:
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data), target)
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"Train Epoch: {epoch}\tLoss: {total / len(loader):.4f}")


@torch.no_grad()
def test(model, device, loader):
    model.eval()
    correct = 0
    for data, target in loader:
        correct += (model(data.to(device)).argmax(1).cpu() == target).sum().item()
    return correct / len(loader.dataset)


def main():
    args = parse_args()
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as tmp:
        write_folder(Path(tmp) / "train", args.per_class, args.seed)
        write_folder(Path(tmp) / "test", 40, args.seed + 1000)
        train_set, test_set = SignFolder(Path(tmp) / "train"), SignFolder(Path(tmp) / "test")
        assert train_set.classes == test_set.classes
        train_loader = DataLoader(train_set, batch_size=args.batch_size, shuffle=True)
        test_loader = DataLoader(test_set, batch_size=80)

        model = SignNet(len(train_set.classes)).to(device)
        optimizer = build_optimizer(model, args)
        for epoch in range(1, args.epochs + 1):
            train(model, device, train_loader, optimizer, epoch)
        print(f"accuracy: {test(model, device, test_loader):.3f}")


if __name__ == "__main__":
    main()
