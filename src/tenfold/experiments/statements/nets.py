"""Nets for experiments that need no run: built from options as a recipe would, untrained."""

from torch import nn

from tenfold.models import build
from tenfold.recipe import ModelOptions, Plan, Recipe
from tenfold.training.resolve import check_options


def untrained(options: ModelOptions, size: int, classes: int = 10, seed: int = 0) -> nn.Module:
    """The net for colour images of that size, with whatever the options leave open at its default."""
    settled = check_options(Plan.of(Recipe(model=options)), []).recipe.model
    return build(settled, 3, size, classes, seed)
