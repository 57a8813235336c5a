"""SqueezeNet for small images: Fire modules, 730,570 parameters for 10 classes (727,626 without norm, as published).

SqueezeNet 1.1 of Iandola et al. (2016), with batch norm, a first convolution that keeps the size (32 pixels need no
halving there), and no activation on the logits: 23 M multiply-adds at 32×32 pixels.
"""

import torch
from torch import Tensor, nn

from tenfold.models import blocks

FIRST = 64
"""Channels of the first convolution."""

STAGES = (
    ((16, 64), (16, 64)),
    ((32, 128), (32, 128)),
    ((48, 192), (48, 192), (64, 256), (64, 256)),
)
"""(squeeze, expand) of each Fire module, which has 2 · expand channels; before each stage the map is halved."""

SMALLEST_IMAGE = 8
"""Below this, the third pooling would leave nothing."""


class SqueezeNet(nn.Module):
    """conv 3×3 → three stages of Fire modules, pooled before each → mean over the map → linear; logits out."""

    def __init__(
        self,
        channels: int,
        size: int,
        classes: int,
        *,
        norm: str = "batch",
        activation: str = "relu",
        width: float = 1.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        blocks.require_size("squeezenet", size, SMALLEST_IMAGE)
        before = blocks.eighths(width, FIRST)
        self.conv = blocks.Conv(channels, before, 3, norm, activation)
        stages = []
        for row in STAGES:
            fires = []
            for pair in row:
                squeeze, expand = (blocks.eighths(width, count) for count in pair)
                fires.append(Fire(before, squeeze, expand, norm, activation))
                before = 2 * expand
            stages.append(nn.Sequential(*fires))
        self.stages = nn.ModuleList(stages)
        self.pool = nn.MaxPool2d(2)
        self.dropout = blocks.dropout(dropout)
        self.fc = nn.Linear(before, classes)
        blocks.begin(self, self.fc)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] of at least 8 pixels to logits [N, classes]."""
        x = self.conv(x)
        for stage in self.stages:
            x = stage(self.pool(x))
        return self.fc(self.dropout(x.mean((2, 3))))  # type: ignore[no-any-return]


class Fire(nn.Module):
    """1×1 to few channels, then 1×1 and 3×3 side by side to many."""

    def __init__(self, before: int, squeeze: int, expand: int, norm: str, activation: str) -> None:
        super().__init__()
        self.squeeze = blocks.Conv(before, squeeze, 1, norm, activation)
        self.expand1 = blocks.Conv(squeeze, expand, 1, norm, activation)
        self.expand3 = blocks.Conv(squeeze, expand, 3, norm, activation)

    def forward(self, x: Tensor) -> Tensor:
        """[N, before, H, W] to [N, 2 · expand, H, W]."""
        x = self.squeeze(x)
        return torch.cat((self.expand1(x), self.expand3(x)), 1)
