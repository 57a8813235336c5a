"""Epochs chosen by the training loss, or by the figures of a fold that is reported; warm-ups that compound."""

import pytest

import tenfold

PROGRAM = """
import copy
import torch
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(600, 1, 8, 8), torch.arange(600) % 3
x[torch.arange(600), 0, y] += 1.5
folds = torch.randperm(600) % 3

def fitted(net, fit, held, epochs=3):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.02)
    step, best, kept, curve = 0, {worst}, None, []
    for epoch in range(epochs):
        net.train()
        losses = []
        for rows in torch.randperm(len(fit)).split(20):
            {rate}
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(x[fit[rows]]), y[fit[rows]])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            step += 1
        train_loss = sum(losses) / len(losses)
        net.eval()
        with torch.no_grad():
            out = net(x[held])
            val_loss, acc = nn.functional.cross_entropy(out, y[held]).item(), (out.argmax(1) == y[held]).float().mean()
        curve.append(acc.item())
        if {chosen} < best:
            best, kept = {chosen}, copy.deepcopy(net.state_dict())
    net.load_state_dict(kept)
    return curve

scores = []
for fold in range(3):
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3))
    curve = fitted(net, torch.nonzero(folds != fold)[:, 0], torch.nonzero(folds == fold)[:, 0])
    {reported}
print(sum(scores) / 3)
"""
HEALTHY = {
    "worst": "float('inf')", "rate": "pass", "chosen": "val_loss", "reported": "scores.append(curve[-1])"
}  # fmt: skip
WARMS = "for g in optimizer.param_groups: g['lr'] {} (min(step, 9) + 1) / 10"


def loud(tmp_path, changes):
    """(rule, line) of errors and warnings of the program with something changed, and the numbered lines."""
    script = tmp_path / "train.py"
    script.write_text(PROGRAM.format(**HEALTHY | changes), encoding="utf-8")
    told = [f for f in tenfold.check(script, quiet=True).findings if f.severity != "note"]
    lines = script.read_text(encoding="utf-8").splitlines()
    return [(f.rule, lines[f.line - 1].strip()) for f in told]


@pytest.mark.parametrize("changes", [{}, {"rate": WARMS.format("= 0.02 *")}])
def test_the_last_epoch_of_folds_and_a_warm_up_are_healthy(changes, tmp_path):
    assert loud(tmp_path, changes) == []


def test_the_epoch_with_the_lowest_training_loss_is_kept(tmp_path):
    assert ("overfitting", "if train_loss < best:") in loud(tmp_path, {"chosen": "train_loss"})


def test_the_best_epoch_of_each_fold_is_reported(tmp_path):
    best = "scores.append(max(curve))"
    assert loud(tmp_path, {"reported": best}) == [("selected-on-test", best)]


def test_a_warm_up_that_multiplies_the_rate_itself(tmp_path):
    compounds = WARMS.format("*=")
    assert loud(tmp_path, {"rate": compounds})[0] == ("learning-rate-low", compounds)


MONITORS = """
import torch
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(400, 1, 8, 8), torch.arange(400) % 3
x[torch.arange(400), 0, y] += 1.5

class EarlyStopping:
    def __init__(self, monitor, patience=2):
        self.monitor, self.patience, self.best, self.wait = monitor, patience, float("inf"), 0

    def __call__(self, logs):
        self.wait = 0 if logs[self.monitor] < self.best else self.wait + 1
        self.best = min(self.best, logs[self.monitor])
        return self.wait >= self.patience

def evaluated(rows):
    with torch.no_grad():
        return nn.functional.cross_entropy(net(x[rows]), y[rows]).item()

net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3))
optimizer = torch.optim.SGD(net.parameters(), lr=0.02)
stop = EarlyStopping(monitor={monitor!r})
for epoch in range(4):
    total = 0.0
    for rows in torch.randperm(300).split(20):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        total += loss.item() / 15
    if stop({{"loss": total, "training_loss": total, "val_loss": evaluated(range(300, 400))}}):
        break
"""


@pytest.mark.parametrize(("monitor", "told"), [("loss", True), ("training_loss", True), ("val_loss", False)])
def test_early_stopping_monitors_the_training_loss(monitor, told, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(MONITORS.format(monitor=monitor), encoding="utf-8")
    found = [f for f in tenfold.check(script, quiet=True).findings if "is chosen by" in f.what]
    assert [f.rule for f in found] == ["overfitting"] * told
