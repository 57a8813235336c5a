"""Two images made one, and their labels with them (soft targets).

Each function takes uint8 images [N, C, H, W] and targets float32 [N, classes] and returns new ones of that kind.
Every image is the partner of one other, and has a share of its own.
"""

import torch
from torch import Tensor

from tenfold.augmentations.chance import Chance
from tenfold.augmentations.colour import blended
from tenfold.augmentations.erasing import boxes, replaced


def mixup(images: Tensor, targets: Tensor, chance: Chance, alpha: float) -> tuple[Tensor, Tensor]:
    """Laid over each other: share · image + (1 − share) · partner, by Beta(alpha, alpha) (Zhang et al. 2018)."""
    share, partner = drawn(images, chance, alpha)
    return blended(images[partner].float(), images, share), shared(targets, targets[partner], share)


def cutmix(images: Tensor, targets: Tensor, chance: Chance, alpha: float) -> tuple[Tensor, Tensor]:
    """A box of the partner pasted in, about 1 − Beta(alpha, alpha) of the area; labels by area (Yun et al. 2019)."""
    share, partner = drawn(images, chance, alpha)
    _, _, h, w = images.shape
    side = (1 - share).sqrt().cpu()
    high, wide = (h * side).round().long(), (w * side).round().long()
    centre = (torch.rand(2, len(images), generator=chance.generator) * torch.tensor([[h], [w]])).long()
    pasted = boxes(h, w, centre - torch.stack((high, wide)) // 2, high, wide).to(images.device)
    kept = 1 - pasted.float().mean((1, 2, 3))
    return replaced(images, pasted, images[partner]), shared(targets, targets[partner], kept)


def drawn(images: Tensor, chance: Chance, alpha: float) -> tuple[Tensor, Tensor]:
    """How much of itself each image keeps, [N], and which image its partner is, [N]."""
    share = chance.beta(len(images), alpha)
    partner = torch.randperm(len(images), generator=chance.generator)
    return share.to(images.device), partner.to(images.device)


def shared(targets: Tensor, others: Tensor, share: Tensor) -> Tensor:
    """share · target + (1 − share) · the partner's."""
    return others + share[:, None] * (targets - others)
