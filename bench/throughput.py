"""End-to-end training speed of SimpleNN with crop and flip, against a plain PyTorch script, in one run.

    python bench/throughput.py --data ../shared/data/cifar10 [--rounds 5] [--out bench/results/throughput.json]

plain_script.py is what a lab writes: Pillow image by image, a DataLoader with 2 workers, eager fp32. It runs in a
process of its own. Both train epochs of 45,000 images in turn; medians of the rounds after the first (warm-up). Peak
memory is that of a fresh `tenfold train` process. Nothing else should run meanwhile.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from tenfold import api
from tenfold.runs import Run
from tenfold.training.backend import usable_cores
from tenfold.training.environment import processor
from tenfold.training.loop import take_step
from tenfold.training.setup import Setup, prepare

MIB = 2**20


def plain_epoch(folder: str) -> Callable[[], float]:
    """One epoch of the plain script, in its own process: its images/s."""
    command = [sys.executable, str(Path(__file__).with_name("plain_script.py")), folder]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    asked, answers = process.stdin, process.stdout

    def epoch() -> float:
        asked.write("\n")
        asked.flush()
        return float(answers.readline())

    return epoch


def tenfold_epoch(setup: Setup) -> Callable[[], float]:
    """One epoch through tenfold's own loader and step: its images/s."""
    nowhere = Run(Path())  # only written to when a loss is not finite

    def epoch() -> float:
        at, started = setup.state.progress, time.perf_counter()
        for _ in range(setup.loader.steps):
            images, labels = setup.loader.batch(at.epoch, at.step)
            take_step(setup, nowhere, images, labels)
        seen, at.epoch, at.step, at.seen = at.seen, at.epoch + 1, 0, 0
        return seen / (time.perf_counter() - started)

    return epoch


def measure(epochs: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Images/s of each, round by round, in turn; the first round is warm-up."""
    rates: dict[str, list[float]] = {name: [] for name in epochs}
    for number in range(rounds + 1):
        for name, epoch in epochs.items():
            rate = epoch()
            sys.stderr.write(f"round {number} {name}: {rate:,.0f} images/s\n")
            if number:
                rates[name].append(rate)
    return rates


def peak_memory(data: str) -> int:
    """Peak resident bytes of a fresh one-epoch `tenfold train`."""
    program = """
import resource, sys, tenfold
tenfold.train("simplenn-augment", data=sys.argv[1], epochs=1, out=sys.argv[2], quiet=True)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", program, data, folder]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="cifar10", help="CIFAR-10 in the extracted binary layout")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    setup = prepare(api.plan("simplenn-augment", data=chosen.data))
    rates = measure({"plain script": plain_epoch(setup.dataset.where), "tenfold": tenfold_epoch(setup)}, chosen.rounds)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    figures = {
        "processor": processor(),
        "cores": usable_cores(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "backend": setup.recipe.backend.model_dump(),
        "images_per_second": {name: round(value) for name, value in medians.items()},
        "rounds": {name: [round(v) for v in values] for name, values in rates.items()},
        "ratio": round(medians["tenfold"] / medians["plain script"], 2),
        "peak_memory_MiB": round(peak_memory(chosen.data) / MIB),
        "uint8_images_MiB": round(setup.dataset.images.nbytes / MIB),
    }
    print(json.dumps(figures, indent=2))
    if chosen.out:
        chosen.out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
