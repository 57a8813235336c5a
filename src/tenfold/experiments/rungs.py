"""Rungs: after which epochs a search looks at its trials, and how many go on.

    levels("halving", epochs=30)        [1, 3, 10, 30]

halving: the better third goes on at each rung (successive halving, Jamieson & Talwalkar 2016, with a factor of 3).
one-epoch: two of nine go on after the first epoch, to the end: as good as much else (arXiv 2404.04111), and cheap.
Both rest on early accuracies that rank trials as late ones do. `rank_correlation` measures it over the trials that went
on, which are the better ones: over all it would be higher. Under 0.6 the first rung is three times as long.
"""

import math
import warnings
from collections.abc import Sequence

from tenfold.experiments.terms import Discard

FACTOR = 3
SHARES = {"halving": 1 / FACTOR, "one-epoch": 1 / 5, "none": 1.0}
"""The share of trials that go on at a rung, rounded up."""
RELIABLE = 0.6
"""A lower rank correlation makes early discarding unreliable (arXiv 2404.04111)."""
FEWEST = 5
"""Trials that a rank correlation needs."""


def levels(discard: Discard, epochs: int, first: int = 1) -> list[int]:
    """The epochs after which trials are compared; the last is the whole run, the first at least `first`."""
    if discard == "none" or first >= epochs:
        return [epochs]
    if discard == "one-epoch":
        return [first, epochs]
    found = {max(1, round(epochs / FACTOR**k)) for k in range(4)}
    return sorted({max(first, level) for level in found})


def going_on(discard: Discard, count: int) -> int:
    """How many of `count` trials go on."""
    return math.ceil(count * SHARES[discard] - 1e-9)


def rank_correlation(early: Sequence[float], late: Sequence[float]) -> float | None:
    """Spearman's; None under 5 trials, or where one side does not vary."""
    from scipy import stats

    if len(early) < FEWEST:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        found = float(stats.spearmanr(early, late).statistic)
    return None if math.isnan(found) else found
