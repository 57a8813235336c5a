"""Randomness is an argument: every generator is derived from (seed, purpose, position).

Nothing depends on how many numbers were drawn before, so a resumed run needs no random state: the
generator of epoch 7, step 31 is the same whether the process was restarted or not.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def derived_seed(seed: int, purpose: str, *position: int) -> int:
    """A 63-bit seed for one purpose ("init", "order", "augment", …) at one position (epoch, step)."""
    text = "/".join([str(seed), purpose, *map(str, position)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, purpose: str, *position: int, device: str = "cpu") -> torch.Generator:
    """A fresh torch generator for one purpose at one position."""
    return torch.Generator(device=device).manual_seed(derived_seed(seed, purpose, *position))


@contextmanager
def seeded_init(seed: int) -> Iterator[None]:
    """Initialise layers, on the CPU, inside this block from `seed`, and leave torch's global state as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derived_seed(seed, "init"))  # torch.manual_seed would seed each GPU too
        yield


def devices_of(model: nn.Module) -> list[int]:
    """The GPUs on which a net lies, whose random states it may move."""
    return sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"})
