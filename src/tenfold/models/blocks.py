"""Parts that nets share: activations and normalisations by name, and dropout with its generator as an argument."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tenfold.errors import lookup

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "leaky_relu": lambda: nn.LeakyReLU(0.01, inplace=True),
    "swish": lambda: nn.SiLU(inplace=True),
    "silu": lambda: nn.SiLU(inplace=True),
    "gelu": nn.GELU,
    "mish": lambda: nn.Mish(inplace=True),
}

MONOTONE = ("relu", "leaky_relu")
"""Activations that never decrease: max pooling before or after them gives the same numbers and gradients."""

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda channels: nn.Identity(),
    "batch": nn.BatchNorm2d,
}


def activation(name: str) -> nn.Module:
    """A new activation module of that name."""
    return lookup(ACTIVATIONS, name, "activation")()


def norm(name: str, channels: int) -> nn.Module:
    """A new normalisation over that many channels."""
    return lookup(NORMS, name, "norm")(channels)


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
