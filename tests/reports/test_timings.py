"""The picture of a step's parts: labels stay apart and inside, whatever the parts."""

from itertools import pairwise

import pytest

from tenfold.reports.timings import APART, spread, step_times
from tenfold.reports.words import milliseconds

NAMES = ("input", "normalise", "forward", "backward", "optimiser")


@pytest.mark.parametrize("seconds", [(1, 1, 1, 1, 1), (1e-4, 1e-5, 0, 2.0, 4e-5), (9, 1e-9, 1e-9, 1e-9, 1e-9)])
def test_any_parts_can_be_drawn(seconds, look):
    look(step_times(dict(zip(NAMES, seconds)), "title " * 40, "where " * 40))


@pytest.mark.parametrize(
    "centres", [(0, 0, 0, 0, 0), (1, 1, 1, 1, 1), (0, 0.02, 0.5, 0.99, 1), (0.1, 0.3, 0.5, 0.7, 0.9)]
)
def test_labels_stay_apart_and_inside(centres):
    placed = spread(centres, APART)
    assert all(b - a > APART - 1e-9 for a, b in pairwise(placed))
    assert placed[0] > APART / 2 - 1e-9
    assert placed[-1] < 1 - APART / 2 + 1e-9


def test_labels_with_room_stay_where_they_are():
    assert spread((0.1, 0.3, 0.5, 0.7, 0.9), APART) == [0.1, 0.3, 0.5, 0.7, 0.9]


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0.00"), (0.00026, "0.26"), (0.0123, "12.3"), (0.123, "123"), (1.9, "1,900")]
)
def test_milliseconds(seconds, told):
    assert milliseconds(seconds) == f"{told}\u00a0ms"
