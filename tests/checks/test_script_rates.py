"""Rates, units, fit and lines of scripts: small programs that must fire, and those that look like it."""

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW
from torch.utils.data import DataLoader

import tenfold
from tenfold.checks.script.fit import decay_too_strong, evaluations, few_batches, overfitting
from tenfold.checks.script.optimisation import gradients_wasted
from tenfold.checks.script.rates import rate_rules
from tenfold.checks.script.schedule import drops_at_once, never_warm, rate_for_factor
from tenfold.checks.script.seen import Call, Held, Loader, LossCall, Place, Scheduled, Seen, Step
from tenfold.checks.script.units import asleep

PROGRAM = """
import torch
from torch import nn
torch.manual_seed(0)
x, y = torch.randn(640, 1, 8, 8), torch.arange(640) % 3
x[torch.arange(640), 0, y] += 1.5
OPTIONS = dict(
    epochs=2,
    lr={lr},
)
def block(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
net = nn.Sequential(
    block(1, 16),
    block(16, 16),
    nn.Flatten(),
    nn.Linear(64, 32),
    nn.ReLU(),
    nn.Linear(32, 3),
)
{start}
opt = torch.optim.{optimizer}(net.parameters(), lr=OPTIONS["lr"])
for epoch in range(OPTIONS["epochs"]):
    for order in torch.randperm(640).split(32):
        loss = nn.functional.cross_entropy(net(x[order]), y[order])
        opt.zero_grad()
        loss.backward()
        opt.step()
"""
HEALTHY = {"lr": 0.003, "start": "", "optimizer": "Adam"}
FAULTS = {
    "learning-rate-high": ({"lr": 0.5}, 9),
    "learning-rate-low": ({"lr": 1e-7}, 9),
    "dead-units": ({"start": "nn.init.constant_(net[1][0].bias, -9.0)"}, 21),
}


def checked(tmp_path, monkeypatch, changes):
    """Findings of the program with something changed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(PROGRAM.format(**HEALTHY | changes))
    return tenfold.check("train.py", quiet=True).findings


@pytest.mark.parametrize("rule", FAULTS)
def test_the_cause_comes_first_with_its_line(rule, tmp_path, monkeypatch):
    changes, line = FAULTS[rule]
    first = checked(tmp_path, monkeypatch, changes)[0]
    assert (first.rule, first.line) == (rule, line)


def test_a_healthy_rate_raises_nothing(tmp_path, monkeypatch):
    assert checked(tmp_path, monkeypatch, {}) == ()


def steps(seen: Seen, right: float, judged: float, images: int = 200) -> Seen:
    """Twenty training batches and one evaluation with these shares of right answers."""
    net = nn.Linear(2, 2)
    for number in range(20):
        loss = LossCall("cross_entropy", None, number, True, (8, 2), (8,), "int64", 0, 1, True, 0.1, "mean", None, 0,
                        1, (0, 1), None, backward=True, right=right)  # fmt: skip
        seen.losses.append(loss)
    seen.calls.append(Call(0, net, None, 20, False, (), (), (images, 2), judged=True, loss=0.9, right=judged))
    return seen


def test_overfitting_needs_training_images_known_and_others_not():
    assert [f.rule for f in overfitting(steps(Seen("a.py"), 1.0, 0.6))] == ["overfitting"]
    assert evaluations(steps(Seen("a.py"), 1.0, 0.6))[0].right == 0.6
    assert list(overfitting(steps(Seen("a.py"), 1.0, 0.9))) == []
    assert list(overfitting(steps(Seen("a.py"), 0.8, 0.5))) == []
    assert list(overfitting(steps(Seen("a.py"), 1.0, 0.6, images=20))) == []


@pytest.mark.parametrize(
    ("optimizer", "rules"),
    [
        (lambda p: SGD(p, lr=0.02, momentum=0.9, weight_decay=0.3), ["underfitting"]),
        (lambda p: SGD(p, lr=0.1, momentum=0.9, weight_decay=5e-4), []),
        (lambda p: AdamW(p, lr=1e-3, weight_decay=0.3), []),
        (lambda p: AdamW(p, lr=3.0, weight_decay=0.005), []),  # the rate is too high, not the decay
    ],
)
def test_weight_decay_that_undoes_what_is_learned(optimizer, rules):
    held = Held(optimizer(nn.Linear(2, 2).parameters()), None, steps=30)
    assert [f.rule for f in decay_too_strong(Seen("a.py", helds=[held]))] == rules


@pytest.mark.parametrize(("norm", "rules"), [(nn.BatchNorm2d, []), (nn.Identity, ["underfitting"])])
def test_decay_before_norms_is_of_no_account(norm, rules):
    net = nn.Sequential(nn.Conv2d(1, 4, 3), norm(4), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2))
    held = Held(SGD([p for p in net.parameters() if p.dim() > 1], lr=0.1, weight_decay=0.3), None, steps=30)
    assert [f.rule for f in decay_too_strong(Seen("a.py", helds=[held], model=net))] == rules


@pytest.mark.parametrize(
    ("milestones", "planned", "found"),
    [([2, 3], 400, True), ([200, 300], 400, False), ([2], 40, False), ([60, 300], 400, False)],
)
def test_milestones_of_epochs_that_count_batches(milestones, planned, found):
    optimizer = SGD(nn.Linear(2, 2).parameters(), lr=0.02)
    fact = Scheduled(torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, 0.2), None, first_rate=0.02)
    rates = [0.02 * 0.2 ** sum(step >= drop for drop in milestones) for step in range(100)]
    assert drops_at_once(fact, rates, planned) is found


def test_gradients_cleared_unused_by_one_of_two_optimisers():
    first, other = (Held(SGD(nn.Linear(2, 2).parameters(), lr=0.1), Place("a.py", n), steps=4) for n in (1, 2))
    other.wasted = 9
    seen = Seen("a.py", helds=[first, other])
    seen.steps = [Step(n, held, 1.0, {}, {}) for n, held in enumerate([first] * 4 + [other] * 4)]
    assert [f.rule for f in gradients_wasted(seen)] == ["step-missing"]
    seen.steps[2:6] = seen.steps[5:1:-1]
    assert not list(gradients_wasted(seen)), "two nets that take turns clear each other's"


@pytest.mark.parametrize(
    ("factor", "found"),
    [
        (lambda e: 0.02 * 0.9**e, 1),
        (lambda e: 0.9**e, 0),
        (lambda e: min(1, (e + 1) / 20), 0),
        (lambda e: 0.02 * min((e + 1) / 20, 0.99**e), 1),  # a warm-up to a rate
        (lambda e: min(1, (e + 1) / 900), 0),  # a warm-up that goes on
        (lambda e: [0.02, 0.02, 0.01, 0.01, 0.005, 0.005][e], 1),  # and no further
    ],
)
def test_rate_that_is_given_as_a_factor(factor, found):
    optimizer = SGD(nn.Linear(2, 2).parameters(), lr=0.02)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    fact = Scheduled(scheduler, Place("a.py", 4), first_rate=optimizer.param_groups[0]["lr"])
    for _ in range(5):
        optimizer.step()
        scheduler.step()
        fact.rates.append(optimizer.param_groups[0]["lr"])
    told = list(rate_for_factor(Seen("a.py", schedulers=[fact])))
    assert [(f.rule, f.line) for f in told] == [("learning-rate-low", 4)] * found


@pytest.mark.parametrize(
    ("early", "last", "rules"), [(1.2, 2.3, ["learning-rate-high"]), (1.2, 1.2, []), (0.01, 2.3, [])]
)
def test_steps_larger_than_the_weights_that_teach_nothing(early, last, rules):
    held = Held(AdamW(nn.Linear(2, 2).parameters(), lr=3.0), Place("a.py", 4), steps=20, rates=[3.0] * 20)
    changes = [early] * 5 + [0.08] * 15
    seen = Seen("a.py", helds=[held])
    seen.steps = [Step(n, held, 2.3 + n * (last - 2.3) / 19, {"w": r}, {"w": 1.0}) for n, r in enumerate(changes)]
    assert [f.rule for f in rate_rules(seen)] == rules


def test_decay_of_norms_alone_that_is_too_strong(tmp_path):
    (tmp_path / "train.py").write_text('groups = [{"weight_decay": 5e-4},\n          {"weight_decay": 1.0}]\n')
    layer = nn.Linear(3, 3)
    groups = [{"params": [layer.weight], "weight_decay": 5e-4}, {"params": [layer.bias], "weight_decay": 1.0}]
    held = Held(SGD(groups, lr=0.05, momentum=0.9), Place(str(tmp_path / "train.py"), 1), steps=30)
    assert [(f.rule, f.line) for f in decay_too_strong(Seen("a.py", helds=[held]))] == [("decay-on-norms", 2)]


@pytest.mark.parametrize(
    ("code", "lines"),
    [("for s in range(0, n // B, B):\n    pass", [1]), ("for s in range(0, n // B * B, B):\n    pass", []),
     ("for s in range(0, n // 2, B):\n    pass", [])],
)  # fmt: skip
def test_loop_that_ends_at_the_number_of_batches(code, lines, tmp_path):
    (tmp_path / "train.py").write_text(code)
    file = str(tmp_path / "train.py")
    assert [f.line for f in few_batches(Seen(file, [file]))] == lines


PHASES = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
x, y = torch.randn(3200, 1, 8, 8), torch.arange(3200) % 3
x[torch.arange(3200), 0, y] += 2.5
loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)
net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 3))
def fit(optimizer, epochs):
    for epoch in range(epochs):
        for images, labels in loader:
            loss = nn.functional.cross_entropy(net(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
fit(torch.optim.Adam(net.parameters(), lr=0.01), 2)
fit(torch.optim.Adam(net.parameters(), lr={rate}), 1)
"""


@pytest.mark.parametrize(("rate", "found"), [(1.0, [("learning-rate-high", 18)]), (0.001, [])])
def test_a_later_phase_with_a_rate_that_destroys_what_was_learned(rate, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(PHASES.format(rate=rate))
    told = tenfold.check("train.py", quiet=True).findings
    assert [(f.rule, f.line) for f in told if f.severity != "note"] == found


@pytest.mark.parametrize(("low", "found"), [(20, "0"), (12, None)])
def test_units_that_are_asleep_from_the_start(low, found):
    net = nn.Sequential(nn.Conv2d(1, 24, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24 * 36, 3))
    with torch.no_grad():
        net[0].bias.zero_()[:low] = -50.0
        told = asleep(net, torch.randn(40, 1, 8, 8))
    assert (told and told[0]) == found


def warming(warm):
    """A scheduler of 4 epochs that warms up in so many, and its optimiser."""
    optimizer = SGD(nn.Linear(2, 2).parameters(), lr=0.02)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / warm))
    fact = Scheduled(scheduler, Place("a.py", 4), Place("a.py", 9), first_rate=optimizer.param_groups[0]["lr"])
    for _ in range(4):
        optimizer.step()
        scheduler.step()
        fact.rates.append(optimizer.param_groups[0]["lr"])
    return fact


def never_warmed(*facts):
    """Findings where these are the schedulers."""
    loader = Loader(DataLoader(range(300), 10), None, passes=4, steps=30)
    held = Held(facts[0].scheduler.optimizer, Place("a.py", 3), steps=30, loader=loader)
    return list(never_warm(Seen("a.py", loaders=[loader], helds=[held], schedulers=list(facts), ended="script")))


@pytest.mark.parametrize(("warm", "told"), [(75, "after every batch (line 9)"), (9000, "Let it warm up"), (3, None)])
def test_a_warm_up_that_counts_batches_and_steps_with_the_epochs(warm, told):
    found = never_warmed(warming(warm))
    assert [f.rule for f in found] == ["learning-rate-low"] * bool(told)
    assert not told or told in found[0].remedy


def test_of_several_trials_the_first_is_judged():
    assert never_warmed(warming(2), warming(60)) == []  # which is made at the same line, and cut short
    assert [f.rule for f in never_warmed(warming(60), warming(2))] == ["learning-rate-low"]


DROPS = """
import torch
from torch import nn
from torch.nn import functional as F
torch.manual_seed(0)
y = torch.arange(320) % 3
x = torch.randn(320, 1, 8, 8) + y[:, None, None, None]
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc, self.out = nn.Conv2d(1, 16, 3), nn.Linear(576, 64), nn.Linear(64, 3)
    def forward(self, x):
        h = F.relu(self.fc(F.relu(self.conv(x)).flatten(1)))
        {drop}
        return self.out(h)
net = Net()
opt = torch.optim.Adam(net.parameters(), lr=0.003)
for epoch in range(4):
    for order in torch.randperm(320).split(32):
        opt.zero_grad()
        F.cross_entropy(net(x[order]), y[order]).backward()
        opt.step()
"""


@pytest.mark.parametrize(
    ("drop", "found"),
    [
        ("h = F.dropout(h, 0.9) if self.training else h", [("dropout-high", 14)]),
        ("h = F.dropout(h, 0.9, training=self.training)", [("dropout-high", 14)]),
        ("h = F.dropout(h, 0.5) if self.training else h", []),
    ],
)
def test_dropout_by_a_function(drop, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(DROPS.format(drop=drop))
    told = tenfold.check("train.py", quiet=True).findings
    assert [(f.rule, f.line) for f in told if f.severity != "note"] == found
