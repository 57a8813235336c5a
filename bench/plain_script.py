"""SimpleNN on CIFAR-10 as a lab or a tutorial writes it: the yardstick of bench/throughput.py.

A Dataset of Pillow images; random crop (pad 4), flip, to tensor, normalise, image by image; a DataLoader with
2 workers; eager fp32. Trains one epoch for each line on standard input and answers with its images/s.

    python bench/plain_script.py CIFAR-10-FOLDER      (the extracted binary layout)
"""

import random
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import nn
from torch.utils.data import DataLoader, Dataset

MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(3, 1, 1)
STD = torch.tensor([0.2470, 0.2435, 0.2616]).view(3, 1, 1)


class Cifar10(Dataset[tuple[torch.Tensor, int]]):
    """The first 45,000 training images."""

    def __init__(self, folder: Path) -> None:
        files = [np.fromfile(folder / f"data_batch_{i}.bin", np.uint8).reshape(-1, 3073) for i in range(1, 6)]
        records = np.concatenate(files)[:45_000]
        self.labels = records[:, 0].astype(int)
        self.images = np.ascontiguousarray(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = ImageOps.expand(Image.fromarray(self.images[index]), 4)
        x, y = random.randint(0, 8), random.randint(0, 8)
        image = image.crop((x, y, x + 32, y + 32))
        if random.random() < 0.5:
            image = ImageOps.mirror(image)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div(255)
        return (pixels - MEAN) / STD, int(self.labels[index])


def main() -> None:
    """One epoch a line."""
    loader = DataLoader(Cifar10(Path(sys.argv[1])), 128, shuffle=True, num_workers=2)
    net = nn.Sequential(
        *(nn.Conv2d(3, 8, 5, bias=False), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3, bias=False), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(576, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    for _ in sys.stdin:
        started, seen, correct, total = time.perf_counter(), 0, 0, 0.0
        for pixels, labels in loader:
            optimizer.zero_grad()
            outputs = net(pixels)
            loss = criterion(outputs, labels)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
            correct += int((outputs.argmax(1) == labels).sum())
            seen += len(labels)
        print(seen / (time.perf_counter() - started), flush=True)


if __name__ == "__main__":
    main()
