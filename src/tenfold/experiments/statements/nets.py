"""Nets for experiments: untrained ones, built from options as a recipe would, and those of runs with their images."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from tenfold.datasets import load
from tenfold.datasets.splits import split
from tenfold.models import build
from tenfold.recipe import ModelOptions, Plan, Recipe
from tenfold.runs import Run
from tenfold.training.resolve import check_options
from tenfold.training.weights import load_weights


def untrained(options: ModelOptions, size: int, classes: int = 10, seed: int = 0) -> nn.Module:
    """The net for colour images of that size, with whatever the options leave open at its default."""
    settled = check_options(Plan.of(Recipe(model=options)), []).recipe.model
    return build(settled, 3, size, classes, seed)


def trained(run: Run) -> nn.Module:
    """The net of a run after its last epoch, in eval mode."""
    return load_weights(run, "last").build()


def validation_images(run: Run, most: int) -> tuple[Tensor, Tensor]:
    """Some of the images that a run was validated on, as its net takes them: float32 [n, C, S, S], labels int64 [n]."""
    recipe, weights = run.recipe, load_weights(run, "last")
    dataset = load(recipe.data, recipe.image_size)
    rows = split(dataset, recipe.split_seed, recipe.validation, recipe.test)["val"][:most]
    images = weights.preprocessing.crop(torch.from_numpy(dataset.images[rows]))
    return weights.preprocessing.normalize(images), torch.from_numpy(dataset.labels[rows])


@torch.inference_mode()
def accuracy(net: nn.Module, pixels: Tensor, labels: Tensor) -> float:
    """The share of right answers, in eval mode."""
    right = [(net.eval()(part).argmax(1) == answers).sum() for part, answers in batches(pixels, labels)]
    return float(sum(right)) / len(labels)


def batches(pixels: Tensor, labels: Tensor, size: int = 500) -> Iterator[tuple[Tensor, Tensor]]:
    """Both in parts of so many images."""
    return zip(pixels.split(size), labels.split(size), strict=True)
