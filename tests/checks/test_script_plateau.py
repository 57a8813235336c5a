"""Rules about plateaus, modes set by helpers, collate functions and weights: each with a lookalike that is silent."""

import ast
from collections import Counter

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader, TensorDataset

import tenfold
from tenfold.checks.script.augmentation import collated
from tenfold.checks.script.parting import group_name, masked_in_two
from tenfold.checks.script.plateau import direction, plateau
from tenfold.checks.script.seen import Loader, Place, Scheduled, Seen
from tenfold.checks.script.source import tree
from tenfold.checks.script.weights import misplaced
from tenfold.checks.structure import layers
from tenfold.checks.trace import trace

PARTS = """
import torch
from torch import nn
torch.manual_seed(0)
y = torch.arange(600) % 3
x = 0.5 * torch.randn(600, 1, 8, 8)
for i, k in enumerate(y.tolist()):
    x[i, :, 2 * k:2 * k + 2] += 1.5
encoder = nn.Sequential(nn.Conv2d(1, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten())
head = nn.Linear(288, 3)

def mode(training):
    encoder.train({mode})
    head.train(training)

optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], lr=0.05)
for epoch in range(3):
    mode(True)
    for at in torch.randperm(500).split(25):
        optimizer.zero_grad()
        nn.functional.cross_entropy(head(encoder(x[at])), y[at]).backward()
        optimizer.step()
    mode(False)
    with torch.no_grad():
        for a, b in zip(x[500:].split(25), y[500:].split(25)):
            (head(encoder(a)).argmax(1) == b).sum().item()
"""


@pytest.mark.parametrize(("mode", "found"), [("", [("eval-missing", 13)]), ("training", [])])
def test_mode_of_an_encoder_that_a_helper_sets(mode, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(PARTS.format(mode=mode))
    told = tenfold.check("train.py", quiet=True, ignore=["decay-on-norms"]).findings
    assert [(f.rule, f.line) for f in told if f.severity != "note"] == found
    assert all("encoder.eval()" in f.remedy for f in told if f.rule == "eval-missing")


def test_collate_function_that_draws():
    data = TensorDataset(torch.randn(8, 1, 4, 4), torch.arange(8))

    def noisy(items):
        images, labels = torch.utils.data.default_collate(items)
        return images + torch.rand(len(images), 1, 1, 1), labels

    before = torch.get_rng_state()
    assert collated(DataLoader(data, 4, collate_fn=noisy)) > 0.1
    assert collated(DataLoader(data, 4)) == 0
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("name", "values", "better"),
    [
        ("val_loss", [], "min"),
        ("self.history['val_acc'][-1]", [], "max"),
        ("metric", [2.0, 1.8, 1.6, 1.4, 1.2], "min"),
        ("metric", [2.0, 1.8, 1.9, 1.4, 1.2], None),
        ("-val_loss", [], None),
        ("1 - accuracy", [], None),
        ("100 - acc", [], None),
        ("accuracy - loss", [], None),
    ],
)
def test_which_way_a_figure_is_better(name, values, better):
    assert direction(name, values) == better


def told_of(tmp_path, call: str, metrics: list[float], at: list[int], **options) -> list:
    """What the rules say of a program's scheduler that was told these figures, after so many steps each."""
    code = f"schedule = ReduceLROnPlateau(optimizer)\n{call}\n"
    path = tmp_path / f"{call[14:-1]}.py"  # parsed files are kept by name
    path.write_text(code)
    file = str(path)
    optimizer = torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1)
    scheduler = ReduceLROnPlateau(optimizer, **options)
    fact = Scheduled(scheduler, Place(file, 1), Place(file, 2), at, [], 0.1, (Place(file, 1),), metrics)
    for value in metrics:
        scheduler.step(value)
        fact.rates.append(optimizer.param_groups[0]["lr"])
    loader = Loader(DataLoader(TensorDataset(torch.zeros(200, 1)), 10), None, steps=20)
    return list(plateau(Seen(file, [file], schedulers=[fact], loaders=[loader])))


def test_plateau_that_waits_for_the_wrong_way(tmp_path):
    falling, epochs = [2.0 - 0.1 * i for i in range(10)], [20 * i for i in range(1, 11)]
    (found,) = told_of(tmp_path, "schedule.step(val_loss)", falling, epochs, mode="max", patience=2)
    assert (found.rule, found.line, found.remedy) == (
        "learning-rate-dropped-early",
        1,
        "Write mode='min' there (line 1).",
    )
    assert "from 0.1 to 0.0001" in found.evidence
    assert not told_of(tmp_path, "schedule.step(val_loss)", falling, epochs, patience=2)
    assert not told_of(tmp_path, "schedule.step(val_acc)", falling, epochs, mode="max", patience=2)


def test_plateau_that_is_asked_after_every_batch(tmp_path):
    jumps, batches = [1.0, *[1.0 + 0.1 * (i % 3) for i in range(1, 30)]], list(range(1, 31))
    (found,) = told_of(tmp_path, "schedule.step(loss)", jumps, batches, patience=3)
    assert (found.rule, found.line) == ("scheduler-per-batch", 2)
    assert not told_of(tmp_path, "schedule.step(loss)", jumps, batches, patience=100)


def test_weights_in_another_order_of_classes():
    counts = Counter({0: 90, 1: 900, 2: 150, 3: 500, 4: 60})
    by_frequency = {index: 1 / n for index, (_, n) in enumerate(counts.most_common())}
    assert misplaced(counts, by_frequency) == [1, 3, 2, 0, 4]
    for power in (1.0, 0.5):
        assert misplaced(counts, {c: n**-power for c, n in counts.items()}) == []
    assert misplaced(counts, {0: 2.0, 1: 1.0, 2: 1.0, 3: 1.5, 4: 1.0}) == []


def test_split_by_a_mask_and_groups(tmp_path):
    code = "who = np.repeat(np.arange(90), 12)\nheld = rng.random(1080) < 0.2\na, b = x[~held], x[held]\n"
    (tmp_path / "train.py").write_text(code)
    file = str(tmp_path / "train.py")
    assert [place.line for place in masked_in_two(file, tree(file))] == [2]
    assert group_name(Place(file, 1)) == "who"
    assert group_name(Place(file, 2)) == ""
    assert list(masked_in_two(file, ast.parse("a = x[~held]"))) == []


class Branches(nn.Module):
    """Two branches side by side, each pooled to one number; in a row, the second sees what the first pooled."""

    def __init__(self, row: bool) -> None:
        super().__init__()
        self.row, self.stem = row, nn.Conv2d(1, 4, 3, padding=1)
        self.one, self.two = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.pool, self.head = nn.AdaptiveAvgPool2d(2), nn.Linear(16 if row else 32, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        one = self.pool(torch.relu(self.one(x)))
        if self.row:
            return self.head(torch.relu(self.two(one)).flatten(1))
        two = self.pool(torch.relu(self.two(x)))
        return self.head(torch.stack([one, two], 1).flatten(1))


@pytest.mark.parametrize(("row", "rules"), [(True, ["pooled-away"]), (False, [])])
def test_pooling_of_a_branch_hides_nothing_from_the_next(row, rules):
    torch.manual_seed(0)
    graph = trace(Branches(row), torch.randn(4, 1, 24, 24))
    assert [f.rule for f in layers.pooled_away(graph)] == rules


TOLD = """
import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
torch.manual_seed(0)
x = torch.randn(500, 1, 8, 8)
y = (x[:, 0, :4].mean((1, 2)) > x[:, 0, 4:].mean((1, 2))).long()
net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 2))
optimizer = torch.optim.SGD(net.parameters(), lr=0.02)
plan = ReduceLROnPlateau(optimizer{mode}, patience=2)
for epoch in range(9):
    for rows in torch.randperm(300).split(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        encerts = (net(x[300:]).argmax(1) == y[300:]).float().mean().item()
    plan.step({told})
"""


@pytest.mark.parametrize(
    ("mode", "told", "found"),
    [
        ("", "encerts", True),
        (", mode='max'", "encerts", False),
        ("", "1 - encerts", False),
    ],
)
def test_a_plateau_is_told_shares_of_right_answers_whatever_they_are_called(mode, told, found, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(TOLD.format(mode=mode, told=told), encoding="utf-8")
    rules = [f.rule for f in tenfold.check(script, quiet=True).findings if "standstill" in f.what]
    assert rules == ["learning-rate-dropped-early"] * found
