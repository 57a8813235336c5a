"""Augmentation of whatever kind after which training images look like other classes than their labels say."""

from collections.abc import Iterator

from tenfold.checks.rules import finding
from tenfold.checks.script.augmenting import augmenting, functions
from tenfold.checks.script.graded import cutting, degrees_moved, zoomed
from tenfold.checks.script.modes import where
from tenfold.checks.script.samples import study
from tenfold.checks.script.seen import Place, Seen
from tenfold.checks.script.source import line, shown_code, trees
from tenfold.checks.script.told import (
    augmented,
    contradicted,
    labels_broken,
    likeness,
    mixes,
    plain_fit,
    spoken_against,
)
from tenfold.checks.script.turns import turning_places
from tenfold.errors import Finding

KNOWN, LEFT, MORE = 0.4, 0.78, 0.12
"""Of plain images a quick classifier knows so many; of training images it knows no more than this share of that, and
of so many more it says another class as surely as it usually says a right one.
"""
APART, ALIKE = 0.9, 0.85
"""Among themselves training images tell their labels worse too, or the classes are only numbered otherwise; and so they
do those of plain images, or these are only less varied. Those that look less like any class are only changed much.
"""


def classes_blurred(seen: Seen) -> Iterator[Finding]:
    """By what plain images teach, many training images belong to other classes."""
    known = study(seen)
    if known is None or mixes(seen) or not (augmented(seen) or plain_fit(seen, known)):
        return
    plain, training = known.judging.labels, known.training.labels
    right = known.right
    told = float((known.train_told == training).float().mean())
    among = float((known.train_left_out == training).float().mean())
    taught = float((known.judge_told == plain).float().mean())
    doubted = spoken_against(known.judged(known.training.images), training)
    surely = float(doubted.float().mean())
    usual = contradicted(known.judge_scores, plain)
    if right < KNOWN or told > LEFT * right or max(among, taught) > APART * right or surely - usual < MORE:
        return
    if likeness(known, doubted) < ALIKE or any(labels_broken(seen)) or any(degrees_moved(seen)):
        return
    place = zoomed(seen, known) or changing(seen)
    yield finding(
        "augmentation-breaks-labels",
        "Augmented images look like other classes than their labels say",
        f"What plain images teach a quick classifier fits {right:.0%} of plain ones, each left out in turn, and "
        f"{told:.0%} of the training images; {surely:.0%} of these look as surely like another class as images usually "
        f"look like their own (of plain ones {usual:.0%})." + (f" {shown_code(place)} changes them." if place else ""),
        "Look at augmented images beside their labels, and leave out or weaken what makes one class of another: zooms "
        f"where size tells the class, crops that cut it off, turns and mirrors{line(place)}.",
        severity="warning",
        **where(place),
    )


def changing(seen: Seen) -> Place | None:
    """A line that changes training images at random."""
    drawn = (Place(file, f.lineno) for file, parsed in trees(seen) for f in functions(parsed) if augmenting(f))
    return next((place for _, place in turning_places(seen)), None) or cutting(seen) or next(drawn, None)


BLURRED = (classes_blurred,)
