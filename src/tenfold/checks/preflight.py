"""Checks before the first step: does the net accept the images, and does it start at the loss of a guess?

Each rule is one function that returns a Finding or None.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tenfold.augmentations import Chance, augment
from tenfold.checks.rules import finding
from tenfold.errors import Finding
from tenfold.models.blocks import batch_statistics
from tenfold.randomness import generator
from tenfold.training.loader import EVALUATION_BATCH
from tenfold.training.setup import Setup
from tenfold.training.step import judge_batch

HEALTHY_START = 0.1
"""An untrained net's loss may be this share away from ln(classes)."""

JUDGED = 2000
"""Images whose mean loss is the initial loss."""

WORK = 10**10
"""Multiply-adds that the initial loss may cost: large nets are judged by fewer images, at least 64."""


def feature_mismatch(setup: Setup) -> Finding | None:
    """An augmentation that changes the size which the first linear layer was built for."""
    size = setup.preprocessing.size
    blank = torch.zeros(1, setup.preprocessing.channels, size, size, dtype=torch.uint8)
    images = augment(blank, setup.recipe.augment, Chance(generator(0, "probe"), 0, torch.zeros(1)))
    if images.shape[-1] == size:
        return None
    trace = trace_failure(
        setup.state.model, setup.preprocessing.normalize(images, setup.backend.layout).to(setup.backend.device)
    )
    if trace is None:
        return None
    name, expected, shape = trace
    made = images.shape[-1]
    c, h, w = shape
    return finding(
        "shape-mismatch",
        f"{cause(setup)} makes {c}×{h}×{w} = {c * h * w} features, but {name} expects {expected} ({size}-pixel images)",
        f"Training images are {made} pixels after augmentation, validation images {size}.",
        remedies(made, size, c * h * w, name),
        layer=name,
    )


def cause(setup: Setup) -> str:
    """The augmentation that changed the size."""
    options = setup.recipe.augment
    return f"center_crop({options.center_crop})" if options.center_crop else f"pad({options.pad})"


def remedies(made: int, size: int, features: int, layer: str) -> str:
    """What to type instead, each a full way out."""
    ways = [f"--model.adaptive-pool True (pools any size to the map {layer} expects)"]
    if made < size:
        ways.insert(
            0, f"--preprocess.center-crop {made} without the augmentation (all images cropped, in_features={features})"
        )
        if (size - made) % 2 == 0:
            ways.append(f"--augment.pad {(size - made) // 2} beside it (pads back to {size})")
    return "Remedies: " + "; ".join(ways) + "."


def trace_failure(model: nn.Module, pixels: Tensor) -> tuple[str, int, torch.Size] | None:
    """If the net fails in a linear layer: its name, its in_features, and the last map [C, H, W] before it."""
    entered: list[tuple[str, nn.Module]] = []
    maps = [pixels.shape[1:]]

    def before(name: str) -> object:
        return lambda module, _inputs: entered.append((name, module))

    def after(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if output.dim() == 4:
            maps.append(output.shape[1:])

    hooks = [m.register_forward_pre_hook(before(name)) for name, m in model.named_modules() if name]
    hooks += [m.register_forward_hook(after) for m in model.modules()]
    training = model.training
    try:
        with torch.no_grad():
            model.eval()(pixels)
    except RuntimeError:
        name, module = entered[-1]
        if isinstance(module, nn.Linear):
            return name, module.in_features, maps[-1]
        raise
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return None


def initial_loss(setup: Setup, multiply_adds: int = 0) -> Finding:
    """The untrained net's loss against ln(classes), what guessing all classes with equal probability costs.

    multiply_adds: what one image costs the net; 0 where that is not known.
    """
    images, model = setup.validation or setup.loader.images, setup.state.model.eval()
    count = min(JUDGED, max(64, WORK // max(1, multiply_adds)))
    pairs = [images.take(positions) for positions in images.spread(count).split(EVALUATION_BATCH)]
    with batch_statistics(model):  # the running ones of an untrained net are still those of no data at all
        logits = torch.cat([judge_batch(model, batch, setup.preprocessing, setup.backend) for batch, _ in pairs])
    loss = cross_entropy(logits, torch.cat([labels for _, labels in pairs]).cpu()).item()
    classes = len(setup.dataset.classes)
    guess = math.log(classes)
    evidence = f"ln({classes}) = {guess:.3f} is what guessing {classes} classes with equal probability costs"
    what = f"initial loss {loss:.3f}"
    if setup.recipe.weights:
        return finding("initial-loss", what, f"{evidence}; these weights are trained already.", "", severity="note")
    if abs(loss - guess) <= HEALTHY_START * guess:
        return finding("initial-loss", what, f"{evidence}: a healthy start.", "", severity="note")
    remedy = "Look at the last layer: no activation or softmax after it, and a standard initialisation."
    return finding("initial-loss", what, f"{evidence}; an untrained net should start near it.", remedy)
