"""MobileNet for small images: depthwise-separable convolutions, 3,217,226 parameters for 10 classes.

Howard et al. (2017), table 1, with its first and one later halving left out, since 32 pixels need fewer than 224 do:
46 M multiply-adds at 32×32 pixels.
"""

from torch import Tensor, nn

from tenfold.models import blocks

FIRST = 32
"""Channels of the first convolution, the only full one."""

BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
"""Channels and stride of each depthwise-separable block."""


class MobileNet(nn.Module):
    """conv 3×3 → 13 depthwise-separable blocks → mean over the map → linear; logits out, for images of any size."""

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
        before = blocks.eighths(width, FIRST)
        self.conv = blocks.Conv(channels, before, 3, norm, activation)
        separable = []
        for count, stride in BLOCKS:
            after = blocks.eighths(width, count)
            separable.append(Separable(before, after, stride, norm, activation))
            before = after
        self.blocks = nn.Sequential(*separable)
        self.dropout = blocks.dropout(dropout)
        self.fc = nn.Linear(before, classes)
        blocks.begin(self, self.fc)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] to logits [N, classes]."""
        x = self.blocks(self.conv(x))
        return self.fc(self.dropout(x.mean((2, 3))))  # type: ignore[no-any-return]


class Separable(nn.Module):
    """Depthwise 3×3 (each channel alone), then pointwise 1×1 (each pixel alone): 1/after + 1/9 of a full 3×3's work."""

    def __init__(self, before: int, after: int, stride: int, norm: str, activation: str) -> None:
        super().__init__()
        self.depthwise = blocks.Conv(before, before, 3, norm, activation, stride, groups=before)
        self.pointwise = blocks.Conv(before, after, 1, norm, activation)

    def forward(self, x: Tensor) -> Tensor:
        """[N, before, H, W] to [N, after, ⌈H / stride⌉, ⌈W / stride⌉]."""
        return self.pointwise(self.depthwise(x))  # type: ignore[no-any-return]
