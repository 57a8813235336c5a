"""SimpleNN: the LeNet-like net of the lab, 82,006 parameters for 10 classes at 32×32 pixels."""

from torch import Tensor, nn

from tenfold.errors import lookup
from tenfold.models import blocks

SMALLEST_IMAGE = 12
"""Below this, the second pooling would leave nothing."""


class SimpleNN(nn.Module):
    """conv 5×5 → pool → conv 3×3 → pool → three linear layers; logits out, no activation on them unless asked for."""

    def __init__(
        self,
        channels: int,
        size: int,
        classes: int,
        *,
        norm: str = "none",
        activation: str = "relu",
        width: float = 1.0,
        dropout: float = 0.0,
        adaptive_pool: bool = False,
        head_activation: str = "none",
    ) -> None:
        super().__init__()
        c1, c2, f1, f2 = (max(1, round(width * n)) for n in (8, 16, 120, 84))
        self.conv1 = nn.Conv2d(channels, c1, 5, bias=False)
        self.norm1 = blocks.norm(norm, c1)
        self.conv2 = nn.Conv2d(c1, c2, 3, bias=False)
        self.norm2 = blocks.norm(norm, c2)
        self.pool = nn.MaxPool2d(2)
        self.activation = blocks.activation(activation)
        self.monotone = activation in blocks.MONOTONE
        self.dropout = blocks.dropout(dropout)
        side = feature_side(size)
        self.fit = blocks.FittedAvgPool2d(side) if adaptive_pool else nn.Identity()
        self.fc1 = nn.Linear(c2 * side**2, f1)
        self.fc2 = nn.Linear(f1, f2)
        self.fc3 = nn.Linear(f2, classes)
        self.head = lookup(blocks.HEADS, head_activation, "head activation")()

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] to logits [N, classes]."""
        x = self.activate_and_pool(self.norm1(self.conv1(x)))
        x = self.activate_and_pool(self.norm2(self.conv2(x)))
        x = self.dropout(self.activation(self.fc1(self.fit(x).flatten(1))))
        x = self.dropout(self.activation(self.fc2(x)))
        return self.head(self.fc3(x))  # type: ignore[no-any-return]

    def activate_and_pool(self, x: Tensor) -> Tensor:
        """Activation, then max pooling; a monotone activation commutes with the maximum, so it may see a quarter."""
        return self.activation(self.pool(x)) if self.monotone else self.pool(self.activation(x))  # type: ignore[no-any-return]


def feature_side(size: int) -> int:
    """Side of the map that fc1 reads, for images of `size` pixels: 6 at 32."""
    blocks.require_size("simplenn", size, SMALLEST_IMAGE)
    return ((size - 4) // 2 - 2) // 2
