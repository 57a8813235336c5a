"""Parts that nets share: activations and normalisations by name, and dropout with its generator as an argument."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from tenfold.errors import RecipeError, lookup

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "leaky_relu": lambda: nn.LeakyReLU(0.01, inplace=True),
    "swish": lambda: nn.SiLU(inplace=True),
    "silu": lambda: nn.SiLU(inplace=True),
    "gelu": nn.GELU,
    "mish": lambda: nn.Mish(inplace=True),
}

HEADS: dict[str, Callable[[], nn.Module]] = {
    "none": nn.Identity,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "softmax": lambda: nn.Softmax(dim=1),
}
"""What may follow the logits. Only none is right before cross-entropy; the others are mistakes to study."""

MONOTONE = ("relu", "leaky_relu")
"""Activations that never decrease: max pooling before or after them gives the same numbers and gradients."""

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda channels: nn.Identity(),
    "batch": nn.BatchNorm2d,
}


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "relu": functional.relu,
    "leaky_relu": functional.leaky_relu,
    "swish": functional.silu,
    "silu": functional.silu,
    "gelu": functional.gelu,
    "mish": functional.mish,
}
"""The same activations as functions, and none."""


def activation(name: str) -> nn.Module:
    """A new activation module of that name."""
    return lookup(ACTIVATIONS, name, "activation")()


def norm(name: str, channels: int) -> nn.Module:
    """A new normalisation over that many channels."""
    return lookup(NORMS, name, "norm")(channels)


class ActivatedBatchNorm(nn.BatchNorm2d):
    """activation(norm(x) + other), in one module so that one kernel can compute it; parameters as nn.BatchNorm2d's."""

    def __init__(self, channels: int, activation: str = "none", eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(channels, eps=eps, momentum=momentum)
        lookup(FUNCTIONS, activation, "activation")
        self.activation = activation

    def forward(self, input: Tensor, other: Tensor | None = None) -> Tensor:
        """[N, C, H, W] and the same to [N, C, H, W]."""
        x = super().forward(input)
        return FUNCTIONS[self.activation](x if other is None else x + other)

    def extra_repr(self) -> str:
        """Shown by print(model)."""
        return f"{super().extra_repr()}, activation={self.activation}"


class Activated(nn.Module):
    """activation(x + other): ActivatedBatchNorm without the norm."""

    def __init__(self, activation: str) -> None:
        super().__init__()
        lookup(FUNCTIONS, activation, "activation")
        self.activation = activation

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """[N, C, H, W] and the same to [N, C, H, W]."""
        return FUNCTIONS[self.activation](x if other is None else x + other)


def activated(norm: bool, channels: int, activation: str) -> nn.Module:
    """activation(x + other), batch norm before it if `norm`."""
    return ActivatedBatchNorm(channels, activation) if norm else Activated(activation)


class Conv(nn.Module):
    """activation(norm(conv(x))) that keeps the size, or divides it by the stride; a bias only where no norm follows."""

    def __init__(
        self, before: int, after: int, side: int, norm: str, activation: str, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        lookup(NORMS, norm, "norm")
        bare = norm == "none"
        self.conv = nn.Conv2d(before, after, side, stride, side // 2, groups=groups, bias=bare)
        self.norm = activated(not bare, after, activation)

    def forward(self, x: Tensor) -> Tensor:
        """[N, before, H, W] to [N, after, ⌈H / stride⌉, ⌈W / stride⌉]."""
        return self.norm(self.conv(x))  # type: ignore[no-any-return]


class FittedAvgPool2d(nn.AdaptiveAvgPool2d):
    """nn.AdaptiveAvgPool2d to a square; on a GPU as two matrix products, whose gradients repeat to the bit."""

    output_size: int

    def forward(self, input: Tensor) -> Tensor:
        """[N, C, H, W] to [N, C, side, side]."""
        return super().forward(input) if input.device.type == "cpu" else area_means(input, self.output_size)


def area_means(x: Tensor, side: int) -> Tensor:
    """What adaptive average pooling gives: the mean of each of side × side areas, which overlap where they must."""
    rows, columns = (shares_of_areas(size, side).to(x) for size in x.shape[2:])
    return rows @ x @ columns.T


def shares_of_areas(size: int, side: int) -> Tensor:
    """[side, size]: the weight of each pixel of a line in each area's mean."""
    area, pixel = torch.arange(side)[:, None], torch.arange(size)
    inside = (pixel >= area * size // side) & (pixel < -(-(area + 1) * size // side))
    return inside / inside.sum(1, keepdim=True)


def eighths(width: float, channels: int) -> int:
    """So many times the channels, as a multiple of 8, which vector instructions like; at least 8."""
    return max(8, 8 * round(width * channels / 8))


def begin(net: nn.Module, head: nn.Linear) -> None:
    """He's initialisation (He et al. 2015), biases 0; a head so small that the untrained net guesses."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)


def require_size(net: str, size: int, smallest: int) -> None:
    """RecipeError where the images are so small that the net's poolings would leave nothing."""
    if size < smallest:
        raise RecipeError(
            f"{net} needs images of at least {smallest} pixels; these have {size}.",
            f"Give --image-size {smallest} or more.",
        )


class Dropout(nn.Module):
    """Inverted dropout (Srivastava et al. 2014) that draws its mask from `generator`, set before each training step."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Zero each number with the probability and scale the others up; in eval mode, x itself."""
        if not self.training:
            return x
        if self.generator is None:
            raise RuntimeError("Dropout has no generator: call seed_dropout(model, generator) before a training step")
        kept = torch.rand(x.shape, generator=self.generator, device=x.device) >= self.probability
        return x * kept / (1 - self.probability)

    def extra_repr(self) -> str:
        """Shown by print(model)."""
        return f"p={self.probability}"


def dropout(probability: float) -> nn.Module:
    """A Dropout; nothing at all for probability 0."""
    return Dropout(probability) if probability else nn.Identity()


def seed_dropout(model: nn.Module, generator: torch.Generator) -> None:
    """Let every Dropout of the model draw from this generator."""
    for module in model.modules():
        if isinstance(module, Dropout):
            module.generator = generator


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[None]:
    """Inside this block batch norms use each batch's own mean and deviation, as in training; nothing is kept of it."""
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    modes = [module.training for module in norms]
    kept = [(buffer, buffer.clone()) for module in norms for buffer in module.buffers(recurse=False)]
    for module in norms:
        module.train()
    try:
        yield
    finally:
        for module, training in zip(norms, modes, strict=True):
            module.train(training)
        for buffer, before in kept:
            buffer.copy_(before)
