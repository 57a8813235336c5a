"""Counts of right answers that go on from training into the evaluation, because nothing sets them back to 0 between."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from torch import Tensor

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.observe import Observer
from tenfold.checks.script.seen import Call, Place, Seen, frames, running
from tenfold.checks.script.source import line, shown_code
from tenfold.errors import Finding

ROW = 5
"""So many comparisons in a row must have added their right answers to a number before it is taken for their count."""
NAMES, DEEP = 300, 3
"""Numbers of one owner, and functions around a comparison, that are looked at."""


@dataclass(frozen=True)
class Tally:
    """A number in which right answers may be counted: what it should be at the next comparison.

    row: how often it was so. before, place: of one that training had counted in, what it was at the first comparison
    of the evaluation, and the line that evaluates.
    """

    expected: float
    training: bool
    stack: tuple[Place, ...]
    row: int = 0
    before: float = 0.0
    place: Place | None = None


def tally(observer: Observer, calls: Sequence[Call], result: Tensor) -> None:
    """Look which numbers around a comparison have grown by the right answers of the one before."""
    seen = observer.seen
    if result.dim() != 1 or seen.carried is not None:
        return
    right, training, stack = float(result.sum()), any(call.grad for call in calls), frames()
    for key, value in numbers_around().items():
        old, before, place = seen.tallies.get(key), 0.0, None
        grown = old is not None and value == old.expected and value > 0
        if old is not None and grown and not training:
            if old.before and right:
                seen.carried = key[1], old.before, old.place
            elif old.training and old.row >= ROW:
                before, place = value, evaluating(stack, old.stack)
        row = old.row + 1 if old is not None and grown else 0
        seen.tallies[key] = Tally(value + right, training, stack, row, before, place)


def numbers_around() -> dict[tuple[int, str], float]:
    """The numbers that the running functions, and the objects whose methods they are, know by name."""
    found: dict[tuple[int, str], float] = {}
    for frame in islice(running(), DEEP):
        me = frame.f_locals.get("self")
        for owner, known in ((frame.f_code, frame.f_locals), (me, getattr(me, "__dict__", {}))):
            for name, value in islice(known.items(), NAMES):
                if (number := number_in(value)) is not None:
                    found.setdefault((id(owner), name), number)
    return found


def number_in(value: Any) -> float | None:
    """A number that may be a count."""
    if isinstance(value, bool):
        return None
    counts = isinstance(value, int | float) or (isinstance(value, Tensor) and value.dim() == 0)
    return float(value.detach() if isinstance(value, Tensor) else value) if counts else None


def evaluating(stack: Sequence[Place], training: Sequence[Place]) -> Place | None:
    """The outermost line that differs from those of training; the innermost where none does."""
    pairs = zip(reversed(stack), reversed(training))
    return next((one for one, other in pairs if one != other), stack[0] if stack else None)


def carried_over(seen: Seen) -> Iterator[Finding]:
    """Right answers of training are counted among those of the evaluation."""
    if seen.carried is None:
        return
    name, before, place = seen.carried
    yield finding(
        "accuracy-count",
        f"Right answers of training are still in `{name}` when the evaluation begins",
        f"It was {before:.0f} at the first comparison of the evaluation, and went on from there.",
        f"Set the counts back to 0 before {shown_code(place)}{line(place)}.",
        **where(place),
    )


RULES = (carried_over,)
