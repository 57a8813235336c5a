"""Colours: light, contrast, saturation and hue, each image by a factor of its own."""

import torch
from torch import Tensor

from tenfold.augmentations.chance import Chance

GREY = (0.299, 0.587, 0.114)
"""How bright red, green and blue look (ITU-R BT.601, as Pillow has it)."""


def brightness(images: Tensor, chance: Chance, strength: float) -> Tensor:
    """All pixels times a factor between 1 − strength and 1 + strength."""
    return brightened(images, around_one(images, chance, strength))


def contrast(images: Tensor, chance: Chance, strength: float) -> Tensor:
    """Away from the image's mean grey, or towards it, by a factor between 1 − strength and 1 + strength."""
    return contrasted(images, around_one(images, chance, strength))


def saturation(images: Tensor, chance: Chance, strength: float) -> Tensor:
    """Away from each pixel's grey, or towards it, by a factor between 1 − strength and 1 + strength."""
    return saturated(images, around_one(images, chance, strength))


def hue(images: Tensor, chance: Chance, strength: float) -> Tensor:
    """Turn the colour wheel by up to `strength` of a turn either way."""
    return hue_turned(images, chance.uniform(len(images), -strength, strength).to(images.device))


def around_one(images: Tensor, chance: Chance, strength: float) -> Tensor:
    """A factor [N] for each image."""
    return chance.uniform(len(images), 1 - strength, 1 + strength).to(images.device)


def brightened(images: Tensor, factor: Tensor) -> Tensor:
    """Black at factor 0, unchanged at 1."""
    return in_bytes(images.float() * each(factor))


def contrasted(images: Tensor, factor: Tensor) -> Tensor:
    """The mean grey of the image at factor 0, unchanged at 1."""
    return blended(grey(images).mean((1, 2, 3), keepdim=True), images, factor)


def saturated(images: Tensor, factor: Tensor) -> Tensor:
    """Grey at factor 0, unchanged at 1."""
    return blended(grey(images), images, factor)


def hue_turned(images: Tensor, turn: Tensor) -> Tensor:
    """The hue of every pixel moved by a part of a turn; value and saturation (of HSV) stay."""
    red, green, blue = images.permute(1, 0, 2, 3).contiguous().float()
    value = torch.maximum(torch.maximum(red, green), blue)
    chroma = value - torch.minimum(torch.minimum(red, green), blue)
    some = chroma.clamp(min=1)
    sixths = torch.where(value == green, (blue - red) / some + 2, (red - green) / some + 4)
    sixths = torch.where(value == red, (green - blue) / some, sixths) + 6 * turn[:, None, None]
    around = ((start + sixths) / 6 for start in (5, 3, 1))
    distances = (6 * (part - part.floor()) for part in around)  # % takes several times as long
    turned = [value - chroma * torch.minimum(d, 4 - d).clamp(0, 1) for d in distances]
    return in_bytes(torch.stack(turned, 1))


def grey(images: Tensor) -> Tensor:
    """How bright each pixel looks: float32 [N, 1, H, W]."""
    red, green, blue = images.permute(1, 0, 2, 3).contiguous().float()
    seen: Tensor = GREY[0] * red + GREY[1] * green + GREY[2] * blue
    return seen[:, None]


def blended(other: Tensor, images: Tensor, factor: Tensor) -> Tensor:
    """`other` at factor 0, the images at 1, beyond them above."""
    return in_bytes(other + each(factor) * (images.float() - other))


def each(values: Tensor) -> Tensor:
    """A value [N] of each image, to be combined with its pixels."""
    return values.view(-1, 1, 1, 1)


def in_bytes(values: Tensor) -> Tensor:
    """Rounded to uint8 [N, C, H, W], channels-last."""
    return values.round_().clamp_(0, 255).to(torch.uint8).contiguous(memory_format=torch.channels_last)
