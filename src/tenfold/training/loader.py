"""The input path: which images come at which step, augmented, straight from uint8 in memory.

The order of an epoch and the augmentation of a step are functions of (seed, epoch, step), so that a resumed run
sees what an uninterrupted one sees. No Python runs per image.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from tenfold.augmentations import Chance, augment, mix
from tenfold.datasets.dataset import Dataset, Rows
from tenfold.datasets.preprocessing import Preprocessing
from tenfold.randomness import generator
from tenfold.recipe import Recipe
from tenfold.training.curriculum import resized, size_at

EVALUATION_BATCH = 500


class Images:
    """Some rows of a dataset, on the device as uint8; memory-mapped data stays on disk and is read batch by batch."""

    def __init__(self, dataset: Dataset, rows: Rows, device: torch.device) -> None:
        self.dataset, self.rows, self.device = dataset, rows, device
        self.labels = torch.from_numpy(dataset.labels[rows]).to(device)
        stored = torch.from_numpy(dataset.images).permute(0, 2, 3, 1)  # [N, H, W, C], as it lies in memory
        self.mapped = isinstance(dataset.images.base, np.memmap) or isinstance(dataset.images, np.memmap)
        if self.mapped or device.type == "cpu":
            self.pixels, self.index = stored, torch.from_numpy(rows)
        else:
            self.pixels, self.index = stored[torch.from_numpy(rows)].to(device), torch.arange(len(rows), device=device)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Images uint8 [n, C, H, W], channels-last, and labels int64 [n] at these positions."""
        positions = positions.to(self.index.device)
        # index_select copies whole images; indexing with [] is five times slower here.
        images = self.pixels.index_select(0, self.index[positions]).permute(0, 3, 1, 2).to(self.device)
        return images, self.labels[positions.to(self.device)]

    def spread(self, wanted: int) -> Tensor:
        """Positions of at most so many images, evenly spread: those of folders come sorted by class."""
        count = min(wanted, len(self))
        return torch.arange(count) * len(self) // count

    def batches(self, size: int = EVALUATION_BATCH) -> Iterator[tuple[Tensor, Tensor]]:
        """All images in order."""
        for positions in torch.arange(len(self)).split(size):
            yield self.take(positions)


class Loader:
    """Training batches: shuffled anew each epoch, cut to the net's size, augmented, of the epoch's size."""

    def __init__(self, images: Images, recipe: Recipe, preprocessing: Preprocessing) -> None:
        self.images, self.preprocessing = images, preprocessing
        self.seed, self.size, self.options = recipe.seed, recipe.batch, recipe.augment
        self.stages = recipe.curriculum
        self.lots = torch.rand(len(images), generator=generator(recipe.seed, "lots"))
        self.steps = -(-len(images) // recipe.batch)
        self.order_of: tuple[int, Tensor] | None = None

    def positions(self, epoch: int, step: int) -> Tensor:
        """Which of the training images the step sees."""
        if self.order_of is None or self.order_of[0] != epoch:
            self.order_of = epoch, torch.randperm(len(self.images), generator=generator(self.seed, "order", epoch))
        return self.order_of[1][step * self.size : (step + 1) * self.size]

    def batch(self, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """Augmented images uint8 [n, C, size, size], and labels int64 [n] or targets float32 [n, classes] (mixed)."""
        positions = self.positions(epoch, step)
        images, labels = self.images.take(positions)
        chance = Chance(generator(self.seed, "augment", epoch, step), epoch, self.lots[positions])
        images = augment(self.preprocessing.crop(images), self.options, chance)
        images = resized(images, size_at(self.stages, epoch))
        chance = Chance(generator(self.seed, "mix", epoch, step), epoch, chance.lots)
        return mix(images, labels, self.options, chance, len(self.images.dataset.classes))
