"""Verdicts against the truth, the small version of bench/verdicts.py: comparisons drawn from real runs."""

import json
from pathlib import Path

import numpy as np
import pytest

from tenfold.errors import RecipeError
from tenfold.evidence.comparison import compare
from tenfold.evidence.simulation import Pool, Power, Rates, rates, verdict

FILE = Path(__file__).parents[2] / "bench/results/verdicts/pool-simplenn-shapes.json"
SIMULATIONS = 400
NOISE = 3 * np.sqrt(0.05 * 0.95 / SIMULATIONS)
"""Three standard errors of a share of 5 %."""


@pytest.fixture(scope="module")
def pool() -> Pool:
    arms = json.loads(FILE.read_text())["arms"]
    assert arms["relu"].keys() == arms["swish"].keys()
    return Pool(*(np.array(list(arms[arm].values())) for arm in ("relu", "swish")))


@pytest.mark.parametrize("kind", ["independent", "paired"])
def test_verdicts_keep_their_promises_within_the_noise_of_few_simulations(kind, pool):
    found = rates(pool, kind, 8, SIMULATIONS, effects=(1.0,))
    assert found.false_verdicts <= 0.05 + NOISE
    assert 0.95 - NOISE - 0.02 <= found.coverage <= 0.95 + NOISE + 0.02
    assert found.false_equivalence <= 0.05 + NOISE + 0.02  # skewed differences: docs/evidence.md
    (one,) = found.power
    assert one.found == pytest.approx(one.forecast, abs=0.05 + 3 * np.sqrt(0.25 / (SIMULATIONS // 2)))


@pytest.mark.parametrize("kind", ["independent", "paired"])
def test_drawn_arms_do_not_differ_and_vary_as_said(kind, pool):
    random = np.random.default_rng(0)
    differences = np.concatenate([np.subtract(*pool.draw(kind, 8, random)) for _ in range(2000)])
    assert differences.mean() == pytest.approx(0, abs=4 * pool.deviation(kind) / np.sqrt(16000))
    assert differences.std() == pytest.approx(pool.deviation(kind), rel=0.05)


def test_the_spared_test_would_have_said_the_same(pool):
    random = np.random.default_rng(1)
    for effect in (0.0, 0.03):
        for _ in range(100):
            a, b = pool.draw("independent", 7, random)
            said = compare(dict(enumerate((a + effect).tolist())), dict(enumerate(b.tolist()))).verdict
            assert verdict(a + effect, b) == (said if said in ("helps", "hurts") else None)


def test_what_is_missed_is_named():
    made = Rates("paired", 8, 10, 1.0, 0.06, 0.92, 0.06, (Power(1.0, 0.5, 0.56), Power(1.0, 0.5, 0.54)))
    assert len(made.missed()) == 4


def test_a_pool_that_is_too_small_is_refused(pool):
    with pytest.raises(RecipeError, match="need 80 runs; the pool has 64"):
        pool.draw("independent", 40, np.random.default_rng(0))
