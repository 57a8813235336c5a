"""Right answers that are overwritten, or divided by something else than what they were counted over."""

import pytest
import torch
from torch.utils.data import DataLoader, SubsetRandomSampler, TensorDataset

from tenfold.checks.script.counting import counted_wrongly
from tenfold.checks.script.seen import Loader, Place, Seen

LOOP = """
val_loader = DataLoader(val, 16, sampler=sampler)
correct = total = 0
for x, y in {loader}:
    {count}
    {beside}
print({result})
"""
RIGHT = "(net(x).argmax(1) == y)"
SUM, MEAN = f"correct += {RIGHT}.sum().item()", f"correct += {RIGHT}.float().mean().item()"
DATA = TensorDataset(torch.zeros(100, 1), torch.zeros(100))


def program(count=SUM, beside="total += len(y)", result="correct / total", loader="val_loader"):
    return LOOP.format(count=count, beside=beside, result=result, loader=loader)


@pytest.mark.parametrize(
    ("code", "line"),
    [
        (program(), None),
        (program(beside="total += 1"), 7),
        (program(beside="total += 1", loader="images"), None),  # one image after the other
        (program(result="correct // total"), 7),
        (program(result="100 * correct // total"), None),  # per cent
        (program(count=MEAN, result="correct / len(val_loader)"), None),
        (program(count=MEAN, result="correct / len(val)"), 7),
        (program(count=MEAN, result="correct / len(val_loader.dataset)"), 7),
        (program(count=MEAN, result="correct / total"), 7),
        (program(count=MEAN, beside="total += 1", result="correct / total"), None),
        (program(count="acc = (net(x).argmax(1) == y).float().mean()", result="acc"), 5),
        (program(count="acc = (net(x).argmax(1) == y).float().mean()", beside="accs.append(acc)", result="accs"), None),
        (program(result="correct / len(val_loader)"), 7),
        (program(result="correct / len(val_loader.dataset)"), 7),  # the sampler takes 40 of 100
        (program(result="correct / len(val_loader.sampler)"), None),
    ],
)
def test_what_right_answers_are_divided_by(code, line, tmp_path):
    file = tmp_path / "train.py"
    file.write_text(code, encoding="utf-8")
    loader = DataLoader(DATA, 16, sampler=SubsetRandomSampler(range(40)))
    fact = Loader(loader, Place(str(file), 2), batches=3, judged=3)
    found = list(counted_wrongly(Seen(str(file), [str(file)], loaders=[fact])))
    assert [f.line for f in found] == ([line] if line else [])


def test_a_loader_of_single_images_has_as_many_rounds(tmp_path):
    file = tmp_path / "train.py"
    file.write_text(program(beside="total += 1"), encoding="utf-8")
    fact = Loader(DataLoader(DATA, 1), Place(str(file), 2), batches=3, judged=3)
    assert list(counted_wrongly(Seen(str(file), [str(file)], loaders=[fact]))) == []
