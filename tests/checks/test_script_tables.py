"""Confusion tables divided along the one axis and the other, and files opened in the order of text."""

import pytest

from tenfold.checks.script.orders import as_text, opened_as_text
from tenfold.checks.script.seen import Seen
from tenfold.checks.script.tables import wrong_sums

LOOP = """for truth, pred in zip(labels, predicted):
    table[{index}] += 1
{name} = table.diag() / table.sum({axis})
"""
BINS = """table = torch.bincount(y * 4 + out.argmax(1), minlength=16).view(4, 4)
{name} = table.diagonal() / table.sum(dim={axis})
"""


def seen_of(text, tmp_path, **facts):
    file = tmp_path / "train.py"
    file.write_text(text, encoding="utf-8")
    return Seen(str(file), sources=[str(file)], **facts)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (LOOP.format(index="truth, pred", name="per_class", axis=0), True),
        (LOOP.format(index="truth, pred", name="per_class", axis=1), False),
        (LOOP.format(index="pred, truth", name="recall", axis="axis=1"), True),
        (LOOP.format(index="pred, truth", name="recall", axis="axis=0"), False),
        (LOOP.format(index="truth, pred", name="precision", axis=0), False),
        (LOOP.format(index="truth, pred", name="precision", axis=1), True),
        (LOOP.format(index="one, two", name="recall", axis=0), False),  # nobody knows which is which
        (BINS.format(name="balanced", axis=0), True),
        (BINS.format(name="balanced", axis=1), False),
    ],
)
def test_the_axis_that_a_diagonal_is_divided_along(text, found, tmp_path):
    told = list(wrong_sums(seen_of(text, tmp_path)))
    assert [(f.rule, f.line) for f in told] == [("accuracy-axis", len(text.splitlines()))] * found


READS = "paths = sorted(folder.glob('*.png'))\nlabels = (folder / 'labels.txt').read_text().split()\n"


@pytest.mark.parametrize(
    ("text", "numbers", "found"),
    [
        (READS, range(95, 115), True),
        (READS, range(100, 120), False),
        (READS + "kinds = [path.stem for path in paths]\n", range(95, 115), False),
        ("paths = sorted(folder.glob('*.png'))\n", range(95, 115), False),
    ],
)
def test_files_opened_as_text_beside_labels_line_by_line(text, numbers, found, tmp_path):
    opened = sorted(f"/data/frame_{number:02d}.png" for number in numbers)
    told = list(opened_as_text(seen_of(text, tmp_path, opened=opened)))
    assert [(f.rule, f.line) for f in told] == [("wrong-labels", 1)] * found


def test_files_in_the_order_of_their_numbers_are_in_order():
    from pathlib import PurePath

    assert as_text([PurePath(f"frame_{number}.png") for number in range(95, 115)]) is None
    swapped = as_text([PurePath(name) for name in sorted(f"frame_{number}.png" for number in range(95, 115))])
    assert swapped == (PurePath("frame_114.png"), PurePath("frame_95.png"))
