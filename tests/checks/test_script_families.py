"""Files of one family on both sides of a split, by their names; settings that name the test images."""

import pytest
from torch.utils.data import DataLoader, Dataset

from tenfold.checks.script.families import families_split, family
from tenfold.checks.script.seen import Loader, LossCall, Place, Seen
from tenfold.checks.script.selection import set_to_test
from tenfold.checks.script.source import tree


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("oak/plant07_shot3.png", "oak/plant07"),
        ("a/oak/plant07-2.jpg", "oak/plant07"),
        ("oak/plant07.b.png", "oak/plant07"),
        ("oak/IMG_0001.png", None),
        ("oak/0001.png", None),
        (17, None),
    ],
)
def test_families_by_name(file, name):
    assert family(file) == name


class Files(Dataset):
    """A dataset that keeps paths and labels."""

    def __init__(self, files):
        self.samples = [(file, 0) for file in files]

    def __len__(self):
        return len(self.samples)


ALL = [f"photos/{k}/plant{p:02d}_{shot}.png" for k in ("oak", "ivy") for p in range(12) for shot in range(4)]


@pytest.mark.parametrize(
    ("training", "judged", "found"),
    [
        (ALL[::2], ALL[1::2], 1),
        (ALL[:36] + ALL[48:84], ALL[36:48] + ALL[84:], 0),  # whole plants
        ([f"p/{k}/c{k}_{n}.png" for k in range(12) for n in range(8)],
         [f"p/{k}/c{k}_{n}.png" for k in range(12) for n in range(8, 16)], 0),  # the number is the class's
        ([f"p/IMG_{n}.png" for n in range(40)], [f"p/IMG_{n}.png" for n in range(40, 60)], 0),
        ([f"p/{n:03d}_cat.png" for n in range(40)], [f"p/{n:03d}_cat.png" for n in range(40, 60)], 0),
    ],
)  # fmt: skip
def test_families_on_both_sides(training, judged, found):
    loaders = [Loader(DataLoader(Files(files)), None) for files in (training, judged)]
    loaders[0].steps, loaders[1].batches = 9, 2
    columns = 12 if "c0_" in training[0] else 2
    loss = LossCall("cross_entropy", Place("a.py", 7), 0, True, (8, columns), (8,), "int64", 0, 1, True, 0.7, "mean",
                    None, 0.0, 1.0, (0.0, 1.0), None, backward=True)  # fmt: skip
    assert len(list(families_split(Seen("a.py", loaders=loaders, losses=[loss])))) == found


@pytest.mark.parametrize(
    ("setting", "key", "line"),
    [
        ("class S:\n    monitor: str = 'test'", "s.monitor", 2),
        ("class S:\n    monitor: str = 'val'", "s.monitor", None),
        ("class S:\n    monitor: str = 'test'\ns = S(monitor='val')", "s.monitor", None),
        ("cfg = {'monitor': 'test'}", "cfg['monitor']", 1),
        ("SPLIT = 'testing'", "SPLIT", 1),
        ("p.add_argument('--monitor', default='test')", "args.monitor", 1),
        ("n = 3", "n", None),
    ],
)
def test_settings_that_name_the_test_images(setting, key, line, tmp_path):
    file = tmp_path / "train.py"
    file.write_text(f"{setting}\nscore = judge(net, loaders[{key}])\n", encoding="utf-8")
    parsed = tree(str(file))
    found = set_to_test(parsed, parsed.body[-1].value)
    assert (found.lineno if found is not None else None) == line
