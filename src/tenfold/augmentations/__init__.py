"""Augmentations: a batch in, a batch out, chance as an argument.

Every function takes uint8 images [N, C, H, W] and returns a new uint8 batch, channels-last; random numbers are
drawn on the CPU, so that a GPU sees the same pictures. To add one: a function here, its entry in AUGMENTATIONS,
and an option of the same name in recipe.AugmentOptions whose 0 means off (`NAME_…` options become keywords).
Those in MIXES also take and return targets.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from tenfold.augmentations.chance import Chance
from tenfold.augmentations.colour import brightness, contrast, hue, saturation
from tenfold.augmentations.erasing import cutout, erase
from tenfold.augmentations.geometry import center_crop, crop, horizontal_flip, pad, padded_rows, vertical_flip
from tenfold.augmentations.mixing import cutmix, mixup
from tenfold.augmentations.policies import randaugment, trivialaugment
from tenfold.recipe import AugmentOptions

__all__ = ["AUGMENTATIONS", "MIXES", "Chance", "augment", "mix", "padded_rows"]

AUGMENTATIONS: dict[str, Callable[..., Tensor]] = {
    "center_crop": center_crop,
    "pad": pad,
    "crop": crop,
    "horizontal_flip": horizontal_flip,
    "vertical_flip": vertical_flip,
    "randaugment": randaugment,
    "trivialaugment": trivialaugment,
    "brightness": brightness,
    "contrast": contrast,
    "saturation": saturation,
    "hue": hue,
    "cutout": cutout,
    "erase": erase,
}

MIXES: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {"mixup": mixup, "cutmix": cutmix}
"""What makes one image of two; where several are switched on, each batch gets one of them."""


def augment(images: Tensor, options: AugmentOptions, chance: Chance) -> Tensor:
    """Every augmentation that is switched on, in the registry's order."""
    values = options.model_dump()
    for name, function in AUGMENTATIONS.items():
        if values[name]:
            details = {
                key.removeprefix(f"{name}_"): value for key, value in values.items() if key.startswith(f"{name}_")
            }
            images = function(images, chance, values[name], **details)
    return images


def mix(images: Tensor, labels: Tensor, options: AugmentOptions, chance: Chance, classes: int) -> tuple[Tensor, Tensor]:
    """Images mixed in pairs with targets float32 [N, classes]; images and labels [N] as they are where that is off."""
    on = [name for name in MIXES if getattr(options, name)]
    if not on:
        return images, labels
    name = on[int(torch.randint(len(on), (), generator=chance.generator))]
    return MIXES[name](images, one_hot(labels, classes).float(), chance, getattr(options, name))
