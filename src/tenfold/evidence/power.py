"""How many pairs of seeds a comparison needs, and what a given number of them can see: stated before anything runs.

Accuracies, effects, deviations and margins are fractions in 0..1; only names that end in `_points` are in points
(hundredths). Differences of pairs count as normal. Imports scipy: import this module where it is used.
"""

import math
from bisect import bisect_left
from collections.abc import Callable

import numpy as np
from scipy import optimize, stats

from tenfold.errors import RecipeError

ALPHA = 0.05
POWER = 0.8
FEWEST_PAIRS = 6
"""The smallest two-sided p of n pairs is 2/2ⁿ: five cannot reach 0.05."""
MOST_PAIRS = 10_000
FINE = 40
"""From this many pairs on, the steps of the exact p are far smaller than ALPHA."""
ROUNDING = 1e-12
"""A smaller deviation is rounding: the pairs do not vary."""
SHARES = (np.arange(1000) + 0.5) / 1000
"""Where the distribution of a measured deviation is sampled."""
FAR = 100.0
"""A noncentrality beyond which a tail of the noncentral t is 0 or 1 for every number of pairs."""


def planned_deviation(error: float, images: int, correlation: float = 0.0) -> float:
    """Expected deviation of the difference of a pair, from the error rate and the number of images that judge.

    One run: √(err/(2n)), the noise of a finite test set (Jordan, arXiv 2304.01910); a pair: √(2(1−correlation)) of it.
    """
    if not (0 < error < 1 and images >= 1 and -1 <= correlation < 1):
        raise RecipeError(
            f"No deviation follows from error {error}, {images} images, correlation {correlation}.",
            "Give an error in 0..1 (0.34, not 34), at least one image, and a correlation of −1 or more, under 1.",
        )
    return math.sqrt(error / (2 * images)) * math.sqrt(2 * (1 - correlation))


def level(pairs: int, comparisons: int = 1) -> float:
    """The largest p under ALPHA/comparisons that the exact sign-flip test of so many pairs can give; 0: none."""
    alpha = ALPHA / comparisons
    if pairs >= FINE:
        return alpha
    flips = float(2**pairs)
    return 2 * (math.ceil(alpha * flips / 2) - 1) / flips


def fewest_pairs(comparisons: int = 1) -> int:
    """The fewest pairs that can give helps or hurts in a family of so many comparisons: 6, 7 for two or three, …"""
    return next(pairs for pairs in range(FEWEST_PAIRS, FINE + 1) if level(pairs, comparisons) > 0)


def power(effect: float, deviation: float, pairs: int, comparisons: int = 1) -> float:
    """Probability that a true difference `effect` is called helps or hurts; from the noncentral t distribution.

    Where only pairs that all agree in sign are significant (6 pairs), it is the probability of that.
    """
    check(effect, deviation, pairs, comparisons)
    reached = level(pairs, comparisons)
    if pairs < FEWEST_PAIRS or reached == 0:
        return 0.0
    if deviation < ROUNDING:
        return float(effect != 0)
    size, freedom = abs(effect) / deviation, pairs - 1
    if reached == 2 / 2**pairs:
        return float(stats.norm.cdf(size) ** pairs + stats.norm.cdf(-size) ** pairs)
    critical, shift = float(stats.t.isf(reached / 2, freedom)), size * math.sqrt(pairs)
    return tail(critical, freedom, shift) + tail(critical, freedom, -shift)


def equivalence_power(difference: float, deviation: float, pairs: int, delta: float) -> float:
    """Probability that two one-sided t tests show ±delta when the true difference is `difference`.

    For a measured deviation s the mean must lie within ±(delta − t·s/√n); averaged over the distribution of s.
    """
    check(difference, deviation, pairs)
    if pairs < FEWEST_PAIRS:
        return 0.0
    if deviation < ROUNDING:
        return float(abs(difference) < delta)
    error = deviation / math.sqrt(pairs)
    measured = error * np.sqrt(stats.chi2.ppf(SHARES, pairs - 1) / (pairs - 1))
    room = np.maximum(0, delta - stats.t.isf(ALPHA, pairs - 1) * measured)
    inside = stats.norm.cdf((room - difference) / error) - stats.norm.cdf((-room - difference) / error)
    return float(inside.mean())


def tail(critical: float, freedom: int, shift: float) -> float:
    """P(noncentral t > critical). The upper tail only: scipy's cdf is NaN in many a far lower one."""
    return float(stats.nct.sf(critical, freedom, max(-FAR, min(FAR, shift))))


def pairs_needed(effect: float, deviation: float, comparisons: int = 1) -> int | None:
    """The fewest pairs with 80 % power for a true difference `effect`; None: more than MOST_PAIRS."""
    check(effect, deviation, FEWEST_PAIRS, comparisons)
    return fewest(lambda pairs: power(effect, deviation, pairs, comparisons))


def pairs_to_equivalence(difference: float, deviation: float, delta: float) -> int | None:
    """The fewest pairs with 80 % power to show ±delta; None: more than MOST_PAIRS, or the difference is not within."""
    check(difference, deviation, FEWEST_PAIRS)
    return fewest(lambda pairs: equivalence_power(difference, deviation, pairs, delta))


def fewest(power_of: Callable[[int], float]) -> int | None:
    """The fewest pairs whose power, which grows with them, reaches POWER."""
    found = bisect_left(range(MOST_PAIRS + 1), POWER, lo=FEWEST_PAIRS, key=power_of)
    return found if found <= MOST_PAIRS else None


def detectable(deviation: float, pairs: int, comparisons: int = 1) -> float | None:
    """The smallest true difference seen with 80 % power; None where so few pairs see nothing."""
    check(0.0, deviation, pairs, comparisons)
    if pairs < FEWEST_PAIRS or level(pairs, comparisons) == 0:
        return None
    sizes = optimize.brentq(lambda size: power(size, 1.0, pairs, comparisons) - POWER, 0.0, 30.0)
    return float(sizes) * deviation


def forecast(error: float, images: int, pairs: int, delta_points: float = 0.5, comparisons: int = 1) -> str:
    """What so many pairs will see, in one line, for an expected error and number of judging images."""
    deviation = planned_deviation(error, images)
    smallest = detectable(deviation, pairs, comparisons)
    chance = equivalence_power(0.0, deviation, pairs, delta_points / 100)
    sees = "too few for a verdict" if smallest is None else f"they see {100 * smallest:.2f} points with 80% power"
    return (
        f"{pairs} pairs, {error:.0%} errors on {images:,} images, deviation {100 * deviation:.2f} points: {sees}; "
        f"arms that do not differ are shown equivalent within ±{delta_points:g} points with {chance:.0%} power."
    )


def check(effect: float, deviation: float, pairs: int, comparisons: int = 1) -> None:
    """Refuse what has no power; RecipeError."""
    if not (math.isfinite(effect) and 0 <= deviation < math.inf and pairs >= 0 and comparisons >= 1):
        raise RecipeError(
            f"No power follows from effect {effect}, deviation {deviation}, {pairs} pairs, {comparisons} comparisons.",
            "Give finite fractions, a deviation and pairs not below 0, and at least one comparison.",
        )
