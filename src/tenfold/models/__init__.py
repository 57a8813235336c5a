"""Construct: nets by name. A model is a function (channels, size, classes, *, options…) that returns a module."""

from collections.abc import Callable

from torch import nn

from tenfold.errors import lookup
from tenfold.models.mobilenet import MobileNet
from tenfold.models.own import find_own, is_own
from tenfold.models.resnet import ResNet20, ResNet32, ResNet44, ResNet56, ResNet110
from tenfold.models.simplenn import SimpleNN
from tenfold.models.sprint import Sprint
from tenfold.models.squeezenet import SqueezeNet
from tenfold.models.vgg import VGG11
from tenfold.randomness import seeded_init
from tenfold.recipe import ModelOptions
from tenfold.registry import chosen

MODELS: dict[str, Callable[..., nn.Module]] = {
    "simplenn": SimpleNN,
    "resnet20": ResNet20,
    "resnet32": ResNet32,
    "resnet44": ResNet44,
    "resnet56": ResNet56,
    "resnet110": ResNet110,
    "sprint": Sprint,
    "mobilenet": MobileNet,
    "squeezenet": SqueezeNet,
    "vgg11": VGG11,
}


def find(options: ModelOptions) -> Callable[..., nn.Module]:
    """The function that makes the net of that name; a user's own only if the user named it in this process."""
    return find_own(options) if is_own(options.name) else lookup(MODELS, options.name, "model")


def build(options: ModelOptions, channels: int, size: int, classes: int, seed: int) -> nn.Module:
    """The net that the resolved options describe, its weights drawn from `seed`."""
    function = find(options)
    with seeded_init(seed):
        return function(channels, size, classes, **chosen(function, options))
