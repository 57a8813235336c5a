"""Named recipes: Python functions that return a Recipe, with what to expect from it.

Accuracies of the lab's nets on CIFAR-10, best validation over the epochs, mean of seeds 0, 1, 2, are in the README,
"What to expect".
"""

from collections.abc import Callable

from tenfold.errors import lookup
from tenfold.recipe import AugmentOptions, BackendOptions, ModelOptions, OptimizerOptions, Recipe, ScheduleOptions

LAB_SGD = OptimizerOptions(name="sgd", lr=0.01, momentum=0.9, weight_decay=1e-4)
FASTER_SGD = OptimizerOptions(name="sgd", lr=0.1, momentum=0.9, weight_decay=1e-4)
CONSTANT = ScheduleOptions(name="constant")
SIMPLENN = ModelOptions(name="simplenn")
SIMPLENN_NORM = ModelOptions(name="simplenn", norm="batch")
SIMPLENN_SWISH = ModelOptions(name="simplenn", norm="batch", activation="swish")
CROP_AND_FLIP = AugmentOptions(crop=4, horizontal_flip=0.5)


def simplenn(
    name: str,
    augment: AugmentOptions,
    schedule: ScheduleOptions = CONSTANT,
    model: ModelOptions = SIMPLENN,
    optimizer: OptimizerOptions = LAB_SGD,
) -> Recipe:
    """SimpleNN as the lab trained it: SGD 0.01, momentum 0.9, weight decay 1e-4, batch 128, 30 epochs."""
    return Recipe(name=name, augment=augment, model=model, optimizer=optimizer, schedule=schedule, epochs=30, batch=128)


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
    return simplenn("simplenn-augment", CROP_AND_FLIP)


def simplenn_bn() -> Recipe:
    """simplenn-augment with batch norm after each convolution: 72.5 % on CIFAR-10 (71.3 without)."""
    return simplenn("simplenn-bn", CROP_AND_FLIP, model=SIMPLENN_NORM)


def simplenn_bn_fast() -> Recipe:
    """simplenn-bn at ten times the learning rate, 0.1, which on CIFAR-10 is too much: 69.1 %."""
    return simplenn("simplenn-bn-fast", CROP_AND_FLIP, model=SIMPLENN_NORM, optimizer=FASTER_SGD)


def simplenn_swish() -> Recipe:
    """simplenn-bn-fast with Swish instead of ReLU: 73.0 % on CIFAR-10."""
    return simplenn("simplenn-swish", CROP_AND_FLIP, model=SIMPLENN_SWISH, optimizer=FASTER_SGD)


def simplenn_best() -> Recipe:
    """SimpleNN's layers with batch norm, Swish, small crops and one cycle of Nesterov's SGD, 60 epochs: 79.5 %.

    A net this small does not overfit: crops of 2 pixels gave more than of 4, and 80 epochs more than 30 (seed 0).
    """
    nesterov = FASTER_SGD.model_copy(update={"nesterov": True, "weight_decay": 5e-4})
    one_cycle = ScheduleOptions(name="one_cycle")
    small_crops = AugmentOptions(crop=2, horizontal_flip=0.5)
    made = simplenn("simplenn-best", small_crops, one_cycle, SIMPLENN_SWISH, nesterov)
    return made.model_copy(update={"epochs": 60})


def resnet20_lab() -> Recipe:
    """ResNet-20 with one cycle of SGD, 30 epochs, for the lab's comparisons (L3): 90.7 % (validation, three seeds)."""
    return Recipe(
        name="resnet20-lab",
        augment=AugmentOptions(crop=4, horizontal_flip=0.5),
        model=ModelOptions(name="resnet20"),
        optimizer=OptimizerOptions(name="sgd", lr=0.2, momentum=0.9, nesterov=True, weight_decay=5e-4),
        schedule=ScheduleOptions(name="one_cycle"),
        epochs=30,
        batch=128,
    )


def resnet20() -> Recipe:
    """ResNet-20 with Muon, 30 epochs: 91.8 % of CIFAR-10's test images, three seeds, trained on all 50,000.

    Batch norm sees slices of 128 images. docs/resnet20.md has the measurements.
    """
    muon = OptimizerOptions(
        name="muon", lr=0.1, momentum=0.6, nesterov=True, bias_lr=0.2, head_lr=0.2, weight_decay=5e-4
    )
    linear = ScheduleOptions(name="linear")
    changes = {"name": "resnet20", "optimizer": muon, "schedule": linear, "batch": 512, "micro_batch": 128}
    return resnet20_lab().model_copy(update=changes)


def resnet20_best() -> Recipe:
    """resnet20 for 70 epochs: 93.0 % of CIFAR-10's test images, one seed, trained on all 50,000."""
    return resnet20().model_copy(update={"name": "resnet20-best", "epochs": 70})


def sprint() -> Recipe:
    """Sprint: 10 epochs with Muon, the first 4 on 20 pixels; the least sure quarter judged by six views. 94 % (test).

    On CIFAR-10 5.4 minutes on 2 cores with AMX, 8.7 with AVX-512 BF16; docs/sprint.md has the measurements.
    airbench94_muon sums the loss over a batch of 2,000, tenfold takes the mean: its rates 0.053 and 0.67 times 2,000.
    The net divides its logits by the number of features, so that such rates suit it and few others. bf16 throughout, a
    sixth off in the gradient, is let pass: accuracy is the same over seeds (docs/sprint.md, "What each trick buys").
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
        backend=BackendOptions(tolerance=2.0),
    )


def sprint_96() -> Recipe:
    """sprint, twice as wide, three convolutions a group, 30 epochs, larger crops and cutout: 95.97 % (test, one seed).

    After airbench96 (Jordan), 96.0 % (test) in 31 epochs of SGD with lookahead; here with Muon, the first 12 on 20
    pixels. 1.7 hours on 2 cores with AMX. With twice the features, twice the head's rate moves the logits as far.
    """
    augment = AugmentOptions(
        crop=4, crop_padding="reflect", cutout=12, horizontal_flip=0.5, horizontal_flip_mode="alternating"
    )
    model = ModelOptions(name="sprint", width=2.0, depth=3)
    narrow = sprint()
    muon = narrow.optimizer.model_copy(update={"head_lr": 2680.0})
    changes = {"augment": augment, "model": model, "optimizer": muon, "epochs": 30, "curriculum": ((20, 12),)}
    changes["backend"] = BackendOptions()  # what sprint's seeds have shown of bf16 is not shown of this net
    return narrow.model_copy(update={"name": "sprint-96", **changes})


DEFAULT = "simplenn-augment"
"""What is trained when no recipe is named."""

RECIPES: dict[str, Callable[[], Recipe]] = {
    "simplenn-plain": simplenn_plain,
    "simplenn": simplenn_flip,
    "simplenn-decay": simplenn_decay,
    "simplenn-lab": simplenn_lab,
    "simplenn-augment": simplenn_augment,
    "simplenn-bn": simplenn_bn,
    "simplenn-bn-fast": simplenn_bn_fast,
    "simplenn-swish": simplenn_swish,
    "simplenn-best": simplenn_best,
    "resnet20": resnet20,
    "resnet20-lab": resnet20_lab,
    "resnet20-best": resnet20_best,
    "sprint": sprint,
    "sprint-96": sprint_96,
}


def named(name: str) -> Recipe:
    """The recipe of that name."""
    return lookup(RECIPES, name, "recipe")()
