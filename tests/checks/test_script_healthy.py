"""Healthy programs that look like faulty ones, and the facts that tell them apart."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import tenfold
from tenfold.checks.rules import finding
from tenfold.checks.script.copies import learned_and_judged
from tenfold.checks.script.counting import counted_wrongly
from tenfold.checks.script.labels import other_task
from tenfold.checks.script.loaders import label_digests
from tenfold.checks.script.mixing import by_image, spread
from tenfold.checks.script.net import zeros_learned
from tenfold.checks.script.normalisation import normalisation_differs
from tenfold.checks.script.ordering import at_once
from tenfold.checks.script.output import never_negative
from tenfold.checks.script.picks import answering, compares
from tenfold.checks.script.schedule import scheduler_rules
from tenfold.checks.script.seen import Batch, Call, Held, Loader, LossCall, Scheduled, Seen


def call(net: nn.Module, loader: Loader, trained: bool, number: int = 0, images: int = 8) -> Call:
    """A call on a batch of a loader."""
    batch = Batch(loader, number)
    return Call(number, net, None, 0, trained, (), (), (images, 1), batch=batch, trained=trained, judged=not trained)


@pytest.mark.parametrize(
    ("told", "pairs"),
    [
        ("a+0 a-1", [(0, 1)]),
        ("a-1 a+0", []),
        ("a+0 average-1", [(0, 1)]),
        ("a+0 a-1 b+2 b-3", [(0, 1), (2, 3)]),  # folds; or a rate is chosen, and a new net learns from all images
        ("a+0 a-1 a+2 a-3", [(0, 1), (0, 3), (2, 3)]),
    ],
)
def test_loaders_are_compared_that_one_net_met_in_turn(told, pairs):
    nets: dict[str, nn.Module] = {}
    loaders = [Loader(None, None, batches=1, judged=1) for _ in range(4)]
    seen = Seen("a.py", loaders=loaders)
    for number, word in enumerate(told.split()):
        name, trained, loader = word[:-2], word[-2] == "+", loaders[int(word[-1])]
        loader.steps += trained
        seen.calls.append(call(nets.setdefault(name, nn.Identity()), loader, trained, number))
    met = [loaders[int(word[-1])] for word in told.split()]
    found = [(one, other) for one, others in learned_and_judged(seen) for other in others if other in met]
    assert [(loaders.index(one), loaders.index(other)) for one, other in found] == pairs


def test_a_bank_of_features_answers_nothing():
    net, bank, images = nn.Identity(), Loader(None, None), Loader(None, None)
    asked, twice = call(net, images, False, images=6), call(net, images, False, images=6)
    twice.batch = asked.batch  # two nets, or two views
    kept = [call(net, bank, False, number) for number in range(2)]
    assert answering([asked, *kept, twice], 6) == [asked, twice]
    assert answering([asked, *kept], 16) == kept
    assert answering([asked, *kept], 7) == [asked, *kept]


ATTACKED = """
import torch
from torch import nn

import tenfold
from torch.nn import functional as F
torch.manual_seed(0)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.1))
        self.head = nn.Linear(32, 3)
    def forward(self, x):
        self.features = self.body(x)  # for plots
        return self.head(self.features)

def attack(x, y):
    net.eval()
    near = x.clone().requires_grad_()
    F.cross_entropy(net(near), y).backward()
    {mode}
    return (x + 0.1 * near.grad.sign()).detach()

with torch.device(device):
    net, judge = Net(), nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
x, y = torch.randn(900, 1, 8, 8), torch.randint(0, 3, (900,))
x += y[:, None, None, None] * torch.linspace(-1, 1, 64).view(8, 8)
optimizer = torch.optim.SGD([*net.parameters(), *judge.parameters()], lr=0.05)
for step in range(32):
    order = torch.randint(0, 900, (30,))
    images, labels = x[order].to(device), y[order].to(device)
    images = torch.cat([images, attack(images, labels)])
    optimizer.zero_grad()
    real, changed = judge(images).chunk(2)
    told = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    told += F.binary_cross_entropy_with_logits(changed, torch.zeros_like(changed))
    (told + F.cross_entropy(net(images), labels.repeat(2))).backward()
    optimizer.step()
net.eval()
near = x[:50].to(device).requires_grad_()
net(near).gather(1, y[:50, None].to(device)).sum().backward()
"""


@pytest.mark.parametrize(("mode", "rules"), [("net.train()", []), ("pass", ["train-missing"])])
def test_gradients_of_images_are_no_training(mode, rules, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(ATTACKED.format(mode=mode))
    found = tenfold.check("train.py", quiet=True, ignore=["step-missing"]).findings
    assert [f.rule for f in found if f.severity != "note"] == rules


def test_images_may_lie_along_any_axis_of_the_output():
    rows = torch.arange(5.0)
    for output in (rows[:, None], rows.repeat(4, 1), rows.repeat_interleave(7)[:, None], rows.repeat(7)[:, None]):
        changed = output + (output == 2)
        assert not all(spread(a, b, 2) for a, b in zip(by_image(output, 5), by_image(changed, 5))), output.shape
        assert all(spread(a, b, 2) for a, b in zip(by_image(output, 5), by_image(output + 1, 5))), output.shape
    assert by_image(torch.zeros(3), 5) == []


def test_columns_that_are_images_are_no_classes():
    image, text = nn.Linear(1, 1), nn.Linear(1, 1)
    one, other = (replace(call(net, Loader(None, None), False), output=(8, 3)) for net in (image, text))
    assert compares([one, other], (8, 8)), "images and texts"
    assert compares([one, one], (30, 8)), "a bank of features, and a batch"
    assert not compares([one], (8, 3))
    assert not compares([one, other], (8, 3)), "two nets are averaged"


def test_a_dataset_may_shuffle_itself_but_not_change_its_labels():
    class Images:
        def __init__(self):
            self.indexes, self.x, self.labels = np.arange(9), np.zeros((9, 4)), np.arange(9) % 3

    images = Images()
    before = label_digests(images)
    images.indexes, images.labels = images.indexes[:5], images.labels[::-1].copy()
    assert label_digests(images) == before
    images.labels[0] = 7
    assert label_digests(images) != before


@pytest.mark.parametrize(("step", "changed"), [(1, True), (0, False)])
def test_labels_of_any_name_are_told_by_their_numbers(step, changed):
    class Vanes:
        def __init__(self):
            self.heading, self.fetched = torch.arange(20) % 4, np.zeros(20, np.int64)

        def __len__(self):
            return 20

    vanes = Vanes()
    before = label_digests(vanes)
    vanes.fetched[3] += 1  # a count, not a class
    vanes.heading[3] += step
    assert (label_digests(vanes).get("heading") != before["heading"]) == changed
    assert "fetched" not in before


def test_one_hot_labels_that_are_mixed_in_place_change():
    class Images:
        def __init__(self):
            self.y, self.weights = np.eye(3, dtype=np.float32)[np.arange(9) % 3], np.ones((9, 4))

        def __len__(self):
            return 9

    images = Images()
    before = label_digests(images)
    assert set(before) == {"y"}
    row = images.y[4].copy()
    row *= 0.7
    assert label_digests(images) == before
    row = images.y[4]
    row *= 0.7
    assert label_digests(images) != before


def test_boxes_that_a_flip_writes_into_are_labels_that_change():
    class Images:
        def __init__(self):
            self.boxes, self.x = np.arange(36.0).reshape(9, 4), np.zeros((9, 4))

        def __len__(self):
            return 9

    images = Images()
    before = label_digests(images)
    images.x += 1
    assert label_digests(images) == before != {}
    images.boxes[3, [0, 2]] = 32 - images.boxes[3, [2, 0]]
    assert label_digests(images) != before


@pytest.mark.parametrize(("epochs", "rules"), [(1, []), (5, ["scheduler-per-batch"])])
def test_a_schedule_may_last_one_epoch_if_that_is_all(epochs, rules):
    loader = Loader(DataLoader(TensorDataset(torch.zeros(20, 1))), None, passes=epochs, steps=20 * epochs)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)
    fact = Scheduled(schedule, None, at=list(range(1, 21)), first_rate=0.1)
    for _ in range(20):
        optimizer.step()
        schedule.step()
        fact.rates.append(optimizer.param_groups[0]["lr"])
    held = Held(optimizer, None, steps=20 * epochs, loader=loader)
    seen = Seen("a.py", schedulers=[fact], helds=[held], loaders=[loader], ended="script")
    assert [f.rule for f in scheduler_rules(seen)] == rules


@pytest.mark.parametrize(("offset", "rules"), [(0.0, []), (3.0, ["normalisation-differs"])])
def test_images_that_come_class_by_class_are_compared_with_their_class(offset, rules, tmp_path):
    (tmp_path / "train.py").write_text("pass")
    file, net, loaders = str(tmp_path / "train.py"), nn.Linear(2, 2), [Loader(None, None) for _ in range(2)]

    def batch(loader: Loader, labels: torch.Tensor, trained: bool, plus: float) -> Call:
        images = torch.randn(8, 1, 9, 9) + 4.0 * labels[:, None, None, None] + plus
        mean, std = float(images.mean()), float(images.std())
        fact = replace(call(net, loader, trained), shape=(8, 1, 9, 9), mean=mean, std=std)
        return replace(fact, images=images, labels=labels)

    calls = [batch(loaders[0], torch.arange(8) % 2, True, 0.0) for _ in range(5)]
    calls += [batch(loaders[1], torch.zeros(8).long(), False, offset) for _ in range(5)]
    assert [f.rule for f in normalisation_differs(Seen(file, [file], calls=calls))] == rules


def test_zeros_that_moved_have_learned():
    first = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    nn.init.zeros_(first[0].weight)
    seen = Seen("a.py", first=first, model=copy.deepcopy(first))
    zero = finding("bad-initialisation", "", "", "", layer="0")
    assert not zeros_learned(seen, zero)
    with torch.no_grad():
        seen.model[0].weight += 1  # type: ignore[index]
    assert seen.moved() == {id(seen.model[0].weight)}  # type: ignore[index]
    assert zeros_learned(seen, zero)


LINES = {
    "x = torch.cat([pos[torch.randperm(4)], neg[torch.randperm(5)]])": 0,
    "x, y = x[torch.randperm(4)], y[torch.randperm(4)]": 1,
    "def f(a, b):\n    return a[torch.randperm(4)], b[torch.randperm(4)]\nf(images, labels)": 1,
    "def f(a, b):\n    return a[torch.randperm(4)], b[torch.randperm(4)]\nf(cats, dogs)": 0,
    "for e in range(40):\n    right = (net(x).argmax(1) == y).sum().item()\nprint(right / len(y))": 0,
    "for x, y in loader:\n    right = (net(x).argmax(1) == y).sum().item()\nprint(right / 600)": 1,
}


@pytest.mark.parametrize(("text", "count"), LINES.items())
def test_lines_that_only_look_wrong(text, count, tmp_path):
    (tmp_path / "train.py").write_text(text)
    seen = Seen(str(tmp_path / "train.py"), [str(tmp_path / "train.py")])
    assert len([*at_once(seen), *counted_wrongly(seen)]) == count


def losses(net: Call, low: float) -> list[LossCall]:
    """Twelve steps."""
    fact = LossCall("cross_entropy", None, 0, True, (8, 3), (8,), "int64", 0, 2, True, 1.8, "mean", None, low, 2.0,
                    (2, 3), net, backward=True, labels=(0, 1, 2))  # fmt: skip
    return [fact] * 12


@pytest.mark.parametrize(("affine", "lowest", "told"), [(True, 0.1, 0), (True, -1.0, 1), (False, 0.1, 1)])
def test_a_linear_head_may_give_numbers_above_0(affine, lowest, told):
    net = replace(call(nn.Linear(1, 1), Loader(None, None), True), output=(8, 3), lowest=lowest)
    seen = Seen("a.py", affine=affine)
    assert len(list(never_negative(seen, losses(net, 0.1)))) == told
    assert list(never_negative(seen, losses(replace(net, output=(8, 16)), 0.1))) == [], "features are compared"


def test_new_classes_are_a_task_of_their_own_where_there_are_no_outputs_for_them():
    net = replace(call(nn.Linear(1, 1), Loader(None, None), True), output=(8, 3))
    seen = Seen("a.py", losses=losses(net, -1.0))
    assert other_task(seen, {0, 1, 2}, {3, 4})
    assert not other_task(seen, {0, 1, 2}, {2, 3, 4})
    assert not other_task(seen, {0, 1}, {2}), "an unshuffled split"
