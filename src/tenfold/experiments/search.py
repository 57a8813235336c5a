"""A search over ranges: trials that stop early unless they are good, finalists on fresh seeds, a winner with interval.

    study = search("simplenn", plan, parse_space({"optimizer.lr": "1e-3..1"}), SearchTerms(trials=30), print)

Trials come in rounds of nine. Each is a run folder that pauses at a rung and continues to the bit, so that nothing is
trained twice: not by going on, not after a kill, not where a run of that recipe is there already. Schedules keep the
whole length of the run. The three best trials are trained to the end and again on fresh seeds: what chose them (seed 0)
does not judge them.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tenfold.errors import RunError
from tenfold.experiments import storage
from tenfold.experiments.arms import Arm, resolve, resolve_all, train_arms
from tenfold.experiments.groups import Group, group_of
from tenfold.experiments.many import Split, train_many
from tenfold.experiments.rungs import FACTOR as LONGER
from tenfold.experiments.rungs import RELIABLE, going_on, levels, rank_correlation
from tenfold.experiments.spaces import Range, Space, corners, words
from tenfold.experiments.terms import SearchTerms
from tenfold.recipe import Plan
from tenfold.runs import Epoch, Run, csv_text, write_atomic
from tenfold.training.resolve import check_options

Tell = Callable[[str], None]
FINALISTS = 3


@dataclass
class Trial:
    """A point of the space, the run of seed 0 there, and how far the search let it go."""

    number: int
    point: Mapping[str, Any]
    arm: Arm
    folder: Path
    reached: int = 0
    failure: str | None = None
    finalist: bool = False

    @property
    def rows(self) -> list[Epoch]:
        """What the run reached, as far as the search counts it."""
        return [] if self.failure is not None else Run(self.folder).epochs[: self.reached]

    @property
    def accuracy(self) -> float:
        """Validation accuracy after the last epoch that counts; 0 where the run failed."""
        rows = self.rows
        return (rows[-1].val_accuracy or 0.0) if rows else 0.0

    def accuracy_at(self, epoch: int) -> float:
        """Validation accuracy after an epoch, or after the last one where the run stopped itself before."""
        rows = self.rows[:epoch]
        return (rows[-1].val_accuracy or 0.0) if rows else 0.0

    @property
    def state(self) -> str:
        """What became of it."""
        if self.failure is not None:
            return "failed"
        if self.finalist:
            return "finalist"
        whole = self.reached >= self.arm.plan.recipe.epochs
        return "trained to the end" if whole else f"discarded after epoch {self.reached}"


@dataclass
class Search:
    """A search under way."""

    plan: Plan
    space: Space
    terms: SearchTerms
    split: Split
    folder: Path
    tell: Tell
    first: int = 1
    trials: list[Trial] = field(default_factory=list)
    correlations: list[str] = field(default_factory=list)

    @property
    def epochs(self) -> int:
        """Epochs of a whole run."""
        return self.plan.recipe.epochs

    def run(self) -> list[Trial]:
        """All rounds; the finalists, the best of seed 0 first."""
        with storage.opened(self.folder) as study:
            for start in range(0, self.terms.trials, storage.ROUND):
                count = min(start + storage.ROUND, self.terms.trials)
                known = storage.asked(study, self.space, self.terms.method, count)
                newest = [self.trial(number, point) for number, point in known[start:]]
                self.trials += newest
                self.round(newest)
                for trial in newest:
                    storage.tell(study, trial.number, trial.accuracy)
                self.measure()
                self.write()
        return self.finalists()

    def trial(self, number: int, point: Mapping[str, Any]) -> Trial:
        """The trial of a point, its backend measured."""
        arm = resolve(words(point), self.plan.override(dict(point)), self.split.threads)
        return Trial(number, point, arm, arm.folder(self.terms.out, 0))

    def round(self, newest: Sequence[Trial]) -> None:
        """Train new trials from rung to rung; successive halving leaves the last stretch to the best of all rounds."""
        rungs = levels(self.terms.discard, self.epochs, self.first)
        if self.terms.discard == "halving" and len(rungs) > 1:
            rungs = rungs[:-1]
        staying = list(newest)
        for rung, following in zip(rungs, [*rungs[1:], None], strict=True):
            self.train(staying, rung)
            if following is not None:
                staying = ranked(staying)[: going_on(self.terms.discard, len(staying))]

    def train(self, trials: Sequence[Trial], until: int) -> None:
        """Train these trials up to an epoch, as far as they are not there."""
        plans = {trial.folder: trial.arm.plan.override({"seed": 0}) for trial in trials}
        names = {trial.folder: f"trial {trial.number} {trial.arm.name} to epoch {until}" for trial in trials}
        outcomes = train_many(plans, self.split, self.tell, names, until)
        for trial in trials:
            trial.failure, trial.reached = outcomes[trial.folder].failure, until
            try:
                trial.rows  # noqa: B018 (a damaged run fails here)
            except RunError as error:
                trial.failure = error.what

    def measure(self) -> None:
        """Do early accuracies rank as later ones do? If not, the first rung lengthens."""
        rungs = levels(self.terms.discard, self.epochs, self.first)
        if len(rungs) < 2:
            return
        went_on = [trial for trial in self.trials if trial.failure is None and trial.reached >= rungs[1]]
        early, late = ([trial.accuracy_at(epoch) for trial in went_on] for epoch in rungs[:2])
        found = rank_correlation(early, late)
        if found is None:
            return
        said = (
            f"rank correlation of epochs {rungs[0]} and {rungs[1]}: {found:.2f} over {len(went_on)} trials that went on"
        )
        if found < RELIABLE:
            self.first = min(self.epochs, rungs[0] * LONGER)
            said += f"; under {RELIABLE}: the first rung lengthens to {self.first} epochs"
        self.correlations.append(said)
        self.tell(said)

    def finalists(self) -> list[Trial]:
        """The best trials, different in their recipes, trained to the end."""
        chosen: dict[str, Trial] = {}
        for trial in ranked(self.trials):
            if trial.failure is None and len(chosen) < FINALISTS:
                chosen.setdefault(trial.arm.key, trial)
        found = list(chosen.values())
        unfinished = [trial for trial in found if trial.reached < self.epochs]
        if unfinished:
            self.train(unfinished, self.epochs)
        found = [trial for trial in ranked(found) if trial.failure is None]
        for trial in found:
            trial.finalist = True
        self.write()
        return found

    def images(self) -> int:
        """Images that the trials saw."""
        runs = {trial.folder: trial for trial in sorted(self.trials, key=lambda trial: trial.reached)}
        return sum(row.train_total for trial in runs.values() for row in trial.rows)

    def write(self) -> None:
        """trials.csv: every trial, as far as it is."""
        rungs = levels(self.terms.discard, self.epochs)
        header = (
            "trial",
            *self.space,
            "epochs",
            "validation accuracy",
            *(f"epoch {rung}" for rung in rungs),
            "state",
            "run",
        )
        rows = []
        for trial in self.trials:
            at = [trial.accuracy_at(rung) if trial.reached >= rung and not trial.failure else "" for rung in rungs]
            reached = "" if trial.failure else trial.accuracy
            rows.append((trial.number, *trial.point.values(), len(trial.rows), reached, *at, trial.state, trial.folder))
        write_atomic(self.folder / "trials.csv", csv_text(header, rows))


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """The furthest first, and of those the best."""
    return sorted(trials, key=lambda trial: (trial.failure is None, trial.reached, trial.accuracy), reverse=True)


def begun(name: str, plan: Plan, space: Space, terms: SearchTerms, tell: Tell) -> Search:
    """A search whose extreme points were found usable; RecipeError where one is not, before anything runs."""
    for point in corners(space):
        check_options(plan.override(point), [])
    arms, splits = resolve_all({name: plan}, terms.trials)
    base, split = arms[name], splits.best
    kinds = [name, base.key, terms.method, terms.discard, {option: str(values) for option, values in space.items()}]
    identity = hashlib.sha256(json.dumps(kinds, sort_keys=True).encode()).hexdigest()[:8]
    for option, dimension in space.items():
        tell(f"{option}: {dimension.text()}")
    rungs = levels(terms.discard, plan.recipe.epochs)
    looks = f"compared after epoch {', '.join(map(str, rungs[:-1]))}" if rungs[:-1] else "none discarded"
    tell(f"{terms.trials} trials by {terms.method}, {looks}; {split.processes} × {split.threads} threads.")
    return Search(plan, space, terms, split, terms.out / f"search-{identity}", tell)


def confirmed(search: Search, finalists: Sequence[Trial]) -> list[Group]:
    """The finalists on fresh seeds, the best mean first."""
    arms, seeds = [trial.arm for trial in finalists], range(1, search.terms.confirm + 1)
    if not arms:
        return []
    outcomes = train_arms(arms, seeds, search.terms.out, search.split, search.tell)
    groups = [group_of(arm, outcomes[arm.name], search.terms.metric) for arm in arms]
    return sorted(groups, key=lambda group: group.mean or 0.0, reverse=True)


def files(search: Search, groups: Sequence[Group], title: str) -> dict[str, bytes]:
    """Pictures by file name: accuracy against each option, and all options side by side where they are several."""
    from tenfold.reports import searches

    marks = [
        searches.Mark(
            trial.point, None if trial.failure else trial.accuracy, trial.reached / search.epochs, kind_of(trial)
        )
        for trial in search.trials
    ]
    points = {trial.arm.name: trial.point for trial in search.trials}
    marks += [searches.Mark(points[g.name], value, 1.0, "fresh") for g in groups for value in g.accuracies.values()]
    axes = [
        searches.Axis(option, low=dimension.low, high=dimension.high, logarithmic=dimension.logarithmic)
        if isinstance(dimension, Range)
        else searches.Axis(option, tuple(map(str, dimension.values)))
        for option, dimension in search.space.items()
    ]
    made = {f"search-{axis.option}.png": searches.against(marks, axis, title) for axis in axes}
    return made if len(axes) < 2 else {**made, "parallel.png": searches.parallel(marks, axes, title)}


def kind_of(trial: Trial) -> str:
    """How a trial is drawn."""
    if trial.finalist:
        return "finalist"
    return "whole" if trial.reached >= trial.arm.plan.recipe.epochs else "discarded"


def costs(search: Search, groups: Sequence[Group]) -> str:
    """What was trained against what every trial to its end would have cost."""
    spent = search.images()
    fresh = sum(row.train_total for group in groups for rows in group.epochs().values() for row in rows)
    whole = len(search.trials) * search.trials[0].arm.budget
    return (
        f"{len(search.trials)} trials saw {spent:,} images, {spent / whole:.0%} of the {whole:,} of a full grid of "
        f"as many points; the finalists' fresh seeds {fresh:,} more."
    )
