"""ResNet for small images (He et al. 2016, section 4.2): three stages of n blocks of two 3×3 convolutions."""

from typing import Any

import torch
from torch import Tensor, nn

from tenfold.errors import lookup
from tenfold.models import blocks

STAGES = ((16, 1), (32, 2), (64, 2))
"""Channels of each stage, and the stride of its first block."""

PLACEMENTS = {"all": True, "first": False}
"""Batch norm after every convolution, or only after the first one of each block."""


class ResNet(nn.Module):
    """conv 3×3 → 3 stages of blocks → mean over the map → linear; logits out, for images of any size."""

    depth = 20
    """Layers with weights: 6n + 2."""

    def __init__(
        self,
        channels: int,
        size: int,
        classes: int,
        *,
        shortcut: str = "A",
        norm_placement: str = "all",
        activation: str = "relu",
    ) -> None:
        super().__init__()
        everywhere = lookup(PLACEMENTS, norm_placement, "norm placement")
        self.conv = conv3(channels, STAGES[0][0], 1)
        self.norm = blocks.activated(everywhere, STAGES[0][0], activation)
        before, stages = STAGES[0][0], []
        for after, stride in STAGES:
            stages.append(stage((self.depth - 2) // 6, before, after, stride, shortcut, everywhere, activation))
            before = after
        self.stage1, self.stage2, self.stage3 = stages
        self.fc = nn.Linear(before, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        # So that an untrained net guesses (Goyal et al. 2017, section 5.1): its features are larger than 1.
        nn.init.normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] to logits [N, classes]."""
        x = self.norm(self.conv(x))
        x = self.stage3(self.stage2(self.stage1(x)))
        return self.fc(x.mean((2, 3)))  # type: ignore[no-any-return]


class ResNet20(ResNet):
    """ResNet-20 for small images: 269,722 parameters, 41 M multiply-adds at 32×32 pixels."""

    depth = 20


class ResNet32(ResNet):
    """ResNet-32 for small images: 464,154 parameters, 69 M multiply-adds at 32×32 pixels."""

    depth = 32


class ResNet44(ResNet):
    """ResNet-44 for small images: 658,586 parameters, 97 M multiply-adds at 32×32 pixels."""

    depth = 44


class ResNet56(ResNet):
    """ResNet-56 for small images: 853,018 parameters, 126 M multiply-adds at 32×32 pixels."""

    depth = 56


class ResNet110(ResNet):
    """ResNet-110 for small images: 1,727,962 parameters, 253 M multiply-adds at 32×32 pixels."""

    depth = 110


class Block(nn.Module):
    """activation(shortcut(x) + norm(conv(activation(norm(conv(x))))))."""

    def __init__(
        self, before: int, after: int, stride: int, shortcut: str, norm_everywhere: bool, activation: str
    ) -> None:
        super().__init__()
        self.conv1 = conv3(before, after, stride)
        self.norm1 = blocks.activated(True, after, activation)
        self.conv2 = conv3(after, after, 1)
        self.norm2 = blocks.activated(norm_everywhere, after, activation)
        self.shortcut = lookup(SHORTCUTS, shortcut, "shortcut")(before, after, stride, norm_everywhere)

    def forward(self, x: Tensor) -> Tensor:
        """[N, before, H, W] to [N, after, H / stride, W / stride]."""
        y = self.conv2(self.norm1(self.conv1(x)))
        return self.norm2(y, None if self.shortcut is None else self.shortcut(x))  # type: ignore[no-any-return]


def stage(blocks_in: int, before: int, after: int, stride: int, *block: Any) -> nn.Sequential:
    """The blocks of one stage; the first changes size and channels."""
    first = Block(before, after, stride, *block)
    return nn.Sequential(first, *(Block(after, after, 1, *block) for _ in range(blocks_in - 1)))


def conv3(before: int, after: int, stride: int) -> nn.Conv2d:
    """A 3×3 convolution without bias that keeps the size but for its stride."""
    return nn.Conv2d(before, after, 3, stride, padding=1, bias=False)


def padded(before: int, after: int, stride: int, norm: bool) -> nn.Module:
    """Option A: every stride-th pixel, zeros for the new channels; no parameters."""
    return nn.Identity() if (before, stride) == (after, 1) else PadShortcut(after, stride)


def projected(before: int, after: int, stride: int, norm: bool) -> nn.Module:
    """Option B: a 1×1 convolution where the shape changes."""
    if (before, stride) == (after, 1):
        return nn.Identity()
    conv = nn.Conv2d(before, after, 1, stride, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after)) if norm else conv


def absent(before: int, after: int, stride: int, norm: bool) -> None:
    """No shortcut: the plain net of the paper."""


SHORTCUTS = {"A": padded, "B": projected, "none": absent}


class PadShortcut(nn.Module):
    """Every stride-th pixel of x, with zeros appended up to `channels`."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.channels, self.stride = channels, stride

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, channels, ⌈H / stride⌉, ⌈W / stride⌉]."""
        return Subsample.apply(x, self.channels, self.stride)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        """Shown by print(model)."""
        return f"{self.channels}, stride={self.stride}"


class Subsample(torch.autograd.Function):
    """PadShortcut with its gradient: one copy each way, half the time of slicing and padding under autograd."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, channels: int, stride: int) -> Tensor:
        """The pixels that are kept, in the first channels of a new channels-last tensor."""
        n, c, h, w = x.shape
        ctx.shape, ctx.stride = x.shape, stride
        out = x.new_zeros(n, -(-h // stride), -(-w // stride), channels).permute(0, 3, 1, 2)
        out[:, :c] = x[:, :, ::stride, ::stride]
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None, None]:
        """The kept pixels' gradient in its place, zero elsewhere."""
        (gradient,) = gradients
        n, c, h, w = ctx.shape
        out = gradient.new_zeros(n, h, w, c).permute(0, 3, 1, 2)
        out[:, :, :: ctx.stride, :: ctx.stride] = gradient[:, :c]
        return out, None, None
