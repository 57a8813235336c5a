"""The verbs over several runs: compare, ablate, sweep, lab; exported by `tenfold`.

import tenfold
study = tenfold.compare("simplenn-augment", "simplenn", data="cifar10", seeds=8)
print(study.judgements[0].text())
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tenfold.api import as_run, plan
from tenfold.errors import RecipeError
from tenfold.experiments import studies
from tenfold.experiments.lab.plan import Terms as LabTerms
from tenfold.experiments.lab.run import Lab, run_lab
from tenfold.experiments.spaces import is_range, parse_space, words
from tenfold.experiments.studies import Source, Study
from tenfold.experiments.terms import Discard, Method, Metric, SearchTerms, Terms
from tenfold.recipe import Recipe
from tenfold.recipes import DEFAULT
from tenfold.runs import Run

Side = str | Path | Recipe | Run | Sequence[str | Path | Run]
"""One arm of a comparison: a recipe (its name, its file or a Recipe), a run, or several runs."""
Tell = Callable[[str], None]


def quietly(_line: str) -> None:
    """A Tell that says nothing."""


def compare(
    a: Side,
    b: Side,
    *,
    a_options: Mapping[str, Any] | None = None,
    b_options: Mapping[str, Any] | None = None,
    seeds: int = 8,
    metric: Metric = "last",
    delta: float = 0.5,
    unequal: bool = False,
    error: float = 0.3,
    out: str | Path = "runs",
    tell: Tell = quietly,
    **options: Any,
) -> Study:
    """Is A better than B? Paired by seed, with interval, test and verdict; recipes are trained, runs are read.

    a_options, b_options: options of one arm only, dotted. options: of both. delta: the margin of equivalence in points.
    metric: validation accuracy of the last epoch, or of the best. error: expected error rate, to forecast the power.
    """
    terms = Terms(seeds, metric, delta, unequal, error, Path(out))
    sides = [source_of(side, own or {}, options) for side, own in ((a, a_options), (b, b_options))]
    (first, one), (second, two) = sides
    if first == second:
        first, second = f"{first} (A)", f"{second} (B)"
    return studies.compare(((first, one), (second, two)), terms, tell)


def source_of(side: Side, own: Mapping[str, Any], common: Mapping[str, Any]) -> tuple[str, Source]:
    """What to call an arm, and its plan or run folders."""
    paths = run_folders(side)
    if paths is None:
        assert isinstance(side, str | Path | Recipe)
        made = plan(side, **common).override(dict(own))
        return " ".join([made.recipe.name, *([words(own)] if own else [])]), made
    if own or common:
        names = ", ".join([*own, *common])
        raise RecipeError(f"{names} would have no effect on runs that are there.", "Leave it out, or compare recipes.")
    return paths[0].name if len(paths) == 1 else f"{paths[0].name} and {len(paths) - 1} more", paths


def run_folders(side: Side) -> list[Path] | None:
    """The run folders that a side names; None where it is a recipe."""
    if isinstance(side, Run):
        return [side.path]
    if isinstance(side, Recipe):
        return None
    if isinstance(side, str | Path):
        is_run = (Path(side) / "recipe.json").is_file() or Path(side).is_dir()
        return [as_run(side).path] if is_run else None
    if not side:
        raise RecipeError("An arm has no run.", "Give one run folder or more.")
    return [one.path if isinstance(one, Run) else Path(one) for one in side]


def ablate(
    recipe: str | Path | Recipe = DEFAULT,
    variants: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    seeds: int = 8,
    metric: Metric = "last",
    delta: float = 0.5,
    unequal: bool = False,
    error: float = 0.3,
    out: str | Path = "runs",
    tell: Tell = quietly,
    **options: Any,
) -> Study:
    """What does each change buy? A baseline and variants of it ({name: {option: value}}, dotted) at equal budget."""
    base = plan(recipe, **options)
    made = {name: base.override(dict(changes)) for name, changes in (variants or {}).items()}
    if base.recipe.name in made:
        raise RecipeError(f"A variant is called {base.recipe.name}, as the baseline.", "Choose another name.")
    terms = Terms(seeds, metric, delta, unequal, error, Path(out))
    return studies.ablate((base.recipe.name, base), made, terms, tell)


def sweep(
    recipe: str | Path | Recipe = DEFAULT,
    over: Mapping[str, str | Sequence[Any]] | None = None,
    *,
    seeds: int | None = None,
    metric: Metric = "last",
    search: Method | None = None,
    trials: int | None = None,
    discard: Discard | None = None,
    confirm: int | None = None,
    out: str | Path = "runs",
    tell: Tell = quietly,
    **options: Any,
) -> Study:
    """Every combination of values of some options, {option: [values]}, or a search: table and plots with every run.

    search: "tpe" or "random" tries `trials` points (30) of ranges ("1e-3..1") and values, stops most of them early
    (discard: "halving", "one-epoch" or "none"), and trains the three best again on `confirm` (3) fresh seeds.
    """
    base = plan(recipe, **options)
    own: dict[str, Any] = {"trials": trials, "discard": discard, "confirm": confirm}
    given = {name: value for name, value in own.items() if value is not None}
    if search is None:
        refuse_search_options(given, over or {})
        terms = Terms(1 if seeds is None else seeds, metric, out=Path(out))
        grid = {option: [values] if isinstance(values, str) else values for option, values in (over or {}).items()}
        return studies.sweep(base.recipe.name, base, grid, terms, tell)
    if seeds is not None:
        raise RecipeError(
            f"seeds = {seeds} would have no effect on a search: its trials run once.",
            "Give --confirm, the fresh seeds of each finalist.",
        )
    found = SearchTerms(method=search, metric=metric, out=Path(out), **given)
    return studies.search(base.recipe.name, base, parse_space(over or {}), found, tell)


def refuse_search_options(given: Mapping[str, Any], over: Mapping[str, Any]) -> None:
    """What only a search reads would have no effect on a grid."""
    if given:
        raise RecipeError(f"{', '.join(given)} would have no effect without a search.", "Add --search tpe or random.")
    ranges = [option for option, values in over.items() if is_range(values) or any(map(is_range, values))]
    if ranges:
        raise RecipeError(f"{ranges[0]} is given as a range.", "Add --search tpe or random, or give its single values.")


def lab(
    *,
    quick: bool = False,
    only: Sequence[str] = (),
    seeds: int | None = None,
    hours: float | None = None,
    data: str | Path | None = None,
    out: str | Path = "lab",
    tell: Tell = quietly,
) -> Lab:
    """Run the whole lab, or some parts of it, and write its page: every figure beside the lab's, with a verdict.

    only: ids such as "L2.3", "L2" or "1.8". seeds: of SimpleNN's arms (8; quick: 6). hours: the most telling parts
    that fit. data: unset: cifar10, quick: shapes. Runs lie in OUT/runs; the same call continues.
    """
    given = None if data is None else str(data)
    return run_lab(LabTerms(quick, tuple(only), seeds, hours, given, Path(out)), tell)
