"""Crops and zooms that move images along a scale of classes, and penalties that outweigh the loss."""

import pytest

import tenfold

BARS = """
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)

def draw(n):
    y = torch.randint(0, 5, (n,))
    x = 0.1 * torch.randn(n, 1, 20, 20)
    for image, length in zip(x, y.tolist()):
        top, left = torch.randint(8, 11, ()), torch.randint(8, 11, ()) - length
        image[0, top : top + 2, left : left + 2 * length + 2] += 1  # a class is a length
    return (x - 0.1) / 0.3, y

def augment(x):
    side = int(torch.randint({least}, 21, ()))
    top, left = torch.randint(0, 21 - side, (2,)).tolist()
    part = x[:, :, top : top + side, left : left + side]
    return F.interpolate(part, size=20, mode="bilinear", align_corners=False)

(x, y), (xt, yt) = draw(900), draw(500)
net = nn.Sequential(nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(800, 5))
optimizer = torch.optim.SGD(net.parameters(), lr=0.02)
for epoch in range(2):
    for rows in torch.randperm(900).split(30):
        optimizer.zero_grad()
        F.cross_entropy(net(augment(x[rows])), y[rows]).backward()
        optimizer.step()
with torch.no_grad():
    print((net(xt).argmax(1) == yt).float().mean().item())
"""
PENALTY = """
import torch
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(400, 1, 8, 8), torch.randint(0, 4, (400,))
net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 4))
{start}
for step in range(40):
    rows = torch.randperm(400)[:50]
    hidden = net[1](net[0](x[rows]))
    loss = nn.functional.cross_entropy(net[3](hidden.flatten(1)), y[rows])
    optimizer.zero_grad()
    ({went}).backward()
    optimizer.step()
"""


@pytest.mark.parametrize(("least", "found"), [(13, True), (20, False)])
def test_a_zoom_changes_what_a_length_says(least, found, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(BARS.format(least=least), encoding="utf-8")
    told = [f for f in tenfold.check(script, quiet=True).findings if f.rule == "augmentation-breaks-labels"]
    assert [f.what for f in told] == [
        "The augmentation moves images to a higher class than their labels say",
    ] * found


STILL = "optimizer = torch.optim.SGD(net.parameters(), lr=1e-4)"
WIDE = "net[3].weight.data *= 8; optimizer = torch.optim.Adam(net.parameters(), lr=0.05)"
"""A net that learns nothing in forty steps, and one that guesses with conviction and must unlearn that first."""


@pytest.mark.parametrize(
    ("start", "went", "found"),
    [
        (STILL, "loss + 0.01 * hidden.abs().sum() / 2", True),
        (STILL, "loss + 0.01 * hidden.abs().mean()", False),
        (STILL, "1024 * loss", False),  # as for half precision
        (WIDE, "loss + 10 * hidden.abs().sum() + 1000 * net[3].weight.abs().sum()", True),
        (WIDE, "loss + 0.01 * hidden.abs().mean()", False),
    ],
)
def test_a_penalty_that_outweighs_the_loss(start, went, found, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(PENALTY.format(start=start, went=went), encoding="utf-8")
    told = [f for f in tenfold.check(script, quiet=True).findings if "outweighs" in f.what]
    assert [f.rule for f in told] == ["loss-reduction"] * found
