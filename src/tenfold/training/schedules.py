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


def constant(epoch: float, epochs: int) -> float:
    """The same rate throughout."""
    return 1.0


def step(epoch: float, epochs: int, *, every: int = 10, factor: float = 0.1) -> float:
    """Multiplied by `factor` after each `every` epochs."""
    return float(factor ** math.floor(epoch / every))


SCHEDULES: dict[str, Callable[..., float]] = {"constant": constant, "step": step}


def build(options: ScheduleOptions, epochs: int) -> Schedule:
    """The factor as a function of the position in epochs."""
    function = lookup(SCHEDULES, options.name, "schedule")
    settings = chosen(function, options)
    return lambda epoch: function(epoch, epochs, **settings)
