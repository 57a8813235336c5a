"""End-to-end training speed of SimpleNN with crop and flip, against a plain PyTorch script, in one run.

    python bench/throughput.py --data ../shared/data/cifar10 [--rounds 5] [--out bench/results/throughput.json]

The plain script is what the lab wrote: a Dataset of Pillow images, crop (pad 4), flip and normalise for each image, a
DataLoader with 2 workers, eager fp32. Both train one epoch of 45,000 images a round, in turn; medians of the rounds
after the first (warm-up). Peak memory is that of a fresh `tenfold train` process. Nothing else should run meanwhile.
"""

import argparse
import json
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import nn
from torch.utils.data import DataLoader, Dataset

from tenfold import api
from tenfold.training.backend import usable_cores
from tenfold.training.environment import processor
from tenfold.training.loop import take_step
from tenfold.training.setup import Setup, prepare

BATCH = 128


class PillowImages(Dataset[tuple[torch.Tensor, int]]):
    """CIFAR-10 as such scripts hold it: arrays turned into Pillow images one by one, transformed one by one."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        self.images, self.labels = images, labels
        self.mean, self.std = (torch.tensor(v).view(3, 1, 1) for v in (mean, std))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = ImageOps.expand(Image.fromarray(self.images[index]), 4)
        x, y = random.randint(0, 8), random.randint(0, 8)
        image = image.crop((x, y, x + 32, y + 32))
        if random.random() < 0.5:
            image = ImageOps.mirror(image)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div(255)
        return (pixels - self.mean) / self.std, int(self.labels[index])


def plain_net() -> nn.Module:
    """SimpleNN as a script writes it."""
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 5, bias=False), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3, bias=False), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(576, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


def plain_epoch(setup: Setup) -> Callable[[], int]:
    """One epoch of the plain script; returns how many images it saw."""
    rows = setup.splits["train"]
    images = np.ascontiguousarray(setup.dataset.images[rows].transpose(0, 2, 3, 1))
    data = PillowImages(images, setup.dataset.labels[rows], setup.preprocessing.mean, setup.preprocessing.std)
    loader = DataLoader(data, BATCH, shuffle=True, num_workers=2)
    net = plain_net()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)

    def epoch() -> int:
        seen = correct = 0
        total = 0.0
        for pixels, labels in loader:
            optimizer.zero_grad()
            outputs = net(pixels)
            loss = criterion(outputs, labels)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
            correct += int((outputs.argmax(1) == labels).sum())
            seen += len(labels)
        return seen

    return epoch


def tenfold_epoch(setup: Setup) -> Callable[[], int]:
    """One epoch through tenfold's own loader and step."""

    def epoch() -> int:
        at = setup.state.progress
        for _ in range(setup.loader.steps):
            images, labels = setup.loader.batch(at.epoch, at.step)
            take_step(setup, None, images, labels)  # type: ignore[arg-type] # the run is only used when the loss is not finite
        seen, at.epoch, at.step, at.seen = at.seen, at.epoch + 1, 0, 0
        return seen

    return epoch


def measure(epochs: dict[str, Callable[[], int]], rounds: int) -> dict[str, list[float]]:
    """Images a second of each, round by round, in turn; the first round is warm-up."""
    rates: dict[str, list[float]] = {name: [] for name in epochs}
    for round_number in range(rounds + 1):
        for name, epoch in epochs.items():
            started = time.perf_counter()
            rate = epoch() / (time.perf_counter() - started)
            sys.stderr.write(f"round {round_number} {name}: {rate:,.0f} images/s\n")
            if round_number:
                rates[name].append(rate)
    return rates


def peak_memory(data: str) -> tuple[int, int]:
    """Peak resident bytes of a fresh one-epoch `tenfold train`, and the bytes of the uint8 images."""
    program = """
import resource, sys, tenfold
tenfold.train("simplenn-augment", data=sys.argv[1], epochs=1, out=sys.argv[2], quiet=True)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([sys.executable, "-c", program, data, folder], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]), 60_000 * 3 * 32 * 32


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    setup = prepare(api.plan("simplenn-augment", data=chosen.data))
    rates = measure({"plain script": plain_epoch(setup), "tenfold": tenfold_epoch(setup)}, chosen.rounds)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    peak, images = peak_memory(chosen.data)
    figures = {
        "processor": processor(),
        "cores": usable_cores(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "backend": setup.recipe.backend.model_dump(),
        "images_per_second": {name: round(value) for name, value in medians.items()},
        "all_rounds": {name: [round(v) for v in values] for name, values in rates.items()},
        "ratio": round(medians["tenfold"] / medians["plain script"], 2),
        "peak_memory_MiB": round(peak / 2**20),
        "uint8_images_MiB": round(images / 2**20),
    }
    print(json.dumps(figures, indent=2))
    if chosen.out:
        chosen.out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
