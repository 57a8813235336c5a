"""Label smoothing that leaves little of the labels."""

from collections.abc import Iterator

from torch import Tensor

from tenfold.checks.rules import finding
from tenfold.checks.script.seen import Seen
from tenfold.checks.script.source import line
from tenfold.errors import Finding

MOST, NEARLY_ALL = 0.5, 0.8
"""The share of a label that may be spread over the classes, and from which little is learned; usual are 0.1 to 0.2."""


def spread_share(target: Tensor) -> Tensor | None:
    """The share of each row of targets [N, C] that lies evenly on all classes; None where they are no smoothed labels.

    All classes of a row but one, or two of mixed images, have the same number.
    """
    classes = target.shape[1] if target.dim() == 2 and target.is_floating_point() else 0
    if classes < 3:
        return None
    low = target.min(1, keepdim=True).values
    alike = ((target - low).abs() < 1e-5).sum(1) >= max(2, classes - 2)
    return low[:, 0] * classes if bool(alike.all()) and bool((low >= 0).all()) else None


def unsmoothed(target: Tensor) -> Tensor:
    """Targets [N, C] without what lies evenly on all classes."""
    share = spread_share(target)
    if share is None or bool((share > 0.99).any()):
        return target
    return (target - share[:, None] / target.shape[1]) / (1 - share[:, None])


def labels_smoothed(seen: Seen) -> Iterator[Finding]:
    """The loss is told to believe its labels less than the rest of the classes."""
    for loss in seen.training_losses()[:3]:
        given = spread_share(loss.target) if loss.target is not None else None
        share = max(loss.smoothing, float(given.median()) if given is not None else 0.0)
        if share < MOST:
            continue
        yield finding(
            "wrong-labels",
            f"Label smoothing spreads {share:.0%} of each label over all classes",
            f"{1 - share:.0%} of the label is left to learn from.",
            f"Usual are 0.1 to 0.2; look whether the two parts were taken for each other{line(loss.place)}.",
            severity="error" if share >= NEARLY_ALL else "warning",
            **(loss.place.where if loss.place else {}),
        )
        return


RULES = (labels_smoothed,)
