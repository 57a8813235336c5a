"""RandAugment and TrivialAugment: every image gets operations that chance chooses for it.

The images are grouped by the operation they drew, so that each operation runs once, on a batch.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tenfold.augmentations import operations as op
from tenfold.augmentations.chance import Chance

LEVELS = 30
"""Magnitudes go from 0 to this."""


@dataclass(frozen=True)
class Operation:
    """A function of operations.py, its amount at the highest magnitude in each policy, whether it has two sides."""

    function: Callable[[Tensor, Tensor], Tensor]
    randaugment: float = 0.0
    trivialaugment: float = 0.0
    two_sided: bool = False


OPERATIONS = (
    Operation(op.identity),
    Operation(op.autocontrast),
    Operation(op.equalize),
    Operation(op.rotate, 30, 135, two_sided=True),
    Operation(op.solarize, 256, 256),
    Operation(op.posterize, 4, 6),
    Operation(op.more_colour, 0.9, 0.99, two_sided=True),
    Operation(op.more_contrast, 0.9, 0.99, two_sided=True),
    Operation(op.brighten, 0.9, 0.99, two_sided=True),
    Operation(op.sharpen, 0.9, 0.99, two_sided=True),
    Operation(op.shear_x, 0.3, 0.99, two_sided=True),
    Operation(op.shear_y, 0.3, 0.99, two_sided=True),
    Operation(op.translate_x, 0.45, 0.5, two_sided=True),
    Operation(op.translate_y, 0.45, 0.5, two_sided=True),
)
"""The papers' fourteen; the ranges are torchvision's, translations as shares of a side. TrivialAugment's translation of
32 pixels would leave nothing of a small image: here half of it stays."""


def randaugment(images: Tensor, chance: Chance, count: int, magnitude: int = 9) -> Tensor:
    """`count` operations in turn, each drawn anew for each image, all of one magnitude (Cubuk et al. 2020)."""
    magnitudes = torch.full((len(images),), magnitude / LEVELS)
    most = torch.tensor([operation.randaugment for operation in OPERATIONS])
    for _ in range(count):
        images = drawn_operations(images, chance, magnitudes, most)
    return images


def trivialaugment(images: Tensor, chance: Chance, probability: float) -> Tensor:
    """One operation of random magnitude, each image with this probability (Müller & Hutter 2021: always)."""
    levels = torch.randint(LEVELS + 1, (len(images),), generator=chance.generator) / LEVELS
    levels[chance.uniform(len(images)) >= probability] = -1.0
    return drawn_operations(images, chance, levels, torch.tensor([o.trivialaugment for o in OPERATIONS]))


def drawn_operations(images: Tensor, chance: Chance, magnitudes: Tensor, most: Tensor) -> Tensor:
    """Each image through an operation drawn for it, at its magnitude (0..1 of the `most`); below 0: left alone."""
    n = len(images)
    drawn = torch.randint(len(OPERATIONS), (n,), generator=chance.generator)
    sides = torch.randint(2, (n,), generator=chance.generator) * 2.0 - 1.0
    two_sided = torch.tensor([operation.two_sided for operation in OPERATIONS])
    amounts = magnitudes * most[drawn] * torch.where(two_sided[drawn], sides, 1.0)
    made = images.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format)
    for index, operation in enumerate(OPERATIONS):
        chosen = ((drawn == index) & (magnitudes >= 0)).nonzero().squeeze(1)
        if len(chosen) and operation.function is not op.identity:
            where = chosen.to(images.device)
            some = operation.function(images.index_select(0, where), amounts[chosen].to(images.device))
            made.index_copy_(0, where, some.permute(0, 2, 3, 1))
    return made.permute(0, 3, 1, 2)
