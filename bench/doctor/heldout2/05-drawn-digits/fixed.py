import logging
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw, ImageFont
from torch.utils.data import DataLoader, Dataset

logging.basicConfig(level=logging.INFO, format="%(message)s")
log = logging.getLogger("digits")


def render_digits(folder: Path, count: int, seed: int) -> list[tuple[Path, int]]:
    """Draw `count` digits as PNG files and return (path, label) pairs."""
    rng = np.random.default_rng(seed)
    items = []
    for i in range(count):
        digit = int(rng.integers(10))
        font = ImageFont.load_default(size=int(rng.integers(16, 24)))
        canvas = Image.new("L", (28, 28), int(rng.integers(0, 60)))
        pos = (int(rng.integers(3, 12)), int(rng.integers(-2, 6)))
        ImageDraw.Draw(canvas).text(pos, str(digit), fill=int(rng.integers(150, 230)), font=font)
        canvas = canvas.rotate(float(rng.uniform(-20, 20)), fillcolor=20)
        path = folder / f"{seed}_{i:05d}_{digit}.png"
        canvas.save(path)
        items.append((path, digit))
    return items


class DigitFiles(Dataset):
    MEAN, STD = 0.22, 0.24

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def _scale(self, img: np.ndarray) -> np.ndarray:
        return (img / 255.0).astype(np.float32)

    def __getitem__(self, index):
        path, label = self.items[index]
        with Image.open(path) as im:
            img = np.array(im)
        tensor = torch.from_numpy(self._scale(img)).float().unsqueeze(0)
        return (tensor - self.MEAN) / self.STD, label


class DigitCNN(nn.Module):
    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        )
        self.out = nn.Linear(2 * width * 7 * 7, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.body(x).flatten(start_dim=1))


def evaluate(model: nn.Module, loader: DataLoader) -> float:
    model.eval()
    hits, total = 0, 0
    with torch.inference_mode():
        for images, labels in loader:
            hits += int((model(images).argmax(dim=-1) == labels).sum())
            total += labels.numel()
    return hits / total


def main() -> None:
    torch.manual_seed(0)
    with TemporaryDirectory() as tmp:
        train_items = render_digits(Path(tmp), 1600, seed=10)
        val_items = render_digits(Path(tmp), 400, seed=20)
        train_loader = DataLoader(DigitFiles(train_items), batch_size=40, shuffle=True)
        val_loader = DataLoader(DigitFiles(val_items), batch_size=100)

        model = DigitCNN()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        criterion = nn.CrossEntropyLoss()
        for epoch in range(1, 6):
            model.train()
            running = 0.0
            for images, labels in train_loader:
                optimizer.zero_grad(set_to_none=True)
                loss = criterion(model(images), labels)
                loss.backward()
                optimizer.step()
                running += loss.item()
            log.info(
                "epoch %d: train loss %.4f, val accuracy %.3f",
                epoch,
                running / len(train_loader),
                evaluate(model, val_loader),
            )
        print(f"accuracy: {evaluate(model, val_loader):.3f}")


if __name__ == "__main__":
    main()
