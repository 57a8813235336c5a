"""Nets judged in place of the trained one, temporary folders, workers' generators, splits by files and classes."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import tenfold
from tenfold.checks.script.averages import judged_apart
from tenfold.checks.script.labels import met, not_judged
from tenfold.checks.script.repeating import generators
from tenfold.checks.script.seen import Batch, Call, Held, Loader, LossCall, Place, Seen, Step
from tenfold.checks.script.splits import items
from tenfold.checks.script.told import contradicted, mixes

PROGRAM = """
import copy, tempfile
from pathlib import Path
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
torch.manual_seed(0)

class Stored(Dataset):
    def __init__(self, files, jitter):
        self.files, self.jitter = files, jitter
    def __len__(self):
        return len(self.files)
    def __getitem__(self, i):
        x = torch.from_numpy(np.load(self.files[i]))
        return (x + {noise} * torch.randn_like(x) if self.jitter else x), int(self.files[i].stem[0])

def main():
    with tempfile.TemporaryDirectory() as place:
        for i in range(300):
            x = 0.5 * torch.randn(1, 8, 8)
            x[0, :, 2 * (i % 3):2 * (i % 3) + 2] += 1.5
            np.save(Path(place) / f"{{i % 3}}-{{i}}.npy", x.numpy())
        files = sorted(Path(place).glob("*.npy"), key=lambda p: int(p.stem[2:]))
        train = DataLoader(Stored(files[:240], True), 20, shuffle=True)
        val = DataLoader(Stored(files[{first}:], {jitter}), 20)
        net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3))
        slow = copy.deepcopy(net)
        optimizer = torch.optim.Adam(net.parameters(), lr=0.003)
        for epoch in range(4):
            net.train()
            for x, y in train:
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(x), y).backward()
                optimizer.step()
                with torch.no_grad():
                    for a, b in zip(slow.parameters(), net.parameters()):
                        a.lerp_(b, {step})
            slow.eval()
            with torch.no_grad():
                print(sum((slow(x).argmax(1) == y).sum().item() for x, y in val) / len(val.dataset))

main()
"""
HEALTHY = {"noise": 0.1, "first": 240, "jitter": False, "step": 0.2}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        (
            {"step": 0.0, "jitter": True, "first": 200},
            [
                ("judged-net-differs", "error"),
                ("validation-in-training", "error"),
                ("validation-augmented", "warning"),
            ],
        ),
    ],
)
def test_averages_and_files_of_temporary_folders(changes, found, tmp_path, monkeypatch):
    (tmp_path / "program").mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(tmp_path / "program")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "program" / "train.py").write_text(PROGRAM.format(**{**HEALTHY, **changes}))
    told = tenfold.check("train.py", quiet=True).findings
    assert sorted((f.rule, f.severity) for f in told if f.severity != "note") == sorted(found)
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.parametrize(
    ("share", "severity", "loaded"),
    [(0.0, "error", "error"), (0.02, "warning", "warning"), (0.1, "warning", None), (0.5, None, None)],
)
def test_how_far_a_judged_net_has_followed(share, severity, loaded):
    torch.manual_seed(0)
    start, net, slow, other = (nn.Linear(20, 5) for _ in range(4))
    with torch.no_grad():
        for a, b, c in zip(start.parameters(), net.parameters(), slow.parameters(), strict=True):
            b.copy_(a + 0.3 * b)
            c.copy_(a + share * (b - a))
    trained = Call(0, net, None, 0, True, (), (), trained=True)
    held = Held(torch.optim.SGD(net.parameters(), lr=0.1), None, steps=30)
    for judged, expected, kept in ((slow, severity, loaded), (other, "error", None), (net, None, None)):
        call = Call(1, judged, Place("a.py", 9), 0, False, (), (), judged=True)
        seen = Seen("a.py", model=net, first=start, calls=[trained, call], ended="script", helds=[held])
        seen.steps = [Step(n, held, 1.0, {}, {}) for n in range(30)]
        assert [f.severity for f in judged_apart(seen)] == ([expected] if expected else [])
        seen.refilled.append(judged)
        told = [f.severity for f in judged_apart(seen)]
        assert told == ([kept] if kept else []), "a state was loaded into it: its own of an earlier epoch, say"


def test_an_average_of_the_parameters_alone():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4))
    start, slow = deepcopy(net), deepcopy(net).eval()
    net(torch.randn(20, 6))
    with torch.no_grad():
        for mine, theirs in zip(slow.parameters(), net.parameters(), strict=True):
            mine.copy_(theirs.add_(0.1))
    calls = [
        Call(0, net, None, 0, True, (), (), trained=True),
        Call(1, slow, Place("a.py", 9), 0, False, (), (), judged=True),
    ]
    held = Held(torch.optim.SGD(net.parameters(), lr=0.1), None, steps=30)
    seen = Seen("a.py", model=net, first=start, calls=calls, ended="script", helds=[held])
    seen.steps = [Step(n, held, 1.0, {}, {}) for n in range(30)]
    (told,) = judged_apart(seen)
    assert "no batch" in told.what
    slow[1].load_state_dict(net[1].state_dict())
    assert not list(judged_apart(seen))


class Moved:
    """A transform with generators of its own."""

    def __init__(self):
        self.numbers, self.size = np.random.default_rng(0), 3


class Keeper(Dataset):
    """A dataset whose transforms draw."""

    def __init__(self):
        self.steps, self.chance, self.plain = [Moved(), len], torch.Generator(), [1, 2]


def test_generators_that_a_dataset_holds():
    assert [name for name, _ in generators(Keeper())] == ["numbers", "chance"]


class Files(Dataset):
    """A dataset that keeps paths, or names alone."""

    def __init__(self, files):
        self.files = files

    def __len__(self):
        return len(self.files)


def test_items_are_files_where_their_folders_are_known():
    names = [f"{i}.png" for i in range(30)]
    paths = [f"a/{name}" for name in names]
    assert items(Files(paths)) == items(Files(list(paths)))
    assert items(Files(names)) != items(Files(list(names))), "the names may be those of two folders"


def test_classes_of_a_split_are_those_that_were_judged():
    loader = Loader(DataLoader(Files(list(range(60)))), None, judged=1)
    seen = Seen("a.py")
    for start in (0, 30):
        call = Call(0, nn.Identity(), None, 0, False, (), ())
        call.batch, call.labels = Batch(loader, start // 30), torch.arange(start, start + 30) % 2
        seen.calls.append(call)
    assert met(seen, [loader]) == {0: 30, 1: 30}
    assert not_judged(seen, met(seen, [loader]) + met(seen, [loader]), [loader]) is None
    counts = met(seen, [loader])
    counts[2] = 30
    assert not_judged(seen, counts, [loader]) == (loader, [2], 60)
    seen.calls[-1] = replace(seen.calls[-1], batch=Batch(loader, 0))
    assert not_judged(seen, counts, [loader]) is None, "the same batch twice is no whole pass"
    seen.calls.pop()
    assert not_judged(seen, counts, [loader]) is None, "half of the split was not judged yet"


def test_labels_that_scores_speak_against():
    labels = torch.arange(400) % 4
    scores = nn.functional.one_hot(labels, 4) + 0.3 * torch.randn(400, 4, generator=torch.Generator().manual_seed(0))
    assert contradicted(scores, labels) < 0.02
    wrong = labels.clone()
    wrong[:120] = (wrong[:120] + 1) % 4
    assert 0.1 < contradicted(scores, wrong) < 0.3


def test_images_with_two_losses_have_several_labels():
    call = Call(0, nn.Identity(), None, 0, True, (), ())
    loss = LossCall("cross_entropy", None, 0, True, (30, 4), (30,), "int64", 0, 3, True, 1.4, "mean", None, 0.0, 2.5,
                    (1.0, 6.0), call)  # fmt: skip
    assert not mixes(Seen("a.py", losses=[loss]))
    assert mixes(Seen("a.py", losses=[loss, loss]))
    assert mixes(Seen("a.py", losses=[replace(loss, target_shape=(30, 4), whole=False)]))
    assert not mixes(Seen("a.py", losses=[replace(loss, target_shape=(30, 4))])), "one-hot classes"


TEACHER = """
import copy
import torch
from torch import nn
torch.manual_seed(0)
y = torch.arange(320) % 3
x = torch.randn(320, 1, 8, 8) + y[:, None, None, None]
def made():
    conv = nn.Conv2d(1, 8, 3, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3))
def fit(net, teacher=None):
    opt = torch.optim.Adam(net.parameters(), lr=0.003)
    for epoch in range(2):
        for order in torch.randperm(320).split(40):
            loss = nn.functional.cross_entropy(net(x[order]), y[order])
            if teacher is not None:
                with torch.no_grad():
                    told = teacher(x[order]).softmax(1)
                loss = loss + nn.functional.cross_entropy(net(x[order]), told)
            opt.zero_grad()
            loss.backward()
            opt.step()
            if teacher is not None:
                {follow}
first = made()
fit(first)
teacher = copy.deepcopy(first){mode}
fit(made() if {anew} else first, teacher)
"""
FOLLOW = "[a.data.lerp_(b.data, 0.1) for a, b in zip(teacher.parameters(), net.parameters())]"


@pytest.mark.parametrize(
    ("follow", "mode", "anew", "found"),
    [
        ("pass", "", True, [("eval-missing", 18)]),
        ("pass", ".eval()", True, []),
        (FOLLOW, "", False, []),  # a mean teacher may learn its means so
    ],
)
def test_a_net_that_others_learn_from(follow, mode, anew, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(TEACHER.format(follow=follow, mode=mode, anew=anew))
    told = tenfold.check("train.py", quiet=True).findings
    assert [(f.rule, f.line) for f in told if f.severity != "note"] == found
