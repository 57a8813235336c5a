"""Verdicts against the truth: many comparisons drawn from the accuracies of real runs, where the truth is known.

    pool = Pool(relu, swish)                       # accuracies of the same seeds in two arms
    rates(pool, "independent", pairs=8)

independent: 2n runs of arm a, drawn without repetition, n against n: arms that do not differ, whose runs share nothing.
paired: n seeds, drawn with repetition, arm a against arm b, less the difference of their means over the pool: two arms
that do not differ, whose pairs correlate as those of real runs do. A planted effect is added to the first arm.
Imports scipy: import this module where it is used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tenfold.errors import RecipeError
from tenfold.evidence.comparison import Verdict, compare
from tenfold.evidence.power import ALPHA, power
from tenfold.evidence.statistics import Floats, equivalence_p, interval

Kind = Literal["independent", "paired"]
EFFECTS = (0.5, 1.0, 1.5)
"""Planted differences, in deviations of the differences of pairs."""


@dataclass(frozen=True)
class Pool:
    """Accuracies (0..1) that the same seeds reached in two arms, [N] each."""

    a: Floats
    b: Floats

    def deviation(self, kind: Kind) -> float:
        """Standard deviation of the difference of a pair as `draw` makes them."""
        return float(np.sqrt(2) * self.a.std(ddof=1) if kind == "independent" else (self.a - self.b).std())

    def draw(self, kind: Kind, pairs: int, random: np.random.Generator) -> tuple[Floats, Floats]:
        """Two arms of so many pairs, whose true difference is 0."""
        if kind == "paired":
            drawn = random.integers(0, len(self.a), pairs)
            return self.a[drawn] - (self.a.mean() - self.b.mean()), self.b[drawn]
        if 2 * pairs > len(self.a):
            raise RecipeError(f"{pairs} pairs need {2 * pairs} runs; the pool has {len(self.a)}.", "Train more seeds.")
        drawn = random.permutation(len(self.a))[: 2 * pairs]
        return self.a[drawn[:pairs]], self.a[drawn[pairs:]]


@dataclass(frozen=True)
class Power:
    """How often a planted effect (in points) was called by its name, and how often the forecast says it is."""

    effect_points: float
    forecast: float
    found: float


@dataclass(frozen=True)
class Rates:
    """What so many comparisons of so many pairs said. Shares are in 0..1, the deviation is in points."""

    kind: Kind
    pairs: int
    simulations: int
    deviation_points: float
    false_verdicts: float
    """Helps or hurts where nothing differs: at most 0.05."""
    coverage: float
    """Intervals that hold the true difference: 0.93 to 0.97."""
    false_equivalence: float
    """Shown to be within ±delta where the difference is exactly delta: at most 0.05."""
    power: tuple[Power, ...]
    """Found as forecast, within 0.05."""

    def missed(self) -> list[str]:
        """What is outside of what tenfold promises, in words."""
        found = {
            f"{self.false_verdicts:.1%} false verdicts": self.false_verdicts > ALPHA,
            f"intervals cover {self.coverage:.1%}": not 0.93 <= self.coverage <= 0.97,
            f"{self.false_equivalence:.1%} false equivalence": self.false_equivalence > ALPHA,
        } | {
            f"{p.effect_points:.2f} points found in {p.found:.1%}, forecast {p.forecast:.1%}": abs(p.found - p.forecast)
            > 0.05
            for p in self.power
        }
        return [what for what, outside in found.items() if outside]


def rates(
    pool: Pool, kind: Kind, pairs: int, simulations: int = 2000, effects: Sequence[float] = EFFECTS, seed: int = 0
) -> Rates:
    """Simulate; the same drawn arms serve all counts, half of them the effects.

    The margin is one deviation of the differences: a test that could never show equivalence would prove nothing.
    """
    random, size = np.random.default_rng((seed, pairs)), pool.deviation(kind)
    drawn = [pool.draw(kind, pairs, random) for _ in range(simulations)]
    intervals = [interval(a - b) for a, b in drawn]
    found = []
    for effect in effects:
        helps = share([verdict(a + effect * size, b) == "helps" for a, b in drawn[: simulations // 2]])
        found.append(Power(100 * effect * size, power(effect * size, size, pairs), helps))
    return Rates(
        kind=kind,
        pairs=pairs,
        simulations=simulations,
        deviation_points=100 * size,
        false_verdicts=share([verdict(a, b) is not None for a, b in drawn]),
        coverage=share([low_high is not None and low_high[0] <= 0 <= low_high[1] for low_high in intervals]),
        false_equivalence=share([equivalence_p(a + size - b, size) < ALPHA for a, b in drawn]),
        power=tuple(found),
    )


def verdict(a: Floats, b: Floats) -> Verdict | None:
    """helps or hurts, as `compare` says it; None where it says neither.

    Neither is said where the interval holds 0: the slower test of such arms is spared.
    """
    found = interval(a - b)
    if found is None or found[0] <= 0 <= found[1]:
        return None
    said = compare(dict(enumerate(a.tolist())), dict(enumerate(b.tolist()))).verdict
    return said if said in ("helps", "hurts") else None


def share(hits: Sequence[bool]) -> float:
    """The share that is true."""
    return float(np.mean(hits))
