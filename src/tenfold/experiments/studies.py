"""Studies: arms trained over seeds (or found trained), judged, and written as table, pictures and JSON.

compare: A against B. ablate: variants against a baseline. sweep: one recipe over a grid of values. search: over ranges.
"""

import hashlib
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.errors import RecipeError
from tenfold.experiments import search as searching
from tenfold.experiments.arms import UNIMPORTANT, Arm, resolve_all, train_arms
from tenfold.experiments.groups import Group, group_of, group_on_disk
from tenfold.experiments.spaces import Space, options_of, words
from tenfold.experiments.terms import SearchTerms, Terms
from tenfold.experiments.verdicts import Judgement, announce, judge, judge_all, refuse_unfair
from tenfold.recipe import Plan
from tenfold.reports import evidence
from tenfold.runs import csv_text, write_atomic

Tell = Callable[[str], None]
Source = Plan | Sequence[Path]
"""What an arm is made of: a plan to train, or run folders that are there."""


@dataclass(frozen=True)
class Study:
    """Groups, the baseline first, the judgements of the others against it, and the folder with its files."""

    kind: str
    title: str
    groups: tuple[Group, ...]
    judgements: tuple[Judgement, ...]
    folder: Path
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "kind": self.kind,
            "title": self.title,
            "groups": [
                {
                    "name": group.name,
                    "mean": group.mean,
                    "interval": group.interval,
                    "deviation": group.deviation,
                    "accuracies": {str(seed): value for seed, value in group.accuracies.items()},
                    "runs": {str(seed): str(run.path) for seed, run in group.runs.items()},
                    "troubles": group.troubles,
                }
                for group in self.groups
            ],
            "judgements": [
                {**asdict(one.comparison), "verdict": one.comparison.verdict, "text": one.text()}
                for one in self.judgements
            ],
            "notes": self.notes,
        }


def compare(sources: tuple[tuple[str, Source], tuple[str, Source]], terms: Terms, tell: Tell) -> Study:
    """A against B, each trained here or read from disk."""
    plans = {name: source for name, source in sources if isinstance(source, Plan)}
    groups = {
        name: group_on_disk(name, source, terms.metric) for name, source in sources if not isinstance(source, Plan)
    }
    if plans:
        groups |= trained(plans, terms, tell, list(groups.values()))
    a, b = (groups[name] for name, _ in sources)
    judgement = judge(a, b, terms.delta, terms.unequal)
    return written("comparison", f"{a.name} against {b.name}", [b, a], [judgement], terms)


def ablate(baseline: tuple[str, Plan], variants: Mapping[str, Plan], terms: Terms, tell: Tell) -> Study:
    """Each variant against the baseline, p adjusted for their number."""
    if not variants:
        raise RecipeError("There is no variant to compare.", "Give --variant NAME --option VALUE, once or more.")
    name, plan = baseline
    groups = trained({name: plan, **variants}, terms, tell, [])
    judgements = judge_all([groups[v] for v in variants], groups[name], terms.delta, terms.unequal)
    return written("ablation", f"Ablation of {name}", list(groups.values()), judgements, terms)


def sweep(name: str, plan: Plan, over: Mapping[str, Sequence[Any]], terms: Terms, tell: Tell) -> Study:
    """Every combination of the values, beside each other in table and picture, without a verdict."""
    points = grid(over)
    plans = {words(point): plan.override(point) for point in points}
    groups = trained(plans, terms, tell, [])
    return written("sweep", f"{name} over {', '.join(over)}", list(groups.values()), [], terms, points)


def search(name: str, plan: Plan, space: Space, terms: SearchTerms, tell: Tell) -> Study:
    """The best points of a space of ranges, by early discarding; the finalists on fresh seeds."""
    under_way = searching.begun(name, plan, space, terms, tell)
    finalists = under_way.run()
    groups = searching.confirmed(under_way, finalists)
    points = {trial.arm.name: trial.point for trial in finalists}
    best = [f"The best mean: {options_of(points[groups[0].name])}"] if groups and groups[0].mean is not None else []
    notes = (*best, *under_way.correlations[-1:], searching.costs(under_way, groups))
    title = f"{name}: search over {', '.join(space)}"
    shared = Terms(terms.confirm, terms.metric, out=terms.out)
    made = written("search", title, groups, [], shared, folder=under_way.folder, notes=notes)
    for file, content in searching.files(under_way, groups, title).items():
        write_atomic(made.folder / file, content)
    return made


def grid(over: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """All combinations; RecipeError where there is nothing to combine."""
    if not over or not all(over.values()):
        raise RecipeError("The grid is empty.", "Give --over OPTION=VALUE,VALUE: --over optimizer.lr=0.1,0.01")
    for option, values in over.items():
        if len(set(map(str, values))) < len(values):
            raise RecipeError(f"--over {option} names a value twice.", "Name each value once.")
    return [dict(zip(over, values, strict=True)) for values in itertools.product(*over.values())]


def trained(plans: Mapping[str, Plan], terms: Terms, tell: Tell, others: Sequence[Group]) -> dict[str, Group]:
    """The groups of these plans, trained as far as they are not there; what is unfair is refused before."""
    refuse_twins({name: plan.recipe.model_dump(exclude=UNIMPORTANT - {"data"}) for name, plan in plans.items()})
    arms, splits = resolve_all(plans, terms.seeds)
    known: list[Group | Arm] = [*others, *arms.values()]
    for one in known[1:]:
        refuse_unfair(one, known[0], terms.unequal)
    refuse_twins({name: arm.key for name, arm in arms.items()})
    if len(known) > 1:
        images = next(iter(arms.values())).judging_images
        tell(announce(terms.error, images, terms.seeds, terms.delta, len(known) - 1))
    tell(f"{len(arms)} × {terms.seeds} runs, {splits.text()}.")
    outcomes = train_arms(list(arms.values()), range(terms.seeds), terms.out, splits.best, tell)
    return {name: group_of(arm, outcomes[name], terms.metric) for name, arm in arms.items()}


def refuse_twins(identities: Mapping[str, object]) -> None:
    """RecipeError where two arms, by name, are the same: asked before measuring, and when all is resolved."""
    for (a, one), (b, other) in itertools.combinations(identities.items(), 2):
        if one == other:
            told = f"{a} and {b} are the same recipe."
            raise RecipeError(told, "Change an option that the recipe reads in one of them.")


def written(
    kind: str,
    title: str,
    groups: Sequence[Group],
    judgements: Sequence[Judgement],
    terms: Terms,
    points: Sequence[Mapping[str, Any]] = (),
    folder: Path | None = None,
    notes: Sequence[str] = (),
) -> Study:
    """The study with its files in a folder of its own, named by what it is about: the same study is renewed."""
    identity = hashlib.sha256(json.dumps([title, [group.key for group in groups]]).encode()).hexdigest()[:8]
    folder = folder or terms.out / f"{kind}-{identity}"
    study = Study(kind, title, tuple(groups), tuple(judgements), folder, tuple(notes))
    files: dict[str, bytes | str] = {
        "study.json": json.dumps(study.to_dict(), indent=2) + "\n",
        "runs.csv": csv_text(
            ("arm", "seed", "validation accuracy", "run"),
            [(g.name, seed, value, g.runs[seed].path) for g in groups for seed, value in g.accuracies.items()],
        ),
        "groups.csv": groups_csv(groups),
        "curves.png": evidence.bands({group.name: group.epochs() for group in groups}, title),
    }
    if judgements:
        rows = [forest_row(one) for one in judgements]
        files["forest.png"] = evidence.forest(rows, groups[0].name, title, terms.delta)
    if kind == "comparison":
        a, b = judgements[0].a, judgements[0].b
        files["pairs.png"] = evidence.pairs(a.accuracies, b.accuracies, (a.name, b.name), title)
    if points and len(points[0]) == 1:
        files["sweep.png"] = sweep_picture(points, groups, title)
    for name, content in files.items():
        write_atomic(folder / name, content)
    return study


def groups_csv(groups: Sequence[Group]) -> str:
    """A row for each group: how many runs, how many failed, mean with its 95 % interval, deviation, every run."""
    header = ("arm", "runs", "failed", "mean", "interval low", "interval high", "deviation", "accuracies by seed")
    rows = []
    for g in groups:
        low, high = g.interval or ("", "")
        singles = "; ".join(f"{seed}: {'failed' if v is None else v}" for seed, v in g.accuracies.items())
        failed = len(g.accuracies) - len(g.values)
        empty = "" if g.deviation is None else g.deviation
        rows.append((g.name, len(g.accuracies), failed, "" if g.mean is None else g.mean, low, high, empty, singles))
    return csv_text(header, rows)


def sweep_picture(points: Sequence[Mapping[str, Any]], groups: Sequence[Group], title: str) -> bytes:
    """Accuracy against the value; places on a line where the values are no numbers."""
    (option,) = points[0]
    values = [point[option] for point in points]
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    at = {
        (float(value) if numeric else float(index)): group.values
        for index, (value, group) in enumerate(zip(values, groups, strict=True))
    }
    best = max(at, key=lambda value: np.mean(at[value]) if at[value] else -1.0)
    return evidence.sweep(at, option, title, best, None if numeric else [str(value) for value in values])


def forest_row(one: Judgement) -> evidence.Row:
    """A judgement as a line of the forest plot."""
    a, b, found = one.a.accuracies, one.b.accuracies, one.comparison
    whole = [(a[seed], b[seed]) for seed in found.seeds]
    return evidence.Row(
        one.a.name,
        [100 * (x - y) for x, y in whole if x is not None and y is not None],
        None if found.difference is None else 100 * found.difference,
        None if found.interval is None else (100 * found.interval[0], 100 * found.interval[1]),
        found.verdict,
    )
