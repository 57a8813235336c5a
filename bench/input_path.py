"""The input path alone: images/s of shuffled, cropped (pad 4), flipped and normalised batches of CIFAR-10's size.

    python bench/input_path.py [--batch 128 512] [--seconds 3] [--out bench/results/input-path.json]

Random pixels, 50,000 images of 32×32. Rows: tenfold's loader with each number of threads; the same with one thread in
as many processes as there are cores; Pillow image by image, as a DataLoader without workers does it. Goal: 150,000.
"""

import argparse
import json
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from tenfold.cores import usable_cores
from tenfold.datasets.dataset import Dataset
from tenfold.datasets.preprocessing import Preprocessing
from tenfold.recipe import AugmentOptions, Recipe
from tenfold.training.backend import keep_freed_memory
from tenfold.training.environment import processor
from tenfold.training.loader import Images, Loader

COUNT = 50_000
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
STORED = np.random.default_rng(0).integers(0, 256, (COUNT, 32, 32, 3), np.uint8)


def tenfold(batch: int) -> Callable[[int], int]:
    """One batch through tenfold's loader and normalisation."""
    labels, rows = np.zeros(COUNT, np.int64), np.arange(COUNT)
    parts = {"train": rows}
    dataset = Dataset("random", STORED.transpose(0, 3, 1, 2), labels, ("a", "b"), range(COUNT), parts, "none")  # type: ignore[arg-type]
    preprocessing = Preprocessing(32, None, MEAN, STD)
    recipe = Recipe(batch=batch, augment=AugmentOptions(crop=4, horizontal_flip=0.5))
    loader = Loader(Images(dataset, rows, torch.device("cpu")), recipe, preprocessing)

    def one(step: int) -> int:
        images, _ = loader.batch(*divmod(step, loader.steps))
        return len(preprocessing.normalize(images))

    return one


def pillow(batch: int) -> Callable[[int], int]:
    """One batch, image by image."""
    random = np.random.default_rng(0)
    mean, std = (np.array(values, np.float32).reshape(3, 1, 1) for values in (MEAN, STD))

    def one(step: int) -> int:
        made = []
        for index in random.integers(0, COUNT, batch):
            wide = ImageOps.expand(Image.fromarray(STORED[index]), 4)
            x, y = random.integers(0, 9, 2)
            image = wide.crop((x, y, x + 32, y + 32))
            if random.random() < 0.5:
                image = ImageOps.mirror(image)
            made.append((np.asarray(image, np.float32).transpose(2, 0, 1) / 255 - mean) / std)
        return len(torch.from_numpy(np.stack(made)))

    return one


def rate(make: Callable[[int], Callable[[int], int]], batch: int, threads: int, seconds: float) -> float:
    """Images/s after a warm-up."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    one = make(batch)
    for step in range(5):
        one(step)
    seen, step, began = 0, 5, time.perf_counter()
    while time.perf_counter() - began < seconds:
        seen, step = seen + one(step), step + 1
    return seen / (time.perf_counter() - began)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", nargs="+", type=int, default=[128, 512, 2000])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    cores = usable_cores()
    found: dict[str, dict[str, int]] = {}
    for batch in chosen.batch:
        rates = {"pillow": rate(pillow, batch, 1, chosen.seconds)}
        for threads in sorted({1, cores}):
            rates[f"tenfold, {threads} threads"] = rate(tenfold, batch, threads, chosen.seconds)
        with ProcessPoolExecutor(cores, get_context("spawn")) as pool:
            each = [pool.submit(rate, tenfold, batch, 1, chosen.seconds) for _ in range(cores)]
            rates[f"tenfold, {cores} processes"] = sum(one.result() for one in each)
        found[f"batch {batch}"] = {name: round(value) for name, value in rates.items()}
    figures = {"processor": processor(), "images_per_second": found}
    print(json.dumps(figures, indent=2))
    if chosen.out:
        chosen.out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
