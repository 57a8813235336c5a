"""Is arm A better than arm B? Accuracies paired by seed: the figures, and the verdict that follows from them.

compare({0: 0.66, 1: 0.65, …}, {0: 0.64, 1: 0.66, …}).text()

Accuracies and differences are fractions in 0..1; only names that end in `_points` are in points (hundredths).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tenfold.errors import RecipeError
from tenfold.evidence.power import ALPHA, FEWEST_PAIRS, pairs_needed, pairs_to_equivalence, power
from tenfold.evidence.statistics import (
    DIGITS,
    better,
    correlation,
    deviation,
    equivalence_p,
    holm,
    interval,
    rounded_mean,
    sign_flip_p,
)

Verdict = Literal["helps", "hurts", "equivalent", "inconclusive", "no verdict"]
Arm = Mapping[int, float | None]
"""Accuracy of each seed; None or NaN: the run crashed."""


@dataclass(frozen=True)
class Comparison:
    """Arm A against arm B (`names`), positive where A is better.

    A seed whose run crashed in either arm (`crashed` counts the runs of A and of B) has no difference: means,
    difference, deviation (of the differences), interval (95 %), tests and correlation are of the whole pairs, and
    None (p: 1) where those are too few. A crash is still never dropped: `better`, P(A>B) with ties counted half, is
    over all seeds, and a crashed run loses against a finished one; no verdict favours the arm that crashed more
    often, and arms that crashed a different number of times are not equivalent.
    """

    names: tuple[str, str]
    seeds: tuple[int, ...]
    crashed: tuple[int, int]
    pairs: int
    means: tuple[float, float] | None
    difference: float | None
    deviation: float | None
    interval: tuple[float, float] | None
    better: float
    correlation: float | None
    p: float
    p_equivalent: float
    p_adjusted: float
    comparisons: int = 1
    delta_points: float = 0.5

    @property
    def figures_say(self) -> Verdict:
        """What the whole pairs alone say, by the rules of evidence.md."""
        if self.pairs < FEWEST_PAIRS or self.interval is None:
            return "no verdict"
        low, high = self.interval
        if self.p_adjusted < ALPHA and (low > 0 or high < 0):
            return "helps" if low > 0 else "hurts"
        return "equivalent" if self.p_equivalent < ALPHA else "inconclusive"

    @property
    def verdict(self) -> Verdict:
        """helps or hurts (A), equivalent, inconclusive, or no verdict (under 6 pairs)."""
        a, b = self.crashed
        contradicted = {"helps": a > b, "hurts": b > a, "equivalent": a != b}
        return "inconclusive" if contradicted.get(self.figures_say) else self.figures_say

    @property
    def power(self) -> float | None:
        """Probability that this many pairs show a true difference of delta, at the measured deviation."""
        if self.deviation is None:
            return None
        return power(self.delta_points / 100, self.deviation, self.pairs, self.comparisons)

    @property
    def further_seeds(self) -> int | None:
        """Further pairs for 80 % power to show a difference or equivalence, if it and the deviation are as measured.

        None: over 10,000, or under 2 pairs.
        """
        if self.difference is None or self.deviation is None:
            return None
        whole = [
            pairs_needed(self.difference, self.deviation, self.comparisons),
            pairs_to_equivalence(self.difference, self.deviation, self.delta_points / 100),
        ]
        found = [pairs for pairs in whole if pairs is not None]
        return max(1, min(found) - self.pairs) if found else None

    def text(self) -> str:
        """Verdict and figures in one line."""
        return f"{self.headline()}{self.figures()}{self.crashes()}"

    def headline(self) -> str:
        """The verdict in words."""
        a, within = self.names[0], f"within ±{self.delta_points:g} points"
        small = f" (though {within})" if self.p_equivalent < ALPHA else ""
        return {
            "helps": f"{a} helps{small}",
            "hurts": f"{a} hurts{small}",
            "equivalent": f"Equivalent {within}",
            "inconclusive": f"Inconclusive: {self.missing()}",
            "no verdict": f"No verdict: {self.pairs} of at least {FEWEST_PAIRS} whole pairs",
        }[self.verdict]

    def missing(self) -> str:
        """What an inconclusive comparison lacks."""
        if self.figures_say != "inconclusive":
            return f"the whole pairs say '{self.figures_say}', but the arms crashed unequally often"
        more = self.further_seeds
        return f"about {more:,} more seed{'s' * (more != 1)}" if more is not None else "more than 10,000 more seeds"

    def figures(self) -> str:
        """Means, difference, interval, P(A>B), p and correlation."""
        a, b = self.names
        if self.means is None or self.difference is None:
            return "."
        told = [f"{a} {self.means[0]:.2%}, {b} {self.means[1]:.2%}", f"difference {points(self.difference)} points"]
        if self.interval is not None:
            told[1] += f" (95% interval {points(self.interval[0])} to {points(self.interval[1])})"
            told.append(f"p = {self.p_adjusted:.2g}" + f" (Holm over {self.comparisons})" * (self.comparisons > 1))
        told.append(f"P({a}>{b}) = {self.better:.2f}")
        if self.correlation is not None:
            told.append(f"correlation of the pairs {self.correlation:.2f}")
        return f". {'; '.join(told)}; {self.pairs} pair{'s' * (self.pairs > 1)}."

    def crashes(self) -> str:
        """The crashed runs, where there are any."""
        (a, b), total = self.crashed, len(self.seeds)
        return f" Crashed: {self.names[0]} {a}, {self.names[1]} {b} of {total} runs each." if a or b else ""


def compare(a: Arm, b: Arm, delta_points: float = 0.5, names: tuple[str, str] = ("A", "B")) -> Comparison:
    """Compare two arms that ran the same seeds; RecipeError where they did not, or an accuracy is not in 0..1."""
    if not 0 < delta_points < 100:
        raise RecipeError(f"A margin of {delta_points} points is none.", "Give it in points, above 0: 0.5")
    first, second = (accuracies(arm, name) for arm, name in zip((a, b), names, strict=True))
    seeds = paired_seeds(a, b, names)
    x, y = (np.array([arm[seed] for seed in seeds]) for arm in (first, second))
    whole = np.isfinite(x) & np.isfinite(y)
    differences = np.round(x[whole] - y[whole], DIGITS)
    p, pairs = sign_flip_p(differences), len(differences)
    return Comparison(
        names=names,
        seeds=seeds,
        crashed=(int(np.isnan(x).sum()), int(np.isnan(y).sum())),
        pairs=pairs,
        means=(float(rounded_mean(x[whole], 0)), float(rounded_mean(y[whole], 0))) if pairs else None,
        difference=float(rounded_mean(differences, 0)) if pairs else None,
        deviation=deviation(differences),
        interval=interval(differences),
        better=better(x, y),
        correlation=correlation(x[whole], y[whole]),
        p=p,
        p_adjusted=p,
        p_equivalent=equivalence_p(differences, delta_points / 100),
        delta_points=delta_points,
    )


def adjust(several: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons of one family, their p adjusted by Holm's method; one without a verdict counts too."""
    adjusted = holm([one.p for one in several])
    return [replace(one, p_adjusted=p, comparisons=len(several)) for one, p in zip(several, adjusted, strict=True)]


def accuracies(arm: Arm, name: str) -> dict[int, float]:
    """The arm with NaN for each crashed run; an accuracy outside 0..1 is refused."""
    for seed, value in arm.items():
        if value is not None and not math.isnan(value) and not 0 <= value <= 1:
            raise RecipeError(
                f"{name}: the accuracy of seed {seed} is {value}, not in 0..1.", "Give fractions: 0.66, not 66."
            )
    return {seed: math.nan if value is None else float(value) for seed, value in arm.items()}


def paired_seeds(a: Arm, b: Arm, names: tuple[str, str]) -> tuple[int, ...]:
    """The seeds of both arms, in order; RecipeError where one has others or there are none."""
    for own, other, name in ((a, b, names[0]), (b, a, names[1])):
        alone = sorted(set(own) - set(other))
        if alone:
            raise RecipeError(
                f"Only {name} ran seed {', '.join(map(str, alone))}: arms are compared by pairs.",
                "Run the same seeds in both arms; give a crashed run as None.",
            )
    if not a:
        raise RecipeError("There is no run to compare.", "Run both arms with the same seeds, at least 6.")
    return tuple(sorted(a))


def points(fraction: float) -> str:
    """A signed difference in points."""
    return f"{100 * fraction:+.2f}"
