"""Counts of right answers that go on from one part, or epoch, into the next."""

import pytest

from tenfold.checks.script.carrying import carried_on
from tenfold.checks.script.seen import Seen

TWO = """
correct = total = 0
for x, y in val_loader:
    correct += (net(x).argmax(1) == y).sum().item()
    total += len(y)
{between}
for x, y in test_loader:
    correct += (net(x).argmax(1) == y).sum().item()
    total += len(y)
print(correct / total)
"""
EPOCHS = """
correct = 0
for epoch in range(9):
    {first}
    for x, y in test_loader:
        correct += net(x).argmax(1).eq(y).sum()
    print(epoch, correct / 300)
{after}
"""
LISTS = """
preds, trues = [], []
for epoch in range(9):
    {first}
    for x, y in test_loader:
        preds.extend(net(x).argmax(1).tolist())
        trues.extend(y.tolist())
    print(score(trues, preds))
"""
METER = """
class Hits:
    def reset(self):
        self.n = 0
    def update(self, hits):
        self.n += hits
    def compute(self):
        return self.n
hits = Hits()
def judge(loader):
    {inside}
    for x, y in loader:
        hits.update((net(x).argmax(1) == y).sum())
    return hits.compute()
{calls}
"""


@pytest.mark.parametrize(
    ("code", "line"),
    [
        (TWO.format(between="print(correct / total)"), 7),
        (TWO.format(between="pass"), None),  # both parts together
        (TWO.format(between="print(correct / total)\ncorrect, total = 0, 0"), None),
        (EPOCHS.format(first="pass", after=""), 5),
        (EPOCHS.format(first="correct = 0", after=""), None),
        (EPOCHS.format(first="pass", after="print(correct / 2700)"), None),  # of all rounds, in the end
        (EPOCHS.format(first="pass", after="correct = 0\nprint(correct)"), 5),
        (LISTS.format(first="pass"), 5),
        (LISTS.format(first="preds, trues = [], []"), None),
        (LISTS.format(first="preds.clear(); trues.clear()"), None),
        (METER.format(inside="pass", calls="for part in parts:\n    print(judge(part))"), 15),
        (METER.format(inside="pass", calls="print(judge(val))\nprint(judge(test))"), 16),
        (METER.format(inside="pass", calls="print(judge(val))\nhits.reset()\nprint(judge(test))"), None),
        (METER.format(inside="pass", calls="for part in parts:\n    hits.reset()\n    print(judge(part))"), None),
        (METER.format(inside="hits.reset()", calls="print(judge(val))\nprint(judge(test))"), None),
        (METER.format(inside="pass", calls="print(judge(test))"), None),
        (METER.format(inside="pass", calls="if a:\n    judge(val)\nelse:\n    judge(test)"), None),
    ],
)
def test_where_a_count_goes_on(code, line, tmp_path):
    file = tmp_path / "train.py"
    file.write_text(code, encoding="utf-8")
    found = list(carried_on(Seen(str(file), [str(file)])))
    assert [f.line for f in found] == ([line] if line else [])
