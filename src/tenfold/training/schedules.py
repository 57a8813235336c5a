"""Learning-rate schedules by name: pure functions of the position, so there is nothing to save or restore.

A schedule is (epoch, epochs, *, options…) to the factor that multiplies the recipe's learning rate; `epoch` is the
exact position, 3.5 in the middle of the fourth epoch. `plateau` also sees the validation accuracies of the epochs
before, which the run's rows hold: it too has nothing of its own to save.
"""

import math
from collections.abc import Callable, Sequence

from tenfold.errors import lookup
from tenfold.recipe import ScheduleOptions
from tenfold.registry import chosen

Schedule = Callable[[float], float]
Accuracies = Callable[[], Sequence[float]]
"""The validation accuracy of each epoch so far."""


def constant(epoch: float, epochs: float) -> float:
    """The same rate throughout."""
    return 1.0


def step(epoch: float, epochs: float, *, every: int = 10, factor: float = 0.1) -> float:
    """Multiplied by `factor` after each `every` epochs."""
    return float(factor ** math.floor(epoch / every))


def halving(epoch: float, epochs: float, *, every: int = 10) -> float:
    """Halved after each `every` epochs."""
    return step(epoch, epochs, every=every, factor=0.5)


def multi_step(epoch: float, epochs: float, *, drops: tuple[float, ...] = (0.5, 0.75), factor: float = 0.1) -> float:
    """Multiplied by `factor` after each of these shares of the run (He et al. 2016: half and three quarters)."""
    return float(factor ** sum(epoch >= share * epochs for share in drops))


def exponential(epoch: float, epochs: float, *, factor: float = 0.9) -> float:
    """Multiplied by `factor` in the course of every epoch, a little at each step."""
    return float(factor**epoch)


def polynomial(epoch: float, epochs: float, *, power: float = 0.9, floor: float = 0.0) -> float:
    """From 1 to `floor` along (1 − share of the run)^power (Chen et al. 2018, DeepLab: 0.9)."""
    return float(floor + (1 - floor) * max(0.0, 1 - epoch / epochs) ** power)


def linear(epoch: float, epochs: float, *, floor: float = 0.0) -> float:
    """From 1 to `floor` in a straight line."""
    return between(1.0, floor, epoch / epochs, "linear")


def cosine(epoch: float, epochs: float, *, floor: float = 0.0) -> float:
    """From 1 to `floor` along half a cosine (Loshchilov & Hutter 2017, without restarts)."""
    return between(1.0, floor, epoch / epochs, "cosine")


def cosine_restarts(
    epoch: float, epochs: float, *, period: float = 10.0, stretch: int = 2, floor: float = 0.0
) -> float:
    """Half cosines from 1 to `floor`, each `stretch` times as long as the one before (Loshchilov & Hutter 2017)."""
    if stretch == 1:
        epoch %= period
    while epoch >= period:
        epoch, period = epoch - period, period * stretch
    return between(1.0, floor, epoch / period, "cosine")


def cyclic(epoch: float, epochs: float, *, period: float = 10.0, floor: float = 0.1) -> float:
    """From `floor` up to 1 and down again in straight lines, once in `period` epochs (Smith 2017: triangular)."""
    share = (epoch / period) % 1.0
    return floor + (1 - floor) * (1 - abs(2 * share - 1))


def plateau(
    epoch: float, epochs: float, accuracies: Sequence[float] = (), *, factor: float = 0.1, patience: int = 5
) -> float:
    """Multiplied by `factor` whenever `patience` epochs in a row, and one more, bring no better validation accuracy.

    accuracies: of the epochs that ended before this position.
    """
    best, waited, drops = -1.0, 0, 0
    for accuracy in accuracies:
        best, waited = (accuracy, 0) if accuracy > best else (best, waited + 1)
        if waited > patience:
            drops, waited = drops + 1, 0
    return float(factor**drops)


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
    "halving": halving,
    "multi_step": multi_step,
    "exponential": exponential,
    "polynomial": polynomial,
    "linear": linear,
    "cosine": cosine,
    "cosine_restarts": cosine_restarts,
    "cyclic": cyclic,
    "one_cycle": one_cycle,
    "plateau": plateau,
}

WATCHING = ("plateau",)
"""These need validation accuracies."""


def no_accuracies() -> Sequence[float]:
    """Nothing was validated yet."""
    return ()


def build(options: ScheduleOptions, epochs: int, accuracies: Accuracies = no_accuracies) -> Schedule:
    """The factor as a function of the position in epochs; after a linear warm-up, the schedule takes what is left."""
    function = lookup(SCHEDULES, options.name, "schedule")
    settings = chosen(function, options)
    warmup = options.warmup

    def factor(epoch: float) -> float:
        rising = epoch / warmup if epoch < warmup else 1.0
        # Only whole epochs after the warm-up count: in it the accuracy rises anyhow.
        watched = {"accuracies": accuracies()[math.ceil(warmup) : math.floor(epoch)]} if watching else {}
        return rising * function(max(0.0, epoch - warmup), epochs - warmup, **watched, **settings)

    watching = options.name in WATCHING
    return factor
