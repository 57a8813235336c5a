"""Manners of published programs that look like a fault: none raises an alarm, and the fault that it looks like does."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, SubsetRandomSampler, TensorDataset

import tenfold
from tenfold.checks.script.augmentation import validation_augmented
from tenfold.checks.script.labels import classes
from tenfold.checks.script.net import last_batch
from tenfold.checks.script.optimisation import gradients
from tenfold.checks.script.parameters import parameters_frozen
from tenfold.checks.script.seen import Batch, Call, Held, Loader, LossCall, Seen, Step
from tenfold.checks.script.splits import mixture, shuffle_off
from tenfold.checks.structure import activations, layers
from tenfold.checks.trace import trace

PROGRAM = """
import torch
from torch import nn
from torch.nn import functional as F
torch.manual_seed(0)
y = torch.arange(480) % 3
x = 0.5 * torch.randn(480, 1, 8, 8)
for i, k in enumerate(y.tolist()):
    x[i, :, 2 * k:2 * k + 2] += 1.5

class Lookahead(torch.optim.Optimizer):
    def __init__(self, base):
        super().__init__(base.param_groups, {{}})
        self.base, self.param_groups, self.taken = base, base.param_groups, 0
        self.slow = [p.detach().clone() for p in self.param_groups[0]["params"]]
    def step(self):
        self.base.step()
        self.taken += 1
        for p, slow in zip(self.param_groups[0]["params"], self.slow) if self.taken % 5 == 0 else ():
            p.data.copy_(slow.add_(p.data - slow, alpha=0.5))

class Net(nn.Sequential):
    def __init__(self):
        sobel = nn.Conv2d(1, 2, 3, padding=1, bias=False)
        edges = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
        sobel.weight = nn.Parameter(torch.stack([edges, edges.T])[:, None], requires_grad=False)
        body = nn.Conv2d(2, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU()
        super().__init__(sobel, *body, nn.Flatten(), nn.Linear(128, 3))

net = Net()
optimizer = Lookahead(torch.optim.SGD(net.parameters(), lr=0.05))
weights = [p for p in net.parameters() if p.requires_grad]
for epoch in range(4):
    for number, at in enumerate(torch.randperm(480).split(40)):
        optimizer.zero_grad()
        F.cross_entropy(net(x[at]), y[at]).backward()
        {between}
"""
SHARP = """up = [0.01 * p.grad / p.grad.norm() for p in weights]
        with torch.no_grad():
            torch._foreach_add_(weights, up)
        optimizer.zero_grad()
        F.cross_entropy(net(x[at]), y[at]).backward()
        with torch.no_grad():
            torch._foreach_sub_(weights, up)
        optimizer.step()"""
"""Sharpness-aware minimisation: the first gradients are read, the second ones stepped with."""


@pytest.mark.parametrize(
    ("between", "rules"),
    [(SHARP, []), ("if number % 2:\n            optimizer.step()", ["step-missing"])],
    ids=["healthy", "every second"],
)
def test_gradients_that_the_program_itself_reads_are_used(between, rules, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(PROGRAM.format(between=between))
    found = tenfold.check("train.py", quiet=True).findings
    assert [f.rule for f in found if f.severity != "note"] == rules


@pytest.mark.parametrize(("kernel", "rules"), [(1, []), (3, ["gradient-vanishing"])])
def test_one_weight_a_unit_before_a_norm_has_no_gradient(kernel, rules):
    net = nn.Sequential(nn.Conv2d(1, 4, kernel, bias=False), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    sizes = dict(zip((name for name, _ in net.named_parameters()), (1e-6, 0.3, 0.3, 0.4, 0.4)))
    steps = [Step(n, Held(torch.optim.SGD(net.parameters(), lr=0.1), None), 1.0, {}, sizes) for n in range(8)]
    assert [f.rule for f in gradients(Seen("a.py", steps=steps, model=net))] == rules


@pytest.mark.parametrize(("loss", "rules"), [(2.0, ["gradient-exploding"]), (20_000.0, [])])
def test_gradients_of_a_loss_that_is_summed(loss, rules):
    held = Held(torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1), None)
    steps = [Step(n, held, loss, {}, {"a.weight": 3e3, "b.weight": 2e3}) for n in range(8)]
    assert [f.rule for f in gradients(Seen("a.py", steps=steps))] == rules


def test_few_classes_in_a_small_batch_are_no_sorting():
    labels = torch.randint(0, 100, (3200,), generator=torch.Generator().manual_seed(0)).tolist()
    per, every, mixed = mixture([labels[i : i + 32] for i in range(0, 3200, 32)])
    assert every == 100
    assert abs(per - mixed) < 1


def made(number, batch, labels, output, trained) -> Call:
    """A call on a loader's batch."""
    return Call(number, nn.Identity(), None, 0, trained, (), (), (40, 1, 8, 8), batch=batch, output=output,
                trained=trained, judged=not trained, labels=labels)  # fmt: skip


def program(trained, judged, kind="cross_entropy") -> Seen:
    """A program that trained on one loader for each list of class numbers, and judged on one for each."""
    seen = Seen("a.py")
    for some, learns in ((trained, True), (judged, False)):
        for labels in some:
            data = TensorDataset(torch.zeros(len(labels), 1), torch.tensor(labels))
            fact = Loader(DataLoader(data, 40), None, batches=2, steps=int(learns), judged=int(not learns))
            told = torch.tensor(labels[:40]) if kind == "cross_entropy" else None
            call = made(len(seen.calls), Batch(fact, 0), told, (40, 6), learns)
            target = (40,) if told is not None else (40, 1, 8, 8)
            known = tuple(labels[:40]) if told is not None else ()
            loss = LossCall(kind, None, 0, learns, (40, 6), target, "int64", 0, 5, True, 1.0, "mean", None, 0, 1,
                            (0, 6), call, backward=learns, labels=known)  # fmt: skip
            seen.loaders.append(fact)
            seen.calls.append(call)
            seen.losses.append(loss)
    return seen


TASKS = [[0, 1] * 200, [2, 3] * 200, [4, 5] * 200]
MIXED = [[0, 1, 2, 3, 4, 5] * 100]


@pytest.mark.parametrize(
    ("seen", "rules"),
    [
        (program(MIXED, [[0, 1, 2, 3] * 50]), ["class-missing"]),
        (program(MIXED, [[0, 1, 2, 3] * 50, *MIXED]), ["class-missing"]),
        (program(TASKS, TASKS), []),
        (program(MIXED, TASKS), []),  # the accuracy of each part of the classes
        (program(TASKS, [[0, 1] * 50, [0, 1, 2, 3] * 50, *MIXED]), []),
        (program([[0, 0] * 200], [[0, 1] * 50]), ["class-missing"]),
        (program([[0, 0] * 200], [[0, 1] * 50], "mse_loss"), []),  # an autoencoder of what is normal
    ],
)
def test_classes_that_are_missing(seen, rules):
    assert [f.rule for f in classes(seen)] == rules


def test_noise_for_images_that_are_to_be_restored_is_no_augmentation():
    labels = torch.arange(40) % 3
    fact = Loader(DataLoader(TensorDataset(torch.zeros(80, 1, 8, 8))), None, batches=2, judged=2)
    for told, parts, rules in (
        (labels, (torch.zeros(40, 1, 8, 8), labels), ["validation-augmented"]),
        (labels, (torch.zeros(40, 1, 8, 8), 2 - labels), []),  # how far an image was turned, say
        (None, (torch.zeros(40, 1, 8, 8),), []),
    ):
        calls = [made(n, Batch(fact, n, parts=parts), told, (40, 3), False) for n in range(3)]
        for call in calls:
            call.drawn = True
        assert [f.rule for f in validation_augmented(Seen("a.py", calls=calls, loaders=[fact]))] == rules


@pytest.mark.parametrize(("fixed", "found"), [(False, 1), (True, 0)])
def test_kernels_made_by_hand_may_be_frozen(fixed, found):
    net = nn.Sequential(nn.Conv2d(1, 4, 5), nn.Flatten(), nn.LazyLinear(3))
    net(torch.zeros(2, 1, 8, 8))
    if fixed:
        angle = torch.linspace(-2, 2, 5)
        net[0].weight.data = torch.stack([torch.cos((k + 1) * (angle[:, None] + angle)) for k in range(4)])[:, None]
    net[0].requires_grad_(False)
    assert len(list(parameters_frozen(Seen("a.py", first=net, model=net)))) == found


class Neck(nn.Module):
    """A norm stands between the features, which may be given too, and the classes."""

    def __init__(self, features: bool):
        super().__init__()
        self.body, self.embed = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU()), nn.Linear(32, 32)
        self.norm, self.classify, self.features = nn.BatchNorm1d(32), nn.Linear(32, 40), features

    def forward(self, x):
        features = self.embed(self.body(x))
        scores = self.classify(self.norm(features))
        return (features, scores) if self.features else scores


@pytest.mark.parametrize("features", [True, False])
def test_features_that_a_loss_reads_need_no_activation(features):
    graph = trace(Neck(features), torch.randn(8, 1, 8, 8))
    assert [f.rule for f in activations.linear_pairs(graph)] == ["activation-missing"] * (not features)


def test_a_generator_begins_with_one_pixel():
    up = nn.Sequential(nn.ConvTranspose2d(16, 8, 4), nn.ReLU(), nn.ConvTranspose2d(8, 1, 4, 2, 1))
    assert list(layers.pooled_away(trace(up, torch.randn(4, 16, 1, 1)))) == []


@pytest.mark.parametrize(("drawn", "found"), [(97, 1), (96, 0)])
def test_last_batch_of_what_the_sampler_draws(drawn, found):
    data = TensorDataset(torch.zeros(129, 1))
    fact = Loader(DataLoader(data, 32, sampler=SubsetRandomSampler(range(drawn))), None, steps=4)
    assert len(list(last_batch(Seen("a.py", model=nn.BatchNorm1d(1), loaders=[fact])))) == found


@pytest.mark.parametrize(("size", "severity"), [(10, ["warning"]), (60, ["note"])])
def test_images_in_a_fixed_order(size, severity):
    labels = [k for k in range(100) for _ in range(10)] if size == 10 else torch.randperm(1000).remainder(100).tolist()
    fact = Loader(DataLoader(TensorDataset(torch.zeros(1000, 1), torch.tensor(labels)), size), None, steps=4)
    fact.first_labels = [labels[i : i + size] for i in range(0, 1000, size)]
    assert [f.severity for f in shuffle_off(Seen("a.py", loaders=[fact]))] == severity
