"""VGG-11 for small images: a plain net of 3×3 convolutions, 9,228,362 parameters for 10 classes.

Configuration A of Simonyan & Zisserman (2015), table 1, with batch norm; the mean over the map takes the place of
the last pooling, and one linear layer that of three. 153 M multiply-adds at 32×32 pixels.
"""

from torch import Tensor, nn

from tenfold.models import blocks

STAGES = ((64,), (128,), (256, 256), (512, 512), (512, 512))
"""Channels of the convolutions of each stage; between two stages the map is halved."""

SMALLEST_IMAGE = 16
"""Below this, the fourth pooling would leave nothing."""


class VGG11(nn.Module):
    """Five stages of 3×3 convolutions with poolings between → mean over the map → linear; a plain net, logits out."""

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
        blocks.require_size("vgg11", size, SMALLEST_IMAGE)
        before, stages = channels, []
        for row in STAGES:
            convs = []
            for count in row:
                after = blocks.eighths(width, count)
                convs.append(blocks.Conv(before, after, 3, norm, activation))
                before = after
            stages.append(nn.Sequential(*convs))
        self.stages = nn.ModuleList(stages)
        self.pool = nn.MaxPool2d(2)
        self.dropout = blocks.dropout(dropout)
        self.fc = nn.Linear(before, classes)
        blocks.begin(self, self.fc)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] of at least 16 pixels to logits [N, classes]."""
        x = self.stages[0](x)
        for stage in self.stages[1:]:
            x = stage(self.pool(x))
        return self.fc(self.dropout(x.mean((2, 3))))  # type: ignore[no-any-return]
