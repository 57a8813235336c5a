"""The lab's mistakes that show before or at the start: centre crop, dummy batch, initial loss."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from tenfold.checks.preflight import feature_mismatch
from tenfold.checks.rules import RULES
from tenfold.experiments.statements import trainings
from tenfold.experiments.statements.answers import Context, Experiment, Found, Table
from tenfold.experiments.statements.nets import untrained
from tenfold.experiments.statements.trainings import SETTLED
from tenfold.models.blocks import batch_statistics
from tenfold.models.inspection import inspect_model
from tenfold.recipe import ModelOptions, Plan
from tenfold.reports.style import BLUE, MUTED, ORANGE, WIDTH, drawing, figure, png
from tenfold.training.loop import descend
from tenfold.training.setup import Setup, prepare
from tenfold.training.step import judge_batch

CROP = 24


def settled(context: Context, **changes: object) -> Plan:
    """simplenn-augment's net and data with arithmetic that is not measured: nothing here is timed."""
    return trainings.plan(context, "simplenn", device="cpu", **SETTLED, **changes)


def centre_crop(context: Context) -> Found:
    """torch's error, tenfold's finding, and each of its remedies tried."""
    setup = prepare(settled(context, augment__center_crop=CROP, augment__horizontal_flip=0.0))
    finding = feature_mismatch(setup)
    images, _ = setup.loader.batch(0, 0)
    error = torch_error(lambda: setup.state.model(setup.preprocessing.normalize(images)))
    size = setup.preprocessing.size
    ways = {
        f"--preprocess.center-crop {CROP}": {"preprocess__center_crop": CROP},
        "--model.adaptive-pool True": {"augment__center_crop": CROP, "model__adaptive_pool": True},
        f"--augment.pad {(size - CROP) // 2}": {"augment__center_crop": CROP, "augment__pad": (size - CROP) // 2},
    }
    works = {name: feature_mismatch(prepare(settled(context, **changes))) is None for name, changes in ways.items()}
    said = "nothing" if finding is None else finding.text()
    evidence = (
        f"A centre crop to {CROP} pixels in the training augmentation. torch says: “{error}”. tenfold says, "
        f"before the first step: “{said}” Rule shape-mismatch. The maps before the first linear layer shrink, "
        "and that layer has a weight for each of their numbers. "
        f"{sum(works.values())} of {len(works)} remedies, tried here, make the net accept the images."
    )
    rows = tuple((name, "works" if good else "fails") for name, good in works.items())
    table = Table(("remedy", "tried"), rows, f"Ways out, for a crop to {CROP} pixels")
    good = finding is not None and finding.rule == "shape-mismatch" and all(works.values())
    return Found("shown" if good else "not shown", evidence, (table,))


def torch_error(act: Callable[[], object]) -> str:
    """What torch says, in its first line; empty where it says nothing."""
    try:
        act()
    except (RuntimeError, NotImplementedError) as error:
        return str(error).splitlines()[0]
    return ""


def dummy_batch(_context: Context) -> Found:
    """A net and a batch on different devices; shown without a GPU, by torch's `meta` device."""
    net = untrained(ModelOptions(), 32)
    elsewhere = torch.zeros(5, 3, 32, 32, device="meta")
    error = torch_error(lambda: net(elsewhere))
    error_other = torch_error(lambda: untrained(ModelOptions(), 32).to("meta")(torch.zeros(5, 3, 32, 32)))
    seen = inspect_model(untrained(ModelOptions(), 32).to("meta"), 3, 32)
    evidence = (
        "The lab moved its net to the GPU, but not the dummy batch that checks its shapes. Here without a GPU, with "
        f"torch's meta device in its place: net on the CPU, batch elsewhere: “{error}”; the other way round: "
        f"“{error_other}”. tenfold's rule device-mismatch: {RULES['device-mismatch'].title}. "
        f"{RULES['device-mismatch'].why} `tenfold inspect` makes its dummy batch on the net's own device: with the net "
        f"on meta it saw {len(seen.layers)} layers and an output of {list(seen.output)}."
    )
    rows = (("CPU", "meta", error), ("meta", "CPU", error_other), ("meta", "meta", f"output {list(seen.output)}"))
    table = Table(("net on", "batch on", "what happens"), rows, "Net and batch on the same device, or not")
    return Found("shown" if error and error_other and seen.output == (5, 10) else "not shown", evidence, (table,))


def initial_loss(context: Context) -> Found:
    """Losses of untrained nets, and of each step of the first epoch."""
    setup = prepare(settled(context))
    classes = len(setup.dataset.classes)
    guess = math.log(classes)
    seeds = max(8, context.seeds)
    starts = [untrained_loss(setup, seed) for seed in range(seeds)]
    steps = first_epoch(setup)
    mean = float(np.mean(steps))
    evidence = (
        f"An untrained net gives each of {classes} classes about the same probability, which costs ln({classes}) = "
        f"{guess:.3f} whatever the accuracy: {seeds} untrained nets have a loss of {np.mean(starts):.3f} on average, "
        f"from {min(starts):.3f} to {max(starts):.3f}. What a training reports for its first epoch is a mean over "
        f"its steps, of which only the first is the untrained net's: here {steps[0]:.3f} at the first step, "
        f"{steps[-1]:.3f} at the last of {len(steps)}, {mean:.3f} on average. So the lab's 1.9319 at epoch 0 is no "
        f"initial loss, and accuracy does not explain it. {RULES['initial-loss'].title}: tenfold's rule initial-loss "
        "compares before the first step."
    )
    rows = (
        (f"ln({classes})", f"{guess:.4f}"),
        (f"untrained, mean of {seeds} seeds", f"{np.mean(starts):.4f}"),
        ("untrained, lowest and highest", f"{min(starts):.4f} and {max(starts):.4f}"),
        ("first step", f"{steps[0]:.4f}"),
        ("last step of the first epoch", f"{steps[-1]:.4f}"),
        ("mean of the first epoch", f"{mean:.4f}"),
    )
    close = max(abs(one - guess) for one in starts) <= 0.1 * guess
    return Found(
        "shown" if close and mean < guess else "not shown",
        evidence,
        (Table(("loss", "nats"), rows, "SimpleNN at its start"),),
        {"initial-loss.png": draw_start(steps, guess, classes)},
    )


def untrained_loss(setup: Setup, seed: int) -> float:
    """The loss of a net fresh from `seed` on the first validation images."""
    assert setup.validation is not None
    images, labels = next(setup.validation.batches())
    net = setup.backend.place(
        untrained(setup.recipe.model, setup.preprocessing.size, len(setup.dataset.classes), seed)
    ).eval()
    with batch_statistics(net):
        return cross_entropy(judge_batch(net, images, setup.preprocessing, setup.backend), labels.cpu()).item()


def first_epoch(setup: Setup) -> list[float]:
    """The loss of each step of the first epoch."""
    return [descend(setup, 0, step, *setup.loader.batch(0, step))[0] for step in range(setup.loader.steps)]


@drawing()
def draw_start(steps: list[float], guess: float, classes: int) -> bytes:
    """The loss of every step, ln(C), and the mean that is reported."""
    made = figure(WIDTH, 3.6, "The loss within the first epoch")
    axes = made.add_subplot()
    axes.plot(range(1, len(steps) + 1), steps, color=BLUE, linewidth=1, label="each step")
    axes.axhline(guess, color=MUTED, linewidth=1, linestyle=(0, (4, 4)), label=f"ln({classes}) = {guess:.3f}")
    mean = float(np.mean(steps))
    axes.axhline(mean, color=ORANGE, linewidth=1.4, label=f"mean over the epoch, as reported: {mean:.3f}")
    axes.set(xlabel="step", ylabel="training loss (nats)")
    axes.legend(loc="lower left", labelcolor=MUTED)
    return png(made)


EXPERIMENTS = (
    Experiment(
        "centre-crop",
        "A centre crop made the net fail.",
        "never learned why",
        centre_crop,
        (6.0, 10.0),
    ),
    Experiment(
        "dummy-batch-device",
        "The net was moved to the GPU, the dummy batch was not.",
        "an error nobody explained",
        dummy_batch,
        (0.5, 0.5),
    ),
    Experiment(
        "initial-loss",
        "The loss of epoch 0, 1.9319, is explained by the accuracy.",
        "explained by accuracy",
        initial_loss,
        (4.0, 12.0),
    ),
)
