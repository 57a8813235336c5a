"""Crops, borders and mirror images."""

import torch
from torch import Tensor, nn

from tenfold.augmentations.chance import Chance
from tenfold.errors import RecipeError


def center_crop(images: Tensor, chance: Chance, size: int) -> Tensor:
    """The middle size×size pixels. Unlike preprocess.center_crop, only the training images shrink."""
    side = images.shape[-1]
    if size > side:
        raise RecipeError(
            f"augment.center_crop = {size} is larger than the images ({side} pixels).", f"Choose at most {side}."
        )
    start = (side - size) // 2
    return images[..., start : start + size, start : start + size]


def pad(images: Tensor, chance: Chance, pixels: int) -> Tensor:
    """Black borders of `pixels` on every side."""
    return nn.functional.pad(images, (pixels,) * 4)


def crop(images: Tensor, chance: Chance, pixels: int, padding: str = "zero") -> Tensor:
    """Pad by `pixels` on every side ("zero" or "reflect"), then cut each image's size at a random place."""
    n, c, h, w = images.shape
    padded = padded_rows(images, pixels, padding)
    by, bx = torch.randint(2 * pixels + 1, (2, n), generator=chance.generator).to(images.device)
    high, wide = padded.shape[1:3]
    # Every line of w pixels as a (overlapping) row; picking whole rows is several times faster than a gather of pixels.
    lines = padded.as_strided((n * high * wide - w + 1, w * c), (c, 1))
    top = torch.arange(n, device=images.device) * high + by
    line = (top[:, None] + torch.arange(h, device=images.device)) * wide + bx[:, None]
    return lines.index_select(0, line.view(-1)).view(n, h, w, c).permute(0, 3, 1, 2)


def padded_rows(images: Tensor, pixels: int, padding: str) -> Tensor:
    """[N, C, H, W] as contiguous rows [N, H + 2·pixels, W + 2·pixels, C]."""
    rows = images.permute(0, 2, 3, 1)
    n, h, w, c = rows.shape
    if padding == "zero":
        padded = rows.new_zeros(n, h + 2 * pixels, w + 2 * pixels, c)
        padded[:, pixels : pixels + h, pixels : pixels + w] = rows
        return padded
    if pixels >= min(h, w):
        raise RecipeError(
            f"augment.crop = {pixels} cannot reflect images of {min(h, w)} pixels.", "Choose a smaller crop."
        )
    return rows[:, reflected(h, pixels, rows.device)][:, :, reflected(w, pixels, rows.device)].contiguous()


def reflected(length: int, pixels: int, device: torch.device) -> Tensor:
    """Indices −pixels … length+pixels−1, mirrored at both ends without repeating the edge."""
    index = torch.arange(-pixels, length + pixels, device=device).abs()
    return (length - 1) - ((length - 1) - index).abs()


def horizontal_flip(images: Tensor, chance: Chance, probability: float, mode: str = "random") -> Tensor:
    """Mirror left and right, each image with this probability.

    mode "alternating": in even epochs the images that chance chose once, in odd ones the others (arXiv 2404.00498).
    """
    if mode == "alternating":
        chosen = (chance.lots < probability) ^ bool(chance.epoch % 2)
    else:
        chosen = torch.rand(len(images), generator=chance.generator) < probability
    return flip(images, chosen, -1)


def vertical_flip(images: Tensor, chance: Chance, probability: float) -> Tensor:
    """Mirror top and bottom, each image with this probability."""
    return flip(images, torch.rand(len(images), generator=chance.generator) < probability, -2)


def flip(images: Tensor, chosen: Tensor, axis: int) -> Tensor:
    """Mirror the chosen images (bool [N]) along one axis."""
    rows = images.permute(0, 2, 3, 1)
    mirrored = rows.flip({-1: 2, -2: 1}[axis])
    # Both versions of every image, and one whole copy of each: twice as fast as a choice pixel by pixel.
    both = torch.cat((rows, mirrored))
    each = torch.arange(len(images), device=images.device) + len(images) * chosen.to(images.device)
    return both.index_select(0, each).permute(0, 3, 1, 2)
