"""Metrics against their definitions, counted one prediction at a time."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tenfold.evidence.metrics import calibration_error, measure


@settings(deadline=None, max_examples=50)
@given(
    st.integers(2, 5).flatmap(
        lambda c: hnp.arrays(np.float64, st.tuples(st.integers(1, 30), st.just(c)), elements=st.floats(0.01, 1))
    ),
    st.randoms(),
)
def test_metrics_are_their_definitions(raw, random):
    probabilities = raw / raw.sum(1, keepdims=True)
    classes = probabilities.shape[1]
    labels = np.array([random.randrange(classes) for _ in probabilities])
    found = measure(probabilities, labels)
    called = [int(np.argmax(row)) for row in probabilities]
    right = sum(c == y for c, y in zip(called, labels))
    assert found.correct == right
    assert found.accuracy == right / len(labels)
    assert found.loss == pytest.approx(sum(-math.log(row[y]) for row, y in zip(probabilities, labels)) / len(labels))
    for k in range(classes):
        hits = sum(c == y == k for c, y in zip(called, labels))
        assert found.precision[k] == (hits / called.count(k) if k in called else None)
        assert found.recall[k] == (hits / list(labels).count(k) if k in labels else None)
        for j in range(classes):
            assert found.confusion[k][j] == sum(y == k and c == j for c, y in zip(called, labels))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_calibration_error_is_guos_sum(pairs):
    bins: dict[int, list] = {}
    for confidence, right in pairs:
        bins.setdefault(min(int(confidence * 15), 14), []).append((confidence, right))
    expected = sum(
        len(b) / len(pairs) * abs(sum(r for _, r in b) / len(b) - sum(c for c, _ in b) / len(b)) for b in bins.values()
    )
    confidence, right = (np.array(column) for column in zip(*pairs))
    assert calibration_error(confidence.astype(float), right) == pytest.approx(expected, abs=1e-12)


def test_perfect_confidence_is_calibrated_and_a_sure_mistake_is_not():
    assert calibration_error(np.ones(4), np.ones(4, bool)) == 0
    assert calibration_error(np.ones(4), np.zeros(4, bool)) == 1


def test_impossible_probability_gives_a_finite_loss():
    assert math.isfinite(measure(np.array([[1.0, 0.0]]), np.array([1])).loss)
