"""Images of the evaluation that are made of the same pixels as training images: cut, moved or flipped copies."""

import itertools
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK, COARSE = 6, 12
VARIED = 25
"""A block of so many different values is not found elsewhere by chance."""
MOST_VALUES = 40_000_000
MOVED, GRAINS = 2, 32
"""Copies may be moved by so many pixels; larger images are made at most so large."""
SAME = 0.9
"""The correlation of what differs from pixel to pixel in copies, brighter ones and moved ones too."""


@dataclass(frozen=True)
class Resemblance:
    """Shares of the images of the evaluation."""

    pixels: float
    """That hold a block of pixels which a training image holds too, somewhere, as it is or flipped."""
    near: float
    """That are far nearer to one training image than to the thirtieth."""


def resemblance(training: Tensor, judging: Tensor) -> Resemblance:
    """Images float [N, C, H, W] of both."""
    return Resemblance(shared_pixels(training, judging), nearer(training, judging))


def shared_pixels(training: Tensor, judging: Tensor) -> float:
    """The share of images whose middle or one of whose corners lies in a training image, number for number."""
    h, w = judging.shape[-2:]
    if min(h, w) < BLOCK or training.numel() > MOST_VALUES:
        return 0.0
    corners = itertools.product(*({0, (side - BLOCK) // 2, side - BLOCK} for side in (h, w)))
    blocks = torch.stack([judging[:400, ..., y : y + BLOCK, x : x + BLOCK].double() for y, x in sorted(corners)], 1)
    flat = blocks.flatten(2)
    different = (flat.sort(2).values.diff(dim=2) != 0).sum(2) + 1
    varied = different >= min(VARIED, 0.8 * flat.shape[2])
    if int(varied.any(1).sum()) < 20:
        return 0.0
    level = float(blocks.mean())
    chance = torch.Generator().manual_seed(0)
    kernels = torch.randn(2, *blocks.shape[2:], dtype=torch.float64, generator=chance)
    wanted = F.conv2d((blocks - level)[varied], kernels).flatten(1)
    found = torch.zeros(len(wanted), dtype=torch.bool)
    both = torch.cat([kernels, kernels.flip(-1)])
    places = torch.cat(
        [F.conv2d(part.double() - level, both).transpose(0, 1).flatten(1) for part in training.split(100)], 1
    )
    for there in places.split(2):
        first, order = there[0].sort()
        at = torch.searchsorted(first, wanted[:, 0].contiguous()).clamp(1, len(first) - 1)
        for near in (at, at - 1):
            found |= ((there[:, order[near]].T - wanted).abs() <= 1e-9 * wanted.abs()).all(1)
    shared = torch.zeros_like(varied)
    shared[varied] = found
    asked = varied.any(1)
    return float(shared.any(1)[asked].float().mean())


def nearer(training: Tensor, judging: Tensor) -> float:
    """The share of images that have one or a few near copies in training, flipped ones too."""
    known, asked = coarse(training[:3000]), coarse(judging[:300])
    if len(known) < 100:
        return 0.0
    flipped = known.flip(-1)
    alike = torch.maximum(asked.flatten(1) @ known.flatten(1).T, asked.flatten(1) @ flipped.flatten(1).T)
    far = 1 - alike.sort(1, descending=True).values[:, :40]
    return float((far[:, 0] < 0.3 * far[:, 39].clamp(min=0.02)).float().mean())


def same_grain(training: Tensor, judging: Tensor) -> float:
    """The share of images whose noise and edges lie in one or a few training images, moved by up to two pixels."""
    known, asked = grain(training[:1500]), grain(judging[:40])
    if len(known) < 100 or min(asked.shape[-2:]) < 4 * MOVED:
        return 0.0
    h, w = (side - 2 * MOVED for side in asked.shape[-2:])
    wanted = F.normalize(asked[..., MOVED : MOVED + h, MOVED : MOVED + w].flatten(1))
    alike = torch.full((len(asked), len(known)), -1.0)
    for there in (known, known.flip(-1)):
        for y in range(2 * MOVED + 1):
            for x in range(2 * MOVED + 1):
                part = F.normalize(there[..., y : y + h, x : x + w].flatten(1))
                alike = torch.maximum(alike, wanted @ part.T)
    best = alike.sort(1, descending=True).values[:, :40]
    copies = (best[:, 0] > SAME) & (1 - best[:, 0] < 0.5 * (1 - best[:, 39]))  # drawings may have edges in common
    return float(copies.float().mean())


def grain(images: Tensor) -> Tensor:
    """What differs from pixel to pixel, of images not larger than GRAINS."""
    values = images.detach().float()
    side = max(values.shape[-2:])
    if side > GRAINS:
        values = F.avg_pool2d(values, -(-side // GRAINS), ceil_mode=True)
    return values - F.avg_pool2d(values, 3, 1, 1, count_include_pad=False)


def coarse(images: Tensor) -> Tensor:
    """Small images of mean 0 and length 1."""
    values = F.adaptive_avg_pool2d(images.float(), min(COARSE, *images.shape[-2:]))
    values = values - values.mean((1, 2, 3), keepdim=True)
    length: Tensor = values.flatten(1).norm(dim=1)
    return values / (length[:, None, None, None] + 1e-9)


def variants(drawn: float, different: float) -> float:
    """Of how many equally likely drawings so many were drawn, of which so many are different; infinite if all are."""
    if different >= drawn:
        return math.inf
    low, high = 1e-6, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if (1 - math.exp(-middle)) / middle < different / drawn else (middle, high)
    return drawn / low


def by_chance(different: float) -> float:
    """The share of images that other drawings are equal to, where of those drawn so many are different ones."""
    return 1 - math.exp(-1 / variants(1, different)) if different < 1 else 0.0
