"""Rules over a training: histories that must fire, and those that look like it; hooks that change no bit and leave."""

import math

import pytest
import torch
from nets import Net
from torch import nn
from torch.nn.functional import cross_entropy

import tenfold
from tenfold.checks import running
from tenfold.checks.running import History, LayerFacts, Sample, judge, judge_epochs
from tenfold.checks.watching import Watcher
from tenfold.errors import RecipeError
from tenfold.runs import Epoch


def history(losses, rates=None, *, update=1e-3, slopes=(0.01, 0.01, 0.01), active=True, saturated=0.0, units=8):
    """As many samples as there must be, all alike, behind these losses."""
    layers = tuple(
        LayerFacts(f"layer{i}", slope, update, (active,) * units if i else None, saturated if i else 0.0)
        for i, slope in enumerate(slopes)
    )
    samples = [Sample(step, layers) for step in range(running.SAMPLES)]
    rates = [0.1] * len(losses) if rates is None else rates
    return History(list(losses), list(rates), samples, 0.1)


def resumed(began, losses):
    made = history(losses)
    made.began = began
    return made


def falling(steps, start=2.3, to=1.0):
    return [start + (to - start) * i / steps for i in range(steps)]


FIRING = {
    "learning-rate-high": history([2.3] * 5 + [9.0] * 40, update=0.3),
    "learning-rate-low": history([2.3] * 60, update=1e-7),
    "gradient-vanishing": history([2.3] * 60, slopes=(1e-9, 1e-3, 1e-2)),
    "gradient-exploding": history([2.3] * 60, slopes=(50.0, 60.0, 70.0)),
    "dead-units": history(falling(60), active=False),
    "saturated-units": history(falling(60), saturated=0.95),
    "loss-flat": history([2.3] * 600),
    "learning-rate-dropped-early": history(falling(400, 2.3, 0.5) + [0.5] * 20, [0.1] * 400 + [0.01] * 20),
}

LOOKALIKES = {
    "a healthy descent": history(falling(60)),
    "a start at a high rate: the loss rises, and comes down again": history(
        [2.3, 4.0, 6.0, 5.0, *falling(60, 5.0, 2.2)]
    ),
    "a warm-up: small steps, the loss stays": history([2.3] * 60, [0.1 * i / 500 for i in range(60)], update=1e-7),
    "a plateau of a hundred steps": history([2.3] * 150),
    "small gradients in front while the loss falls": history(falling(60), slopes=(1e-9, 1e-3, 1e-2)),
    "large updates of Muon while the loss falls": history(falling(60), update=0.2),
    "a drop after the loss came to rest": history(falling(200) + [1.0] * 220, [0.1] * 400 + [0.01] * 20),
    "a cosine": history(falling(400), [0.05 * (1 + math.cos(math.pi * i / 400)) + 1e-9 for i in range(400)]),
    "resumed at a plateau far below the start": resumed(2.3, [0.8] * 600),
    "resumed with next to no loss, which doubles": resumed(2.3, [0.02] * 5 + [0.04] * 40),
    "no loss seen at all": history([]),
    "too early to tell": history([2.3] * 5 + [9.0] * 5),
}


@pytest.mark.parametrize("rule", FIRING)
def test_each_rule_fires_alone(rule):
    assert {f.rule for f in judge(FIRING[rule])} == {rule}


@pytest.mark.parametrize("seen", LOOKALIKES)
def test_what_looks_like_it_does_not(seen):
    assert judge(LOOKALIKES[seen]) == []


def epochs(train, val, lr=None, accuracy=0.9):
    return [
        Epoch(i + 1, i, (lr or [0.1] * len(train))[i], t, accuracy, 9, 10, v, 0.5, 5, 10, 1.0, 1.0)
        for i, (t, v) in enumerate(zip(train, val, strict=True))
    ]


def test_rows_of_epochs():
    falls = [2.0, 1.5, 1.1, 0.8, 0.5, 0.3]
    assert [f.rule for f in judge_epochs(epochs(falls, [2.0, 1.5, 1.6, 1.8, 2.0, 2.3]), 10, True)] == ["overfitting"]
    assert judge_epochs(epochs(falls, falls), 10, True) == []
    dropped = epochs(falls, falls, [0.1] * 5 + [0.01])
    assert [f.rule for f in judge_epochs(dropped, 10, False)] == ["learning-rate-dropped-early"]
    rested = epochs([2.0, 1.01, 1.005, 1.0, 0.999, 0.9], falls, [0.1] * 5 + [0.01])
    assert judge_epochs(rested, 10, False) == []
    assert [f.rule for f in judge_epochs(epochs(falls, falls, accuracy=0.3), 10, True)] == ["underfitting"]
    assert judge_epochs(epochs(falls, falls, accuracy=0.3), 10, False) == []
    assert judge_epochs([], 10, True) == []
    nothing = epochs(falls, [1.0, 1e-7, 1e-7, 1e-6, 1e-5, 1e-4])
    assert judge_epochs(nothing, 10, True) == []  # a loss of almost nothing may grow tenfold


IMAGES = torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(16) % 3


def train(net, optimizer, steps=40, images=IMAGES):
    for _ in range(steps):
        optimizer.zero_grad()
        loss = cross_entropy(net(images), LABELS)
        loss.backward()
        optimizer.step()


def fresh(seed=0, lr=0.05):
    torch.manual_seed(seed)
    net = Net()
    return net, torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9)


def test_watching_changes_no_bit_and_leaves_nothing():
    results = []
    for watched in (False, True):
        net, optimizer = fresh()
        backward = torch.Tensor.backward
        if watched:
            with tenfold.watch(net, optimizer, every=2) as watch:
                train(net, optimizer)
            assert watch.findings == ()
            assert len(watch.watcher.history.samples) == 19
            assert len(watch.watcher.history.losses) == len(watch.watcher.history.rates) == 40
        else:
            train(net, optimizer)
        assert torch.Tensor.backward is backward
        assert not optimizer._optimizer_step_pre_hooks
        assert not optimizer._optimizer_step_post_hooks
        assert not any(m._forward_pre_hooks or m._forward_hooks for m in net.modules())
        results.append([t.clone() for t in net.state_dict().values()])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_nan_names_the_first_bad_layer_and_is_told_once(capsys):
    net, optimizer = fresh()
    with tenfold.watch(net, optimizer) as watch:
        train(net, optimizer, 3)
        with torch.no_grad():
            net.conv2.weight[0, 0, 0, 0] = float("nan")
        train(net, optimizer, 3)
    (finding,) = watch.findings
    assert (finding.rule, finding.severity, finding.layer) == ("not-finite", "error", "conv2")
    assert "step 4" in finding.what
    assert capsys.readouterr().out.count("conv2") == 2  # once as a place, once as evidence


def test_a_rate_far_too_high_kills_or_diverges():
    net, optimizer = fresh(lr=1e-9)
    with tenfold.watch(net, optimizer, every=1, quiet=True) as watch:
        train(net, optimizer, 50)
    assert [f.rule for f in watch.findings] == ["learning-rate-low"]


def test_dead_and_saturated_units_in_a_real_loop():
    def loop(middle, shift):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(3072, 16), middle, nn.Linear(16, 3))
        with torch.no_grad():
            net[1].bias.add_(shift)
        optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
        with tenfold.watch(net, optimizer, every=1, quiet=True) as watch:
            train(net, optimizer, 35)
        return [f.rule for f in watch.findings]

    assert loop(nn.ReLU(), -50) == ["dead-units"]
    assert loop(nn.Tanh(), 50) == ["saturated-units"]
    assert loop(nn.ReLU(), 0) == []
    assert loop(nn.Tanh(), 0) == []


def test_silenced_rules_are_not_told_and_unknown_ones_refused():
    net, optimizer = fresh(lr=1e-9)
    with tenfold.watch(net, optimizer, every=1, ignore=["learning-rate-low"]) as watch:
        train(net, optimizer, 50)
    assert watch.findings == ()
    with pytest.raises(RecipeError, match="Did you mean 'dead-units'"):
        tenfold.watch(net, optimizer, ignore=["dead-unit"])


def test_accumulated_gradients_closures_and_evaluation_are_no_trouble():
    net, optimizer = fresh()
    with tenfold.watch(net, optimizer, every=1) as watch:
        for _ in range(6):
            optimizer.zero_grad()
            for part in (slice(0, 8), slice(8, 16)):
                (cross_entropy(net(IMAGES[part]), LABELS[part]) / 2).backward()
            optimizer.step()
            net.eval()
            net(IMAGES)
            net.train()
    assert len(watch.watcher.history.losses) == 6
    assert watch.watcher.history.losses[0] == pytest.approx(1.1, abs=0.5)


def test_the_share_of_time_bounds_the_samples():
    net, optimizer = fresh()
    watcher = Watcher(net, optimizer, lambda found: None, share=0.02).attach()
    train(net, optimizer, 200)
    watcher.remove()
    greedy = Watcher(net, optimizer, lambda found: None, every=1).attach()
    train(net, optimizer, 20)
    greedy.remove()
    assert 1 <= len(watcher.history.samples) < 100
    assert len(greedy.history.samples) == 19
