"""The learning-rate finder: deterministic, never NaN, a suggestion that trains, and no trace but its picture."""

import math

import numpy as np
import pytest
import torch

from tenfold import api, previews
from tenfold.errors import RecipeError, TrainingError
from tenfold.training.optimisers import OPTIMISERS
from tenfold.training.range_test import at_rate, diverging, noise, smoothed, suggested
from tenfold.training.setup import prepare


@pytest.fixture
def quick(small) -> dict:
    return {**{name: value for name, value in small.items() if name != "epochs"}, "steps": 60, "model.norm": "batch"}


def test_suggests_a_rate_and_leaves_nothing_but_the_picture(quick, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen, picture = previews.find_lr("simplenn", **quick)
    assert [path.name for path in tmp_path.iterdir()] == [picture.name] == ["lr-simplenn.png"]
    assert seen.option == f"--optimizer.lr {seen.suggestion:g}"
    assert float(seen.option.split()[1]) == seen.suggestion
    assert seen.rates[0] < seen.suggestion < seen.rates[int(np.argmin(seen.smooth))]
    assert len(seen.rates) == len(seen.losses) == len(seen.smooth)
    assert np.isfinite(seen.losses).all()
    assert np.allclose(np.diff(np.log(seen.rates)), math.log(1e6) / 59), "equal factors from 1e-05 to 10"


def test_is_deterministic_for_a_seed_and_leaves_torchs_chance_alone(quick, tmp_path):
    before = torch.random.get_rng_state()
    first, second = (previews.find_lr("simplenn", out=tmp_path / "a.png", **quick)[0] for _ in range(2))
    assert first == second
    assert torch.equal(torch.random.get_rng_state(), before)
    assert previews.find_lr("simplenn", out=tmp_path / "a.png", seed=1, **quick)[0].losses != first.losses


@pytest.mark.parametrize("name", OPTIMISERS)
def test_ends_finite_or_with_a_clear_error_for_every_optimiser(name, quick, tmp_path):
    try:
        seen, _ = previews.find_lr("simplenn", out=tmp_path / "a.png", **quick, high=1e30, **{"optimizer.name": name})
    except TrainingError:  # that no rate lowered the loss
        return
    assert 1e-5 <= seen.suggestion < 1e30
    assert np.isfinite([*seen.losses, *seen.smooth]).all()


def test_stops_where_the_loss_diverges(quick, tmp_path):
    seen, _ = previews.find_lr("simplenn", out=tmp_path / "a.png", **{**quick, "model.norm": "none"}, high=1e12)
    assert seen.diverged
    assert len(seen.losses) < 60


def test_rates_that_lower_nothing_are_a_clear_error_and_draw_nothing(quick, tmp_path):
    with pytest.raises(TrainingError, match="No rate from 1e-12 to 1e-10 lowered the loss"):
        previews.find_lr("simplenn", out=tmp_path / "a.png", low=1e-12, high=1e-10, **quick)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"low": 0.0}, "rates must rise from above 0"),
        ({"low": 1.0, "high": 0.1}, "rates must rise"),
        ({"high": math.inf}, "rates must rise"),
        ({"low": math.nan}, "rates must rise"),
        ({"steps": 3}, "at least 20 steps"),
        ({"optimizer.lr": 0.1}, "optimizer.lr would have no effect"),
        ({"schedule.name": "cosine"}, "schedule.name would have no effect"),
        ({"epochs": 3}, "epochs would have no effect"),
    ],
)
def test_what_it_does_not_read_is_refused(options, told, quick, tmp_path):
    with pytest.raises(RecipeError, match=told):
        previews.find_lr("simplenn", out=tmp_path / "a.png", **{**quick, **options})


def test_muons_other_rates_keep_their_ratio(small):
    options = {"optimizer.name": "muon", "optimizer.lr": 0.2, "optimizer.bias_lr": 0.4, "optimizer.head_lr": 0.1}
    setup = prepare(api.plan("simplenn", **small, **options))
    from tenfold.training.loop import descend

    descend(at_rate(setup, 0.02), 0, 0, *setup.loader.batch(0, 0))
    assert [g["lr"] for g in setup.state.optimizer.param_groups] == pytest.approx([0.02, 0.04, 0.01])


def test_smoothing_keeps_level_and_straight_lines_and_does_not_lag():
    assert smoothed([2.0] * 9, 3) == pytest.approx([2.0] * 9)
    assert smoothed(list(range(20)), 3)[3:-3] == pytest.approx(range(3, 17))
    step = smoothed([0.0] * 10 + [1.0] * 10, 4)
    assert step[9] == pytest.approx(1 - step[10])


def test_suggestion_is_the_steepest_place_before_the_lowest():
    rates = np.geomspace(1e-4, 1, 41).tolist()
    curve = [2.3 - 1.0 / (1 + math.exp(-(i - 20))) + (0.2 * (i - 30) ** 2 if i > 30 else 0) for i in range(41)]
    assert suggested(rates, curve, 0.01) == pytest.approx(0.01, rel=0.05)
    assert suggested(rates, curve, 1.0) is None, "within its noise"
    assert suggested(rates, [2.0] * 41, 0.0) is None
    assert suggested([], [], 0.0) is None


def test_noise_and_divergence():
    draws = np.random.default_rng(0).normal(2.3, 0.1, 400).tolist()
    reach = 20
    smooth = smoothed(draws, reach)
    assert noise(draws, smooth, reach) == pytest.approx(float(np.std(smooth)), rel=0.6)
    assert not diverging([2.3] * 9)
    assert not diverging([2.3] * 12 + [9.0])
    assert diverging([2.3] * 12 + [9.0] * 3)
