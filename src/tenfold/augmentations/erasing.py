"""Parts of an image hidden, so that the net must not rely on any one of them."""

import torch
from torch import Tensor

from tenfold.augmentations.chance import Chance

AREA = (0.02, 0.33)
"""Smallest and largest share of an image that `erase` covers (Zhong et al. 2020)."""
ASPECT = 3.3
"""Height by width of an erased part, at most; its inverse at least."""


def cutout(images: Tensor, chance: Chance, size: int) -> Tensor:
    """Cover a size×size square around a random pixel with the image's mean colour (DeVries & Taylor 2017).

    Near the edge a part of the square lies outside, as in the paper.
    """
    n, _, h, w = images.shape
    sides = torch.full((n,), size)
    centre = (torch.rand(2, n, generator=chance.generator) * torch.tensor([[h], [w]])).long()
    hidden = boxes(h, w, centre - size // 2, sides, sides).to(images.device)
    mean = images.float().mean((2, 3), keepdim=True).round().to(torch.uint8)
    return replaced(images, hidden, mean)


def erase(images: Tensor, chance: Chance, probability: float) -> Tensor:
    """Random erasing, each image with this probability: a rectangle of 2 to 33 % becomes noise (Zhong et al. 2020)."""
    n, c, h, w = images.shape
    chosen, area = chance.uniform(n) < probability, chance.uniform(n, *AREA)
    aspect = ASPECT ** chance.uniform(n, -1, 1)
    high = (h * (area * aspect).sqrt()).round().clamp(1, h).long() * chosen
    wide = (w * (area / aspect).sqrt()).round().clamp(1, w).long() * chosen
    room = torch.stack((h - high + 1, w - wide + 1))
    corner = (torch.rand(2, n, generator=chance.generator) * room).long()
    hidden = boxes(h, w, corner, high, wide).to(images.device)
    noise = torch.randint(256, (n, h, w, c), generator=chance.generator, dtype=torch.uint8).to(images.device)
    return replaced(images, hidden, noise.permute(0, 3, 1, 2))


def replaced(images: Tensor, hidden: Tensor, by: Tensor) -> Tensor:
    """`by` where hidden, the images elsewhere."""
    return torch.where(hidden, by, images).contiguous(memory_format=torch.channels_last)


def boxes(h: int, w: int, corner: Tensor, high: Tensor, wide: Tensor) -> Tensor:
    """bool [N, 1, H, W]: inside the box with the upper left corner [2, N] and the sides [N], which may stick out."""
    down, right = torch.arange(h) - corner[0][:, None], torch.arange(w) - corner[1][:, None]
    rows, columns = (down >= 0) & (down < high[:, None]), (right >= 0) & (right < wide[:, None])
    return (rows[:, :, None] & columns[:, None, :])[:, None]
