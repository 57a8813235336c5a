"""What a program keeps beside its images: groups that a split parts, classes that are not taught; in programs run."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import tenfold
from tenfold.checks.script.beside import assigned, bursts, of_one_part, only_judging, usual
from tenfold.checks.script.observe import Observer
from tenfold.checks.script.rows import columns_of, followed, pictures
from tenfold.checks.script.seen import Call, Place, Seen

PROGRAM = """
import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(0)
torch.manual_seed(0)

def record():
    shots, kinds, animals = [], [], []
    for animal in range(60):
        coat, kind = rng.uniform(0.1, 0.9, 3), animal % 2
        for _ in range(6):
            image = np.tile(coat, (16, 16, 1)) + rng.normal(0, 0.05, (16, 16, 3))
            r, c = rng.integers(1, 9, 2)
            image[r : r + (6 if kind else 2), c : c + (2 if kind else 6)] += 0.3
            shots.append(image)
            kinds.append(kind)
            animals.append(animal)
    return np.array(shots, dtype=np.float32), np.array(kinds), np.array(animals)

shots, kinds, animals = record()
order = rng.permutation(len(kinds))
{order}
held = {held}
x = torch.from_numpy(shots).permute(0, 3, 1, 2) * 4 - 2
y = torch.from_numpy(kinds)
xt, yt, xv, yv = x[~held], y[~held], x[held], y[held]
net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 49, 2))
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
for epoch in range(8):
    for rows in torch.randperm(len(yt)).split(30):
        labels = yt[rows]
        {change}
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(xt[rows]), labels).backward()
        optimizer.step()
with torch.no_grad():
    print((net(xv).argmax(1) == yv).float().mean().item())
"""
TOGETHER = "shots, kinds, animals = shots[order], kinds[order], animals[order]"
APART = "shots, animals = shots[order], animals[order]"
BY_ANIMAL, BY_SHOT = "animals % 3 == 0", "rng.random(len(kinds)) < 0.3"
BETWEEN = "kinds = np.where(rng.random(len(kinds)) < 0.2, 1 - kinds, kinds)"
"""Labels that a program means to get wrong, as those of a field."""
FILLED = "fold = kinds + 3; fold = np.arange(len(kinds)) % 5"
"""A column that was once made of the classes, and then of something else."""
DRIFTS = "yt[rows] = torch.where(torch.rand(len(rows)) < 0.2, 1 - labels, labels)"


@pytest.mark.parametrize(
    ("order", "held", "change", "found"),
    [
        (TOGETHER, BY_ANIMAL, "pass", []),
        (TOGETHER, BY_SHOT, "pass", [("validation-in-training", "`animals`")]),
        (APART, BY_ANIMAL, "pass", [("wrong-labels", "`kinds`")]),
        (f"{TOGETHER}\n{BETWEEN}", BY_ANIMAL, "pass", []),
        (f"{TOGETHER}\n{FILLED}", BY_ANIMAL, "pass", []),
        (TOGETHER, BY_ANIMAL, DRIFTS, [("labels-changed", "")]),
    ],
)
def test_groups_and_classes_beside_the_images(order, held, change, found, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(PROGRAM.format(order=order, held=held, change=change), encoding="utf-8")
    told = tenfold.check(script, quiet=True).findings
    rules = {"validation-in-training", "wrong-labels", "labels-changed", "accuracy-count"}
    loud = [f for f in told if f.severity != "note" and f.rule in rules]
    assert [f.rule for f in loud][:1] == [rule for rule, _ in found]
    assert not found or any(f.rule == found[0][0] and found[0][1] in f.what for f in loud)


NOISY = """
import torch
from torch import nn

torch.manual_seed(0)
{word} = 0.15

def draw(n, wrong):
    x, y = 0.4 * torch.randn(n, 1, 8, 8), []
    for image in x:
        kind = int(torch.randint(3, ()))
        image[0, 2 * kind] += 2
        y.append((kind + int(torch.rand(()) < wrong)) % 3)
    return x, torch.tensor(y)

(x, y), (xt, yt) = draw(800, {word}), draw(400, 0)
net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3))
optimizer = torch.optim.SGD(net.parameters(), lr=0.02)
for epoch in range(2):
    for rows in torch.randperm(800).split(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
        optimizer.step()
with torch.no_grad():
    print((net(xt).argmax(1) == yt).float().mean().item())
"""


@pytest.mark.parametrize(("word", "severity"), [("label_noise", "note"), ("share", "warning")])
def test_wrong_labels_that_a_program_speaks_of_are_a_note(word, severity, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(NOISY.format(word=word), encoding="utf-8")
    told = [f for f in tenfold.check(script, quiet=True).findings if f.rule == "wrong-labels"]
    assert [f.severity for f in told] == [severity]


YIELDED = """
import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(0)
labels = rng.integers(0, 3, 600)
images = rng.normal(0, 0.4, (600, 16, 16)).astype(np.float32)
images[np.arange(600), 4 * labels] += 1.5

def batches(order):
    for start in range(0, len(order), 50):
        picked = order[start : start + 50]
        x = images[picked, None] * 2
        yield torch.from_numpy(x), torch.from_numpy(labels[picked])

net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(1568, 3))
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
for epoch in range(6):
    for x, y in batches(rng.permutation(600)):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
"""


def test_labels_of_the_batch_before_are_none_of_this(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(YIELDED, encoding="utf-8")
    assert [f for f in tenfold.check(script, quiet=True).findings if f.severity != "note"] == []


NAMED = """
import tempfile
from pathlib import Path
import numpy as np
import torch
from PIL import Image
from torch import nn

rng = np.random.default_rng(0)
torch.manual_seed(0)
KINDS = ("bar", "block", "wedge")

def kind_of(path):
    return {kind}

with tempfile.TemporaryDirectory() as folder:
    for number in range(240):
        image = rng.normal(100, 10, (16, 16))
        r, c = rng.integers(1, 7, 2)
        image[r : r + (2, 6, 9)[number % 3], c : c + (6, 6, 2)[number % 3]] += 80
        place = ("north", "north", "crossbar")[number // 3 % 3]
        name = f"{{place}}_{{KINDS[number % 3]}}_{{number:03d}}.png"
        Image.fromarray(np.uint8(image.clip(0, 255))).save(Path(folder, name))
    files = sorted(Path(folder).glob("*.png"))
    rng.shuffle(files)
    x = torch.tensor(np.stack([np.asarray(Image.open(file), dtype=np.float32) for file in files]))[:, None] / 50 - 2
    y = torch.tensor([kind_of(file) for file in files])
net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 49, 3))
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
for epoch in range(8):
    for rows in torch.randperm(160).split(20):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
        optimizer.step()
with torch.no_grad():
    print((net(x[160:]).argmax(1) == y[160:]).float().mean().item())
"""


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("KINDS.index(path.stem.split('_')[1])", False),
        ("next(k for k, name in enumerate(KINDS) if name in path.stem)", True),
    ],
)
def test_classes_that_the_names_of_files_tell(kind, found, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(NAMED.format(kind=kind), encoding="utf-8")
    told = [f for f in tenfold.check(script, quiet=True).findings if "than their names tell" in f.what]
    assert [f.rule for f in told] == ["wrong-labels"] * found


SERIES = """
import re
import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(0)
torch.manual_seed(0)
pictures, clock = {{}}, 1_700_000_000
for visit in range(60):
    coat, kind = rng.uniform(0.1, 0.9, 3), visit % 2
    clock += int(rng.integers(20_000, 90_000))
    for _ in range(6):
        clock += int(rng.integers(2, 30))
        image = np.tile(coat[:, None, None], (1, 16, 16)) + rng.normal(0, 0.05, (3, 16, 16))
        r, c = rng.integers(1, 9, 2)
        image[:, r : r + (6 if kind else 2), c : c + (2 if kind else 6)] += 0.3
        pictures[f"{{clock}}_{{'ab'[kind]}}.jpg"] = image.astype(np.float32) * 4 - 2
visits, last = [], 0
for name in sorted(pictures):
    time = int(re.match(r"\\d+", name)[0])
    if time - last > {pause}:
        visits.append([])
    visits[-1].append(name)
    last = time
order = rng.permutation(len(visits))
held = set(order[: len(visits) // 3].tolist())
parts = [[n for v in range(len(visits)) if (v in held) == judged for n in visits[v]] for judged in (False, True)]
(xt, yt), (xv, yv) = (
    (torch.from_numpy(np.stack([pictures[n] for n in names])), torch.tensor([int("_b" in n) for n in names]))
    for names in parts
)
net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 49, 2))
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
for epoch in range(8):
    for rows in torch.randperm(len(yt)).split(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(xt[rows]), yt[rows]).backward()
        optimizer.step()
with torch.no_grad():
    print((net(xv).argmax(1) == yv).float().mean().item())
"""


@pytest.mark.parametrize(("pause", "found"), [(1000, False), (1, True)])
def test_series_of_shots_that_a_split_parts(pause, found, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SERIES.format(pause=pause).replace("\\\\", "\\"), encoding="utf-8")
    told = [f.rule for f in tenfold.check(script, quiet=True).findings if f.severity != "note"]
    assert ("validation-in-training" in told) == found


def test_times_far_closer_than_to_the_next_are_a_series():
    times = [visit * 1000 + shot for visit in range(30) for shot in (0, 3, 7)]
    groups = next(bursts(times, [""] * 90))
    assert [int(groups[str(row)]) for row in range(90)] == [row // 3 for row in range(90)]
    assert not list(bursts(list(range(0, 900, 10)), [""] * 90))
    assert not list(bursts([row % 5 for row in range(90)], [""] * 90))


@pytest.mark.parametrize(
    ("names", "one"),
    [
        (("labels", "x_train"), True),
        (("y_train", "x_train"), True),
        (("y_test", "x_train"), False),
        (("y_runes", "x_letters"), False),
        (("labels_runes", "images_runes"), True),
        (("kinds", "shots"), True),
    ],
)
def test_names_of_one_set_or_of_two(names, one):
    assert of_one_part(*names) == one


def test_functions_that_judge_and_never_train():
    main, fit, judge = (Place("a.py", number, name) for number, name in enumerate(("main", "fit", "judge")))
    calls = [
        Call(
            number, nn.Identity(), place, 0, trained, (), (), trained=trained, judged=not trained, places=(place, main)
        )
        for number, (place, trained) in enumerate([(fit, True), (judge, False)])
    ]
    assert only_judging(Seen("a.py", calls=calls)) == {"judge"}


def test_columns_of_lists_arrays_and_records():
    assert columns_of("a", np.array([1, 2])) == {"a": (1, 2)}
    assert columns_of("a", torch.tensor([1.0, 2.0])) == {}
    assert columns_of("a", [Path("x.png"), Path("y.png")]) == {"a": ("x.png", "y.png")}
    assert columns_of("a", [{"plant": 3, "image": None}, {"plant": 4, "image": None}]) == {"plant": (3, 4)}
    assert columns_of("a", [("x.png", 1), ("y.png", 0)]) == {"a[0]": ("x.png", "y.png"), "a[1]": (1, 0)}
    assert columns_of("a", [1, None]) == {}


@pytest.mark.parametrize(
    "value",
    [
        np.zeros((4, 16, 16), dtype=np.uint8),
        np.zeros((4, 16, 16, 3)),
        torch.zeros(4, 3, 16, 16),
        torch.zeros(4, 2, 16, 16)[:, :1],
        [Image.new("RGB", (16, 20))] * 4,
        [(np.zeros((16, 16)), 1)] * 4,
        [{"image": torch.zeros(3, 16, 16)}] * 4,
    ],
)
def test_images_of_any_kind_are_made_small(value):
    found = pictures(value)
    assert found is not None
    assert found.shape == (4, 3, 12, 12)


@pytest.mark.parametrize("value", [np.zeros(4), torch.zeros(4, 3, 5, 5), [1, 2], [np.zeros(3)] * 4, ["a", "b"]])
def test_other_rows_are_no_images(value):
    assert pictures(value) is None


def test_a_class_of_its_own_for_each_value():
    table = {"ring": {0: 9, 1: 2}, "nut": {0: 3, 1: 2}}
    from collections import Counter

    counted = {value: Counter(counts) for value, counts in table.items()}
    assert assigned(counted) == {"ring": 0, "nut": 1}
    assert usual(counted) == 12 / 16
    assert assigned({"ring": Counter({0: 1})}) == {"ring": 0}
    assert assigned({"ring": Counter({0: 1}), "nut": Counter({0: 1})}) == {}


def test_following_a_program_leaves_its_trace_function_alone():
    before = sys.gettrace()
    with followed(Observer("train.py", 30, 10.0)):
        assert sys.gettrace() is not before
    assert sys.gettrace() is before
