"""Looking at what a recipe would do before a run: its learning rate over the epochs, a batch, which rate to begin with.

Verbs for Python like those of api.py; each draws a picture and writes nothing else.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from tenfold.api import plan
from tenfold.datasets.dataset import Progress, silent
from tenfold.errors import RecipeError
from tenfold.recipe import Plan, Recipe
from tenfold.recipes import DEFAULT
from tenfold.runs import check_place, write_atomic
from tenfold.training import schedules
from tenfold.training.range_test import RangeTest, check_read, range_test
from tenfold.training.resolve import check_options
from tenfold.training.setup import prepare, start_from_weights


def find_lr(
    recipe: str | Path | Recipe = DEFAULT,
    *,
    out: str | Path | None = None,
    low: float = 1e-5,
    high: float = 10.0,
    steps: int = 300,
    progress: Progress = silent,
    **options: Any,
) -> tuple[RangeTest, Path]:
    """Train a few steps at rising learning rates: their losses, a rate to begin with, and a picture as PNG.

    options: as for train. Nothing else is written. TrainingError where no rate lowers the loss.
    """
    from tenfold.reports import rates

    if not 0 < low < high < float("inf") or steps < 20:
        told = f"low = {low:g}, high = {high:g}, steps = {steps}: rates must rise from above 0, in at least 20 steps."
        raise RecipeError(told, "Leave them out for 1e-05, 10 and 300.")
    planned = plan(recipe, **options)
    check_read(planned)
    picture = Path(out) if out else Path(f"lr-{planned.recipe.name}.png")
    check_place(picture)
    setup = prepare(unmeasured(planned), progress=progress)
    start_from_weights(setup)
    seen = range_test(setup, low, high, steps, progress)
    write_atomic(picture, rates.range_curve(seen, f"{planned.recipe.name}: loss at rising learning rates"))
    return seen, picture


def unmeasured(planned: Plan) -> Plan:
    """The plan in plain fp32 unless the user chose otherwise: no time to measure, and the same bits every time."""
    if planned.origin["backend.choice"] == "user":
        return planned
    planned = planned.override({"backend.choice": "reference"}, "default")
    if planned.origin["backend.layout"] == "user":
        return planned
    return planned.override({"backend.layout": "channels_last"}, "default")  # twice as fast on a CPU


def show_schedule(
    recipe: str | Path | Recipe = DEFAULT, *, out: str | Path | None = None, **options: Any
) -> tuple[dict[float, float], Path]:
    """A recipe's learning rate at positions in epochs, and a picture of it as PNG. Needs no data.

    That of `plateau` follows the validation accuracy: drawn as if it never rose after the first epoch.
    """
    from tenfold.reports import rates

    settled = check_options(plan(recipe, **options), []).recipe
    factor = schedules.build(settled.schedule, settled.epochs, lambda: [1.0] * settled.epochs)
    seen = {epoch: settled.optimizer.lr * factor(epoch) for epoch in rates.steps_shown(settled.epochs)}
    picture = Path(out) if out else Path(f"schedule-{settled.name}.png")
    below = (
        "As if the validation accuracy never rose after the first"
        if settled.schedule.name in schedules.WATCHING
        else ""
    )
    title = f"{settled.name}: {settled.schedule.name} schedule"
    write_atomic(picture, rates.schedule(list(seen), list(seen.values()), title, below))
    return seen, picture


def show_batch(
    recipe: str | Path | Recipe = DEFAULT,
    *,
    out: str | Path | None = None,
    images: int = 18,
    progress: Progress = silent,
    **options: Any,
) -> Path:
    """A picture of the first images of a recipe's first batch, before and after augmentation, as PNG."""
    from tenfold.reports import mosaics

    if images < 1:
        raise RecipeError(f"images = {images} must be at least 1.", "Leave it out for 18.")
    planned = plan(recipe, **options)
    picture = Path(out) if out else Path(f"batch-{planned.recipe.name}.png")
    check_place(picture)
    setup = prepare(unmeasured(planned), progress=progress)
    plain, labels = setup.loader.images.take(setup.loader.positions(0, 0))
    made, targets = setup.loader.batch(0, 0)
    classes = setup.dataset.classes
    captions = [(classes[a], label_words(b, classes)) for a, b in zip(labels[:images], targets[:images], strict=True)]
    title = f"{planned.recipe.name}: images of the first batch, and below each as it is trained on"
    before, after = ([*batch[:images].cpu().numpy()] for batch in (plain, made))
    write_atomic(picture, mosaics.before_and_after(before, after, captions, title))
    return picture


def label_words(label: torch.Tensor, classes: Sequence[str]) -> str:
    """A class, or the shares of a mixed image's classes (float [classes]), the largest first."""
    if label.dim() == 0:
        return classes[int(label)]
    order = label.argsort(descending=True, stable=True).tolist()
    return "\n".join(f"{label[index]:.0%} {classes[index]}" for index in order if label[index] > 0)
