"""Arms of a comparison: a resolved recipe, of which several seeds are trained, found again by what they are."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tenfold.cores import core_numbers
from tenfold.errors import RecipeError
from tenfold.experiments.many import Outcome, Split, Splits, fastest_split, one_thread_each, train_many
from tenfold.recipe import Plan
from tenfold.training.setup import inspected, prepare

UNIMPORTANT = {"name", "seed", "data", "device", "checkpoint_every", "ignore"}
"""Options that leave a run what it is; the data count by their fingerprint."""

PASSES, SPEED = 3, 20e9
"""Forward and two backward passes, and the multiply-adds that a core does in a second of them, roughly."""


@dataclass(frozen=True)
class Arm:
    """A recipe with nothing left open, backend included; `plan.recipe.seed` is not part of it."""

    name: str
    plan: Plan
    fingerprint: str
    training_images: int
    judging_images: int
    multiply_adds: int = 0
    """Of one image; 0 where it is not known."""

    @property
    def key(self) -> str:
        """Equal for equal resolved recipes on equal data."""
        values = self.plan.recipe.model_dump(mode="json", exclude=UNIMPORTANT)
        return hashlib.sha256(json.dumps([values, self.fingerprint], sort_keys=True).encode()).hexdigest()[:10]

    @property
    def split_seed(self) -> int:
        """Which images are validation."""
        return self.plan.recipe.split_seed

    @property
    def budget(self) -> int:
        """Images that a run sees."""
        return self.plan.recipe.epochs * self.training_images

    @property
    def seconds(self) -> float:
        """What a run takes on one core, roughly."""
        return self.budget * PASSES * self.multiply_adds / SPEED

    def folder(self, out: Path, seed: int) -> Path:
        """Where the run of a seed lies."""
        return out / f"{self.plan.recipe.name}-{self.key}-seed{seed}"


def resolve(name: str, plan: Plan, threads: int) -> Arm:
    """The arm of a plan: its data read, its backend measured where it is open."""
    if not plan.recipe.backend.threads:
        plan = plan.override({"backend.threads": threads}, "measured")
    setup = prepare(plan)
    if setup.validation is None:
        raise RecipeError(
            f"{name} trains on train+val: nothing is left to compare it by.", "Leave --train-on out, or give train."
        )
    training, judging = len(setup.loader.images), len(setup.validation)
    adds = inspected(setup, setup.preprocessing.size, batch=1).multiply_adds
    return Arm(name, setup.plan, setup.dataset.fingerprint, training, judging, adds)


def resolve_all(plans: Mapping[str, Plan], runs: int) -> tuple[dict[str, Arm], Splits]:
    """The arms by name, and how so many runs of each share the machine: as is fastest for the first."""
    first = next(iter(plans.values()))
    threads = one_thread_each(first).threads
    arms = {name: resolve(name, plan, threads) for name, plan in plans.items()}
    splits = fastest_split(first, runs * sum(arm.seconds for arm in arms.values()) / len(core_numbers()))
    if splits.best.threads != threads:
        arms = {name: resolve(name, plan, splits.best.threads) for name, plan in plans.items()}
    return arms, splits


def train_arms(
    arms: Sequence[Arm],
    seeds: Sequence[int],
    out: Path,
    split: Split,
    tell: Callable[[str], None],
    page: bool = True,
) -> dict[str, dict[int, Outcome]]:
    """The outcome of every seed of every arm, by the arm's name; seed by seed, so that pairs are whole early."""
    folders = {(arm.name, seed): arm.folder(out, seed) for seed in seeds for arm in arms}
    plans = {arm.folder(out, seed): arm.plan.override({"seed": seed}) for seed in seeds for arm in arms}
    names = {folder: f"{name} seed {seed}" for (name, seed), folder in folders.items()}
    outcomes = train_many(plans, split, tell, names, page=page)
    return {arm.name: {seed: outcomes[folders[arm.name, seed]] for seed in seeds} for arm in arms}
