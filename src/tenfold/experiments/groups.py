"""Groups of runs: the same recipe on the same data with several seeds, and what they reached together."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tenfold.errors import RecipeError, RunError
from tenfold.evidence.statistics import interval
from tenfold.experiments.arms import Arm
from tenfold.experiments.many import Outcome
from tenfold.experiments.terms import Metric
from tenfold.runs import Epoch, Run


@dataclass(frozen=True)
class Group:
    """Accuracies (0..1) by seed, None where the run failed (`troubles` says how), and what makes runs comparable."""

    name: str
    key: str
    fingerprint: str
    split_seed: int
    budget: int
    judging_images: int
    accuracies: dict[int, float | None]
    runs: dict[int, Run]
    troubles: tuple[str, ...] = ()

    @property
    def values(self) -> list[float]:
        """The accuracies of the runs that finished."""
        return [value for value in self.accuracies.values() if value is not None]

    @property
    def mean(self) -> float | None:
        """Mean accuracy; None where no run finished."""
        return float(np.mean(self.values)) if self.values else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of the mean (Student's t); None under two runs."""
        return interval(np.array(self.values))

    @property
    def deviation(self) -> float | None:
        """Standard deviation over the seeds; None under two runs."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else None

    def epochs(self) -> dict[int, list[Epoch]]:
        """The rows of every run that finished."""
        return {seed: self.runs[seed].epochs for seed, value in self.accuracies.items() if value is not None}


def group_of(arm: Arm, outcomes: dict[int, Outcome], metric: Metric = "last") -> Group:
    """The group that was just trained."""
    read: dict[int, float] = {}
    troubles = []
    for seed, outcome in outcomes.items():
        if outcome.failure is not None:
            troubles.append(f"seed {seed}: {outcome.failure.splitlines()[0]}")
            continue
        try:
            read[seed] = accuracy_of(outcome.run, metric)
        except RunError as error:
            troubles.append(f"seed {seed}: {error.what}")
    return Group(
        name=arm.name,
        key=arm.key,
        fingerprint=arm.fingerprint,
        split_seed=arm.split_seed,
        budget=arm.budget,
        judging_images=arm.judging_images,
        accuracies={seed: read.get(seed) for seed in outcomes},
        runs={seed: outcome.run for seed, outcome in outcomes.items()},
        troubles=tuple(troubles),
    )


def accuracy_of(run: Run, metric: Metric) -> float:
    """The validation accuracy that counts; RunError where the run has none."""
    rows = run.epochs
    row = rows[-1] if metric == "last" and rows else run.best
    if row is None or row.val_accuracy is None:
        raise RunError(
            f"{run.path} has no validation accuracy.", "Compare runs that were trained on train, not train+val."
        )
    return row.val_accuracy


def group_on_disk(name: str, paths: Sequence[Path], metric: Metric = "last") -> Group:
    """The group that these run folders make; a damaged one is named, left out of the means and counted."""
    runs: dict[int, Run] = {}
    accuracies: dict[int, float | None] = {}
    made: list[Arm] = []
    troubles = []
    for path in paths:
        run = Run.open(path)
        seed = run.recipe.seed
        if seed in runs:
            raise RecipeError(f"{name}: {runs[seed].path} and {path} both have seed {seed}.", "Give one run a seed.")
        runs[seed] = run
        try:
            made.append(arm_on_disk(name, run))
            accuracies[seed] = accuracy_of(run, metric) if run.finished else None
            if not run.finished:
                troubles.append(f"{path}: not finished; to continue: tenfold train --resume {path}")
        except (RunError, KeyError, TypeError) as error:
            accuracies[seed] = None
            troubles.append(f"{path}: {error.what if isinstance(error, RunError) else 'data.json is damaged'}")
    if not made:
        raise RunError(f"{name} has no run that can be read.", "\n".join(troubles))
    if len({arm.key for arm in made}) > 1:
        raise RecipeError(
            f"The runs of {name} are not of one recipe on the same data.",
            "Give runs that differ in their seed only; `tenfold report RUN RUN` shows how they differ.",
        )
    first = made[0]
    return Group(
        name, first.key, first.fingerprint, first.split_seed, first.budget, first.judging_images,
        accuracies, runs, tuple(troubles),
    )  # fmt: skip


def arm_on_disk(name: str, run: Run) -> Arm:
    """The arm that a run belongs to."""
    data = run.read("data.json")
    splits = data["splits"]
    return Arm(name, run.plan, data["fingerprint"], splits["train"]["total"], splits["val"]["total"])


@dataclass(frozen=True)
class Together:
    """Runs of one recipe on the same data; accuracies (0..1) at the best and the last epoch, of those that finished."""

    runs: Sequence[Run]
    best: list[float]
    last: list[float]

    @property
    def left_out(self) -> int:
        """How many runs are unfinished or damaged."""
        return len(self.runs) - len(self.last)

    @property
    def title(self) -> str:
        """simplenn, 3 runs."""
        return f"{self.runs[0].recipe.name}, {len(self.runs)} runs"


def together(runs: Sequence[Run]) -> list[Together]:
    """The groups of two and more runs among these; what cannot be read is left out of the accuracies."""
    found = []
    for group in (group for group in alike(runs) if len(group) > 1):
        whole = []
        for run in group:
            with suppress(RunError):
                whole += [(accuracy_of(run, "best"), accuracy_of(run, "last"))] if run.finished else []
        found.append(Together(group, [best for best, _ in whole], [last for _, last in whole]))
    return found


def alike(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs, those of one recipe on the same data together, in order of their first; a damaged one is alone."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        try:
            key = arm_on_disk(run.name, run).key
        except Exception:  # whatever a damaged file is read as
            key = f"damaged {run.path}"
        found.setdefault(key, []).append(run)
    return list(found.values())
