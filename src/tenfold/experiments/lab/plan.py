"""What was asked of the lab: its terms, the parts that they name, and the plan of each arm."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold.errors import RecipeError, near
from tenfold.experiments.arms import UNIMPORTANT
from tenfold.experiments.lab.parts import PARTS, RESNET, Arm
from tenfold.experiments.statements.trainings import QUICK, SETTLED
from tenfold.models.own import choose
from tenfold.recipe import Plan
from tenfold.recipes import named

Run = tuple[str, int]
"""A run that parts and statements need: what tells its plan from others, and its seed."""

QUICK_SECONDS = 330.0
"""Time of a quick lab that was given neither hours nor parts; drawing the page takes the rest of 6 minutes."""

SHOWN = 2
"""Seeds over which a comparison can be looked at, without a verdict."""


@dataclass(frozen=True)
class Terms:
    """What the user asked for. seeds: runs of each SimpleNN arm; ResNet-20 has at most 3 (quick: 1)."""

    quick: bool = False
    only: tuple[str, ...] = ()
    seeds: int | None = None
    hours: float | None = None
    data: str | None = None
    out: Path = Path("lab")

    def __post_init__(self) -> None:
        if self.seeds is not None and self.seeds < 1:
            raise RecipeError(f"{self.seeds} seeds are none.", "Give --seeds 1 or more; a verdict needs 6.")
        if self.hours is not None and not 0 < self.hours < float("inf"):
            raise RecipeError(f"{self.hours:g} hours are no time.", "Give --hours more than 0, or leave it out.")

    @property
    def limit(self) -> float | None:
        """Seconds that the lab may take; a quick one, whole, stays under 6 minutes."""
        if self.hours is not None:
            return 3600 * self.hours
        return QUICK_SECONDS if self.quick and not self.only else None

    @property
    def source(self) -> str:
        """The data: CIFAR-10, or the built-in shapes for a quick lab, unless named."""
        return self.data or ("shapes" if self.quick else "cifar10")

    @property
    def simplenn_seeds(self) -> int:
        """Runs of an arm that is compared."""
        return self.seeds or (6 if self.quick else 8)

    @property
    def statement_seeds(self) -> list[int]:
        """Runs of each arm of a statement: as of one that is compared, or a few where a quick lab is short of time."""
        return [SHOWN, self.simplenn_seeds] if self.quick and self.seeds is None else [self.simplenn_seeds]

    @property
    def few_seeds(self) -> int:
        """Runs of a point of a sweep, and of a ResNet-20: no verdict follows."""
        return min(self.simplenn_seeds, 1 if self.quick else 3)


QUICK_RESNET = {**QUICK, "epochs": 2, "batch": 32, "image_size": 16}
"""A quick lab's ResNet-20 sees smaller images, and fewer times."""
SPAN = 30
"""Epochs for which the options that count in epochs are written."""
IN_EPOCHS = ("schedule.every", "schedule.period", "schedule.patience")
TRIAL_EPOCHS = {True: (1,), False: (3, 10)}
"""Epochs of the runs that try learning rates for L3.5, quick or not, round by round: the better half goes on."""


def plan_of(arm: Arm, terms: Terms, tuned: Mapping[str, Mapping[str, Any]] | None = None) -> Plan:
    """The arm's plan on the lab's data. tuned: the changes of the optimisers whose rate has been found."""
    changes = dict(arm.changes)
    optimiser = changes.pop("tuned", None)
    if optimiser is not None:
        changes |= (tuned or {}).get(optimiser, {})
    if changes.get("model") == "softmax":
        del changes["model"]
        changes |= choose(f"{Path(__file__).with_name('nets.py')}:SoftmaxResNet20")
    plan = Plan.of(named(arm.recipe)).override({"data": terms.source, **changes})
    if terms.quick:
        plan = plan.override({**(QUICK_RESNET if arm.net == RESNET else QUICK), **SETTLED}, "recipe")
    return in_proportion(plan)


def better_half(tried: Mapping[float, float | None]) -> list[float]:
    """Of rates and what each reached (None: failed) the better half, the best first; of five three."""
    best = sorted(tried, key=lambda rate: tried[rate] or -1.0, reverse=True)
    return best[: math.ceil(len(best) / 2)]


def run_of(plan: Plan) -> Run:
    """The run of a plan; equal where the same training is meant."""
    return plan.recipe.model_dump_json(exclude=UNIMPORTANT - {"data"}), plan.recipe.seed


def in_proportion(plan: Plan) -> Plan:
    """Options that count in epochs, shortened as the run is."""
    schedule, epochs = plan.recipe.schedule, plan.recipe.epochs
    if epochs == SPAN:
        return plan
    values = {name: getattr(schedule, name.split(".")[1]) for name in IN_EPOCHS}
    scaled = {
        name: type(value)(math.ceil(value * epochs / SPAN)) for name, value in values.items() if value is not None
    }
    return plan.override(scaled, "recipe")


def wanted(only: Sequence[str], others: Sequence[str]) -> list[str]:
    """The ids that `only` names, in order of the lab; all where it names none.

    L2 stands for its parts, L4 for the statements and mistakes, which are `others`. RecipeError: unknown.
    """
    known = [*PARTS, *others]
    groups = {group: [id for id in PARTS if id.startswith(f"{group}.")] for group in ("L1", "L2", "L3")}
    groups |= {"L4": list(others), "L5": known}
    found: set[str] = set()
    for word in only or known:
        name = next((id for id in [*known, *groups] if id.lower() == word.lower()), None)
        if name is None:
            raise RecipeError(f"The lab has no part '{word}'.", near(word, [*known, *groups]))
        found |= set(groups.get(name, [name]))
    return [id for id in known if id in found]
