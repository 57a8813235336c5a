"""The statements' experiments: each computation against its truth."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tenfold.errors import RecipeError
from tenfold.experiments.statements import (
    MISTAKES,
    STATEMENTS,
    Context,
    cost,
    dropout,
    layers,
    mistakes,
    sparsity,
    surface,
    trainings,
    units,
)
from tenfold.experiments.statements.nets import untrained
from tenfold.models.blocks import batch_statistics
from tenfold.recipe import ModelOptions
from tenfold.runs import Epoch


@pytest.fixture
def context(tmp_path):
    return Context(data="shapes", out=tmp_path, quick=True, seeds=1, tell=lambda line: None)


def test_every_experiment_says_what_it_costs(context):
    for name, experiment in {**STATEMENTS, **MISTAKES}.items():
        assert experiment.id == name
        assert cost(name, context).seconds > 0
    with pytest.raises(RecipeError, match=r"statement or mistake '1\.11'"):
        cost("1.11", context)


def test_batch_norm_divides_by_the_deviation_too(context):
    answer = STATEMENTS["1.1"](context)
    assert answer.answer == answer.lab == "false"
    only_mean, whole = (float(row[1]) for row in answer.tables[0].rows)
    assert only_mean > 1
    assert whole < 1e-12


def test_autograd_is_right(context):
    answer = STATEMENTS["1.2"](context)
    assert answer.answer == "false"
    assert all(float(row[2]) < 1e-4 for row in answer.tables[0].rows)


def test_a_wrong_gradient_is_seen():
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, gradient):
            return 3 * gradient

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3 * 16 * 16, 10)

        def forward(self, x):
            return Wrong.apply(self.linear(x.flatten(1)))

    assert layers.compare_gradients(Net().double())[0] > 0.1


def is_png(content):
    return content.startswith(b"\x89PNG") and len(content) > 10_000


def test_separable_convolutions_cost_what_the_formula_says(context):
    answer = STATEMENTS["1.8"](context)
    assert answer.answer == "true"
    for channels, counted, formula, timed in answer.tables[0].rows:
        assert counted == formula == f"{9 * int(channels) / (9 + int(channels)):.3f}"
        assert float(timed) > 0
    assert is_png(answer.pictures["separable.png"])


def test_squeezenet_computes_early(context):
    answer = STATEMENTS["1.9"](context)
    assert answer.answer == "false"
    assert "730,570" in answer.evidence
    rows = answer.tables[0].rows
    assert sum(int(row[2].replace(",", "")) for row in rows) == 730_570
    assert sum(int(row[4].replace(",", "")) for row in rows) == 23_434_240
    assert "41% of the 23.4 M" in answer.evidence
    assert is_png(answer.pictures["squeezenet.png"])


def rows(*losses):
    """Epochs with these validation losses; training losses a tenth lower."""
    filled = {"step": 1, "lr": 0.1, "train_accuracy": 0.5, "train_correct": 1, "train_total": 2, "val_accuracy": 0.5}
    rest = {"val_correct": 1, "val_total": 2, "seconds": 1.0, "images_per_second": 2.0}
    return [
        Epoch(epoch=at, train_loss=loss - 0.1, val_loss=loss, **filled, **rest) for at, loss in enumerate(losses, 1)
    ]


def test_epochs_to_a_loss_are_counted_in_parts():
    assert dropout.epochs_to(rows(2.0, 1.5, 1.0), 1.25) == 2.5
    assert dropout.epochs_to(rows(2.0, 1.5, 1.0), 1.0) == 3
    assert dropout.epochs_to(rows(0.5), 1.0) == 1
    with pytest.raises(ValueError, match="never reached"):
        dropout.epochs_to(rows(2.0), 1.0)


def test_convergence_is_answered_by_the_interval():
    assert dropout.slower_without((0.1, 0.5), 0.01, 8) == "false"
    assert dropout.slower_without((-0.5, -0.1), 0.01, 8) == "true"
    assert dropout.slower_without((-0.5, 0.1), 0.4, 8) == "inconclusive"
    assert dropout.slower_without((0.1, 0.5), 0.01, 3) == "no verdict"


def test_more_stable_only_where_it_is_shown():
    calm, same = np.full(8, -0.1) - np.arange(8) / 100, np.array([0.1, -0.1] * 4)
    assert units.more_stable((0.3, 2.0), calm) == "true"
    assert units.more_stable((0.3, 2.0), -calm) == "false"
    assert units.more_stable((0.3, 2.0), same) == "inconclusive"
    assert units.more_stable((0.1, 0.8), same) == "true"
    assert units.more_stable(None, same[:2]) == "no verdict"


def test_the_ratio_of_variances_has_the_f_interval():
    draw = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        ratio, found = units.variance_ratio(2 * draw.normal(size=8), draw.normal(size=8))
        covered += found[0] <= 4 <= found[1]
        assert found[0] < ratio < found[1]
    assert 0.92 < covered / 400 < 0.98


def test_a_straight_descent_does_not_jump():
    assert units.jumpiness(rows(3.0, 2.0, 1.0)) == pytest.approx(0)
    assert units.jumpiness(rows(3.0, 1.0, 3.0)) == pytest.approx(2)


def test_a_dead_unit_is_found():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 6), nn.ReLU())
    nn.init.constant_(net[0].bias, 9.0)
    nn.init.constant_(net[3].bias, 99.0)
    pixels, labels = torch.rand(20, 3, 8, 8), torch.zeros(20, dtype=torch.int64)
    assert units.dead_share(net, pixels, labels) == 0
    net[0].bias.data[1] = -99
    net[3].bias.data[2] = -999
    assert units.dead_share(net, pixels, labels) == pytest.approx(2 / 10)


def test_pruning_takes_the_small_weights_only():
    net = nn.Linear(4, 1)
    net.weight.data = torch.tensor([[0.5, -0.0005, 0.0005, -0.5]])
    assert (sparsity.weights_of(net).abs() < sparsity.NEAR_ZERO).float().mean() == 0.5
    sparsity.prune(net)
    assert net.weight.tolist() == [[0.5, 0.0, 0.0, -0.5]]


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_the_floor_of_softmax_before_the_loss(classes):
    sure = torch.nn.functional.one_hot(torch.arange(classes), classes).float()
    loss = torch.nn.functional.cross_entropy(sure, torch.arange(classes))
    assert mistakes.floor(classes) == pytest.approx(loss.item(), abs=1e-5)


def test_every_pair_of_single_runs_counts():
    found = mistakes.differences([0.66, 0.70], [0.65, 0.69])
    assert found == pytest.approx([0.01, -0.03, 0.05, 0.01])
    assert mistakes.share([one < 0 for one in found]) == "25%"
    assert mistakes.low_high(found) == "-3.00 to +5.00"


def test_mistakes_at_the_start_are_shown(context):
    crop = MISTAKES["centre-crop"](context)
    assert crop.answer == "shown"
    assert "fc1 expects 576" in crop.evidence
    assert "256" in crop.evidence
    assert [row[1] for row in crop.tables[0].rows] == ["works"] * 3
    device = MISTAKES["dummy-batch-device"](context)
    assert device.answer == "shown"
    assert "meta" in device.tables[0].rows[0][2]
    start = MISTAKES["initial-loss"](context)
    assert start.answer == "shown"
    assert "ln(10) = 2.303" in start.evidence
    assert is_png(start.pictures["initial-loss.png"])
    assert not list(context.out.iterdir())


def test_arms_are_shared_and_their_cost_is_known(context):
    several = replace(context, seeds=3)
    first, second = ({plan.to_json() for plan in cost(name, several).plans} for name in ("1.4", "1.5"))
    assert (len(first), len(second)) == (6, 12)
    assert first < second
    assert len(cost("1.3", several).plans) == 12
    assert cost("1.1", several).plans == ()


@pytest.mark.parametrize(("seeds", "runs"), [(1, 4), (5, 20), (6, 28), (8, 32)])
def test_two_comparisons_get_the_seeds_that_a_verdict_takes(context, seeds, runs):
    for name in ("1.3", "1.5"):
        assert len(cost(name, replace(context, seeds=seeds)).plans) == runs


@pytest.mark.slow
def test_a_trained_statement_reuses_its_runs_and_gives_no_verdict_under_6_seeds(small, tmp_path, monkeypatch):
    monkeypatch.setattr(trainings, "QUICK", {"epochs": 1, "batch": 16})
    lines = []
    context = Context(small["data"], tmp_path, True, 1, lines.append)
    answer = MISTAKES["activation-on-logits"](context)
    assert answer.answer == "no verdict"
    assert "SiLU cannot give less than −0.28" in answer.evidence
    assert len(answer.tables[0].rows) == 3
    silu, relu = (float(row[1]) for row in answer.tables[1].rows[1:])
    assert -0.28 <= silu < 0
    assert relu == 0
    assert is_png(answer.pictures["activation-on-logits.png"])
    before = len(lines)
    softmax = MISTAKES["softmax-before-loss"](context)
    assert "1 of 2 runs are there already." in lines[before:]
    assert f"{mistakes.floor(3):.3f} for C = 3 classes" in softmax.evidence


def test_a_bowl_is_smooth_and_a_wave_is_not():
    steps = np.linspace(-1, 1, 11)
    assert surface.roughness(steps[None] ** 2 + 3 * steps[:, None] ** 2) == 0
    assert surface.roughness(np.abs(steps[None]) + 0 * steps[:, None]) == 0
    wave = np.sin(9 * steps)[None] + np.sin(9 * steps)[:, None]
    assert 0.3 < surface.roughness(wave) < 0.7
    assert surface.smoother(0.1, 0.3) == "true"
    assert surface.smoother(0.3, 0.1) == "false"
    assert surface.smoother(0.3, 0.31) == surface.smoother(None, 0.3) == "inconclusive"


def test_directions_are_as_long_as_the_filters_and_the_net_is_put_back():
    net = untrained(ModelOptions(name="resnet20", shortcut="none"), 16).eval()
    for weights, step in zip(net.parameters(), surface.directions(net, 0), strict=True):
        expected = weights.detach().flatten(1).norm(dim=1) if weights.dim() > 1 else torch.zeros(len(weights))
        assert torch.allclose(step.flatten(1).norm(dim=1) if weights.dim() > 1 else step, expected, atol=1e-5)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    pixels, labels = torch.randn(8, 3, 16, 16), torch.arange(8)
    losses = surface.surface(net, pixels, labels, 3)
    assert losses.shape == (3, 3)
    assert len(np.unique(losses)) == 9
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    with batch_statistics(net), torch.no_grad():
        own = nn.functional.cross_entropy(net(pixels), labels).item()
    assert surface.middle(losses) == pytest.approx(own, rel=1e-4)
    assert is_png(surface.draw_surfaces({"a": losses, "b": losses + 1, "c": 2 * losses}))
    assert is_png(surface.draw_lines({"a": losses}))
