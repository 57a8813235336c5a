"""What a program says of its accuracy, held against what its net had right."""

import contextlib
import itertools
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.observe import Observer
from tenfold.checks.script.samples import labels_of_call
from tenfold.checks.script.seen import Call, Place, Said, Seen, here
from tenfold.checks.script.source import line
from tenfold.errors import Finding

ACCURACY = re.compile(
    r"acc|correct|\bright|richtig|treffer|genauigkeit|exactitud|justesse|aciert|r[ée]ussite|reconn|recogni", re.I
)
OTHERWISE = re.compile(
    r"train|lern|entra|fit|best|mean|balanc|macro|class|f1|recall|precis|loss|std|chance|ensemble|tta|ema|\blr\b|±"
    r"|mejor|meilleur|miglior|medi[ao]\b|moyen|mittel|durchschn|klasse|clase|[ée]quilibr|ausgewog|bilanc",
    re.I,
)
"""Words before a number that make it an accuracy, and those that make it another one, or perhaps another one."""
TOP = re.compile(r"top[-_ ]?(\d)", re.I)
NUMBER = re.compile(r"(?<![\w.-])(\d+(?:\.(\d+))?)(?![\w.]*\d)\s*(%?)")
MOST, LONGEST = 500, 400
"""So many lines are kept, of so many characters."""
FAR, CHANCE, FEWEST, STRETCHES = 0.01, 0.25, 60, 3
"""So far the numbers must be from every share of right answers, in the median, and so many may be one by chance; of so
many images at least, in the last stretches of calls between trainings.
"""


@contextlib.contextmanager
def heard(observer: Observer) -> Iterator[None]:
    """Inside this block the lines that the program writes to its output are kept too."""
    with contextlib.ExitStack() as stack:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError):
                stream.write = noted(observer, stream.write)  # type: ignore[method-assign]
                stack.callback(delattr, stream, "write")
        yield


def noted(observer: Observer, write: Any) -> Any:
    """A stream's write that keeps whole lines."""
    begun: list[str] = []

    def listening(text: str) -> Any:
        if isinstance(text, str) and not observer.elsewhere and len(observer.seen.said) < MOST:
            begun.append(text[:LONGEST])
            if "\n" in text or "\r" in text:
                observer.seen.said.append(Said("".join(begun), len(observer.seen.calls), here()))
                begun.clear()
        return write(text)

    return listening


@dataclass(frozen=True)
class Told:
    """An accuracy that a program says: its value of 0..1, how it is written, and the line that says it."""

    value: float
    exact: float
    """How far it may be off, as it is rounded."""
    text: str
    place: Place | None
    best: int = 1
    """An answer is right if the label is among so many best."""


def said_otherwise(seen: Seen) -> Iterator[Finding]:
    """Hardly an accuracy that the program says is the share of right answers of what its net judged."""
    judged = {id(call.module) for call in seen.judging_calls()}
    if any(fact.cut for fact in seen.loaders) or len(judged) != 1 or not judged <= set(scored(seen)):
        return
    if any(pick.kind == "least" for pick in seen.picks.values()):  # of distances, say
        return
    away, exact = list[float](), 0
    for one in seen.said:
        told = accuracies(one)
        for number in told:
            shares = list(right_shares(seen, one.calls, number.best))
            if not shares:
                continue
            away.append(min(abs(share - number.value) for share, _ in shares))
            exact += away[-1] <= number.exact
            last = number, *shares[0]
    if not away or exact > CHANCE * len(away) or median(away) < FAR:
        return
    number, share, images = last
    yield finding(
        "accuracy-count",
        "The accuracy that is told is not the share of right answers",
        f"`{number.text}` is told; of the {images} images judged last before, {share:.1%} were right.",
        f"Follow how it is counted: right answers of all images, divided by their number{line(number.place)}.",
        severity="warning",
        **where(number.place),
    )


def scored(seen: Seen) -> Iterator[int]:
    """The nets that learn to give the label's class the highest output."""
    for loss in seen.training_losses():
        if loss.kind in ("cross_entropy", "nll_loss", "multi_margin_loss") and loss.call is not None:
            yield id(loss.call.module)


def accuracies(one: Said) -> list[Told]:
    """The numbers of a line that its words call an accuracy, of images that are judged."""
    found, end = [], 0
    for match in NUMBER.finditer(one.text):
        before, end = one.text[end : match.start()], match.end()
        if not ACCURACY.search(before) or OTHERWISE.search(before) or len(before) > 80:
            continue
        percent = 100 if match[3] or float(match[1]) > 1 else 1
        value, exact = float(match[1]) / percent, 0.6 * 0.1 ** len(match[2] or "") / percent
        if match[2] and value <= 1:
            top = TOP.search(before)
            text = f"{before.strip()[-40:]} {match[0].strip()}"
            found.append(Told(value, exact, text, one.place, int(top[1]) if top else 1))
    return found


def right_shares(seen: Seen, calls: int, best: int) -> Iterator[tuple[float, int]]:
    """Shares of right answers, and of how many images: of the passes over images that came last before a moment."""
    for stretch in stretches(seen.calls[:calls])[: -STRETCHES - 1 : -1]:
        known = [(call, right) for call in stretch if (right := right_of(call, best)) is not None]
        if len(known) < sum(call.module is known[0][0].module for call in stretch if known):
            continue  # of some of its images the labels are not known
        ways: dict[Any, list[Tensor]] = {}
        for call, right in known:
            ways.setdefault("all", []).append(right)
            ways.setdefault(call.places, []).append(right)
            ways.setdefault(id(call.batch.loader) if call.batch else None, []).append(right)
        if len(known) <= 8:
            for first, last in itertools.combinations(range(len(known) + 1), 2):
                ways[first, last] = [right for _, right in known[first:last]]
        for parts in ways.values():
            whole = torch.cat(parts)
            if len(whole) >= FEWEST:
                yield float(whole.mean()), len(whole)
                yield float(torch.stack([part.mean() for part in parts]).mean()), len(whole)


def stretches(calls: list[Call]) -> list[list[Call]]:
    """The judging calls between trainings."""
    found: list[list[Call]] = [[]]
    for call in calls:
        if call.grad:
            found += [[]] if found[-1] else []
        else:
            found[-1].append(call)
    return [part for part in found if part]


def right_of(call: Call, best: int) -> Tensor | None:
    """For each image of a call 1.0 where the label is among so many highest outputs, else 0.0; None: not known."""
    labels = labels_of_call(call)
    if labels is None or call.highest is None or len(labels) != len(call.highest) or best > call.highest.shape[1]:
        return None
    return (labels[:, None] == call.highest[:, :best]).any(1).float()


SAID = (said_otherwise,)
