"""Crops and zooms that move images along a scale of classes, and penalties that outweigh the loss."""

import pytest
import torch

import tenfold
from tenfold.checks.script.graded import to_the_next

HEAD = """
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
"""
TRAINS = """
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
BARS = """
def draw(n):
    y = torch.randint(0, 5, (n,))
    x = 0.1 * torch.randn(n, 1, 20, 20)
    for image, length in zip(x, y.tolist()):
        top, left = torch.randint(8, 11, ()), torch.randint(8, 11, ()) - length
        image[0, top : top + 2, left : left + 2 * length + 2] += 1  # a class is a length
    return (x - 0.1) / 0.3, y

def augment(x):
    side = int(torch.randint({least}, {most}, ()))
    top, left = {corner}
    part = x[:, :, top : top + side, left : left + side]
    return F.interpolate(part, size=20, mode="bilinear", align_corners=False)

"""
ERASED = """
KINDS = torch.randn(5, 1, 7, 7)

def draw(n):
    y = torch.randint(0, 5, (n,))
    x = 0.3 * torch.randn(n, 1, 20, 20)
    for image, kind in zip(x, y.tolist()):
        top, left = torch.randint(4, 10, (2,)).tolist()
        image[:, top : top + 7, left : left + 7] += KINDS[kind]
    return x, y

def augment(x):
    x = x.roll(torch.randint(-4, 5, (2,)).tolist(), (2, 3)) * (0.1 + 1.8 * torch.rand(len(x), 1, 1, 1))
    for image in x:
        top, left = torch.randint(0, 7, (2,)).tolist()
        image[:, top : top + 14, left : left + 14] = 0
    return x

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


LARGER = "The augmentation moves images to a higher class than their labels say"
OTHERS = "Augmented images look like other classes than their labels say"
ANYWHERE, CENTRE = "torch.randint(0, 21 - side, (2,)).tolist()", "17 - side // 2, 17 - side // 2"


@pytest.mark.parametrize(
    ("least", "most", "corner", "found"),
    [(13, 21, ANYWHERE, [LARGER]), (20, 21, ANYWHERE, []), (12, 35, CENTRE, [OTHERS])],
)
def test_a_zoom_changes_what_a_length_says(least, most, corner, found, tmp_path):
    script, program = tmp_path / "train.py", HEAD + BARS.format(least=least, most=most, corner=corner) + TRAINS
    if corner == CENTRE:  # in and out
        program = program.replace("def augment(x):", "def augment(x):\n    x = F.pad(x, (7, 7, 7, 7), value=-0.3)")
    script.write_text(program, encoding="utf-8")
    told = [f for f in tenfold.check(script, quiet=True).findings if f.rule == "augmentation-breaks-labels"]
    assert [f.what for f in told] == found
    assert all("[:, :, top : top + side" in program.splitlines()[f.line - 1] for f in told)


def test_images_of_which_little_is_left_are_no_others(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(HEAD + ERASED + TRAINS, encoding="utf-8")
    rules = {f.rule for f in tenfold.check(script, quiet=True).findings}
    assert not rules & {"augmentation-breaks-labels", "wrong-labels"}


def test_errors_to_the_next_degree_or_to_any():
    labels = torch.arange(5).repeat(40)
    assert to_the_next((labels + 1).clamp(max=4), labels)
    assert not to_the_next(torch.zeros_like(labels), labels)
    assert not to_the_next(labels, labels)


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
