"""Comparison of arms: the arithmetic against definitions and scipy, the rules of verdict, their rates by simulation."""

import itertools
import math
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from tenfold.errors import RecipeError
from tenfold.evidence import power as planning
from tenfold.evidence.comparison import Comparison, adjust, compare
from tenfold.evidence.statistics import correlation, equivalence_p, holm, interval, sign_flip_p

IMAGES = 500
"""Accuracies of the wide-input tests are counts over so many images: ties are common."""
counts = st.integers(0, IMAGES)
run = st.one_of(st.none(), st.just(math.nan), counts.map(lambda right: right / IMAGES))
two_arms = st.lists(st.tuples(run, run), min_size=1, max_size=12)
quick = settings(deadline=None, max_examples=100)


def arms(*pairs) -> tuple[dict, dict]:
    """Two arms from pairs of accuracies, seeds 0, 1, …"""
    return {seed: a for seed, (a, _) in enumerate(pairs)}, {seed: b for seed, (_, b) in enumerate(pairs)}


def from_differences(points, base=0.6) -> Comparison:
    """The comparison of two arms with these differences in points."""
    return compare(*arms(*((base + d / 100, base) for d in points)))


# The arithmetic, against its definitions


@quick
@given(st.lists(st.integers(-20, 20), min_size=2, max_size=9))
def test_sign_flip_p_counts_all_flips(differences):
    size = abs(sum(differences))
    flips = [
        abs(sum(s * d for s, d in zip(signs, differences)))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    expected = Fraction(sum(flip >= size for flip in flips), len(flips))
    assert sign_flip_p(np.array(differences) / IMAGES) == pytest.approx(float(expected), abs=1e-12)


@pytest.mark.parametrize("pairs", [2, 5, 6, 8, 16])
def test_the_smallest_p_is_two_of_all_flips(pairs):
    assert sign_flip_p(np.linspace(0.01, 0.02, pairs)) == 2 / 2**pairs


def test_many_pairs_are_tested_with_drawn_flips_that_repeat():
    differences = np.random.default_rng(0).normal(0.002, 0.005, 30)
    p = sign_flip_p(differences)
    assert p == sign_flip_p(differences)
    assert p == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.01)


def test_interval_is_students():
    d = np.array([0.021, 0.012, 0.018, 0.009, 0.025, 0.014])
    half = 2.570582 * d.std(ddof=1) / math.sqrt(6)  # t(0.975, 5) from a printed table
    assert interval(d) == pytest.approx((d.mean() - half, d.mean() + half), abs=1e-8)


def test_equivalence_is_two_one_sided_tests():
    d = np.array([0.001, -0.002, 0.0005, 0.0015, -0.001, 0.002])
    error = d.std(ddof=1) / math.sqrt(6)
    expected = max(stats.t.sf((d.mean() + 0.005) / error, 5), stats.t.cdf((d.mean() - 0.005) / error, 5))
    assert equivalence_p(d, 0.005) == pytest.approx(expected)


@quick
@given(st.lists(st.integers(-10, 10), min_size=2, max_size=12), st.integers(1, 12))
def test_equivalence_is_the_90_percent_interval_within_the_margin(raw, margin):
    d = np.array(raw) / 1000
    assume(np.ptp(d) > 0)
    half = stats.t.isf(0.05, len(d) - 1) * d.std(ddof=1) / math.sqrt(len(d))
    edge = max(abs(d.mean() - half), abs(d.mean() + half))
    assume(abs(edge - margin / 1000) > 1e-9)
    assert (equivalence_p(d, margin / 1000) < 0.05) == (edge < margin / 1000)


def test_holm_by_hand():
    # Holm 1979: 0.01×4, 0.02×3 = 0.06, 0.03×2 = 0.06, 0.04×1 → 0.06 (never falling)
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@quick
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_closed_bonferroni_testing(p):
    everything = range(len(p))
    families = [f for size in range(1, len(p) + 1) for f in itertools.combinations(everything, size)]
    for index, adjusted in enumerate(holm(p)):
        closed = max(min(1, len(f) * min(p[i] for i in f)) for f in families if index in f)
        assert adjusted == pytest.approx(closed)


@quick
@given(st.lists(st.tuples(counts, counts), min_size=3, max_size=12))
def test_correlation_is_pearsons(pairs):
    a, b = (np.array(column) / IMAGES for column in zip(*pairs))
    found = correlation(a, b)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        assert found is None
    else:
        assert found == pytest.approx(stats.pearsonr(a, b).statistic, abs=1e-9)


# The comparison, on any input


@settings(deadline=None, max_examples=60)
@given(two_arms, st.floats(0.01, 5))
def test_any_two_arms_are_compared_and_every_run_is_counted(pairs, delta):
    a, b = arms(*pairs)
    found = compare(a, b, delta)
    gone = [[value is None or math.isnan(value) for value in arm.values()] for arm in (a, b)]
    assert found.crashed == (sum(gone[0]), sum(gone[1]))
    assert found.pairs == sum(not x and not y for x, y in zip(*gone))
    assert len(found.seeds) == len(pairs)
    assert 0 < found.p <= 1
    assert 0 <= found.p_equivalent <= 1
    assert "\n" not in found.text()
    assert "nan" not in found.text()
    assert ("Crashed" in found.text()) == (sum(found.crashed) > 0)
    assert (found.verdict == "no verdict") == (found.pairs < 6)
    assert found.further_seeds is None or found.further_seeds >= 1
    if found.interval is not None:
        low, high = found.interval
        assert low <= found.difference <= high
        assert found.means[0] - found.means[1] == pytest.approx(found.difference, abs=1e-11)


@quick
@given(two_arms)
def test_arms_turned_round_give_the_mirror_image(pairs):
    a, b = arms(*pairs)
    found, turned = compare(a, b), compare(b, a)
    opposite = {"helps": "hurts", "hurts": "helps"}
    assert turned.verdict == opposite.get(found.verdict, found.verdict)
    assert turned.better == pytest.approx(1 - found.better)
    assert turned.p == found.p
    assert turned.p_equivalent == pytest.approx(found.p_equivalent)
    if found.difference is not None:
        assert turned.difference == -found.difference


@quick
@given(two_arms, st.randoms())
def test_the_order_of_the_seeds_means_nothing(pairs, random):
    a, b = arms(*pairs)
    mixed = list(a)
    random.shuffle(mixed)
    assert repr(compare({seed: a[seed] for seed in mixed}, b)) == repr(compare(a, b))


@quick
@given(two_arms)
def test_better_counts_pairs_with_ties_half_and_a_crash_as_a_loss(pairs):
    total = 0.0
    for a, b in pairs:
        x, y = (-1 if value is None or math.isnan(value) else value for value in (a, b))
        total += 1 if x > y else 0.5 if x == y else 0
    assert compare(*arms(*pairs)).better == pytest.approx(total / len(pairs))


@quick
@given(st.lists(st.integers(-50, 50), min_size=6, max_size=12))
def test_the_verdict_follows_the_rules(tenths):
    found = from_differences([t / 10 for t in tenths])
    low, high = found.interval
    if found.p_adjusted < 0.05 and not low <= 0 <= high:
        assert found.verdict == ("helps" if found.difference > 0 else "hurts")
    elif found.p_equivalent < 0.05:
        assert found.verdict == "equivalent"
    else:
        assert found.verdict == "inconclusive"


# The verdicts, one of each


def test_six_pairs_that_agree_help_or_hurt():
    found = from_differences([1.2, 0.9, 1.1, 1.4, 0.8, 1.0])
    assert found.verdict == "helps"
    assert found.p == 2 / 2**6
    assert from_differences([-1.2, -0.9, -1.1, -1.4, -0.8, -1.0]).verdict == "hurts"
    assert found.text() == (
        "A helps. A 61.07%, B 60.00%; difference +1.07 points (95% interval +0.84 to +1.29); p = 0.031; "
        "P(A>B) = 1.00; 6 pairs."
    )


def test_five_pairs_give_no_verdict_however_clear():
    found = from_differences([5, 6, 5, 6, 5])
    assert found.verdict == "no verdict"
    assert found.text().startswith("No verdict: 5 of at least 6 whole pairs.")


def test_small_differences_are_equivalent():
    found = from_differences([0.1, -0.1, 0.05, -0.15, 0.1, 0.0])
    assert found.verdict == "equivalent"
    assert found.text().startswith("Equivalent within ±0.5 points.")


def test_equal_bits_are_equivalent():
    found = from_differences([0] * 6)
    assert (found.verdict, found.p, found.better, found.interval) == ("equivalent", 1.0, 0.5, (0.0, 0.0))


def test_a_real_but_small_difference_says_both():
    assert from_differences([0.1, 0.12, 0.11, 0.09, 0.1, 0.13]).text().startswith("A helps (though within ±0.5 points)")


def test_an_unclear_difference_says_how_many_more_seeds():
    found = from_differences([2.1, -1.4, 0.6, 1.9, -0.8, 1.3])
    assert found.verdict == "inconclusive"
    assert found.power == planning.power(0.005, found.deviation, 6)
    whole = found.pairs + found.further_seeds
    assert planning.power(found.difference, found.deviation, whole) >= 0.8
    assert planning.power(found.difference, found.deviation, whole - 1) < 0.8
    assert f"about {found.further_seeds} more seeds" in found.text()


def test_a_large_family_needs_more_than_six_pairs():
    six, eight = (
        from_differences([1.2, 0.9, 1.1, 1.4, 0.8, 1.0]),
        from_differences([1.2, 0.9, 1.1, 1.4, 0.8, 1.0, 1, 1]),
    )
    assert [one.verdict for one in adjust([six] * 5)] == ["inconclusive"] * 5
    assert [one.verdict for one in adjust([eight] * 5)] == ["helps"] * 5
    assert "(Holm over 5)" in adjust([eight] * 5)[0].text()
    assert adjust([six] * 5)[0].further_seeds == 2


def test_no_verdict_favours_the_arm_that_crashed_more_often():
    better = [(0.62 + s / 1000, 0.6) for s in range(7)]
    assert compare(*arms(*better, (None, 0.6))).verdict == "inconclusive"
    assert "crashed unequally often" in compare(*arms(*better, (None, 0.6))).text()
    assert compare(*arms(*better, (0.6, None))).verdict == "helps"
    assert compare(*arms(*better, (math.nan, None))).verdict == "helps"
    same = [(0.6, 0.6)] * 6
    assert compare(*arms(*same, (None, 0.6))).verdict == "inconclusive"
    assert compare(*arms(*same, (None, None))).verdict == "equivalent"
    assert compare(*arms(*same, (None, 0.6))).text().endswith("Crashed: A 1, B 0 of 7 runs each.")


def test_arms_that_only_crashed_have_no_figures():
    found = compare(*arms((None, 0.6), (None, math.nan)))
    assert (found.means, found.difference, found.interval, found.further_seeds, found.power) == (None,) * 5
    assert found.text() == "No verdict: 0 of at least 6 whole pairs. Crashed: A 2, B 1 of 2 runs each."


# Bad input


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ({}, {}, "no run to compare"),
        ({0: 0.6, 1: 0.6}, {0: 0.6}, "Only A ran seed 1"),
        ({0: 0.6}, {0: 0.6, 3: 0.5}, "Only B ran seed 3"),
        ({0: 66.1}, {0: 0.6}, "A: the accuracy of seed 0 is 66.1"),
        ({0: 0.6}, {0: -0.1}, "B: the accuracy"),
        ({0: math.inf}, {0: 0.6}, "not in 0"),
    ],
)
def test_arms_that_cannot_be_compared_are_refused(a, b, said):
    with pytest.raises(RecipeError, match=said) as raised:
        compare(a, b)
    assert raised.value.remedy


@pytest.mark.parametrize("delta", [0, -1, math.nan, math.inf, 100])
def test_a_margin_must_be_one(delta):
    with pytest.raises(RecipeError, match="margin"):
        compare({0: 0.6}, {0: 0.6}, delta)


def test_what_has_no_power_is_refused():
    for bad in ((math.nan, 0.01, 8), (0.01, -1, 8), (0.01, 0.01, -1), (0.01, 0.01, 8, 0)):
        with pytest.raises(RecipeError, match="No power follows"):
            planning.power(*bad)
    for bad in ((34, 5000), (0.3, 0), (0.3, 5000, 1)):
        with pytest.raises(RecipeError, match="No deviation follows"):
            planning.planned_deviation(*bad)
    with pytest.raises(RecipeError, match="p value lies outside"):
        holm([0.1, math.nan])


# Power


@pytest.mark.parametrize(
    ("error", "images", "points"), [(0.06, 10_000, 0.17), (0.10, 10_000, 0.22), (0.20, 2000, 0.71)]
)
def test_planned_deviation_is_the_table_of_evidence(error, images, points):
    one_run = planning.planned_deviation(error, images) / math.sqrt(2)
    assert 100 * one_run == pytest.approx(points, abs=0.005)
    assert planning.planned_deviation(error, images, 0.5) == pytest.approx(one_run)


def test_the_exact_tests_level():
    assert [planning.level(pairs) for pairs in (5, 6, 7, 8)] == [0, 2 / 64, 6 / 128, 12 / 256]
    assert (planning.level(7, 5), planning.level(8, 5)) == (0, 2 / 256)
    assert planning.level(1000, 10) == 0.005
    assert [planning.fewest_pairs(family) for family in (1, 2, 3, 4, 100)] == [6, 7, 7, 8, 12]


def test_power_of_many_pairs_is_the_t_tests():
    # Paired t test, effect size 0.5, 34 pairs: power 0.808 (G*Power; statsmodels TTestPower)
    assert planning.power(0.005, 0.01, 34) == pytest.approx(0.808, abs=0.002)
    assert planning.pairs_needed(0.005, 0.01) == 34


@quick
@given(
    st.floats(0, 1), st.floats(0, 0.2), st.integers(0, 200), st.integers(1, 50), st.floats(0.0001, 0.5), st.floats(0, 1)
)
def test_power_is_a_probability_that_grows(effect, deviation, pairs, comparisons, delta, more):
    near = 1e-9
    one = planning.power(effect, deviation, pairs, comparisons)
    assert 0 <= one <= 1 + near
    assert planning.power(effect, deviation, pairs + 1, comparisons) >= one - near
    assert planning.power(effect + more, deviation, pairs, comparisons) >= one - near
    same = planning.equivalence_power(effect, deviation, pairs, delta)
    assert 0 <= same <= 1
    assert planning.equivalence_power(effect, deviation, pairs, delta + more) >= same - near


@quick
@given(st.floats(0.0005, 0.1), st.floats(0.0005, 0.1), st.integers(1, 20))
def test_pairs_needed_are_the_fewest(effect, deviation, comparisons):
    pairs = planning.pairs_needed(effect, deviation, comparisons)
    if pairs is not None:
        assert planning.power(effect, deviation, pairs, comparisons) >= 0.8
        assert planning.power(effect, deviation, pairs - 1, comparisons) < 0.8


@pytest.mark.parametrize("pairs", [6, 8, 30])
def test_the_detectable_difference_has_80_percent_power(pairs):
    assert planning.power(planning.detectable(0.01, pairs), 0.01, pairs) == pytest.approx(0.8)
    assert planning.detectable(0.01, 5) is None


def test_the_forecast_in_one_line():
    assert planning.forecast(0.06, 10_000, 8) == (
        "8 pairs, 6% errors on 10,000 images, deviation 0.24 points: they see 0.29 points with 80% power; "
        "arms that do not differ are shown equivalent within ±0.5 points with 100% power."
    )
    assert "too few" in planning.forecast(0.06, 10_000, 5)


# Rates, by simulation


def simulated(pairs, effect=0.0, error=0.1, images=2000, seed=0):
    """Comparisons of arms whose runs answer the same number of images right, but for `effect` and chance."""
    rng = np.random.default_rng(seed)
    while True:
        shared = rng.normal(0, 0.002, pairs)  # what a pair shares: its images, its split
        right = [rng.binomial(images, 1 - error + shared + half) / images for half in (effect / 2, -effect / 2)]
        yield compare(*(dict(enumerate(arm)) for arm in right))


def rate(comparisons, number, wanted) -> float:
    """How often a verdict is among those wanted."""
    return sum(one.verdict in wanted for one in itertools.islice(comparisons, number)) / number


@pytest.mark.parametrize("pairs", [6, 8, 12])
def test_equal_arms_are_told_apart_in_at_most_5_percent(pairs):
    number = {6: 400, 8: 400, 12: 120}[pairs]
    chance = 1.64 * math.sqrt(0.05 * 0.95 / number)  # a rate of 5 % stays under this in 95 of 100 tests
    assert rate(simulated(pairs), number, ("helps", "hurts")) <= 0.05 + chance


@pytest.mark.parametrize("pairs", [6, 8])
def test_arms_that_differ_by_the_margin_are_called_equivalent_in_at_most_5_percent(pairs):
    differences = np.random.default_rng(3).normal(0.005, 0.002, (1000, pairs))
    chance = 1.64 * math.sqrt(0.05 * 0.95 / 1000)
    assert np.mean([equivalence_p(row, 0.005) < 0.05 for row in differences]) <= 0.05 + chance


@pytest.mark.parametrize("pairs", [6, 8])
def test_planted_differences_are_found_with_the_forecast_power(pairs):
    deviation = math.sqrt(2 * 0.1 * 0.9 / 2000)  # binomial runs: the planning formula is of runs that share images
    effect = 1.2 * deviation
    found = rate(simulated(pairs, effect, seed=1), 800, ("helps",))
    assert found == pytest.approx(planning.power(effect, deviation, pairs), abs=0.05)


@pytest.mark.parametrize("pairs", [6, 8])
def test_equivalence_is_found_with_the_forecast_power(pairs):
    rng = np.random.default_rng(2)
    differences = rng.normal(0.001, 0.004, (800, pairs))
    found = np.mean([equivalence_p(row, 0.005) < 0.05 for row in differences])
    assert found == pytest.approx(planning.equivalence_power(0.001, 0.004, pairs, 0.005), abs=0.05)


FAMILIES = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "few mistakes": lambda rng, shape: (rng.binomial(200, 0.97, shape) - rng.binomial(200, 0.97, shape)) / 200,
    "heavy": lambda rng, shape: rng.standard_t(4, shape),
}


def covered(low, high) -> float:
    """The share of intervals that hold the true difference, 0."""
    return float(np.mean((np.asarray(low) <= 0) & (np.asarray(high) >= 0)))


@pytest.mark.parametrize("pairs", [6, 8, 12, 20])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_interval_covers_93_to_97_percent(family, pairs):
    differences = FAMILIES[family](np.random.default_rng(pairs), (1000, pairs))
    assert 0.93 <= covered(*zip(*(interval(row) for row in differences))) <= 0.97


@pytest.mark.parametrize("pairs", [8, 20])
def test_bca_covers_less_which_is_why_the_interval_is_students(pairs):
    differences = np.random.default_rng(pairs).normal(size=(1000, pairs))
    options = {"n_resamples": 999, "batch": 100, "axis": -1, "rng": 0}
    found = stats.bootstrap((differences,), np.mean, method="BCa", **options).confidence_interval
    assert covered(found.low, found.high) < 0.93


def test_neither_help_nor_the_api_waits_for_scipy():
    program = "import sys; import tenfold.api; from tenfold.cli import main; main(['--help']); "
    done = subprocess.run(
        [sys.executable, "-c", program + "sys.exit('scipy' in sys.modules)"], stdout=subprocess.DEVNULL
    )
    assert done.returncode == 0
