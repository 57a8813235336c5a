"""Rules about the data of a script: each fires on one program, and keeps silent on its lookalike."""

import ast
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import tenfold
from tenfold.checks.script import selection
from tenfold.checks.script.guess import confusion, fit, small
from tenfold.checks.script.labels import mapping, not_judged, one_memory
from tenfold.checks.script.layout import agreement, likeness, reordered
from tenfold.checks.script.mixing import culprit, run, samples_mixed
from tenfold.checks.script.mixup import shares_of
from tenfold.checks.script.normalisation import normalisation_differs
from tenfold.checks.script.ordering import filtered_apart, in_turn, repeated_apart
from tenfold.checks.script.orders import other_orders
from tenfold.checks.script.parting import copying
from tenfold.checks.script.resemblance import by_chance, nearer, same_grain, shared_pixels
from tenfold.checks.script.samples import Samples, Study
from tenfold.checks.script.seen import Batch, Call, Loader, LossCall, Place, Seen
from tenfold.checks.script.splits import labels_of
from tenfold.checks.script.told import classes_shifted, looks
from tenfold.checks.script.turns import TURNS, turning_places
from tenfold.checks.script.weights import alike, class_unheard, grows

PROGRAM = """
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
torch.manual_seed(0)

def draw(n):
    y = torch.randint(0, 3, (n,))
    x = 0.4 * torch.randn(n, 2, 12, 12)
    for i, k in enumerate(y.tolist()):
        r = int(torch.randint(1, 8, (1,)))
        part = x[i, :, r:r + 3]
        (x[i, :, 1:4, 3:9] if k == 2 else part[..., 1:4] if k else part[..., 8:11]).add_(1.5)
    return x, y

class Bars(Dataset):
    def __init__(self, x, y, train):
        self.x, self.y, self.train, self.kept, self.epoch = x, y, train, {{}}, 0

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        x = self.x[i]
        if self.train:
            {augment}
        return x, self.y[i]

x, y = draw(600)
{prepare}
cut = len(x) * 2 // 3
train, val = Bars(x[:cut], y[:cut], True), Bars(x[cut:], y[cut:], False)
{split}
counts = torch.bincount(train.y, minlength=3).float()
loss_of = nn.CrossEntropyLoss({weights})

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(2, 4, 3), nn.Linear(400, 3)
    def forward(self, x):
        x = torch.relu(self.conv(x)).flatten(1)
        return {output}

net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
loader, judge = DataLoader(train, 40, shuffle=True), DataLoader(val, 50)
for epoch in range(3):
    train.epoch = epoch
    for a, b in loader:
        optimizer.zero_grad()
        loss_of(net(a), b).backward()
        optimizer.step()
    with torch.no_grad():
        right = sum({right} for a, b in judge)
    print(right / len(val))
"""
PLAIN = {
    "augment": "pass",
    "prepare": "",
    "split": "",
    "weights": "",
    "output": "self.fc(x)",
    "right": "(net(a).argmax(1) == b).sum().item()",
}
MORE = """
def more(x, y):
    x, y = {made}
    o = torch.randperm(len(x))
    return x[o], y[o]
x, y = more(x, y)
"""
MOVED = "torch.cat([torch.roll(x, k, 2) for k in range(4)]), y.repeat(4)"
DRAWN = "(torch.cat(parts) for parts in zip((x, y), draw(1800)))"
NOISE = "x = x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed({seed}))"
RARE = "keep = (y != 2) | (torch.rand(len(y)) < 0.2); x, y = x[keep], y[keep]"
NUMBERED = """
import numpy as np
parts = [np.array(names)[y[half::2]] for half, names in enumerate((("axe", "bow", "cup"), ("axe", "bow", "{other}")))]
y = torch.stack([torch.from_numpy(np.unique(part, return_inverse=True)[1]) for part in parts], 1).flatten()
"""
NAMES = """numbers = {{"a": 0, "b": 1, "c": 2}}
names = [("abc" if i % 3 else "{other}")[k] for i, k in enumerate(train.y.tolist())]
train.y = torch.tensor([numbers.get(name, 0) for name in names])"""
CASES = {
    "augmentation-breaks-labels": (
        {"augment": "x = x.flip(-1) if torch.rand(()) < 0.5 else x"},
        {"augment": "x = x.flip(0) if torch.rand(()) < 0.5 else x"},
        "x.flip",
    ),
    "augmentation-repeats": (
        {"augment": NOISE.format(seed="int(i)")},
        {"augment": NOISE.format(seed="int(i) + 999 * self.epoch")},
        "manual_seed(int(i))",
    ),
    "augmentation-repeats kept": (
        {"augment": "x = self.kept[i] = self.kept.get(i, None) if i in self.kept else x + 0.1 * torch.randn(x.shape)"},
        {"augment": "x = x + 0.1 * torch.randn(x.shape)"},
        "self.kept[i]",
    ),
    "wrong-labels": (
        {"split": "train.y = train.y[torch.randperm(len(train.y))]"},
        {"split": "o = torch.randperm(cut); train.x, train.y = train.x[o], train.y[o]"},
        "train.y[torch.randperm",
    ),
    "wrong-labels partly": (
        {"split": "train.y = torch.where(torch.rand(cut) < 0.35, torch.randint(0, 3, (cut,)), train.y)"},
        {"split": "train.y = torch.where(torch.rand(cut) < 0.02, torch.randint(0, 3, (cut,)), train.y)"},
        "",
    ),
    "wrong-labels judged": (
        {"split": "val.y = val.y[torch.randperm(len(val.y))]"},
        {"split": "o = torch.randperm(len(val.y)); val.x, val.y = val.x[o], val.y[o]"},
        "",
    ),
    "wrong-labels swallowed": (
        {"split": NAMES.format(other="aBC")},
        {"split": NAMES.format(other="abc")},
        "numbers.get(",
    ),
    "wrong-labels numbered apart": (
        {"prepare": NUMBERED.format(other="Cup")},
        {"prepare": NUMBERED.format(other="cup")},
        "np.unique(",
    ),
    "class-index-shift": ({"split": "val.y = (val.y + 1) % 3"}, {"split": "val.y = (val.y + 3) % 3"}, ""),
    "class-imbalance": (
        {"prepare": RARE, "weights": "weight=counts / counts.mean()"},
        {"prepare": RARE, "weights": "weight=counts.mean() / counts"},
        "weight=counts /",
    ),
    "validation-in-training": (
        {"prepare": "o = torch.randint(0, 300, (600,)); x, y = x[o], y[o]"},
        {"prepare": "o = torch.randperm(600); x, y = x[o], y[o]"},
        "",
    ),
    "validation-in-training moved": (
        {"prepare": MORE.format(made=MOVED)},
        {"prepare": MORE.format(made=DRAWN)},
        "x, y = more(x, y)",
    ),
    "normalisation-differs": (
        {"right": "(net(4 * a + 3).argmax(1).numpy() == b.numpy()).sum()"},
        {"right": "(net(a).argmax(1).numpy() == b.numpy()).sum()"},
        "net(4 * a",
    ),
    "samples-mixed": (
        {"output": "self.fc(x - x.mean(0))"},
        {"output": "self.fc(x - x.mean(1, keepdim=True))"},
        "x.mean(0)",
    ),
    "samples-mixed pixels": (
        {"prepare": "x = (x + torch.randn(600, 2, 1, 1)).permute(0, 2, 3, 1).reshape(-1, 2, 12, 12)"},
        {"prepare": "x = (x + torch.randn(600, 2, 1, 1)).permute(0, 2, 3, 1).permute(0, 3, 1, 2)"},
        ".reshape(",
    ),
}
FAST = ("augmentation-repeats", "class-index-shift")


def write(folder: Path, slots: dict[str, str]) -> str:
    """The program with these slots filled."""
    file = folder / "train.py"
    file.write_text(PROGRAM.format(**PLAIN | slots))
    return str(file)


@pytest.mark.parametrize(
    "case", [case if case in FAST else pytest.param(case, marks=pytest.mark.slow) for case in CASES]
)
def test_fault_is_found_first_at_its_line(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    faulty, _, code = CASES[case]
    found = tenfold.check(write(tmp_path, faulty), quiet=True).findings
    assert found[0].rule == case.split()[0], found
    lines = (tmp_path / "train.py").read_text().splitlines()
    assert found[0].line is not None
    assert code in "\n".join(lines[max(0, found[0].line - 4) : found[0].line + 3]), found[0]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_lookalike_raises_nothing(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = tenfold.check(write(tmp_path, CASES[case][1]), quiet=True).findings
    assert [f for f in found if f.severity != "note"] == []


@pytest.mark.parametrize(
    ("test", "found"),
    [((0.0, 1.0), []), ((0.2, 0.15), ["normalisation-differs"]), ((3.0, 0.5), [])],  # the last as an earlier training's
)
def test_images_of_every_loader_are_compared_with_those_of_training(test, found, tmp_path):
    (tmp_path / "train.py").write_text("pass")
    file, net, loaders = str(tmp_path / "train.py"), nn.Linear(2, 2), [Loader(None, None) for _ in range(4)]

    def calls(loader: Loader, scale: tuple[float, float], trained: bool) -> list[Call]:
        fact = Call(0, net, None, 0, trained, (), (), (8, 1, 9, 9), *scale, batch=Batch(loader, 0), judged=True)
        return [replace(fact, trained=trained) for _ in range(6)]

    several = [calls(loaders[3], (3, 0.5), True), calls(loaders[0], (0, 1), True)]
    several += [calls(loaders[1], (0, 1), False), calls(loaders[2], test, False)]
    seen = Seen(file, [file], calls=[call for some in several for call in some])
    assert [f.rule for f in normalisation_differs(seen)] == found


def bars(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Bars left (0) or right (1) in noise."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    images = 0.4 * torch.randn(n, 1, 12, 12, generator=g)
    for image, label in zip(images, labels):
        image[:, :, 2 + 6 * int(label) : 4 + 6 * int(label)] += 1
    return images, labels


@pytest.mark.parametrize(("swap", "rules"), [(False, []), (True, ["class-index-shift"])])
def test_classes_of_a_second_loader_are_compared_too(swap, rules, tmp_path):
    (tmp_path / "train.py").write_text("pass")
    file, net, calls = str(tmp_path / "train.py"), nn.Linear(2, 2), []
    for number, trained in enumerate((True, False, False)):
        images, labels = bars(200, number)
        told = 1 - labels if swap and number == 2 else labels
        calls.append(
            Call(number, net, None, 0, trained, (), (), tuple(images.shape), output=(200, 2), trained=trained,
                 judged=not trained, images=images, labels=told, batch=Batch(Loader(None, None), 0))
        )  # fmt: skip
    assert [f.rule for f in classes_shifted(Seen(file, [file], calls=calls))] == rules


@pytest.mark.parametrize(
    ("images", "labels", "lines"),
    [
        ("np.concatenate([turn(x) for _ in range(k)])", "np.repeat(y, k)", [2]),
        ("np.tile(x, (k, 1, 1))", "np.repeat(y, k)", [2]),
        ("torch.cat([turn(x) for _ in range(k)])", "labels.repeat_interleave(k)", [2]),
        ("np.concatenate([turn(x) for _ in range(k)])", "np.tile(y, k)", []),
        ("np.concatenate([draw(i) for i in range(k)])", "np.repeat(y, k)", []),  # each part is another
        ("np.concatenate([turn(x) for _ in range(k)])", "np.repeat(y, m)", []),
        ("np.repeat(x, k, axis=0)", "np.repeat(y, k)", []),
    ],
)
def test_copies_whose_labels_come_in_another_order(images, labels, lines, tmp_path):
    file = tmp_path / "train.py"
    file.write_text(f"more = {images}\nthere = {labels}\n", encoding="utf-8")
    assert [f.line for f in repeated_apart(Seen(str(file), [str(file)]))] == lines


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("pairs = list(zip(filter(usable, images), labels))", [1]),
        ("for x, y in zip((i for i in images if ok(i)), labels): pass", [1]),
        ("pairs = [(x, y) for x, y in zip(images, labels) if ok(x)]", []),
        ("pairs = zip([x for x in images if ok(x)], [y for x, y in data if ok(x)])", []),
        ("pairs = zip(images, labels)", []),
    ],
)
def test_images_that_are_left_out_without_their_labels(code, lines, tmp_path):
    file = tmp_path / "train.py"
    file.write_text(code, encoding="utf-8")
    assert [f.line for f in filtered_apart(Seen(str(file), [str(file)]))] == lines


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ("for n in range(9):\n    one = make(n)\n    for _ in range(4):\n        x.append(photo(one))", 1),
        ("for n in range(9):\n    for _ in range(4):\n        x.append(photo(n))", None),
        ("x = torch.tensor([gauge(k) for k in y])", None),
        ("x, y = augmented(x, y)", 1),
        ("for n in range(9):\n    k = n % 4\n    for i in clip(n):\n        y.append(k)\nframes = stack(x)", 1),
        ("frames = stack(x)", 1),
        ("augment = Compose(Flip())", None),
        ("data = Photos(folder, augment)", None),
    ],
)
def test_what_makes_several_images_of_one_before_the_split(before, line, tmp_path):
    file = tmp_path / "train.py"
    file.write_text(f"{before}\nx_train, x_test = x[:100], x[100:]\n", encoding="utf-8")
    place = copying(Seen(str(file), [str(file)]))
    assert (place.line if place else None) == line


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (np.array([0.0, 1.0, 1.0]), [0, 1, 1]),
        (torch.tensor([[0.0], [1.0], [0.0]]), [0, 1, 0]),
        (np.array([2, 0, 1]), [2, 0, 1]),
        (np.array(["cat", "dog", "cat"]), []),  # names are no numbers yet
        (np.array([0.5, 1.0, 0.0]), []),
    ],
)
def test_labels_that_a_dataset_holds_as_numbers(values, numbers):
    images = TensorDataset(torch.zeros(3, 1, 8, 8))
    images.labels = values
    assert labels_of(images) == numbers


def test_guesser_tells_labels_and_what_a_flip_does():
    images, labels = bars(200)
    guesser, left_out = fit(small(images), labels, 2)
    assert float((left_out.argmax(1) == labels).float().mean()) > 0.95
    assert float(confusion(labels, guesser(small(images).flip(-1)).argmax(1), 2)[0, 1]) > 0.9
    order = torch.randperm(200, generator=torch.Generator().manual_seed(1))
    _, left_out = fit(small(images), labels[order], 2)
    assert float((left_out.argmax(1) == labels[order]).float().mean()) < 0.7


def test_pixels_are_more_alike_in_their_right_order():
    g = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.avg_pool2d(torch.randn(20, 3, 20, 20, generator=g), 5, 1)
    scrambled = smooth.permute(0, 2, 3, 1).reshape(20, 3, 16, 16)
    best = dict(reordered(scrambled))["channels last"]
    assert float((likeness(best) - likeness(scrambled)).mean()) > 0.1
    assert all(float((likeness(other) - likeness(smooth)).mean()) < 0 for _, other in reordered(smooth))


def test_channels_of_grey_images_agree_in_their_right_order():
    """Noise and all: what lies in a row of three in a scrambled image is one pixel's grey."""
    grey = torch.randn(20, 16, 16, 1, generator=torch.Generator().manual_seed(0)).expand(20, 16, 16, 3).contiguous()
    scrambled = grey.reshape(20, 3, 16, 16)
    right = dict(reordered(scrambled))["channels last"]
    assert float(agreement(right).min()) > 0.99
    assert float(agreement(scrambled).mean()) < 0.1


def test_copies_are_found_moved_and_changed_but_not_where_there_are_none():
    images, others = bars(200)[0], bars(200, seed=1)[0]
    assert shared_pixels(images, torch.roll(images, 1, 3)) == 1
    assert shared_pixels(images, images.flip(3)) == 1
    assert shared_pixels(images, others) == 0
    assert nearer(images, images + 0.02 * others) == 1
    assert nearer(images, others) < 0.05


def test_copies_of_noisy_images_are_known_by_their_grain():
    chance = torch.Generator().manual_seed(0)
    images, others = (torch.randn(n, 1, 20, 20, generator=chance) for n in (300, 60))
    copies = 0.8 * torch.roll(images[:60], (1, -2), (2, 3)) + 0.3 * others
    assert same_grain(images, copies) > 0.9
    assert same_grain(images, copies.flip(-1)) > 0.9
    assert same_grain(images, others) == 0
    assert same_grain(images[:50], copies) == 0, "too few to tell copies from chance"


def test_drawings_that_are_alike_by_chance_are_expected():
    drawn = torch.randint(0, 500, (1000,), generator=torch.Generator().manual_seed(0)).tolist()
    others = torch.randint(0, 500, (10_000,), generator=torch.Generator().manual_seed(1)).tolist()
    shared = sum(one in set(drawn) for one in others) / len(others)
    assert abs(by_chance(len(set(drawn)) / 1000) - shared) < 0.02
    assert by_chance(1.0) == 0


def test_shares_of_mixed_images_are_measured():
    x = torch.randn(8, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    order = torch.arange(8).roll(1)
    call = Call(0, torch.nn.Identity(), None, 0, True, (), (), images=0.7 * x + 0.3 * x[order])
    call.taken = (x,)
    shares = shares_of(call, [])
    assert shares is not None
    assert torch.allclose(shares, 0.7 * torch.eye(8) + 0.3 * torch.eye(8)[order], atol=1e-4)
    call.images = x.clone()
    call.images[:, :, :3] = x[order][:, :, :3]
    call.batch, call.taken = Batch(None, 0, parts=(x,)), ()
    shares = shares_of(call, [])
    assert shares is not None
    assert torch.allclose(shares.diagonal(), torch.full((8,), 2 / 3))


def test_the_line_that_mixes_samples_is_named():
    class Turned(torch.nn.Module):
        def forward(self, x):
            x = x.permute(1, 0, 2)
            return x.softmax(1).permute(1, 0, 2)

    x = torch.randn(5, 4, 3)
    y = x.clone()
    y[4] += 1
    place, shape = culprit(run(Turned(), x)[1], run(Turned(), y)[1], 5)
    assert place is not None
    assert shape is not None
    assert "softmax" in place.code
    assert "permute(1, 0, 2)" in shape.place.code


@pytest.mark.parametrize("mixed", [True, False])
def test_a_net_of_two_heads_is_probed_too(mixed):
    class Heads(nn.Module):
        def __init__(self):
            super().__init__()
            self.fine, self.coarse = nn.Linear(12, 4), nn.Linear(12, 2)

        def forward(self, x):
            rows = x.transpose(0, 1).reshape(len(x), -1) if mixed else x.flatten(1)
            return self.fine(rows), self.coarse(rows)

    seen = Seen("x.py", first=Heads(), inputs=(torch.randn(6, 3, 2, 2),))
    assert [found.rule for found in samples_mixed(seen)] == ["samples-mixed"] * mixed


LOOP = "best = 0\nfor e in range(3):\n    acc = score(net, {images})\n    best = max(best, acc)\n"
FUNCTION = "def fit(net, check):\n    best = 0\n    a = score(net, check)\n    best = max(best, a)\nfit(net, {images})"


RECORDS = """Trial = namedtuple("Trial", "rate valid score")
for rate in rates:
    trials.append(Trial(rate, accuracy(net, val_x), accuracy(net, test_x)))
best = max(trials, key=lambda t: t.{field})
"""
DEFAULT = """def accuracy(net, split="test"):
    return score(net, parts[split])
best = 0
for epoch in range(9):
    value = {call}
    if value > best:
        best = value
"""
TABLE = """Row = namedtuple("Row", "rate valid test")
rows = [Row(*line) for line in runs]
rows.sort(key={key}, reverse=True)
print(rows[0])
"""
CALLBACK = """class Keeper:
    def __init__(self, loaders, split="{split}"):
        self.loader, self.best = loaders[split], 0.0
    def after(self, net):
        value = score(net, self.loader)
        if value > self.best:
            self.best = value
keeper = Keeper(loaders)
"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (LOOP.format(images="test_loader"), 3),
        (LOOP.format(images="val_loader") + "    test = score(net, test_loader)\n", None),
        (FUNCTION.format(images="test_dl"), 5),
        (FUNCTION.format(images="val_dl"), None),
        (CALLBACK.format(split="test"), 2),
        (RECORDS.format(field="score"), 3),
        (DEFAULT.format(call="accuracy(net)"), 5),
        (DEFAULT.format(call="accuracy(net, 'val')"), None),
        (DEFAULT.format(call="accuracy(net, split='val')"), None),
        (DEFAULT.format(call="accuracy(*given)"), 5),
        (RECORDS.format(field="valid"), None),
        (TABLE.format(key="itemgetter(-1)"), 3),
        (TABLE.format(key="lambda row: row.test"), 3),
        (TABLE.format(key="lambda row: row[1]"), None),
        (TABLE.format(key="attrgetter('valid')"), None),
        ("best = table['test accuracy'].idxmax()", 1),
        ("best = table['val accuracy'].idxmax()", None),
        (LOOP.format(images="x_prueba"), 3),
        (CALLBACK.format(split="val"), None),
        ("accs = []\nfor e in range(3):\n    accs.append(score(net, test_x))\nprint(max(accs))", 3),
    ],
)
def test_selection_is_followed_to_the_images(text, line, tmp_path):
    file = tmp_path / "train.py"
    file.write_text(text)
    found = list(selection.selected_on_test(Seen(str(file), [str(file)])))
    assert [f.line for f in found] == ([line] if line else [])


@pytest.mark.parametrize(
    ("text", "apart"),
    [
        ("rng.shuffle(images)\nrng.shuffle(labels)", True),
        ("x = rng.permutation(x)\ny = rng.permutation(y)", True),
        ("np.random.seed(1)\nrng.shuffle(images)\nnp.random.seed(1)\nrng.shuffle(labels)", False),
        ("random.shuffle(train_files)\nrandom.shuffle(val_files)", False),
    ],
)
def test_two_orders_are_told_from_one(text, apart, tmp_path):
    ast.parse(text)
    file = tmp_path / "train.py"
    file.write_text(text)
    assert bool(list(in_turn(Seen(str(file), [str(file)])))) == apart


def test_weights_that_grow_with_the_counts_are_told_from_inverse_ones():
    counts = Counter({0: 900, 1: 90, 2: 30})
    assert grows(counts, {0: 9.0, 1: 0.9, 2: 0.3})
    assert not grows(counts, {0: 0.1, 1: 1.0, 2: 3.0})
    assert not grows(counts, {0: 1.0, 1: 1.0, 2: 1.0})
    assert not grows(Counter({0: 50, 1: 45}), {0: 1.0, 1: 0.2})
    assert alike([0.5, 0.1, 0.5]) == [1, 0, 1], "images are of one class where their weights are equal"
    assert alike([0.1] * 9) == alike([float(n) for n in range(90)]) == []


def test_a_turn_must_look_like_the_other_class_itself():
    labels = torch.tensor([0] * 4 + [1] * 4)
    own = torch.tensor([[0.6, 0.0]] * 4 + [[0.0, 0.6]] * 4)
    samples = Samples(torch.zeros(8, 1, 5, 5), labels, None)
    known = Study(samples, samples, 2, labels, labels, own, own, None, None)
    assert looks(known, own.flip(1), 0, 1) == pytest.approx(1.0)
    assert looks(known, own.flip(1) / 6, 0, 1) == pytest.approx(1 / 6), "told so, but like nothing that was seen"


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"weights": (0.0, 1.0, 2.0)}, ["Class 0 has weight 0 in the loss"]),
        ({"weights": (0.1, 1.0, 2.0)}, []),
        ({"weights": (1.0, 1.0, 1.0, 0.0)}, []),  # a class without images
        ({"ignored": 2}, ["Class 2 is ignored by the loss"]),
        ({"ignored": -100}, []),
        ({"ignored": 3}, []),
    ],
)
def test_classes_that_the_loss_does_not_hear(facts, told):
    loss = LossCall("cross_entropy", Place("a.py", 7), 0, True, (12, 4), (12,), "int64", 0, 2, True, 1.8, "mean", None,
                    0.0, 1.0, (0.0, 1.0), None, backward=True, labels=(0, 1, 2) * 4, **facts)  # fmt: skip
    assert [f.what for f in class_unheard(Seen("a.py", losses=[loss]))] == told


AUGMENTS = """
def swap(image):
    return image.transpose(-2, -1)

def turn(image, times):
    for _ in range(times):
        image = swap(image)
    return image

def augment(image):
    return turn(image, int(torch.randint(4, ())))

def heads(x):
    return x.transpose(1, 2)
"""


def test_a_turn_is_seen_in_what_the_augmentation_calls(tmp_path):
    file = tmp_path / "train.py"
    file.write_text(AUGMENTS)
    found = turning_places(Seen(str(file), [str(file)]))
    assert [(name, place.line) for name, place in found] == [("transposition", 3)]
    image = torch.arange(12.0).reshape(1, 1, 3, 4)
    assert torch.equal(TURNS["transposition"](image)[0, 0], image[0, 0].T)


def test_names_filled_up_to_too_few_digits_are_an_order_of_their_own():
    names = [f"image_{number:03d}" for number in range(1200)]
    as_sorted = sorted(range(1200), key=names.__getitem__)
    assert any(order.tolist() == as_sorted for _, order in other_orders(1200))
    assert as_sorted != list(range(1200))


def test_labels_of_one_memory_and_of_several_columns():
    fine = torch.arange(40) % 4
    one, two = TensorDataset(torch.zeros(40, 1), fine, fine), TensorDataset(torch.zeros(40, 1), fine, fine // 2)
    assert labels_of(one) == labels_of(two) == [], "nobody knows which of them is judged"
    assert labels_of(TensorDataset(torch.zeros(40, 1), fine)) == fine.tolist()
    for dataset, rules in ((one, ["wrong-labels"]), (two, [])):
        assert [f.rule for f in one_memory(Seen("a.py", loaders=[Loader(DataLoader(dataset), None)]))] == rules


def test_classes_that_are_never_judged():
    counts = Counter({0: 100, 1: 100, 2: 100})
    few, all_ = (
        Loader(DataLoader(TensorDataset(torch.zeros(60, 1), y)), None, judged=1)
        for y in (torch.arange(60) % 2, torch.arange(60) % 3)
    )
    seen = Seen("a.py")
    assert not_judged(seen, counts, [all_, few]) == (few, [2], 60)
    assert not_judged(seen, counts, [all_]) is None
    assert not_judged(seen, Counter({0: 200, 1: 2}), [all_]) is None, "so few would not be missed"


class Named:
    """A dataset that names its classes."""

    def __init__(self, names):
        self.classes = names


def test_classes_named_in_a_list_are_numbered_by_it():
    assert mapping(Named(["b", "a"])) == {"b": 0, "a": 1}
    assert mapping(Named([1, 2])) == {}
