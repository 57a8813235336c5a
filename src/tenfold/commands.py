"""The verbs of the command line: each a few lines that call one function of tenfold.api and print what it returns.

Options of a recipe come from the Recipe model itself, by tyro: --epochs 30, --optimizer.lr 0.1, --augment.crop 4.
torch is imported inside the verbs, so that `tenfold VERB --help` does not wait for it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from inspect import getdoc
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from tenfold.arguments import (
    NOTHING_SET,
    Net,
    RecipeFile,
    RecipeName,
    RunPath,
    SameNet,
    Settings,
    Weights,
    Written,
    flags,
    given,
    one_recipe,
    parse_arguments,
    recipe_options,
)
from tenfold.audit_commands import audit
from tenfold.check_commands import check, run_check
from tenfold.errors import RecipeError, lookup
from tenfold.trial_commands import ablate, compare, cut_variants, lab, sweep

BESIDE_RESUME = {"resume", "model", "until", "check", "no_check", "page", "no_page"}
"""What may be written with --resume, as it does not change the training."""


def train(
    recipe_name: Positional[RecipeName] = None,
    recipe_file: RecipeFile = None,
    out: Path = Path("runs"),
    name: str | None = None,
    resume: Path | None = None,
    until: int | None = None,
    net: Net = None,
    dry_run: bool = False,
    verify: bool = False,
    check: bool = True,
    page: bool = True,
    options: Settings = NOTHING_SET,
    written: Written = frozenset(),
) -> None:
    """Train a net: check, fit, judge on validation, write curves and a report into a new run folder.

    Examples:
      tenfold train                                    the built-in data, about half a minute
      tenfold train simplenn --data cifar10 --seed 1   CIFAR-10
      tenfold train --data photos/ --image-size 48     a folder of class folders
      tenfold train simplenn --optimizer.lr 0.05 --epochs 10
      tenfold train --model nets/mine.py:MyNet         a net of your own
      tenfold train --resume runs/NAME                 continue to the bit

    Args:
        out: Folder in which the run folder is made.
        name: Name of the run folder; unset: RECIPE-TIME-ID.
        resume: A run folder to continue where it stopped; takes only --model, --until, --check and --page beside it.
        until: Pause after this epoch, without a report; --resume continues. Schedules keep their whole length.
        dry_run: Two steps and one evaluation, then stop; leaves nothing.
        verify: Hash the files of an image folder again before training.
        check: Look for faults before the first step and while it runs; errors stop, warnings are printed.
        page: Draw the pictures and the page when it ends; without, `tenfold report RUN` makes the page later.
    """
    from tenfold import api

    how: dict[str, Any] = {"check": check, "until": until, "page": page}
    if resume is None:
        chosen = one_recipe(recipe_name, recipe_file)
        own = given(options, written, net)
        api.train(chosen, out=out, name=name, dry_run=dry_run, verify=verify, **how, **own)
        return
    others = [
        *([recipe_name] if recipe_name else []),
        *(f"--{name}" for name in sorted(written - BESIDE_RESUME)),
    ]
    if others:
        raise RecipeError(
            f"--resume continues a recorded recipe; {', '.join(others)} would change it.", "Give --resume alone."
        )
    api.train(resume=resume, model=net, **how)


def evaluate(
    run: Positional[RunPath],
    split: Literal["val", "test"] = "val",
    data: str | None = None,
    weights: Weights = "best",
    device: str | None = None,
    net: SameNet = None,
) -> None:
    """Judge a run: accuracy, loss, precision and recall per class, confusion matrix, calibration error.

    Examples:
      tenfold evaluate runs/NAME                       its validation images
      tenfold evaluate runs/NAME --split test          the test images: counted, and recorded in the run folder
      tenfold evaluate runs/NAME --data photos/        other images of the same classes

    Args:
        split: Which images. Select on val; open test once, at the end.
        data: Other data with the same classes, a name or a path.
        weights: The best epoch's weights or the last's.
        device: auto, cpu, cuda or cuda:N; unset: the device that trained the run.
    """
    from tenfold import api, tables
    from tenfold.console import Screen

    with Screen().working() as progress:
        result = api.evaluate(run, split=split, data=data, weights=weights, device=device, model=net, progress=progress)
    tables.show_evaluation(result)


def predict(
    run: Positional[RunPath],
    paths: Positional[Annotated[tuple[Path, ...], arg(metavar="PATH", help="Image files, or folders of them.")]],
    out: Path | None = None,
    weights: Weights = "best",
    device: str = "auto",
    net: SameNet = None,
) -> None:
    """Classes of images as CSV: path, prediction, probability of each class. Broken files are reported, not fatal.

    Examples:
      tenfold predict runs/NAME photos/ --out predictions.csv

    Args:
        out: The CSV file; unset: standard output.
        weights: The best epoch's weights or the last's.
        device: auto (the device that trained the run), cpu, cuda or cuda:N.
    """
    from tenfold import api, tables
    from tenfold.console import Screen
    from tenfold.runs import write_atomic

    with Screen().working() as progress:
        found = api.predict(run, paths, weights=weights, device=device, model=net, progress=progress)
    if out is not None:
        write_atomic(out, found.csv())
    tables.show_predictions(found, out)


def inspect(
    recipe_name: Positional[RecipeName] = None,
    recipe_file: RecipeFile = None,
    net: Net = None,
    classes: int = 10,
    options: Settings = NOTHING_SET,
    written: Written = frozenset(),
) -> None:
    """A recipe's net layer by layer: output shape, parameters, multiply-adds, share; totals; memory of a batch.

    Examples:
      tenfold inspect simplenn
      tenfold inspect simplenn --image-size 64 --model.norm batch
      tenfold inspect --model squeezenet

    Args:
        classes: Number of classes.
    """
    from tenfold import api, tables

    chosen, changed = one_recipe(recipe_name, recipe_file), given(options, written, net)
    batch = changed.pop("batch", 5)
    tables.show_inspection(str(net or chosen), api.inspect(chosen, batch=batch, classes=classes, **changed))


def bench(
    recipe_name: Positional[RecipeName] = None,
    recipe_file: RecipeFile = None,
    net: Net = None,
    steps: int = 200,
    seconds: float = 30.0,
    out: Path | None = None,
    json: bool = False,
    options: Settings = NOTHING_SET,
    written: Written = frozenset(),
) -> None:
    """Measure a training on this machine: images/s, how near to its ceiling, where the time of a step goes, memory.

    Examples:
      tenfold bench                                    the default recipe on the built-in data, about 15 seconds
      tenfold bench resnet20 --data cifar10
      tenfold bench simplenn --batch 512 --backend.precision fp32

    Args:
        steps: So many are timed whole, and as many in parts; the first ones do not count.
        seconds: Time limit for these steps; at least 3 of each are timed.
        out: The picture; unset: bench-RECIPE.png here.
        json: Print one JSON object instead of tables.
    """
    from tenfold import api, tables
    from tenfold.console import Screen

    chosen, changed = one_recipe(recipe_name, recipe_file), given(options, written, net)
    with Screen(quiet=json).working() as progress:
        seen, picture = api.bench(chosen, out=out, steps=steps, seconds=seconds, progress=progress, **changed)
    if json:
        tables.print_json({**seen.to_dict(), "picture": str(picture)})
    else:
        tables.show_speed(seen, picture)


def find_lr(
    recipe_name: Positional[RecipeName] = None,
    recipe_file: RecipeFile = None,
    net: Net = None,
    low: float = 1e-5,
    high: float = 10.0,
    steps: int = 300,
    out: Path | None = None,
    options: Settings = NOTHING_SET,
    written: Written = frozenset(),
) -> None:
    """Find a learning rate to begin with: a few steps at ever higher rates, and where the loss fell most steeply.

    Examples:
      tenfold find-lr simplenn --data cifar10
      tenfold find-lr --optimizer.name adamw
      tenfold find-lr resnet20-lab --data cifar10 --low 1e-3 --steps 100

    Args:
        low: The rate of the first step.
        high: The rate of the last one, unless the loss diverges before.
        steps: So many, on training batches.
        out: The picture; unset: lr-RECIPE.png here. Nothing else is written.
    """
    from tenfold import previews, tables
    from tenfold.console import Screen

    chosen, changed = one_recipe(recipe_name, recipe_file), given(options, written, net)
    with Screen().working() as progress:
        seen = previews.find_lr(chosen, out=out, low=low, high=high, steps=steps, progress=progress, **changed)
    tables.show_range(*seen)


def show(what: Positional[Annotated[Literal["data", "schedule", "batch"], arg(metavar="data|schedule|batch")]]) -> None:
    """Look at data, at a recipe's learning rate over the epochs, or at a batch before and after augmentation.

    Examples:
      tenfold show data photos/
      tenfold show schedule simplenn-decay
      tenfold show batch simplenn --augment.randaugment 2

    `tenfold show data --help` and so on teach each.
    """
    # run_verb calls the function in SHOWN that the word names.


def show_data(
    data: Positional[Annotated[str, arg(metavar="NAME|PATH", help="cifar10, shapes, or a path.")]],
    out: Path | None = None,
    image_size: int | None = None,
    split_seed: int = 0,
    verify: bool = False,
) -> None:
    """Look at data before training: splits, class counts, fingerprint, and a picture of every class.

    Examples:
      tenfold show data shapes
      tenfold show data photos/ --image-size 48 --out photos.png

    Args:
        out: The picture; unset: data-NAME.png here.
        image_size: Side in pixels that images are resized to.
        split_seed: Which images would be validation.
        verify: Hash the files of an image folder again.
    """
    from tenfold import api, tables
    from tenfold.console import Screen

    with Screen().working() as progress:
        seen = api.show(data, out=out, image_size=image_size, split_seed=split_seed, verify=verify, progress=progress)
    tables.show_data(*seen)


def show_schedule(
    recipe_name: Positional[RecipeName] = None,
    recipe_file: RecipeFile = None,
    net: Net = None,
    out: Path | None = None,
    options: Settings = NOTHING_SET,
    written: Written = frozenset(),
) -> None:
    """Draw a recipe's learning rate over the epochs.

    Examples:
      tenfold show schedule simplenn-decay
      tenfold show schedule simplenn --schedule.name cosine_restarts --schedule.warmup 2

    Args:
        out: The picture; unset: schedule-RECIPE.png here.
    """
    from tenfold import previews, tables

    chosen = one_recipe(recipe_name, recipe_file)
    tables.show_schedule(*previews.show_schedule(chosen, out=out, **given(options, written, net)))


def show_batch(
    recipe_name: Positional[RecipeName] = None,
    recipe_file: RecipeFile = None,
    net: Net = None,
    images: int = 18,
    out: Path | None = None,
    options: Settings = NOTHING_SET,
    written: Written = frozenset(),
) -> None:
    """Draw images of a recipe's first batch, before and after augmentation.

    Examples:
      tenfold show batch simplenn-augment --data cifar10
      tenfold show batch --augment.randaugment 2 --augment.mixup 0.4

    Args:
        images: So many of the batch.
        out: The picture; unset: batch-RECIPE.png here.
    """
    from tenfold import previews
    from tenfold.console import Screen

    chosen, changed = one_recipe(recipe_name, recipe_file), given(options, written, net)
    with Screen().working() as progress:
        picture = previews.show_batch(chosen, out=out, images=images, progress=progress, **changed)
    print(f"picture: {picture}")


def list_(
    what: Positional[Annotated[Literal["recipes", "models", "runs"], arg(metavar="recipes|models|runs")]],
    out: Path = Path("runs"),
) -> None:
    """What there is: recipes, models, or the runs below a folder.

    Args:
        out: The folder that holds the runs.
    """
    from tenfold import api, tables

    tables.show_list(what, api.list_(what, out=out))


def report(
    runs: Positional[Annotated[tuple[Path, ...], arg(metavar="RUN", help="One run folder, or several.")]],
    out: Path | None = None,
) -> None:
    """Write a run's page again, or one page over several runs side by side.

    Examples:
      tenfold report runs/A
      tenfold report runs/A runs/B --out both.html

    Args:
        out: The page; unset: report.html in the run folder, or comparison.html beside the first of several.
    """
    from tenfold import api

    print(f"report: {api.report(runs, out=out)}")


def info() -> None:
    """Devices with name and memory, driver, versions, and the measured rate of a matrix product."""
    from tenfold import api, tables

    tables.show_info(api.info())


VERBS: dict[str, Callable[..., int | None]] = {
    "train": train,
    "evaluate": evaluate,
    "predict": predict,
    "inspect": inspect,
    "check": check,
    "audit": audit,
    "bench": bench,
    "compare": compare,
    "ablate": ablate,
    "sweep": sweep,
    "lab": lab,
    "find-lr": find_lr,
    "show": show,
    "list": list_,
    "report": report,
    "info": info,
}

SHOWN: dict[str, Callable[..., None]] = {"data": show_data, "schedule": show_schedule, "batch": show_batch}
"""What `tenfold show` shows, by its first word."""

TAKES_OPTIONS = (train, inspect, bench, find_lr, show_schedule, show_batch, compare, ablate, sweep)


def run_verb(verb: str, arguments: Sequence[str]) -> int:
    """Parse the arguments of one verb and call it; returns the exit code."""
    function, named_so = lookup(VERBS, verb, "verb"), f"tenfold {verb}"
    if function is show and arguments and arguments[0] in SHOWN:
        function, named_so, arguments = SHOWN[arguments[0]], f"{named_so} {arguments[0]}", arguments[1:]
    help_text = function_help(function)
    if function is check:
        return run_check(arguments, help_text)
    if function is ablate:
        arguments, changes = cut_variants(arguments)
        function = partial(function, changes=changes)
    if VERBS[verb] in TAKES_OPTIONS or function in TAKES_OPTIONS:
        function = partial(function, options=recipe_options(arguments), written=flags(arguments))
    return parse_arguments(function, named_so, arguments, help_text) or 0


def function_help(function: Callable[..., int | None]) -> str:
    """The docstring of a verb above its Args."""
    return (getdoc(function) or "").split("Args:")[0].strip()
