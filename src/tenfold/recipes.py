"""Named recipes: Python functions that return a Recipe, with what to expect from it.

Accuracies of the lab's nets on CIFAR-10, best validation over the epochs, mean of seeds 0, 1, 2, are in the README,
"What to expect".
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


def resnet20() -> Recipe:
    """ResNet-20: crop and flip, one cycle of SGD, 40 epochs. Accuracy not measured yet; the paper: 91.25 % (test)."""
    return Recipe(
        name="resnet20",
        augment=AugmentOptions(crop=4, horizontal_flip=0.5),
        model=ModelOptions(name="resnet20"),
        optimizer=OptimizerOptions(name="sgd", lr=0.2, momentum=0.9, nesterov=True, weight_decay=5e-4),
        schedule=ScheduleOptions(name="one_cycle"),
        epochs=40,
        batch=128,
    )


def sprint() -> Recipe:
    """Sprint: 10 epochs with Muon, the first 4 on 20 pixels; the least sure quarter judged by six views. 94 % (test).

    On CIFAR-10 under ten minutes on 2 cores with AVX-512 BF16; docs/sprint.md has the measurements. airbench94_muon
    sums the loss over a batch of 2,000, tenfold takes the mean: its rates 0.053 and 0.67 times 2,000. The net divides
    its logits by the number of features, so that such rates suit it and few others.
    """
    muon = OptimizerOptions(name="muon", lr=0.24, bias_lr=106.0, head_lr=1340.0, weight_decay=0.004)
    return Recipe(
        name="sprint",
        augment=AugmentOptions(crop=2, crop_padding="reflect", horizontal_flip=0.5, horizontal_flip_mode="alternating"),
        model=ModelOptions(name="sprint"),
        optimizer=muon,
        schedule=ScheduleOptions(name="linear"),
        epochs=10,
        batch=2000,
        micro_batch=250,
        label_smoothing=0.2,
        curriculum=((20, 4),),
        tta="flip_translate",
        tta_share=0.25,
    )


DEFAULT = "simplenn-augment"
"""What is trained when no recipe is named."""

RECIPES: dict[str, Callable[[], Recipe]] = {
    "simplenn-plain": simplenn_plain,
    "simplenn": simplenn_flip,
    "simplenn-decay": simplenn_decay,
    "simplenn-lab": simplenn_lab,
    "simplenn-augment": simplenn_augment,
    "resnet20": resnet20,
    "sprint": sprint,
}


def named(name: str) -> Recipe:
    """The recipe of that name."""
    return lookup(RECIPES, name, "recipe")()
