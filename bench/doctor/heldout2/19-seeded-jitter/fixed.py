"""Small-data experiment: 150 drawn letters, augmented by random shifts; validation letters may sit anywhere."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

CLASSES = "ABCDE"
FONT = ImageFont.load_default(size=14)


def letter(c: str, rng: np.random.Generator) -> np.ndarray:
    im = Image.new("L", (32, 32))
    ImageDraw.Draw(im).text((16, 16), c, fill=255, font=FONT, anchor="mm")
    im = im.rotate(rng.uniform(-12, 12))
    return np.asarray(im, dtype=np.float32) / 255 + rng.normal(0, 0.12, (32, 32)).astype(np.float32)


class LetterBank(Dataset):
    def __init__(self, n: int, seed: int, train: bool) -> None:
        rng = np.random.default_rng(seed)
        self.train = train
        self.labels = [i % len(CLASSES) for i in range(n)]
        self.images = [letter(CLASSES[k], rng) for k in self.labels]
        if not train:  # a fixed, random place for each validation letter
            self.images = [np.roll(im, tuple(rng.integers(-8, 9, 2)), axis=(0, 1)) for im in self.images]
        self.seed = seed
        self.rng = np.random.default_rng(seed + 1)

    def __len__(self) -> int:
        return len(self.labels)

    def shift(self, image: np.ndarray, index: int) -> np.ndarray:
        return np.roll(image, tuple(self.rng.integers(-8, 9, 2)), axis=(0, 1))

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = self.images[index]
        if self.train:
            image = self.shift(image, index)
        return torch.from_numpy((image - 0.06) / 0.24)[None], self.labels[index]


class SmallNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(16 * 8 * 8, 64), nn.ReLU(), nn.Linear(64, len(CLASSES)))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


def score(net: nn.Module, loader: DataLoader) -> float:
    net.eval()
    with torch.no_grad():
        hits = [(net(x).argmax(1) == y).float() for x, y in loader]
    return torch.cat(hits).mean().item()


def main() -> None:
    torch.manual_seed(1)
    train = DataLoader(LetterBank(150, seed=1000, train=True), batch_size=25, shuffle=True)
    valid = DataLoader(LetterBank(500, seed=9000, train=False), batch_size=100)
    net = SmallNet()
    optimizer = torch.optim.Adam(net.parameters(), lr=1.5e-3)
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(1, 81):
        net.train()
        for x, y in train:
            optimizer.zero_grad()
            loss = loss_fn(net(x), y)
            loss.backward()
            optimizer.step()
        if epoch % 10 == 0:
            print(f"epoch {epoch:3d}: loss {loss.item():.3f} valid {score(net, valid):.3f}")
    print(f"accuracy: {score(net, valid):.3f}")


if __name__ == "__main__":
    main()
