"""Pictures of learning rates: any schedule and any outcome of a range test can be drawn."""

import pytest

from tenfold.reports.rates import range_curve, schedule, steps_shown
from tenfold.training.range_test import RangeTest


@pytest.mark.parametrize(
    "rates", [[0.1] * 50, [0.0] * 50, [10.0**-n for n in range(50)], [0.1] * 25 + [0.001] * 25], ids=str
)
def test_any_schedule_can_be_drawn(rates, look):
    look(schedule(steps_shown(1), rates, "title " * 40, "$below$"))


@pytest.mark.parametrize("last", [2.0, 1e30])
def test_any_range_test_can_be_drawn(last, look):
    seen = RangeTest((1e-5, 1e-3, 0.1, 10.0), (2.3, 2.2, 2.0, last), (2.3, 2.25, 2.1, last), 0.1, True)
    look(range_curve(seen, "<title>"))


def test_a_schedule_is_shown_where_steps_are_taken():
    assert (steps_shown(3)[0], steps_shown(3)[-1], len(steps_shown(3))) == (0.0, 2.98, 150)
