"""The global random generators: looked at, seeded, put back as they were."""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def chance() -> tuple[Any, ...]:
    """The states of random, torch and numpy, to be compared."""
    numpy: Any = sys.modules.get("numpy")
    state = numpy.random.get_state() if numpy else None
    drawn = (state[1].tobytes(), state[2]) if state is not None else None
    return random.getstate(), torch.get_rng_state().numpy().tobytes(), drawn


@contextmanager
def same_chance() -> Iterator[None]:
    """Inside this block random numbers may be drawn; afterwards all generators are as before."""
    numpy: Any = sys.modules.get("numpy")
    states = random.getstate(), torch.get_rng_state(), numpy.random.get_state() if numpy else None
    try:
        yield
    finally:
        random.setstate(states[0])
        torch.set_rng_state(states[1])
        if numpy:
            numpy.random.set_state(states[2])


def seeded(number: int) -> None:
    """All global generators from one number."""
    random.seed(number)
    torch.manual_seed(number)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(number)
