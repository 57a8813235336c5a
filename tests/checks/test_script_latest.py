"""Loops that judge a batch left from another loop, run for real."""

import pytest

import tenfold

PROGRAM = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
images = torch.rand(240, 1, 8, 8)
labels = (images[:, 0, :4].mean((1, 2)) > images[:, 0, 4:].mean((1, 2))).long()
train = DataLoader(TensorDataset(images[:160], labels[:160]), 16, shuffle=True)
val = DataLoader(TensorDataset(images[160:], labels[160:]), 16)
net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 2))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
fixed, fixed_labels = next(iter(val))
for epoch in range(3):
    net.train()
    for x, y in train:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        {monitor}
    net.eval()
    correct = 0
    with torch.no_grad():
        for xb, yb in val:
            correct += (net({images}).argmax(1) == {labels}).sum().item()
    print(epoch, correct / 80)
"""
MONITOR = """with torch.no_grad():
            seen = (net(fixed).argmax(1) == fixed_labels).float().mean()"""


@pytest.mark.parametrize(
    ("images", "labels", "monitor", "found"),
    [
        ("x", "yb", "", True),
        ("x", "y", "", True),
        ("xb", "yb", "", False),
        ("xb", "yb", MONITOR, False),  # the same batch after every step, while training goes on
    ],
)
def test_a_batch_left_from_training_is_not_what_a_loop_over_others_judges(images, labels, monitor, found, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(PROGRAM.format(images=images, labels=labels, monitor=monitor), encoding="utf-8")
    told = [f for f in tenfold.check(script, steps=20, quiet=True).findings if "never judges the batches" in f.what]
    lines = script.read_text(encoding="utf-8").splitlines()
    assert [lines[f.line - 1].strip().partition(" ")[0] for f in told] == (["correct"] if found else [])
