"""Sprint: a net for few epochs, 1,972,792 parameters for 10 classes, 118 M multiply-adds at 32×32 pixels.

After airbench94_muon (Jordan, arXiv 2404.00498): frozen whitening filters, identity initialisation, batch norm without
a trained scale. Measured there with Muon, batch 2,000, 8 epochs: 94.01 % on CIFAR-10's test images with six views.
Twice as wide, with depth 3, it is the net of airbench96: 96.01 % there.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from tenfold.errors import RecipeError
from tenfold.models import blocks

SMALLEST_IMAGE = 9
"""Below this, the third pooling would leave nothing."""

PATCH = 2
"""Side of the patches that the first layer whitens."""

WHITENING_FLOOR = 5e-4
"""Added to the patches' eigenvalues, so that directions that hold only noise are not blown up."""

LOOKED_AT_ONCE = 500
"""Images whose patches are in memory at the same time."""


class Sprint(nn.Module):
    """Frozen whitening → 3 × (conv, pool, norm, conv, norm) → max over the map → linear; logits out."""

    def __init__(
        self,
        channels: int,
        size: int,
        classes: int,
        *,
        activation: str = "gelu",
        width: float = 1.0,
        depth: int = 2,
        whiten_bias_epochs: int = 3,
        whiten: bool = True,
        identity_start: bool = True,
    ) -> None:
        super().__init__()
        blocks.require_size("sprint", size, SMALLEST_IMAGE)
        if depth not in (2, 3):
            raise RecipeError(f"sprint's groups have 2 or 3 convolutions, not {depth}.", "Give --model.depth 2 or 3.")
        self.whitens, self.whiten_bias_epochs = whiten, whiten_bias_epochs
        c0 = 2 * channels * PATCH**2
        c1, c2, c3 = (blocks.eighths(width, n) for n in (64, 256, 256))
        self.whiten = nn.Conv2d(channels, c0, PATCH)
        self.whiten.weight.requires_grad = not whiten
        self.activation = blocks.activation(activation)
        self.group1 = Group(c0, c1, activation, depth, identity_start)
        self.group2 = Group(c1, c2, activation, depth, identity_start)
        self.group3 = Group(c2, c3, activation, depth, identity_start)
        self.head = nn.Linear(c3, classes, bias=False)
        with torch.no_grad():
            self.head.weight.div_(self.head.weight.std())

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] of any size from 9 pixels to logits [N, classes]."""
        x = self.activation(self.whiten(x))
        x = self.group3(self.group2(self.group1(x)))
        x = max_pool2d(x, x.shape[2:]).flatten(1)
        return self.head(x) / x.shape[1]  # type: ignore[no-any-return]

    def look_at(self, pixels: Tensor) -> None:
        """Set the first layer's filters so that they whiten patches of these normalised images [N, C, H, W]."""
        if not self.whitens:
            return
        filters = whitening_filters(pixels)
        with torch.no_grad():
            self.whiten.weight.copy_(torch.cat((filters, -filters)))

    def trained_until(self) -> dict[str, int]:
        """Parameters that are trained for so many epochs only."""
        return {"whiten.bias": self.whiten_bias_epochs} if self.whitens else {}


class Group(nn.Module):
    """conv 3×3 → max pool 2 → norm → activation → conv 3×3 → norm → activation.

    Depth 3: another conv 3×3 → norm, to which the map after the pooling is added, → activation.
    """

    def __init__(self, before: int, channels: int, activation: str, depth: int, identity: bool) -> None:
        super().__init__()
        self.conv1 = conv3(before, channels, identity)
        self.pool = nn.MaxPool2d(2)
        self.norm1 = offset_norm(channels, activation)
        self.conv2 = conv3(channels, channels, identity)
        self.norm2 = offset_norm(channels, activation)
        self.conv3 = conv3(channels, channels, identity) if depth == 3 else None
        self.norm3 = offset_norm(channels, activation) if depth == 3 else None

    def forward(self, x: Tensor) -> Tensor:
        """[N, before, H, W] to [N, channels, H // 2, W // 2]."""
        shortcut = self.norm1(self.pool(self.conv1(x)))
        x = self.norm2(self.conv2(shortcut))
        if self.conv3 is not None and self.norm3 is not None:
            x = self.norm3(self.conv3(x), shortcut)
        return x


def conv3(before: int, after: int, identity: bool) -> nn.Conv2d:
    """A 3×3 convolution that keeps the size; identity: its first `before` filters begin by passing the input on."""
    conv = nn.Conv2d(before, after, 3, padding=1, bias=False)
    if identity:
        nn.init.dirac_(conv.weight[:before].data)
    return conv


def offset_norm(channels: int, activation: str) -> nn.Module:
    """Batch norm whose scale stays 1, only the offset is trained; then the activation."""
    norm = blocks.ActivatedBatchNorm(channels, activation, eps=1e-12, momentum=0.4)
    norm.weight.requires_grad = False
    return norm


def whitening_filters(pixels: Tensor) -> Tensor:
    """Filters [4·C, C, 2, 2] to outputs of unit variance and no correlation, for patches of images [N, C, H, W].

    The eigenvectors of the patches' covariance over the root of their eigenvalues, the largest first.
    """
    channels = pixels.shape[1]
    values, vectors = torch.linalg.eigh(patch_covariance(pixels))
    filters: Tensor = (vectors / (values + WHITENING_FLOOR).sqrt()).T.flip(0)
    # An eigenvector's sign is the library's whim: let the largest entry be positive.
    largest = filters.gather(1, filters.abs().argmax(1, keepdim=True))
    return (filters * largest.sign()).view(-1, channels, PATCH, PATCH).float()


def patch_covariance(pixels: Tensor) -> Tensor:
    """Covariance float64 [4·C, 4·C] of all 2×2 patches, on the CPU."""
    count, total, products = 0, torch.tensor(0.0), torch.tensor(0.0)
    for part in pixels.cpu().split(LOOKED_AT_ONCE):
        patches = nn.functional.unfold(part.contiguous(), PATCH).transpose(1, 2).flatten(0, 1).double()
        count += len(patches)
        total = total + patches.sum(0)
        products = products + patches.T @ patches
    mean = total / count
    return products / count - mean.outer(mean)
