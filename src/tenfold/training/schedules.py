"""Learning-rate schedules by name: pure functions of the position, so there is nothing to save or restore.

A schedule is (epoch, epochs, *, options…) to the factor that multiplies the recipe's learning rate; `epoch` is the
exact position, 3.5 in the middle of the fourth epoch.
"""

import math
from collections.abc import Callable

from tenfold.errors import lookup
from tenfold.recipe import ScheduleOptions
from tenfold.registry import chosen

Schedule = Callable[[float], float]


def constant(epoch: float, epochs: float) -> float:
    """The same rate throughout."""
    return 1.0


def step(epoch: float, epochs: float, *, every: int = 10, factor: float = 0.1) -> float:
    """Multiplied by `factor` after each `every` epochs."""
    return float(factor ** math.floor(epoch / every))


def multi_step(epoch: float, epochs: float, *, drops: tuple[float, ...] = (0.5, 0.75), factor: float = 0.1) -> float:
    """Multiplied by `factor` after each of these shares of the run (He et al. 2016: half and three quarters)."""
    return float(factor ** sum(epoch >= share * epochs for share in drops))


def linear(epoch: float, epochs: float, *, floor: float = 0.0) -> float:
    """From 1 to `floor` in a straight line."""
    return between(1.0, floor, epoch / epochs, "linear")


def cosine(epoch: float, epochs: float, *, floor: float = 0.0) -> float:
    """From 1 to `floor` along half a cosine (Loshchilov & Hutter 2017, without restarts)."""
    return between(1.0, floor, epoch / epochs, "cosine")


def one_cycle(
    epoch: float,
    epochs: float,
    *,
    peak: float = 0.3,
    start: float = 0.04,
    floor: float = 4e-6,
    anneal: str = "cosine",
) -> float:
    """From `start` up to 1 at the share `peak` of the run, and down to `floor` (Smith & Topin 2018)."""
    top = peak * epochs
    if epoch < top:
        return between(start, 1.0, epoch / top, anneal)
    return between(1.0, floor, (epoch - top) / (epochs - top), anneal)


def between(first: float, last: float, share: float, anneal: str) -> float:
    """From `first` to `last` as `share` goes from 0 to 1, in a straight line or along half a cosine."""
    left = 1 - share if anneal == "linear" else (1 + math.cos(math.pi * share)) / 2
    return last + (first - last) * left


SCHEDULES: dict[str, Callable[..., float]] = {
    "constant": constant,
    "step": step,
    "multi_step": multi_step,
    "linear": linear,
    "cosine": cosine,
    "one_cycle": one_cycle,
}


def build(options: ScheduleOptions, epochs: int) -> Schedule:
    """The factor as a function of the position in epochs; after a linear warm-up, the schedule takes what is left."""
    function = lookup(SCHEDULES, options.name, "schedule")
    settings = chosen(function, options)
    warmup = options.warmup

    def factor(epoch: float) -> float:
        rising = epoch / warmup if epoch < warmup else 1.0
        return rising * function(max(0.0, epoch - warmup), epochs - warmup, **settings)

    return factor
