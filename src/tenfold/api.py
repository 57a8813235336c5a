"""The verbs for Python, exported by `tenfold`: train, evaluate, predict, inspect, bench, show, list, report, info.

Those that draw what a recipe would do, find_lr, show_schedule and show_batch, are in previews.py.

import tenfold
run = tenfold.train("simplenn", data="cifar10", epochs=10, optimizer={"lr": 0.05})
tenfold.evaluate(run, split="test").metrics.accuracy
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from tenfold import recipe as recipes_on_disk
from tenfold.checks import observed
from tenfold.checks.rules import check_names
from tenfold.console import Screen
from tenfold.datasets import load
from tenfold.datasets.dataset import Dataset, Progress, silent
from tenfold.datasets.splits import split as split_rows
from tenfold.deploy import predict as prediction
from tenfold.errors import DataError, RecipeError, RunError
from tenfold.evidence import evaluation
from tenfold.models import MODELS, build
from tenfold.models.inspection import Inspection, inspect_model
from tenfold.models.own import Make, choose, choose_again, find_own, is_own
from tenfold.recipe import Plan, Recipe, leaves
from tenfold.recipes import DEFAULT, RECIPES, named
from tenfold.registry import defaults
from tenfold.runs import Run, check_place, find_runs, held_alone, sweep_up, write_atomic
from tenfold.session import conclude, data_document, draw_evaluation, draw_page, headline, introduce, try_out, warn
from tenfold.training.backend import choose_device
from tenfold.training.environment import environment, matrix_rate
from tenfold.training.loop import fit
from tenfold.training.loop import resume as restore
from tenfold.training.memory import memory_explained
from tenfold.training.optimisers import buffers
from tenfold.training.resolve import check_options
from tenfold.training.setup import Setup, prepare, start_from_weights
from tenfold.training.speed import Speed, measure


def plan(recipe: str | Path | Recipe = DEFAULT, **options: Any) -> Plan:
    """A named recipe, a recipe file (.json, .toml) or a Recipe, with options set.

    plan("simplenn", optimizer={"lr": 0.1}); model: a net's name, FILE.py:CLASS or a callable, or its options.
    """
    if isinstance(recipe, Recipe):
        base = Plan.of(recipe)
    elif Path(recipe).suffix in (".json", ".toml"):
        base = recipes_on_disk.load(Path(recipe))
    else:
        base = Plan.of(named(str(recipe)))
    values = {name: str(value) if isinstance(value, Path) else value for name, value in leaves(options)}
    if "model" in values:
        if "model.name" in values:
            raise RecipeError(
                f"Two nets were given: {values['model']} and {values['model.name']}.", "Give one of both."
            )
        values |= choose(values.pop("model"))
    planned = base.override(values)
    check_names(planned.recipe.ignore)
    return planned


def train(
    recipe: str | Path | Recipe = DEFAULT,
    *,
    resume: str | Path | Run | None = None,
    out: str | Path = "runs",
    name: str | None = None,
    dry_run: bool = False,
    verify: bool = False,
    check: bool = True,
    quiet: bool = False,
    until: int | None = None,
    page: bool = True,
    **options: Any,
) -> Run | None:
    """Check, train, judge on validation, report; returns the run (None after a dry run).

    resume: a run to continue to the bit. until: pause after so many epochs in all, without a report.
    verify: hash the files of an image folder again.
    check: look for faults first and keep observing (docs/doctor.md); the training's bits are the same without.
    page: draw the pictures and the page when it ends; without, `report(run)` makes the page later.
    options: any of the recipe's, nested (`optimizer={"lr": 0.1}`) or dotted (`**{"optimizer.lr": 0.1}`).
    model: a net's name, or a net of your own: a class, a function, or "FILE.py:CLASS" (docs/guide.md, "Your own net").
    """
    screen = Screen(quiet)
    if until is not None and until < 1:
        raise RecipeError(f"until = {until} would train nothing.", "Give the epoch to pause after: 1 or more.")
    if resume is not None:
        run = as_run(resume)
        for note in named_net(run, options.get("model"), f"tenfold train --resume {run.path}"):
            screen.say(note, "yellow")
        return continue_run(run, screen, check, until, page)
    with screen.working() as progress:
        setup = prepare(plan(recipe, **options), verify, progress)
    start_from_weights(setup)
    with memory_explained(setup.recipe.batch, setup.preprocessing.size):
        found = introduce(setup, screen, check)
        if dry_run:
            try_out(setup, screen)
            return None
    documents = {"environment.json": environment(setup.backend.device), "data.json": data_document(setup, found)}
    if setup.choice is not None:
        documents["backend.json"] = setup.choice.to_dict()
    if check:
        told = [one for one in found if one.rule not in setup.recipe.ignore]
        silenced = [one.rule for one in found if one.rule in setup.recipe.ignore]
        documents[observed.FILE] = observed.document(told, silenced)
    run = Run.create(Path(out), name, setup.plan, documents)
    with held_alone(run.path):
        screen.attach(run)
        return fit_observed(setup, run, screen, check, until, page)


def fit_observed(setup: Setup, run: Run, screen: Screen, check: bool, until: int | None, page: bool) -> Run:
    """Train to the end, under observation if `check`, and conclude."""
    with screen.training(setup):
        if check:
            with observed.Observed(screen, setup, run, partial(warn, screen)) as observer:
                fit(setup, run, observer, until)
        else:
            fit(setup, run, screen, until)
    return conclude(setup, run, screen, page)


def continue_run(run: Run, screen: Screen, check: bool, until: int | None, page: bool) -> Run:
    """Train a run from its newest good checkpoint to its end; a finished one only gets its missing files."""
    with screen.working() as progress:
        setup = prepare(run.plan, progress=progress, recorded=True)
    if setup.dataset.fingerprint != run.read("data.json")["fingerprint"]:
        raise DataError(
            f"The data {run.recipe.data} changed since this run began: its fingerprint differs.",
            "Restore the data, or train anew under another --name.",
        )
    with held_alone(run.path):
        sweep_up(run.path)
        screen.attach(run)
        for line in restore(setup, run):
            screen.say(line)
        return fit_observed(setup, run, screen, check, until, page)


def evaluate(
    run: str | Path | Run,
    *,
    split: Literal["val", "test"] = "val",
    data: str | Path | None = None,
    weights: Literal["best", "last"] = "best",
    device: str | None = None,
    model: str | Make | None = None,
    progress: Progress = silent,
) -> evaluation.Evaluation:
    """Judge a run on its validation or test split, or on other data with the same classes.

    Each opening of the test set is counted and recorded in the run folder; its files are written there, and the report
    renewed. Results on other data (`data`) are only returned. model: the run's net, where that is your own code.
    """
    from tenfold.reports import page

    run = as_run(run)
    notes = named_net(run, model, f"tenfold evaluate {run.path}")
    result = evaluation.evaluate(run, split, str(data) if data else None, weights, device, progress)
    result = replace(result, notes=(*notes, *result.notes))
    if data is None:
        result.save(run)
        draw_evaluation(run, result)
    if data is None or split == "test":
        page.write_report(run)
    return result


def predict(
    run: str | Path | Run,
    paths: str | Path | Sequence[str | Path],
    *,
    weights: Literal["best", "last"] = "best",
    device: str = "auto",
    model: str | Make | None = None,
    progress: Progress = silent,
) -> prediction.Predictions:
    """Classes of image files and of the images below folders; broken files are listed in `.skipped`.

    model: the run's net, where that is your own code.
    """
    run = as_run(run)
    notes = named_net(run, model, f"tenfold predict {run.path} PATH…")
    several = [paths] if isinstance(paths, str | Path) else paths
    found = prediction.predict(run, several, weights, device, progress)
    return replace(found, notes=(*notes, *found.notes))


def inspect(recipe: str | Path | Recipe = DEFAULT, *, batch: int = 5, classes: int = 10, **options: Any) -> Inspection:
    """The recipe's net layer by layer: output shapes, parameters, multiply-adds, memory. Needs no data."""
    if batch < 1 or classes < 1:
        raise RecipeError(
            f"batch = {batch} and classes = {classes} must be at least 1.", "Leave them out for 5 and 10."
        )
    settled = check_options(plan(recipe, **options), []).recipe
    size = settled.preprocess.center_crop or settled.image_size or 32
    model = build(settled.model, 3, size, classes, settled.seed).to(choose_device(settled.device))
    return inspect_model(model, 3, size, batch, buffers(settled.optimizer))


def bench(
    recipe: str | Path | Recipe = DEFAULT,
    *,
    out: str | Path | None = None,
    steps: int = 200,
    seconds: float = 30.0,
    progress: Progress = silent,
    **options: Any,
) -> tuple[Speed, Path]:
    """Measure a recipe's training here: images/s, time of each part of a step, memory; and a picture of it as PNG.

    steps: so many are timed whole and as many in parts, or as many as fit `seconds`. options: as for train.
    """
    from tenfold.reports import timings

    if steps < 1 or not seconds > 0:
        raise RecipeError(
            f"steps = {steps} must be at least 1, seconds = {seconds:g} more than 0.", "Leave them out for 200 and 30."
        )
    planned = plan(recipe, **options)
    picture = Path(out) if out else Path(f"bench-{planned.recipe.name}.png")
    check_place(picture)
    setup = prepare(planned, progress=progress)
    start_from_weights(setup)
    seen = measure(setup, steps, seconds, progress)
    write_atomic(picture, timings.step_times(seen.parts, *headline(seen)))
    return seen, picture


def show(
    data: str | Path,
    *,
    out: str | Path | None = None,
    image_size: int | None = None,
    split_seed: int = 0,
    verify: bool = False,
    progress: Progress = silent,
) -> tuple[Dataset, dict[str, Any], Path]:
    """Look at data: the dataset, its class counts per split, and a picture of some images of each class as PNG."""
    from tenfold.reports import pictures

    dataset = load(str(data), image_size, verify, progress)
    splits = split_rows(dataset, split_seed)
    picture = Path(out) if out else Path(f"data-{dataset.name}.png")
    write_atomic(picture, pictures.class_grid(dataset))
    return dataset, {part: dataset.counts(rows) for part, rows in splits.items()}, picture


def list_(what: Literal["recipes", "models", "runs"] = "recipes", *, out: str | Path = "runs") -> dict[str, Any]:
    """Recipes and models by name with what they are, or the runs below `out`."""
    if what == "runs":
        return {run.name: run for run in find_runs(Path(out))}
    if what == "models":
        return {
            name: {"about": (model.__doc__ or "").split("\n")[0], "options": defaults(model)}
            for name, model in MODELS.items()
        }
    if what == "recipes":
        return {name: (function.__doc__ or "").split("\n")[0] for name, function in RECIPES.items()}
    raise RecipeError(f"There is no list of '{what}'.", "Known: recipes, models, runs.")


def report(runs: str | Path | Run | Sequence[str | Path | Run], *, out: str | Path | None = None) -> Path:
    """Write the page of a run anew, or one page over several runs side by side; returns its path."""
    from tenfold.experiments.groups import together
    from tenfold.reports import page

    several = [runs] if isinstance(runs, str | Path | Run) else list(runs)
    opened = [as_run(run) for run in several]
    if not opened:
        raise RunError("No run was named.", "tenfold report RUN…")
    if len(opened) > 1:
        place = Path(out) if out else opened[0].path.parent / "comparison.html"
        groups = [(one.title, one.best, one.last, one.left_out) for one in together(opened)]
        return page.write_comparison(opened, place, groups)
    run = opened[0]
    made = draw_page(run) if run.epochs else page.write_report(run)
    if out:
        write_atomic(Path(out), made.read_bytes())
    return Path(out) if out else made


def info() -> dict[str, Any]:
    """Devices with name and memory, driver, versions, and the measured matrix-product rates in GFLOP/s."""
    names = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16}
    devices = {}
    for name in names:
        facts = environment(torch.device(name))
        rates = {kind: matrix_rate(torch.device(name), dtype) for kind, dtype in kinds.items()}
        devices[name] = {
            "name": facts["device_name"],
            "memory": facts["device_memory"],
            "driver": facts["driver"],
            "rates": rates,
        }
    facts = environment(torch.device("cpu"))
    return {key: facts[key] for key in ("tenfold", "python", "torch", "numpy", "pillow", "platform", "cores")} | {
        "devices": devices
    }


def named_net(run: Run, model: str | Make | None, command: str) -> tuple[str, ...]:
    """Name the user's net that a run was trained with, or find it named before; what to say about it."""
    recorded = run.recipe.model
    if model is not None:
        changed = choose_again(model, recorded, run.path)
        return (changed,) if changed else ()
    if is_own(recorded.name):
        find_own(recorded, command)
    return ()


def as_run(run: str | Path | Run) -> Run:
    """A run, from its path or itself."""
    return run if isinstance(run, Run) else Run.open(run)
