"""What the scripts of all peers share: arguments, CIFAR-10 as arrays, a clock, and the line of JSON at the end.

Needs numpy only. The data are the official binary files; the first --images of the first 45,000 training images are
trained on, the last 5,000 judge. Equal for all: net, batch, crop and flip, SGD with momentum 0.9, weight decay 1e-4.
bench/ratios.py runs the scripts and reads their lines; each can be run alone, in its environment (install.py).
"""

import argparse
import json
import os
import platform
import resource
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

BATCH, MOMENTUM, WEIGHT_DECAY = 128, 0.9, 1e-4
LEARNING_RATE = {"simplenn": 0.01, "resnet20": 0.1}
PARAMETERS = {"simplenn": 82_006, "resnet20": 269_722}
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
TRAIN, VALIDATION = 45_000, 5_000

Part = tuple[NDArray[np.uint8], NDArray[np.int64]]


def arguments(*precisions: str) -> argparse.Namespace:
    """The command line of every peer's script; precisions: what the peer can compute in besides fp32."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--net", choices=sorted(PARAMETERS), default="simplenn")
    parser.add_argument("--data", type=Path, required=True, help="the folder with cifar-10-batches-bin, or that itself")
    parser.add_argument("--images", type=int, default=TRAIN, help="train on the first so many")
    parser.add_argument("--judge", type=int, default=VALIDATION, help="validation images, the last so many")
    parser.add_argument("--epochs", type=int, default=3, help="the first is warm-up")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="cores to use")
    parser.add_argument("--precision", choices=("fp32", *precisions), default="fp32")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: chosen.threads])
    return chosen


def cifar10(chosen: argparse.Namespace) -> tuple[Part, Part]:
    """Training and validation images, uint8 [N, 32, 32, 3], with their labels."""
    folder = chosen.data
    folder = folder / "cifar-10-batches-bin" if (folder / "cifar-10-batches-bin").is_dir() else folder
    files = [np.fromfile(folder / f"data_batch_{i}.bin", np.uint8) for i in range(1, 6)]
    records = np.concatenate(files).reshape(-1, 1 + 3 * 32 * 32)
    pixels = np.ascontiguousarray(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    labels = records[:, 0].astype(np.int64)
    training, validation = slice(min(chosen.images, TRAIN)), slice(-min(chosen.judge, VALIDATION), None)
    return (pixels[training], labels[training]), (pixels[validation], labels[validation])


class Clock:
    """Images/s of each epoch, input pipeline included, validation not."""

    def __init__(self, images: int) -> None:
        self.images = images
        self.rates: list[float] = []
        self.started = 0.0

    def start(self) -> None:
        """An epoch begins."""
        self.started = time.perf_counter()

    def stop(self) -> None:
        """All of its steps are computed."""
        self.rates.append(self.images / (time.perf_counter() - self.started))


def report(
    peer: str,
    packages: Sequence[str],
    chosen: argparse.Namespace,
    parameters: int,
    rates: Sequence[float],
    right: float,
    **more: Any,
) -> None:
    """Print the line of JSON; the net must have the published number of parameters.

    Peak memory is of the process itself, without workers that it forks.
    """
    if parameters != PARAMETERS[chosen.net]:
        raise SystemExit(f"{peer}: {chosen.net} has {parameters:,} parameters, not {PARAMETERS[chosen.net]:,}")
    figures = {
        "peer": peer,
        "precision": chosen.precision,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "net": chosen.net,
        "parameters": parameters,
        "batch": BATCH,
        "images": min(chosen.images, TRAIN),
        "threads": chosen.threads,
        "seed": chosen.seed,
        "warm_up_images_per_second": round(rates[0], 1),
        "images_per_second": [round(rate, 1) for rate in rates[1:]],
        "val_accuracy": round(right, 4),
        "peak_memory_MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        **more,
    }
    print(json.dumps(figures), flush=True)
