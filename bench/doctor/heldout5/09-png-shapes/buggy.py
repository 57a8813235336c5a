"""Train on a folder of PNG files (one sub-folder a class), then classify the files of the validation folder."""
import pathlib
import tempfile

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

NAMES = ["ellipse", "frame", "plus", "wedge"]


def write_folder(root, per_class, rng):
    for name in NAMES:
        folder = root / name
        folder.mkdir(parents=True)
        for i in range(per_class):
            img = Image.new("L", (24, 24), int(rng.integers(20, 70)))
            pen = ImageDraw.Draw(img)
            ink = int(rng.integers(130, 230))
            cx, cy = (int(v) for v in rng.integers(10, 15, 2))
            rx, ry = (int(v) for v in rng.integers(5, 9, 2))
            if name == "ellipse":
                pen.ellipse((cx - rx, cy - ry, cx + rx, cy + ry), fill=ink)
            elif name == "frame":
                pen.rectangle((cx - rx, cy - ry, cx + rx, cy + ry), outline=ink, width=2)
            elif name == "plus":
                pen.line((cx - rx, cy, cx + rx, cy), fill=ink, width=3)
                pen.line((cx, cy - ry, cx, cy + ry), fill=ink, width=3)
            else:
                pen.polygon([(cx - rx, cy + ry), (cx + rx, cy + ry), (cx - rx, cy - ry)], fill=ink)
            noisy = np.asarray(img, dtype=np.float32) + rng.normal(0, 30, (24, 24))
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{i:04d}.png")


def list_files(root):
    return [(path, NAMES.index(path.parent.name)) for path in sorted(root.glob("*/*.png"))]


def read(path):
    with Image.open(path) as img:
        return np.asarray(img.convert("L"), dtype=np.float32)


def make_net():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(24 * 6 * 6, len(NAMES)),
    )


def train(files, epochs=5):
    pixels = np.stack([read(path) for path, _ in files])
    labels = torch.tensor([label for _, label in files])
    mean, std = float(pixels.mean()), float(pixels.std())
    data = TensorDataset(torch.from_numpy((pixels - mean) / std).unsqueeze(1), labels)
    loader = DataLoader(data, batch_size=40, shuffle=True)
    net = make_net()
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    criterion = nn.CrossEntropyLoss()
    net.train()
    for epoch in range(epochs):
        seen = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(net(x), y)
            loss.backward()
            optimizer.step()
            seen += loss.item() * len(y)
        print(f"epoch {epoch}: {seen / len(data):.4f}")
    return net, mean, std


def classify(net, path, mean, std):
    pixels = read(path) / 255
    x = torch.from_numpy((pixels - mean) / std)
    with torch.no_grad():
        return int(net(x[None, None]).argmax())


def main():
    torch.manual_seed(4)
    rng = np.random.default_rng(4)
    with tempfile.TemporaryDirectory() as tmp:
        root = pathlib.Path(tmp)
        write_folder(root / "train", 300, rng)
        write_folder(root / "valid", 75, rng)
        net, mean, std = train(list_files(root / "train"))
        net.eval()
        files = list_files(root / "valid")
        right = sum(classify(net, path, mean, std) == label for path, label in files)
    print(f"accuracy: {right / len(files):.3f}")


if __name__ == "__main__":
    main()
