"""Several views of each image whose labels are repeated in another order, and augmentation that makes other classes."""

import pytest
import torch

import tenfold
from tenfold.checks.script.views import image_held

VIEWS = """
import torch
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(300, 1, 16, 16), torch.randint(0, 3, (300,))
x += torch.stack([torch.zeros(16), torch.linspace(-2, 2, 16), torch.linspace(2, -2, 16)])[y][:, None, None]
net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, 3))
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=20, shuffle=True)
for epoch in range(2):
    for images, labels in loader:
        at = torch.randint(0, 5, (4, 2)).tolist()
        views = torch.{put}([images[:, :, r : r + 12, c : c + 12] for r, c in at]{axis}).flatten(0, {last})
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(views), labels.{repeated}(4)).backward()
        optimizer.step()
with torch.no_grad():
    print((net(x).argmax(1) == y).float().mean().item())
"""
SIZES = """
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)

def draw(n):
    y = torch.randint(0, 3, (n,))
    row, column = torch.meshgrid(torch.arange(20), torch.arange(20), indexing="ij")
    from_middle = ((row - 9.5) ** 2 + (column - 9.5) ** 2).sqrt()
    radius = torch.tensor([3.0, 5.0, 7.0])[y] + torch.rand(n) - 0.5
    return (from_middle < radius[:, None, None]).float()[:, None] + 0.1 * torch.randn(n, 1, 20, 20), y

def pose(x):
    theta = torch.zeros(len(x), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = torch.empty(len(x)).uniform_({least}, {most})
    grid = F.affine_grid(theta, x.shape, align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)

(x, y), (xt, yt) = draw(600), draw(400)
net = nn.Sequential(nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(800, 3))
optimizer = torch.optim.SGD(net.parameters(), lr=0.02)
for epoch in range(2):
    for rows in torch.randperm(600).split(30):
        optimizer.zero_grad()
        F.cross_entropy(net(pose(x[rows])), y[rows]).backward()
        optimizer.step()
with torch.no_grad():
    print((net(xt).argmax(1) == yt).float().mean().item())
"""


@pytest.mark.parametrize(
    ("put", "repeated", "found"),
    [("stack", "repeat", False), ("stack", "repeat_interleave", True), ("cat", "repeat", False)],
)
def test_labels_repeated_as_the_views_lie(put, repeated, found, tmp_path):
    script = tmp_path / "train.py"
    choice = {"put": put, "axis": "", "last": 1 if put == "stack" else 0, "repeated": repeated}
    script.write_text(VIEWS.format(**choice), encoding="utf-8")
    told = [f for f in tenfold.check(script, quiet=True).findings if f.severity != "note"]
    assert [f.rule for f in told if "Views" in f.what] == ["wrong-labels"] * found


@pytest.mark.parametrize(("least", "most", "found"), [(0.5, 1.8, True), (0.95, 1.05, False)])
def test_zooms_where_size_tells_the_class(least, most, found, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SIZES.format(least=least, most=most), encoding="utf-8")
    told = [f.rule for f in tenfold.check(script, quiet=True).findings if f.severity != "note"]
    assert ("augmentation-breaks-labels" in told) == found


def test_the_image_that_a_view_was_cut_from():
    images = torch.randn(5, 3, 16, 16)
    views = torch.stack([images[4, :, 2:12, 3:13], images[1, :, 0:10, 6:16].flip(-1), torch.randn(3, 10, 10)])
    assert image_held(images, views).tolist() == [4, 1, -1]
    assert image_held(images, torch.randn(2, 1, 10, 10)).tolist() == [-1, -1]
    assert image_held(images, torch.randn(2, 3, 4, 4)).tolist() == [-1, -1]
