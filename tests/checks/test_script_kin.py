"""Photographs of one plant on both sides of a split, told by their names and looks, in programs run for real."""

import pytest
import torch

import tenfold
from tenfold.checks.script.kin import found_in, groupings, groups_of
from tenfold.checks.script.seen import Call

PROGRAM = """
import tempfile
from collections import defaultdict
from pathlib import Path
import numpy as np
import torch
from PIL import Image
from torch import nn

rng = np.random.default_rng(0)
torch.manual_seed(0)

def photograph(folder):
    for kind in range(2):
        for plant in range(12):
            ground = rng.uniform(0.1, 0.9, 3)
            for leaf in range(6):
                image = np.tile(ground, (16, 16, 1)) + rng.normal(0, 0.05, (16, 16, 3))
                r, c = rng.integers(1, 9, 2)
                image[r : r + (6 if kind else 2), c : c + (2 if kind else 6)] += 0.3
                name = f"{{'ab'[kind]}}_plant{{plant:02d}}_{{leaf}}.png"
                Image.fromarray(np.uint8(255 * image.clip(0, 1))).save(folder / name)

def group(path):
    return {group}

def load(paths):
    x = np.stack([np.asarray(Image.open(path), dtype=np.float32) / 255 for path in paths])
    return torch.from_numpy(x).permute(0, 3, 1, 2) * 4 - 2, torch.tensor([int(path.stem[0] == "b") for path in paths])

with tempfile.TemporaryDirectory() as folder:
    photograph(Path(folder))
    groups = defaultdict(list)
    for path in sorted(Path(folder).glob("*.png")):
        groups[group(path)].append(path)
    keys = sorted(groups)
    rng.shuffle(keys)
    cut = 2 * len(keys) // 3
    train, test = (load([p for key in part for p in groups[key]]) for part in (keys[:cut], keys[cut:]))
net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 49, 2))
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
for epoch in range(12):
    for rows in torch.randperm(len(train[1])).split(24):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(train[0][rows]), train[1][rows]).backward()
        optimizer.step()
with torch.no_grad():
    print((net(test[0]).argmax(1) == test[1]).float().mean().item())
"""


@pytest.mark.parametrize(("group", "found"), [("path.stem", True), ("path.stem.rpartition('_')[0]", False)])
def test_photographs_of_a_plant_belong_to_one_side(group, found, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(PROGRAM.format(group=group), encoding="utf-8")
    told = [f for f in tenfold.check(script, quiet=True).findings if "same thing" in f.what]
    assert [f.rule for f in told] == ["validation-in-training"] * found
    assert all("plant" in f.evidence for f in told)


def test_ways_to_group_files_by_their_names():
    assert dict(groups_of("photos/oak/tree07_leaf2_a.png")) == {
        "folder 0": "photos/oak",
        "folder 1": "photos",
        "folder 2": ".",
        "first 1": "oak/tree07",
        "first 2": "oak/tree07_leaf2",
        "part 1": "oak/…leaf2",
        "part 2": "oak/…a",
    }
    files = [f"oak/tree{tree:02d}_leaf{leaf}.png" for tree in range(12) for leaf in range(4)]
    assert [len(set(groups.values())) for groups in groupings(files)] == [12]
    assert not list(groupings([f"oak/image_{number:03d}.png" for number in range(50)]))


def test_a_file_is_found_in_what_a_net_got_however_it_was_scaled():
    images = torch.rand(6, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    shift = torch.tensor([0.1, 0.5, 0.9])[:, None, None]
    got = Call(0, torch.nn.Identity(), None, 0, False, (), (), images=(images[:4] - shift) / 0.3)
    assert found_in(iter([got]), {f"{at}.png": image for at, image in enumerate(images)}) == {
        f"{at}.png" for at in range(4)
    }
