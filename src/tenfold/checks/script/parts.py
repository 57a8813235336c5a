"""Images of the test part that the validation part holds too: what is chosen on it is chosen on them."""

import ast
import re
from collections.abc import Iterator, Sequence
from typing import Any

from tenfold.checks.rules import finding
from tenfold.checks.script.copies import expected, handed
from tenfold.checks.script.modes import where
from tenfold.checks.script.parting import TRAINED
from tenfold.checks.script.seen import Call, Place, Seen
from tenfold.checks.script.selection import selected_on_test
from tenfold.checks.script.source import argument, assignment, line, statement
from tenfold.checks.script.splits import items
from tenfold.errors import Finding

VALIDATION = re.compile(r"(?<!e)(?<!inter)val(?!ue)|(\b|_)dev(\b|_)", re.I)
TEST = re.compile(r"(?<![as])test", re.I)  # not latest, fastest
LEAST = 0.1
"""Of the test images; more where images are alike by chance."""


def test_in_validation(seen: Seen) -> Iterator[Finding]:
    """A part named for validation holds images of one named for the test."""
    calls = [(call, *named) for call in seen.judging_calls() if (named := named_for(call))]
    validation, test = ([(call, at) for call, part, at in calls if part is one] for one in (VALIDATION, TEST))
    if not validation or not test or any(selected_on_test(seen)):
        return
    share = shared([call for call, _ in test], [call for call, _ in validation])
    if share > max(LEAST, 1.5 * expected(seen)):
        place = made(validation[0][1])
        yield finding(
            "selected-on-test",
            "The validation part holds images of the test part",
            f"{share:.0%} of the test images are in it: what is chosen by it is chosen on them.",
            f"Give each image to one part only; a slice needs both ends{line(place)}.",
            **where(place),
        )


def named_for(call: Call) -> tuple[re.Pattern[str], Place] | None:
    """The part that the lines around a call name, the innermost that names one, and that line."""
    spans = (*call.spans, *[None] * len(call.places))
    found = ((kind(handed(place, span)), place) for place, span in zip(call.places[:3], spans))
    return next(((part, place) for part, place in found if part), None)


def kind(name: str) -> re.Pattern[str] | None:
    """Which part a name means; None for training, both, and neither."""
    found = [pattern for pattern in (VALIDATION, TEST) if pattern.search(name)]
    return found[0] if len(found) == 1 and not TRAINED.search(name) else None


def shared(test: list[Call], validation: list[Call]) -> float:
    """The share of test images that are judged for validation too: by their places in a dataset, or by their pixels."""
    one, other = ([call.batch.loader.loader.dataset for call in calls if call.batch] for calls in (test, validation))
    placed = share_of(items(one[0]), items(other[0])) if one and other else 0.0
    pixels = ([digest for c in calls if not c.same for digest in c.hashes] for calls in (test, validation))
    return placed or share_of(*pixels)


def share_of(these: Sequence[Any], those: Sequence[Any]) -> float:
    """How many of these are among those."""
    known = set(those)
    return sum(one in known for one in these) / max(1, len(these))


def made(place: Place) -> Place:
    """Where the validation part that a line names was made, rather than its loader."""
    names = [
        n.id
        for n in ast.walk(statement(place) or ast.Pass())
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
    ]
    at = next((at for name in names if kind(name) is VALIDATION and (at := assignment(place.file, name))), place)
    name = argument(at, "DataLoader")
    return (assignment(at.file, name) if name else None) or at


PARTS = (test_in_validation,)
