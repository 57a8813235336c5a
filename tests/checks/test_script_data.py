"""Data that programs keep, collect, part and tell workers of: what must fire a rule, and what must not."""

import ast

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

import tenfold
from tenfold.checks.script.collecting import order_lost
from tenfold.checks.script.families import checksums_split
from tenfold.checks.script.mixing import samples_mixed
from tenfold.checks.script.parting import COPYING, REPEATING, folds, repeats
from tenfold.checks.script.seen import Call, Loader, Place, Seen
from tenfold.checks.script.storing import scaled_each_time, stored_again


class Kept(Dataset):
    """Images that are kept as numbers, and scaled where they are fetched."""

    def __init__(self, images, scale):
        self.images, self.scale = images, scale

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.scale(self.images[index]), 0


class Subtracting(Kept):
    """The same, in numpy's way."""

    def __getitem__(self, index):
        image = self.images[index]
        image -= 0.5
        return torch.from_numpy(image), 0


def noisy(image):
    """As an augmentation whose generator goes on."""
    return image + torch.rand(image.shape, generator=GENERATOR)


GENERATOR = torch.Generator().manual_seed(1)


@pytest.mark.parametrize(
    ("scale", "found"),
    [(lambda i: i.sub_(0.5).div_(0.25), True), (lambda i: (i - 0.5) / 0.25, False), (noisy, False)],
)
def test_images_that_are_scaled_where_they_are_kept(scale, found):
    assert scaled_each_time(Kept(torch.rand(6, 3, 8, 8), scale)) is found


def test_the_line_that_scales_what_is_kept():
    images = np.random.default_rng(0).random((6, 3, 8, 8), np.float32)
    loader = DataLoader(Subtracting(images, None))
    told = list(stored_again(Seen("a.py", loaders=[Loader(loader, Place("a.py", 3), batches=2)])))
    part = DataLoader(Subset(loader.dataset, [0, 2, 3, 5]))
    assert list(stored_again(Seen("a.py", loaders=[Loader(part, Place("a.py", 3), batches=2)]))) == told
    assert [f.rule for f in told] == ["normalisation-doubled"]
    assert "image -= 0.5" in told[0].evidence


LOOP = """
for x, {labels} in loader:
    out.append(net(x))
right = (out == {kept}).mean()
"""


@pytest.mark.parametrize(
    ("labels", "kept", "shuffle", "found"),
    [
        ("_", "data.targets", True, 1),
        ("y", "data.targets", True, 0),
        ("_", "data.targets", False, 0),
        ("_", "data.classes", True, 0),
        ("_", "train_set.targets", True, 0),
    ],
)
def test_predictions_in_another_order_than_the_labels(labels, kept, shuffle, found, tmp_path):
    (tmp_path / "train.py").write_text(LOOP.format(labels=labels, kept=kept))
    file = str(tmp_path / "train.py")
    loader = DataLoader(TensorDataset(torch.rand(8, 3)), shuffle=shuffle)
    fact = Loader(loader, Place(file, 2), batches=3)
    call = Call(0, nn.Identity(), None, 0, False, (), (), places=(Place(file, 3),))
    call.batch = type("Batch", (), {"loader": fact})()
    told = list(order_lost(Seen(file, [file], calls=[call], loaders=[fact])))
    assert [f.rule for f in told] == ["accuracy-count"] * found


@pytest.mark.parametrize(
    ("key", "shots", "found"), [("path.stem", 4, [2]), ("path.stem.split('_')[0]", 4, []), ("path.stem", 1, [])]
)
def test_files_parted_by_a_checksum_of_their_names(key, shots, found, tmp_path):
    (tmp_path / "train.py").write_text(f"def held(path):\n    return zlib.crc32({key}.encode()) % 5 == 0\n")
    file = str(tmp_path / "train.py")
    opened = [f"oak/L{plant:03d}_{shot}.png" for plant in range(30) for shot in range(shots)]
    assert [f.line for f in checksums_split(Seen(file, [file], opened=opened))] == found


def net_with(*tail):
    """A small net that ends in other layers before the mean over the map."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 16, 3, bias=False), *tail, nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(16, 4),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("tail", "blind"),
    [([nn.InstanceNorm2d(16, affine=True)], True), ([nn.InstanceNorm2d(16), nn.ReLU()], False), ([], False)],
)
def test_a_norm_whose_mean_is_all_that_is_left(tail, blind):
    net = net_with(*tail)
    seen = Seen("a.py", first=net, model=net, inputs=(torch.rand(6, 1, 10, 10),))
    assert not list(samples_mixed(seen))
    assert seen.blind is blind


@pytest.mark.parametrize(("code", "repeats"), [("img.resize((8, 8))", False), ("np.resize(x, 500)", True)])
def test_pictures_made_smaller_are_not_copies(code, repeats):
    assert bool(REPEATING.search(code)) is bool(COPYING.search(code)) is repeats


def test_a_loop_over_the_shots_of_each_thing_makes_several_images_of_one(tmp_path):
    file = tmp_path / "a.py"
    file.write_text(
        "for n in range(9):\n    leaf = grown(n)\n    for _ in range(4):\n        shots.append(photo(leaf))\n"
    )
    assert repeats(Place(str(file), 1))
    file = tmp_path / "b.py"
    file.write_text("for n in range(9):\n    for _ in range(4):\n        shots.append(photo(grown(n)))\n")
    assert not repeats(Place(str(file), 1))


@pytest.mark.parametrize(
    ("loop", "found"),
    [
        ("for tr, te in KFold(5).split(x):", True),
        ("for fold, (tr, te) in enumerate(kfold(len(x), 3)):", True),
        ("for part, rest in folds:", True),
        ("for number, batch in enumerate(torch.randperm(n).split(32)):", False),
        ("for a, b in zip(x.split(200), y.split(200)):", False),
        ("for batch in order.split(32):", False),
    ],
)
def test_loops_over_the_parts_of_a_cross_validation(loop, found):
    assert folds(ast.parse(f"{loop}\n    pass").body[0]) is found


PERSISTENT = """
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
torch.manual_seed(0)
def turned(image):
    return image.flip(2) if torch.rand(()) < 0.5 else image
class Images(Dataset):
    epoch = 0
    def __init__(self, kept=False):
        self.x, self.y, self.epoch = torch.randn(320, 1, 8, 8), torch.arange(320) % 3, 0
        if kept:  # images to judge by, as they lie
            self.x = torch.stack([turned(image) for image in self.x])
    def __len__(self):
        return 320
    def __getitem__(self, i):
        noise = np.random.default_rng((self.epoch, i)).normal(size=(1, 8, 8)).astype(np.float32)
        return self.x[i] + self.y[i] + 0.1 * noise, self.y[i]
data, others = Images(), Images(kept=True)
loader = DataLoader(data, batch_size=32, shuffle=True, num_workers=2, persistent_workers={persistent})
net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 3))
opt = torch.optim.Adam(net.parameters(), lr=0.01)
for epoch in range(4):
    data.epoch = epoch
    for images, labels in loader:
        opt.zero_grad()
        nn.functional.cross_entropy(net(images), labels).backward()
        opt.step()
"""


@pytest.mark.parametrize(("persistent", "found"), [(True, [("augmentation-repeats", 21)]), (False, [])])
def test_workers_that_never_hear_of_the_epoch(persistent, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(PERSISTENT.format(persistent=persistent))
    told = tenfold.check("train.py", quiet=True).findings
    assert [(f.rule, f.line) for f in told if f.severity != "note"] == found


THAWED = """
import torch
from torch import nn
torch.manual_seed(0)
x, y = torch.randn(480, 1, 8, 8), torch.arange(480) % 3
x[torch.arange(480), 0, y] += 2.5
net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 3))
def fit(opt):
    for order in torch.randperm(480).split(40):
        opt.zero_grad()
        nn.functional.cross_entropy(net(x[order]), y[order]).backward()
        opt.step()
fit(torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9))
net[4] = nn.Linear(256, 3)
fit(torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9))
"""


def test_a_second_optimiser_uses_what_the_first_one_holds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(THAWED)
    assert not [f for f in tenfold.check("train.py", quiet=True).findings if f.severity != "note"]


CACHED = """
import numpy as np
import torch
from torch import nn
draws = np.random.default_rng(0)
y = draws.integers(0, 3, 320)
x = draws.normal(size=(320, 1, 8, 8)).astype(np.float32) + y[:, None, None, None]
def batches():
    buffer = np.empty((32, 1, 8, 8), np.float32)
    for pick in draws.permutation(320).reshape(-1, 32):
        buffer[:] = x[pick]
        yield torch.from_numpy(buffer{copy}), torch.from_numpy(y[pick])
kept = list(batches())
net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 3))
opt = torch.optim.Adam(net.parameters(), lr=0.003)
for epoch in range(3):
    for images, labels in kept:
        opt.zero_grad()
        nn.functional.cross_entropy(net(images), labels).backward()
        opt.step()
"""


@pytest.mark.parametrize(("copy", "found"), [("", [("wrong-labels", 12)]), (".copy()", [])])
def test_batches_that_are_one_buffer(copy, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(CACHED.format(copy=copy))
    told = tenfold.check("train.py", quiet=True).findings
    assert [(f.rule, f.line) for f in told if f.severity != "note"] == found


MADE = """
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
class Drawn(Dataset):
    def __init__(self, n, seed):
        self.kinds = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(9)).repeat({kinds} // 3, 1, 1)
        self.seeds = torch.randint(1 << 30, (n,), generator=torch.Generator().manual_seed(seed))
    def __len__(self):
        return len(self.seeds)
    def __getitem__(self, i):
        noise = torch.Generator().manual_seed(int(self.seeds[i]))
        return (self.kinds[i % 3] + torch.randn(8, 8, generator=noise))[None], i % 3
train, val = DataLoader(Drawn(300, 1), 30, shuffle=True), DataLoader(Drawn(120, 2), 30)
net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 3))
opt = torch.optim.Adam(net.parameters(), lr=0.003)
for epoch in range(3):
    net.train()
    for images, labels in train:
        opt.zero_grad()
        nn.functional.cross_entropy(net(images), labels).backward()
        opt.step()
    net.eval()
    with torch.no_grad():
        print(sum((net(images).argmax(1) == labels).sum().item() for images, labels in val))
"""


@pytest.mark.parametrize(("kinds", "found"), [(3, []), (300, ["augmentation-repeats"])])
def test_images_that_are_made_of_a_seed_each_are_not_augmented(kinds, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(MADE.format(kinds=kinds))
    told = tenfold.check("train.py", quiet=True).findings
    assert [f.rule for f in told if f.severity != "note"] == found


COUNTED = """
import torch
from torch import nn
torch.manual_seed(0)
y = torch.arange(320) % 3
x = torch.randn(320, 1, 8, 8) + y[:, None, None, None]
class Table:
    def __init__(self):
        self.table = torch.zeros(3, 3)
    def update(self, logits, labels):
        for true, told in zip(labels.tolist(), logits.argmax(1).tolist()):
            self.table[true, told] += 1
net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3))
opt, table = torch.optim.Adam(net.parameters(), lr=0.003), Table()
for epoch in range(3):
    for order in torch.randperm(320).split(32):
        out = net(x[order])
        opt.zero_grad()
        nn.functional.cross_entropy(out, y[order]).backward()
        opt.step()
        table.update(out.detach(), y[order])
print(table.table)
"""


def test_a_table_that_is_counted_up_is_no_image(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(COUNTED)
    assert not [f for f in tenfold.check("train.py", quiet=True).findings if f.severity != "note"]


FOLDS = """
import numpy as np
import torch
from torch import nn
draws = np.random.default_rng(0)
torch.manual_seed(0)
def more(x, y):
    parts = [np.roll(x, 1, 2), np.roll(x, -1, 3), x]
    parts = [part + 0.05 * draws.normal(size=part.shape) for part in parts]
    return np.concatenate(parts).astype(np.float32), np.tile(y, 3)
def kfold(n, k):
    order = draws.permutation(n)
    for part in np.array_split(order, k):
        yield np.setdiff1d(order, part), part
def fit(x, y):
    net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(288, 3))
    opt = torch.optim.Adam(net.parameters(), lr=0.003)
    x, y = torch.tensor(x), torch.tensor(y)
    for epoch in range(4):
        for order in torch.randperm(len(x)).split(32):
            opt.zero_grad()
            nn.functional.cross_entropy(net(x[order]), y[order]).backward()
            opt.step()
    return net
def accuracy(net, x, y):
    net.eval()
    with torch.no_grad():
        return float(np.mean(net(torch.tensor(x)).argmax(1).numpy() == y))
y = draws.integers(0, 3, 240)
x = np.concatenate([draws.normal(size=(120, 1, 12, 12)), draws.normal(size=(120, 1, 12, 12))]).astype(np.float32)
x = x + y[:, None, None, None].astype(np.float32)
{before}
for tr, te in kfold(len(x), 3):
    net = fit({given})
    print(f"train {{accuracy(net, x[tr], y[tr]):.2f}}, held out {{accuracy(net, x[te], y[te]):.2f}}")
"""


@pytest.mark.parametrize(
    ("before", "given", "found"),
    [
        ("x, y = more(x, y)", "x[tr], y[tr]", [("validation-in-training", 32)]),
        ("", "*more(x[tr], y[tr])", []),
        ("", "x[tr], y[tr]", []),  # what one net learns from another is judged on, and two sources are put together
    ],
)
def test_copies_made_before_a_cross_validation(before, given, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(FOLDS.format(before=before, given=given))
    told = tenfold.check("train.py", quiet=True).findings
    assert [(f.rule, f.line) for f in told if f.severity != "note"] == found


SHIFTED = """
import torch
from torch import nn
from torch.nn import functional as F
torch.manual_seed(0)
def photos(count):
    y = torch.arange(count) % 4
    x = 0.5 * torch.randn(count, 1, 12, 12)
    for i, k in enumerate(y.tolist()):
        x[i, :, 3 * k:3 * k + 3] += 1.5
    return x, y
(xa, ya), (xb, yb) = photos(600), photos(200)
yb = (yb + {shift}) % 4
net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(800, 4))
optimizer = torch.optim.Adam(net.parameters(), lr=0.003)
def accuracy(x, y):
    with torch.no_grad():
        return torch.cat([net(part).argmax(1) for part in x.split(100)]).eq(y).float().mean()
for epoch in range(3):
    for at in torch.randperm(600).split(50):
        optimizer.zero_grad()
        F.cross_entropy(net(xa[at]), ya[at]).backward()
        optimizer.step()
print(f"train {accuracy(xa, ya):.3f}")
print(f"test {accuracy(xb, yb):.3f}")
"""


@pytest.mark.parametrize(("shift", "rules"), [(0, []), (1, ["class-index-shift"])])
def test_training_images_that_are_judged_too_hide_no_shift(shift, rules, tmp_path):
    (tmp_path / "train.py").write_text(SHIFTED.replace("{shift}", str(shift)), encoding="utf-8")
    assert [f.rule for f in tenfold.check(tmp_path / "train.py").findings if f.severity != "note"] == rules
