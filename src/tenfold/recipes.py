"""Named recipes: Python functions that return a Recipe, with what to expect from it.

Accuracies are on CIFAR-10, best validation over the epochs, mean of seeds 0, 1, 2 (README, "What to expect").
"""

from collections.abc import Callable

from tenfold.errors import lookup
from tenfold.recipe import AugmentOptions, ModelOptions, OptimizerOptions, Recipe, ScheduleOptions

LAB_SGD = OptimizerOptions(name="sgd", lr=0.01, momentum=0.9, weight_decay=1e-4)
CONSTANT = ScheduleOptions(name="constant")


def simplenn(name: str, augment: AugmentOptions, schedule: ScheduleOptions = CONSTANT) -> Recipe:
    """SimpleNN as the lab trained it: SGD 0.01, momentum 0.9, weight decay 1e-4, batch 128, 30 epochs."""
    model = ModelOptions(name="simplenn")
    return Recipe(name=name, augment=augment, model=model, optimizer=LAB_SGD, schedule=schedule, epochs=30, batch=128)


def simplenn_plain() -> Recipe:
    """SimpleNN without augmentation."""
    return simplenn("simplenn-plain", AugmentOptions())


def simplenn_flip() -> Recipe:
    """SimpleNN with horizontal flips."""
    return simplenn("simplenn", AugmentOptions(horizontal_flip=0.5))


def simplenn_decay() -> Recipe:
    """SimpleNN with horizontal flips; learning rate ×0.1 every 10 epochs."""
    step = ScheduleOptions(name="step", every=10, factor=0.1)
    return simplenn("simplenn-decay", AugmentOptions(horizontal_flip=0.5), step)


def simplenn_lab() -> Recipe:
    """SimpleNN with horizontal and vertical flips, as the lab had it."""
    return simplenn("simplenn-lab", AugmentOptions(horizontal_flip=0.5, vertical_flip=0.5))


def simplenn_augment() -> Recipe:
    """SimpleNN with random crop (pad 4) and horizontal flips."""
    return simplenn("simplenn-augment", AugmentOptions(crop=4, horizontal_flip=0.5))


DEFAULT = "simplenn-augment"
"""What is trained when no recipe is named."""

RECIPES: dict[str, Callable[[], Recipe]] = {
    "simplenn-plain": simplenn_plain,
    "simplenn": simplenn_flip,
    "simplenn-decay": simplenn_decay,
    "simplenn-lab": simplenn_lab,
    "simplenn-augment": simplenn_augment,
}


def named(name: str) -> Recipe:
    """The recipe of that name."""
    return lookup(RECIPES, name, "recipe")()
