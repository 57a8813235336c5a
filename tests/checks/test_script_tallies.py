"""Counts of right answers that nothing sets back to 0 between training and evaluation, in programs run for real."""

import pytest

import tenfold

PROGRAM = """
import torch
from torch import nn

torch.manual_seed(0)
images = torch.rand(240, 1, 8, 8)
labels = (images[:, 0, :4].mean((1, 2)) > images[:, 0, 4:].mean((1, 2))).long()
net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 2))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

class Meter:
    def __init__(self):
        self.reset()

    def reset(self):
        self.right = self.total = 0

    def update(self, out, y):
        self.right += (out.argmax(1) == y).sum(){item}
        self.total += len(y)

class Trainer:
    def __init__(self):
        self.meter, self.other = Meter(), Meter()

    def run(self, x, y, training):
        meter = {meter}
        for rows in torch.randperm(len(x)).split(16):
            with torch.set_grad_enabled(training):
                out = net(x[rows])
            if training:
                optimizer.zero_grad()
                nn.functional.cross_entropy(out, y[rows]).backward()
                optimizer.step()
            meter.update(out, y[rows])
        return float(meter.right / meter.total)

trainer = Trainer()
for epoch in range(4):
    trainer.meter.reset()
    trainer.run(images[:160], labels[:160], True)
    {reset}
    print(trainer.run(images[160:], labels[160:], False))
"""


@pytest.mark.parametrize("item", ["", ".item()"])
@pytest.mark.parametrize(
    ("meter", "reset", "found"),
    [
        ("self.meter", "pass", True),
        ("self.meter", "trainer.meter.reset()", False),
        ("self.meter if training else self.other", "trainer.other.reset()", False),
    ],
)
def test_right_answers_of_training_do_not_count_in_the_evaluation(meter, reset, found, item, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(PROGRAM.format(meter=meter, reset=reset, item=item), encoding="utf-8")
    told = [f for f in tenfold.check(script, quiet=True).findings if f.rule == "accuracy-count"]
    assert [f.what for f in told] == [
        "Right answers of training are still in `right` when the evaluation begins"
    ] * found
    lines = script.read_text(encoding="utf-8").splitlines()
    assert all("trainer.run(images[160:]" in lines[f.line - 1] for f in told)
