"""Chance: what decides over one batch, as an argument of every augmentation."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Chance:
    """What decides over one batch: fresh random numbers, and what its images keep from epoch to epoch."""

    generator: torch.Generator
    epoch: int
    lots: Tensor
    """[N]: a number in 0..1 for each image, the same in every epoch."""

    def uniform(self, count: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """[count] numbers between `low` and `high`."""
        return low + (high - low) * torch.rand(count, generator=self.generator)

    def beta(self, count: int, alpha: float) -> Tensor:
        """[count] numbers in 0..1 from Beta(alpha, alpha): near 0 and 1 for small alpha, near a half for large."""
        a, b = torch._standard_gamma(torch.full((2, count), alpha, dtype=torch.float64), generator=self.generator)
        # Both can be too small for any number, if alpha is: then the image stays whole.
        return torch.where(a + b > 0, a / (a + b), 1.0).float()
