"""What the lab runs: which parts were asked for, what they cost, and the most telling of them that fit the time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tenfold.errors import RecipeError, near
from tenfold.evidence.power import fewest_pairs
from tenfold.experiments.arms import UNIMPORTANT
from tenfold.experiments.lab.parts import ARMS, PARTS, RESNET, TELLING, Arm, Part
from tenfold.experiments.statements.trainings import QUICK, SETTLED
from tenfold.models.own import choose
from tenfold.recipe import Plan
from tenfold.recipes import named

Run = tuple[str, int]
"""A run that parts and statements need: what tells its plan from others, and its seed."""

QUICK_SECONDS = 330.0
"""Time of a quick lab that was given neither hours nor parts; drawing the page takes the rest of 6 minutes."""


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
    def few_seeds(self) -> int:
        """Runs of a point of a sweep, and of a ResNet-20: no verdict follows."""
        return min(self.simplenn_seeds, 1 if self.quick else 3)


QUICK_RESNET = {**QUICK, "epochs": 2, "batch": 32, "image_size": 16}
"""A quick lab's ResNet-20 sees smaller images, and fewer times."""
SPAN = 30
"""Epochs for which the options that count in epochs are written."""
IN_EPOCHS = ("schedule.every", "schedule.period", "schedule.patience")
TRIAL_EPOCHS = {True: 1, False: 3}
"""Epochs of a run that tries a learning rate for L3.5; quick or not."""


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


@dataclass(frozen=True)
class Item:
    """A part or statement to choose: its runs with their seconds, the thriftiest choice first, and seconds beside."""

    id: str
    title: str
    levels: tuple[Mapping[Run, float], ...]
    beside: float = 0.0


@dataclass(frozen=True)
class Choice:
    """What fits the time: each item's level, the seconds in all, and (id, title, seconds) of what does not."""

    levels: dict[str, int]
    seconds: float
    left_out: list[tuple[str, str, float]] = field(default_factory=list)
    reduced: list[str] = field(default_factory=list)


def levels_of(part: Part, terms: Terms) -> list[int]:
    """How many seeds each arm of the part may have, the thriftiest choice first."""
    if not part.arms:
        return [0]
    if part.one_run:
        return [1]
    if part.sweep is not None or ARMS[part.arms[0]].net == RESNET:
        least, most = 1, terms.few_seeds
    else:
        least = fewest_pairs(max(1, len(part.pairs)))
        most = terms.seeds or max(least, terms.simplenn_seeds)
    return [least, most] if least < most else [most]


def choose_parts(items: Sequence[Item], limit: float | None) -> Choice:
    """First the thriftiest choice of each item, in order of how telling they are; then more seeds, in the same order.

    A run that two items need is paid once. limit: seconds.
    """
    rank = {id: at for at, id in enumerate(TELLING)}
    order = sorted(items, key=lambda item: rank.get(item.id, rank["L4"]))
    paid: set[Run] = set()
    taken: dict[str, int] = {}
    left_out: list[tuple[str, str, float]] = []
    spent = 0.0

    def more(item: Item, level: int) -> float:
        beside = 0.0 if item.id in taken else item.beside
        return beside + sum(seconds for run, seconds in item.levels[level].items() if run not in paid)

    def take(item: Item, level: int) -> bool:
        nonlocal spent
        cost = more(item, level)
        if limit is not None and spent + cost > limit:
            return False
        spent += cost
        taken[item.id] = level
        paid.update(item.levels[level])
        return True

    left_out += [(item.id, item.title, more(item, 0)) for item in order if not take(item, 0)]
    chosen = [item for item in order if item.id in taken]
    reduced = [item.id for item in chosen for level in range(1, len(item.levels)) if not take(item, level)]
    return Choice(taken, spent, left_out, reduced)
