"""Does cost grow in proportion? SimpleNN on 10,000 to 1,000,000 memory-mapped images: images/s, memory, start.

    python bench/scale.py [--sizes 10000 100000 1000000] [--seconds 20] [--out bench/results/scale.json]

Random pixels in a file of 3,072 bytes an image, read through numpy.memmap as ingested image folders are; a process
for each size, rounds in turn, medians. Memory is the process's own (anonymous) at its end: pages of the file belong
to the system, which takes them back when it needs them. Start: until the first step is done, of it the imports; the
rest grows with the data, which is read once for its mean and deviation. Needs 3 GB of disk for the largest size.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SIDE, CLASSES, CHUNK = 32, 10, 10_000


def write_images(file: Path, count: int) -> None:
    """`count` images of random pixels, uint8 [N, H, W, C]."""
    random = np.random.default_rng(0)
    with file.open("wb") as out:
        for first in range(0, count, CHUNK):
            out.write(random.integers(0, 256, (min(CHUNK, count - first), SIDE, SIDE, 3), np.uint8).tobytes())


def child(file: Path, count: int, seconds: float) -> dict[str, float]:
    """Train on the file for some seconds, in this process."""
    began = time.perf_counter()
    from tenfold import api
    from tenfold.datasets import SOURCES
    from tenfold.datasets.dataset import Dataset
    from tenfold.training.loop import descend
    from tenfold.training.setup import prepare

    imported = time.perf_counter()
    stored = np.memmap(file, np.uint8, "c", shape=(count, SIDE, SIDE, 3))
    labels = np.random.default_rng(1).integers(0, CLASSES, count)
    rows = np.arange(count)
    parts = {"train": rows[count // 100 :], "val": rows[: count // 100], "test": rows[:1]}
    names = tuple(str(number) for number in range(CLASSES))
    dataset = Dataset("random", stored.transpose(0, 3, 1, 2), labels, names, range(count), parts, "none")  # type: ignore[arg-type]
    SOURCES["random"] = lambda *_: dataset
    setup = prepare(api.plan("simplenn-augment", data="random", batch=512))

    def step(number: int) -> int:
        images, answers = setup.loader.batch(*divmod(number, setup.loader.steps))
        descend(setup, *divmod(number, setup.loader.steps), images, answers)
        return len(answers)

    step(0)
    started = time.perf_counter()
    seen, number = 0, 1
    while time.perf_counter() - started < seconds:
        seen, number = seen + step(number), number + 1
    return {
        "images_per_second": seen / (time.perf_counter() - started),
        "memory_MiB": anonymous_memory() / 2**20,
        "import_seconds": imported - began,
        "start_seconds": started - imported,
    }


def anonymous_memory() -> int:
    """Bytes of this process that are no pages of files."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def main() -> None:
    """Measure every size, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=int, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--seconds", type=float, default=20.0, help="of training, for each size and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        print(json.dumps(child(Path(chosen.child[0]), int(chosen.child[1]), chosen.seconds)))
        return
    found: dict[int, list[dict[str, float]]] = {size: [] for size in chosen.sizes}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images"
        write_images(file, max(chosen.sizes))
        for _ in range(chosen.rounds):
            for size in chosen.sizes:
                command = [sys.executable, __file__, "--seconds", str(chosen.seconds), "--child", str(file), str(size)]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                found[size].append(json.loads(done.stdout))
                sys.stderr.write(f"{size:,}: {done.stdout}")
    figures: dict[str, Any] = {str(size): medians(rounds) for size, rounds in found.items()}
    figures["processor"] = named()
    print(json.dumps(figures, indent=2))
    if chosen.out:
        chosen.out.write_text(json.dumps(figures, indent=2) + "\n")


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The median of each figure."""
    return {name: round(statistics.median(each[name] for each in rounds), 2) for name in rounds[0]}


def named() -> str:
    """The processor."""
    from tenfold.training.environment import processor

    return processor()


if __name__ == "__main__":
    main()
