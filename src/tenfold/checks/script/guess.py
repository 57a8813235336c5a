"""A quick classifier that asks whether labels can be told from images at all: random patches, pooled, and a ridge.

It has no steps and no rate, so that what it cannot tell is not for want of training; seconds for some thousand images.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE, FILTERS, SIZE, MOST = 24, 128, 5, 800
"""Images are pooled to at most this side; patches and their size; how many images are looked at."""


@dataclass(frozen=True)
class Guesser:
    """What was fitted."""

    kernels: Tensor
    bias: Tensor
    mean: Tensor
    scale: Tensor
    weights: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        """Scores [N, classes]."""
        values = (features(images, self.kernels, self.bias) - self.mean) / self.scale
        return F.pad(values, (0, 1), value=1.0) @ self.weights


def small(images: Tensor) -> Tensor:
    """Images float [N, C, H, W] of mean 0 and deviation 1, not larger than SIDE."""
    values = images.detach().float()[:MOST]
    side = max(values.shape[-2:])
    if side > SIDE:
        values = F.avg_pool2d(values, -(-side // SIDE), ceil_mode=True)
    return (values - values.mean()) / (values.std() + 1e-6)


def patches(images: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Kernels made of whitened patches of the images, and their thresholds."""
    chance = torch.Generator().manual_seed(0)
    some = images[torch.randperm(len(images), generator=chance)[:200]]
    columns = F.unfold(some, size).transpose(1, 2).flatten(0, 1)
    columns = columns[torch.randperm(len(columns), generator=chance)[:4000]]
    middle = columns.mean(0)
    centred = columns - middle
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(columns))
    whiten = vectors @ torch.diag((values + 0.1 * values.mean() + 1e-8).rsqrt()) @ vectors.T
    chosen = F.normalize(centred[:FILTERS] @ whiten, dim=1) @ whiten
    return chosen.reshape(-1, images.shape[1], size, size), -(chosen @ middle)


def features(images: Tensor, kernels: Tensor, bias: Tensor) -> Tensor:
    """Where which patch occurs, over quarters, and how strongly at all."""
    found = []
    for part in images.split(200):
        maps = F.conv2d(part, kernels, bias, padding=kernels.shape[-1] // 2)
        maps = torch.cat([F.relu(maps - 0.5), F.relu(-maps - 0.5)], 1)
        mean, most = F.adaptive_avg_pool2d(maps, 3), F.adaptive_max_pool2d(maps, 1)
        found.append(torch.cat([mean.flatten(1), most.flatten(1)], 1))
    return torch.cat(found)


def fit(images: Tensor, labels: Tensor, classes: int) -> tuple[Guesser, Tensor]:
    """A guesser from small images and labels [N], and for each image the scores it would give without that one."""
    kernels, bias = patches(images, min(SIZE, *images.shape[-2:]))
    values = features(images, kernels, bias)
    mean, scale = values.mean(0), values.std(0) + 1e-6
    values = F.pad((values - mean) / scale, (0, 1), value=1.0)
    targets = F.one_hot(labels, classes).float()
    targets = targets - targets.mean(0)
    gram = values @ values.T
    inverse = torch.linalg.inv(gram + 0.1 * gram.diagonal().mean() * torch.eye(len(gram)))
    solved = inverse @ targets
    left_out = targets - solved / inverse.diagonal()[:, None]
    return Guesser(kernels, bias, mean, scale, values.T @ solved), left_out


def confusion(truth: Tensor, guessed: Tensor, classes: int) -> Tensor:
    """Rows are the true classes and sum to 1."""
    table = torch.zeros(classes, classes)
    table.index_put_((truth, guessed), torch.ones(len(truth)), accumulate=True)
    return table / table.sum(1, keepdim=True).clamp(min=1)
