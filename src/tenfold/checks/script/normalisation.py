"""Rules about the scale of the images."""

import math
from collections.abc import Callable, Iterator

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.seen import Call, Seen
from tenfold.checks.script.source import line, shown_code
from tenfold.errors import Finding


def normalisation(seen: Seen) -> Iterator[Finding]:
    """Images as bytes, divided or shifted twice."""
    calls = [call for call in seen.training_calls() if len(call.shape) == 4]
    if not calls or seen.reads_norm:
        return
    low, high = min(c.low for c in calls[:5]), max(c.high for c in calls[:5])
    mean, std = mean_of(calls, lambda c: c.mean), mean_of(calls, lambda c: c.std)
    seen_so = f"The net gets pixels from {low:.4g} to {high:.4g}, mean {mean:.3g}, deviation {std:.3g}."
    again = max(seen.scaled.values(), key=lambda fact: fact[1], default=(None, 0, ""))
    if again[1] > 1:
        last = calls[-1]
        yield finding(
            "normalisation-doubled",
            "The same images are normalised again and again, in place",
            f"{shown_code(again[0])} changes a part of the data itself; first mean {calls[0].mean:.3g} and deviation "
            f"{calls[0].std:.3g}, lately {last.mean:.3g} and {last.std:.3g}.",
            f"Write it without the underscore, as `.sub(…).div(…)`{line(again[0])}: that makes new tensors.",
            **where(again[0]),
        )
    elif low >= 0 and high > 20:
        yield finding(
            "normalisation-missing",
            "The images are not normalised",
            seen_so,
            "Divide them by 255 and subtract their mean, as `images = (images / 255 - 0.5) / 0.25`, in training and "
            f"evaluation alike (the net is called in line {calls[0].place.line if calls[0].place else '?'}).",
            **where(calls[0].place),
        )
    elif 0 < max(-low, high) < 0.03:
        yield finding(
            "normalisation-doubled",
            "The images are divided by 255 twice",
            seen_so,
            f"Take one of the divisions out (the net is called in {shown_code(calls[0].place)}{line(calls[0].place)}).",
            **where(calls[0].place),
        )
    elif std >= 2.5 and mean < -1 and 0.05 < -mean / std < 0.9:
        yield finding(
            "normalisation-doubled",
            "The images are normalised twice",
            f"{seen_so} Images of mean 0 and deviation 1, normalised once more by mean {-mean / std:.2f} and deviation "
            f"{1 / std:.2f}, look so.",
            "Take one of the two normalisations out.",
            **where(calls[0].place),
        )


def normalisation_differs(seen: Seen) -> Iterator[Finding]:
    """The net is judged on images of another scale than those it learns."""
    training = [c for c in seen.training_calls() if len(c.shape) == 4]
    judging = [c for c in seen.judging_calls() if len(c.shape) == 4]
    if not training or not judging or any(times > 1 for _, times, _ in seen.scaled.values()):
        return
    mean, std = mean_of(training, lambda c: c.mean), mean_of(training, lambda c: c.std)
    other, spread = mean_of(judging, lambda c: c.mean), mean_of(judging, lambda c: c.std)
    if not (std > 0 and spread > 0 and math.isfinite(mean + other)):
        return
    if abs(mean - other) > 0.5 * max(std, spread) or not 1 / 1.7 < std / spread < 1.7:
        yield finding(
            "normalisation-differs",
            "Images of the evaluation are scaled otherwise than those of training",
            f"Training: mean {mean:.3g}, deviation {std:.3g}; evaluation: mean {other:.3g}, deviation {spread:.3g}.",
            f"Give the images of the evaluation{line(judging[0].place)} the same normalisation as those of training.",
            **where(judging[0].place),
        )


def mean_of(calls: list[Call], value: Callable[[Call], float]) -> float:
    """Over the first five calls."""
    return sum(map(value, calls[:5])) / max(1, len(calls[:5]))


def not_finite_input(seen: Seen) -> Iterator[Finding]:
    """NaN or infinity in the images."""
    call = next((c for c in seen.calls if c.shape and not math.isfinite(c.mean)), None)
    if call and (call.batch or not call.number):
        at = f", batch {call.batch.number}" if call.batch else ""
        yield finding(
            "input-not-finite",
            "The images hold NaN or infinity",
            f"In call {call.number + 1} of the net{at}. A pixel divided by a deviation of 0 gives it.",
            "Add a small number to what you divide by (`/ (std + 1e-6)`), or take the broken images out.",
            **where(call.place),
        )


def input_ignored(seen: Seen) -> Iterator[Finding]:
    """All images of a batch are the same."""
    calls = [c for c in seen.training_calls() if len(c.shape) > 1 and c.shape[0] > 1]
    same = [c for c in calls if c.same]
    if len(same) >= 2 and len(same) > 0.5 * len(calls):
        call = same[0]
        blank = f"every pixel is {call.low:g}" if call.low == call.high else "they differ in no pixel"
        yield finding(
            "input-ignored",
            "All images of a batch are alike",
            f"{len(same)} of {len(calls)} training batches: {blank}.",
            "Look at what makes the images: an integer division (`//`), a wrong index, or a cast that cuts to 0.",
            **where(call.place),
        )
    elif seen.blind:
        yield finding(
            "input-ignored",
            "The net gives the same output for blank images",
            "An untrained copy gave bit-equal outputs for a batch and for zeros.",
            "Look at what happens to the images inside forward().",
            **where(calls[0].place if calls else None),
        )


SCALE = (not_finite_input, input_ignored, normalisation, normalisation_differs)
