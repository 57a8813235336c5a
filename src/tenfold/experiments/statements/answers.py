"""What a statement's experiment gets, what it costs, and what it answers."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tenfold.recipe import Plan


@dataclass(frozen=True)
class Context:
    """All that an experiment needs. `quick`: in seconds, on small data; `tell` hears a line now and then.

    data: a name or path as for `tenfold train --data`. out: where runs lie; what is there is not trained again.
    """

    data: str
    out: Path
    quick: bool
    seeds: int
    tell: Callable[[str], None]


@dataclass(frozen=True)
class Table:
    """Figures in rows, as text ready to be shown."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str


@dataclass(frozen=True)
class Found:
    """What an experiment found: its answer, the figures in plain English, tables, and pictures (PNG) by name."""

    answer: str
    evidence: str
    tables: tuple[Table, ...] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """A statement, what the lab answered, and what tenfold found, in so many seconds.

    answer: true, false, inconclusive, no verdict (under 6 seeds), or a mistake shown or not shown.
    """

    id: str
    statement: str
    lab: str
    answer: str
    evidence: str
    tables: tuple[Table, ...]
    pictures: dict[str, bytes]
    seconds: float


@dataclass(frozen=True)
class Cost:
    """The runs that an experiment trains, seeds included (those on disk too), and the seconds it computes beside."""

    plans: tuple[Plan, ...]
    seconds: float


def no_plans(_context: Context) -> list[Plan]:
    """Nothing is trained into a run folder."""
    return []


@dataclass(frozen=True)
class Experiment:
    """A statement and the experiment that answers it; called with a Context it gives the Answer.

    plans: the runs that it trains. seconds: what it computes beside them on 2 cores, roughly, quick and full.
    """

    id: str
    statement: str
    lab: str
    look: Callable[[Context], Found]
    seconds: tuple[float, float]
    plans: Callable[[Context], Sequence[Plan]] = no_plans

    def __call__(self, context: Context) -> Answer:
        """Run the experiment."""
        began = time.perf_counter()
        found = self.look(context)
        spent = time.perf_counter() - began
        return Answer(
            self.id, self.statement, self.lab, found.answer, found.evidence, found.tables, dict(found.pictures), spent
        )

    def cost(self, context: Context) -> Cost:
        """What it will take, known before it runs."""
        return Cost(tuple(self.plans(context)), self.seconds[0 if context.quick else 1])
