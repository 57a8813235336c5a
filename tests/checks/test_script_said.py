"""Accuracies that a program tells, held against what its net had right, in programs run for real."""

import pytest

import tenfold
from tenfold.checks.script.said import accuracies
from tenfold.checks.script.seen import Said

PROGRAM = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
y = torch.arange(500) % 3
x = 0.9 * torch.randn(500, 1, 8, 8)
for i, k in enumerate(y.tolist()):
    x[i, :, 2 * k:2 * k + 2] += 0.8
net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3))
optimizer = torch.optim.SGD(net.parameters(), lr=0.02)
train = DataLoader(TensorDataset(x[:300], y[:300]), 25, shuffle=True)
test = DataLoader(TensorDataset(x[300:], y[300:]), 64)

def judge():
    table = torch.zeros(3, 3)
    with torch.no_grad():
        for images, labels in test:
            best = net(images).argmax(1)
            {count}
    return float(table.diag().sum() / table.sum())

for epoch in range(3):
    for images, labels in train:
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(images), labels).backward()
        optimizer.step()
    print(f"epoch {{epoch}} {told} {{judge():.4f}}")
"""
RIGHT = "table.index_put_((labels, best), torch.ones(len(best)), accumulate=True)"
WRONG = "table[labels, best] += 1"


@pytest.mark.parametrize(
    ("count", "told", "found"),
    [
        (RIGHT, "test accuracy", False),
        (WRONG, "test accuracy", True),
        (WRONG, "mean recall", False),  # of another figure nothing is known
    ],
)
def test_accuracy_that_is_not_the_share_of_right_answers(count, told, found, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(PROGRAM.format(count=count, told=told), encoding="utf-8")
    findings = [f for f in tenfold.check(script, quiet=True).findings if "is not the share" in f.what]
    assert [(f.rule, f.line) for f in findings] == [("accuracy-count", 29)] * found


PROTOTYPES = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.kinds = nn.Linear(64, 8), nn.Parameter(torch.randn(3, 8))

    def forward(self, x):
        return (self.embed(x.flatten(1))[:, None] - self.kinds).pow(2).sum(-1)

torch.manual_seed(0)
y = torch.arange(500) % 3
x = 0.9 * torch.randn(500, 1, 8, 8)
for i, k in enumerate(y.tolist()):
    x[i, :, 2 * k:2 * k + 2] += 0.8
net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
for epoch in range(4):
    for rows in torch.randperm(300).split(25):
        optimizer.zero_grad()
        nn.functional.nll_loss(torch.log_softmax(-net(x[rows]), 1), y[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = net(x[300:]).argmin(1).eq(y[300:]).float().mean().item()
    print(f"epoch {epoch} accuracy {accuracy:.3f}")
"""


def test_the_least_of_distances_is_the_answer(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(PROTOTYPES, encoding="utf-8")
    assert not [f for f in tenfold.check(script, quiet=True).findings if f.rule == "accuracy-count"]


DISTANCES = """
import torch
from torch import nn

torch.manual_seed(0)
y = torch.arange(300) % 3
x = 0.5 * torch.randn(300, 1, 8, 8)
for i, k in enumerate(y.tolist()):
    x[i, :, 2 * k:2 * k + 2] += 0.8
net = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
optimizer = torch.optim.SGD(net.parameters(), lr=0.02)
for step in range(60):
    out = net(x[:200])
    centres = torch.stack([out[y[:200] == k].mean(0) for k in range(3)])
    optimizer.zero_grad()
    (torch.cdist(out, centres)[torch.arange(200), y[:200]].mean() / centres.std()).backward()
    optimizer.step()
with torch.no_grad():
    near = torch.cdist(net(x[200:]), centres).argmin(1)
print(f"accuracy {(near == y[200:]).float().mean():.4f}")
"""


def test_of_nets_whose_outputs_are_no_scores_nothing_is_said(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(DISTANCES, encoding="utf-8")
    assert not [f for f in tenfold.check(script, quiet=True).findings if "is not the share" in f.what]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("epoch 3: loss 0.512, val acc 0.8125", [(0.8125, 1)]),
        ("Test set: Accuracy: 387/500 (77.4%)", []),
        ("accuracy 77.40 %", [(0.774, 1)]),
        ("top-2 accuracy on the test pieces: 0.913", [(0.913, 2)]),
        ("train accuracy 0.9312", []),
        ("Trefferquote: 0.8815", [(0.8815, 1)]),
        ("best accuracy 0.9312, macro recall 0.2", []),
        ("accuracy of class 3: 0.25", []),
    ],
)
def test_numbers_that_are_called_an_accuracy(text, values):
    assert [(told.value, told.best) for told in accuracies(Said(text, 0, None))] == values
