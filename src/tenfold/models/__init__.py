"""Construct: nets by name. A model is a function (channels, size, classes, *, options…) that returns a module."""

from collections.abc import Callable

from torch import nn

from tenfold.errors import lookup
from tenfold.models.simplenn import SimpleNN
from tenfold.randomness import seeded_init
from tenfold.recipe import ModelOptions
from tenfold.registry import chosen

MODELS: dict[str, Callable[..., nn.Module]] = {"simplenn": SimpleNN}


def build(options: ModelOptions, channels: int, size: int, classes: int, seed: int) -> nn.Module:
    """The net that the resolved options describe, its weights drawn from `seed`."""
    function = lookup(MODELS, options.name, "model")
    with seeded_init(seed):
        return function(channels, size, classes, **chosen(function, options))
