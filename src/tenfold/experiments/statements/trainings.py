"""Trainings that experiments share: plans on the context's data, and their groups of runs over seeds.

Full plans are named recipes as they are, so that runs of the lab's other parts are found again. Quick ones take few
epochs of small batches on a share of the images, with arithmetic that is not measured first: they begin at once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tenfold.evidence.power import FEWEST_PAIRS, fewest_pairs
from tenfold.experiments.arms import Arm, resolve, resolve_all, train_arms
from tenfold.experiments.groups import Group, group_of
from tenfold.experiments.many import Split, one_thread_each
from tenfold.experiments.statements.answers import Context, Table
from tenfold.experiments.studies import forest_row
from tenfold.experiments.verdicts import Judgement
from tenfold.recipe import Plan, Recipe
from tenfold.recipes import named
from tenfold.reports.evidence import forest

QUICK: dict[str, Any] = {"epochs": 4, "batch": 16, "fraction": 0.4, "validation": 0.2}
"""What makes a recipe quick: 800 steps on the built-in shapes, enough to be better than guessing by far."""

SETTLED: dict[str, Any] = {
    "backend.threads": 1,
    "backend.precision": "fp32",
    "backend.layout": "channels_last",
    "backend.kernels": "torch",
    "backend.compile": False,
}
"""A backend with nothing left to measure, which would take as long as the short runs gain by it."""


def plan(context: Context, recipe: str | Recipe, **changes: Any) -> Plan:
    """The recipe on the context's data, with changes (`__` for a dot: model__dropout=0.2)."""
    base = Plan.of(named(recipe) if isinstance(recipe, str) else recipe)
    common: dict[str, Any] = {"data": context.data}
    if context.quick:
        common |= {**QUICK, **SETTLED}
    return base.override({**common, **{name.replace("__", "."): value for name, value in changes.items()}})


def seeds_for(context: Context, comparisons: int) -> int:
    """The context's seeds; at least what so many comparisons take to be decided, where a verdict is wanted at all."""
    return max(context.seeds, fewest_pairs(comparisons)) if context.seeds >= FEWEST_PAIRS else context.seeds


def over_seeds(plans: Mapping[str, Plan], seeds: int) -> list[Plan]:
    """One plan for each run."""
    return [made.override({"seed": seed}) for made in plans.values() for seed in range(seeds)]


def arms_of(context: Context, plans: Mapping[str, Plan]) -> tuple[dict[str, Arm], Split]:
    """The arms by name, and how their runs share the machine; nothing is measured for quick ones."""
    if context.quick:
        split = one_thread_each(next(iter(plans.values())))
        return {name: resolve(name, made, split.threads) for name, made in plans.items()}, split
    arms, splits = resolve_all(plans, context.seeds)
    return arms, splits.best


def groups(context: Context, plans: Mapping[str, Plan], seeds: int | None = None) -> dict[str, Group]:
    """The runs of these plans by name, trained as far as they are not there; seeds: the context's, or others."""
    arms, split = arms_of(context, plans)
    outcomes = train_arms(
        list(arms.values()), range(seeds or context.seeds), context.out, split, context.tell, page=not context.quick
    )
    return {name: group_of(arm, outcomes[name]) for name, arm in arms.items()}


def table(found: Mapping[str, Group], caption: str) -> Table:
    """Mean accuracy, its interval, and every run of each group."""
    rows = []
    for name, group in found.items():
        low_high = "–" if group.interval is None else f"{group.interval[0]:.2%} to {group.interval[1]:.2%}"
        every = ", ".join("failed" if value is None else f"{value:.2%}" for value in group.accuracies.values())
        mean = "–" if group.mean is None else f"{group.mean:.2%}"
        rows.append((name, mean, low_high, every))
    return Table(("arm", "mean validation accuracy", "95 % interval", "each seed"), tuple(rows), caption)


def told(judgement: Judgement) -> str:
    """Verdict and figures of a comparison, as a sentence or two."""
    return judgement.text().replace("\n", " ")


def undecided(pairs: int) -> str:
    """The answer where the figures decide nothing: too few pairs for a verdict, or enough of them."""
    return "no verdict" if pairs < FEWEST_PAIRS else "inconclusive"


def always_helps(judgements: Sequence[Judgement]) -> str:
    """The answer to "it always helps": one case where it does not is enough against it."""
    verdicts = {one.comparison.verdict for one in judgements}
    if verdicts & {"hurts", "equivalent"}:
        return "false"
    if verdicts == {"helps"}:
        return "true"
    return undecided(min(one.comparison.pairs for one in judgements))


def forest_of(judgements: Sequence[Judgement], baseline: str, title: str) -> bytes:
    """The differences with intervals and every pair, as a picture."""
    return forest([forest_row(one) for one in judgements], baseline, title)
