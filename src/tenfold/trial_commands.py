"""The verbs over several runs on the command line: compare, ablate, sweep, lab."""

import json
import tomllib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, Suppress, arg

from tenfold.arguments import (
    NOTHING_SET,
    Net,
    RecipeFile,
    RecipeName,
    RecipeOptions,
    Settings,
    Written,
    flags,
    given,
    one_recipe,
    parse_arguments,
)
from tenfold.errors import RecipeError
from tenfold.experiments.terms import Discard, Method, Metric, Terms
from tenfold.recipe import OPTION_NAMES, leaves

SharedTerms = Annotated[Terms, arg(name="")]
USUAL_TERMS = Terms()
Arm = Annotated[str, arg(metavar="RECIPE|RUN[,RUN…]")]
Variants = Suppress[dict[str, dict[str, Any]]]
"""Of the command line's --variant parts; filled in by run_verb."""


def compare(
    a: Positional[Arm],
    b: Positional[Arm],
    a_set: tuple[str, ...] = (),
    b_set: tuple[str, ...] = (),
    terms: SharedTerms = USUAL_TERMS,
    net: Net = None,
    options: Settings = NOTHING_SET,
    written: Written = frozenset(),
) -> None:
    """Is A better than B? Trains both over seeds (or reads runs), pairs them, and gives an honest verdict.

    helps or hurts (p < 0.05 and the interval excludes 0), equivalent (within ±delta), inconclusive (about k more
    seeds), no verdict (under 6 pairs). Same seeds, same split, equal budget; crashed runs count. Stopped, it continues.

    Examples:
      tenfold compare simplenn simplenn-plain --data cifar10 --epochs 10
      tenfold compare simplenn simplenn --a-set model.norm=batch --seeds 6
      tenfold compare runs/a0,runs/a1,runs/a2 runs/b0,runs/b1,runs/b2

    Args:
        a: A recipe, a run folder, or several with commas.
        b: What to compare it with.
        a_set: Options of A only, as NAME=VALUE.
        b_set: Options of B only, as NAME=VALUE.
    """
    from tenfold import tables, trials

    study = trials.compare(
        side(a),
        side(b),
        a_options=assignments(a_set, "--a-set"),
        b_options=assignments(b_set, "--b-set"),
        tell=print,
        **vars(terms),
        **given(options, written, net),
    )
    tables.show_study(study)


def ablate(
    recipe_name: Positional[RecipeName] = None,
    recipe_file: RecipeFile = None,
    variants: Path | None = None,
    terms: SharedTerms = USUAL_TERMS,
    net: Net = None,
    options: Settings = NOTHING_SET,
    written: Written = frozenset(),
    changes: Variants = {},  # noqa: B006 (never changed)
) -> None:
    """What does each change buy? A baseline and variants of it at equal budget: table, forest plot, curves.

    What stands before the first --variant holds for all. p values are adjusted for the number of variants (Holm).

    Examples:
      tenfold ablate simplenn --data cifar10 --variant bn --model.norm batch --variant slow --optimizer.lr 0.001
      tenfold ablate simplenn --variants variants.toml --seeds 6

    Args:
        variants: A TOML file with one table of options for each variant.
    """
    from tenfold import tables, trials

    study = trials.ablate(
        one_recipe(recipe_name, recipe_file),
        {**(variants_of(variants) if variants else {}), **changes},
        tell=print,
        **vars(terms),
        **given(options, written, net),
    )
    tables.show_study(study)


def sweep(
    recipe_name: Positional[RecipeName] = None,
    recipe_file: RecipeFile = None,
    over: tuple[str, ...] = (),
    seeds: int | None = None,
    metric: Metric = "last",
    search: Method | None = None,
    trials: int | None = None,
    discard: Discard | None = None,
    confirm: int | None = None,
    out: Path = Path("runs"),
    net: Net = None,
    options: Settings = NOTHING_SET,
    written: Written = frozenset(),
) -> None:
    """One recipe over a grid of values, or a search over ranges: table, and plots of accuracy with every run.

    A search (--search) tries some points of the ranges, compares them after few epochs, lets the better ones go on, and
    trains the three best again on fresh seeds: seed 0, which chose them, would flatter. Stopped, it continues.

    Examples:
      tenfold sweep simplenn --data cifar10 --over optimizer.lr=1,0.1,0.05,0.01,0.005,0.001
      tenfold sweep simplenn --over optimizer.lr=0.1,0.01 model.norm=none,batch --seeds 3
      tenfold sweep simplenn --search tpe --over optimizer.lr=1e-3..1 optimizer.weight_decay=1e-5..1e-2

    Args:
        over: OPTION=VALUE,VALUE,… or, with --search, OPTION=LOW..HIGH; all combinations are trained or searched.
        seeds: Runs of each combination: seeds 0, 1, …; unset: 1.
        metric: Validation accuracy of the last epoch, or of the best one.
        search: tpe goes by what earlier trials reached, random does not; ranges of 20 times and more by logarithm.
        trials: Points that a search tries; unset: 30.
        discard: halving: a third goes on after 1/27, 1/9, 1/3 of the epochs; one-epoch: two of nine go on to the end.
        confirm: Fresh seeds for each of a search's three finalists; unset: 3.
        out: Folder of the runs and of the sweep.
    """
    from tenfold import tables
    from tenfold.trials import sweep as run_sweep

    values = {name: values_of(text) for name, text in pairs(over, "--over").items()}
    study = run_sweep(
        one_recipe(recipe_name, recipe_file),
        values,
        seeds=seeds,
        metric=metric,
        search=search,
        trials=trials,
        discard=discard,
        confirm=confirm,
        out=out,
        tell=print,
        **given(options, written, net),
    )
    tables.show_study(study)


def lab(
    quick: bool = False,
    only: tuple[str, ...] = (),
    seeds: int | None = None,
    hours: float | None = None,
    data: str | None = None,
    out: Path = Path("lab"),
) -> None:
    """The lab that tenfold grew out of, whole: each part run, and one page with every figure beside the lab's.

    SimpleNN's comparisons over 8 seeds, ResNet-20 over 3 (no verdict), ten statements and the lab's mistakes, each
    with its evidence. Says first how long it will take; stopped or killed, the same command continues.

    Examples:
      tenfold lab --quick                     built-in data: what fits 6 minutes (with --hours 1: all)
      tenfold lab --hours 2                   CIFAR-10: the most telling parts that fit two hours
      tenfold lab --only L2.3 1.8             some parts: L1 to L4, a part, a statement

    Args:
        quick: Small built-in data and short runs: how each question is answered, not CIFAR-10's figures.
        only: Parts, by their ids.
        seeds: Runs of each SimpleNN arm; unset: 8 (quick: 6). A verdict needs 6.
        hours: Keep the most telling parts that fit, and list what is left out.
        data: Unset: cifar10 (quick: shapes).
        out: Folder of the runs and the page.
    """
    from tenfold import tables, trials

    tables.show_lab(trials.lab(quick=quick, only=only, seeds=seeds, hours=hours, data=data, out=out, tell=print))


def side(text: str) -> str | list[str]:
    """'runs/a,runs/b' → both; anything else is one recipe or run."""
    return text if "," not in text else [part for part in text.split(",") if part]


def pairs(words: Sequence[str], option: str) -> dict[str, str]:
    """('optimizer.lr=0.1', …) → names and texts."""
    found = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise RecipeError(f"{option} {word} names no value.", f"Write it as {option} NAME=VALUE.")
        found[name.replace("-", "_")] = text
    return found


def assignments(words: Sequence[str], option: str) -> dict[str, Any]:
    """Options of one arm."""
    return {name: value_of(text) for name, text in pairs(words, option).items()}


def values_of(text: str) -> str | list[Any]:
    """'1e-3..1' as it is; '0.1,0.01' as a list of values."""
    return text if ".." in text and "," not in text else [value_of(part) for part in text.split(",") if part]


def value_of(text: str) -> Any:
    """A number, true, false or null as such; any other text as text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def variants_of(file: Path) -> dict[str, dict[str, Any]]:
    """The variants of a TOML file: {name: {option: value}}."""
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{file} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{file} is not valid TOML: {error}.") from None
    if not all(isinstance(table, dict) for table in tables.values()):
        raise RecipeError(f"{file} must hold one table of options for each variant.", '[bn]\nmodel.norm = "batch"')
    return {name: dict(leaves(table)) for name, table in tables.items()}


def cut_variants(arguments: Sequence[str]) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """The arguments before the first --variant, and the options of each variant."""
    starts = [at for at, word in enumerate(arguments) if word == "--variant" or word.startswith("--variant=")]
    found: dict[str, dict[str, Any]] = {}
    for at, end in pairwise([*starts, len(arguments)]):
        name, *rest = [*arguments[at].split("=", 1)[1:], *arguments[at + 1 : end]] or [""]
        if not name or name.startswith("-"):
            raise RecipeError("--variant has no name.", "Write --variant NAME --option VALUE.")
        if name in found:
            raise RecipeError(f"There are two variants called {name}.", "Give each a name of its own.")
        unknown = [word for word in sorted(flags(rest)) if word not in OPTION_NAMES]
        if unknown:
            raise RecipeError(
                f"--variant {name}: there is no option --{unknown[0]} of a recipe.",
                "Options of the study itself stand before the first --variant.",
            )
        parsed = parse_arguments(RecipeOptions, f"tenfold ablate … --variant {name}", rest)
        found[name] = given(parsed, flags(rest))
    return list(arguments[: starts[0]] if starts else arguments), found
