"""3×3 convolutions, forward and backward: the native kernels against torch's fp32 (oneDNN, channels-last).

    python bench/convolutions.py [--batch 128] [--rounds 7] [--out bench/results/convolutions.json]

Shapes of ResNet-20, of sprint and of VGG-11. Medians of rounds in turn; errors are the lengths of the differences from
float64 as shares, of the output and of the gradients of images and weights together.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from tenfold.cores import usable_cores
from tenfold.training.backend import keep_freed_memory
from tenfold.training.environment import processor
from tenfold.training.kernels.winograd import Convolution, has_halves

SHAPES = (
    (16, 16, 32),
    (32, 32, 16),
    (64, 64, 8),
    (24, 64, 31),
    (64, 256, 15),
    (256, 256, 7),
    (256, 256, 3),
    (512, 512, 4),
)
"""Channels in and out, side of the images."""

Convolve = Callable[[Tensor, Tensor], Tensor]


def ways() -> dict[str, Convolve]:
    """What is compared."""
    found: dict[str, Convolve] = {
        "torch fp32": lambda x, w: conv2d(x, w, padding=1),
        "native fp32": lambda x, w: Convolution.apply(x, w, 1, False),
    }
    if has_halves():
        found["native bf16_grad"] = lambda x, w: Convolution.apply(x, w, 1, True)
    return found


def passes(convolve: Convolve, x: Tensor, weight: Tensor, gradient: Tensor) -> tuple[float, list[Tensor]]:
    """Seconds of a forward and backward pass; output and gradients."""
    x, weight = x.detach().requires_grad_(), weight.detach().requires_grad_()
    began = time.perf_counter()
    y = convolve(x, weight)
    of_x, of_weight = torch.autograd.grad(y, (x, weight), gradient)
    return time.perf_counter() - began, [y.detach(), of_x, of_weight]


def difference(found: Tensor, exact: Tensor) -> float:
    """Length of the difference as a share of the length."""
    return float((found.double() - exact).norm() / exact.norm())


def measure(shape: tuple[int, int, int], batch: int, rounds: int) -> dict[str, dict[str, float]]:
    """Images/s, ratio to torch's and errors of each way."""
    before, after, side = shape
    random = torch.Generator().manual_seed(0)
    x = torch.randn(batch, before, side, side, generator=random).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(after, before, 3, 3, generator=random) / (9 * before) ** 0.5
    gradient = torch.randn(batch, after, side, side, generator=random).contiguous(memory_format=torch.channels_last)
    small = [tensor[:4] if tensor is not weight else tensor for tensor in (x, weight, gradient)]
    exact = passes(lambda a, b: conv2d(a, b, padding=1), *(tensor.double() for tensor in small))[1]
    times: dict[str, list[float]] = {name: [] for name in ways()}
    for turn in range(rounds + 2):
        for name, convolve in ways().items():
            seconds, _ = passes(convolve, x, weight, gradient)
            if turn >= 2:
                times[name].append(seconds)
    medians = {name: statistics.median(each) for name, each in times.items()}
    found = {}
    for name, convolve in ways().items():
        y, *gradients = passes(convolve, *small)[1]
        found[name] = {
            "images_per_second": round(batch / medians[name]),
            "ratio": round(medians["torch fp32"] / medians[name], 2),
            "output_error": difference(y, exact[0]),
            "gradient_error": max(difference(*pair) for pair in zip(gradients, exact[1:], strict=True)),
        }
    return found


def main() -> None:
    """Measure every shape, print a table, keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(usable_cores())
    keep_freed_memory()
    figures = {f"{a}→{b}, {s}×{s}": measure((a, b, s), chosen.batch, chosen.rounds) for a, b, s in SHAPES}
    print("| channels, image | " + " | ".join(f"{name}: images/s, ratio, gradient error" for name in ways()) + " |")
    print("|---" * (1 + len(ways())) + "|")
    for shape, each in figures.items():
        cells = [f"{f['images_per_second']:,}, {f['ratio']:.2f}, {f['gradient_error']:.1e}" for f in each.values()]
        print(f"| {shape} | " + " | ".join(cells) + " |")
    if chosen.out:
        kept = {"processor": processor(), "threads": usable_cores(), "batch": chosen.batch, "shapes": figures}
        chosen.out.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
