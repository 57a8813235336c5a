"""Labels that are smoothed away, and images that augmentation wipes out."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tenfold.checks.script.augmentation import blank, images_erased
from tenfold.checks.script.normalisation import grey, normalisation_differs
from tenfold.checks.script.seen import Call, LossCall, Place, Seen
from tenfold.checks.script.smoothing import labels_smoothed, spread_share, unsmoothed

HOT = F.one_hot(torch.arange(12) % 6, 6).float()
MIXED = 0.3 * HOT + 0.7 * HOT.roll(1, 0)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("plain", [HOT, MIXED])
def test_smoothing_is_measured_and_taken_back(plain, share):
    smoothed = (1 - share) * plain + share / 6
    assert spread_share(smoothed) == pytest.approx([share] * 12, abs=1e-4)
    assert torch.allclose(unsmoothed(smoothed), plain, atol=1e-4)


def test_soft_targets_are_no_smoothed_labels():
    teacher = torch.randn(12, 6, generator=torch.Generator().manual_seed(0)).softmax(1)
    assert spread_share(teacher) is None
    assert torch.equal(unsmoothed(teacher), teacher)
    assert spread_share(torch.arange(12)) is None
    assert spread_share(HOT[:, :2]) is None


def entropy(**facts) -> LossCall:
    """A training loss with these facts."""
    return LossCall("cross_entropy", Place("a.py", 7), 0, True, (12, 6), (12,), "int64", 0, 5, True, 1.8, "mean", None,
                    0.0, 1.0, (0.0, 1.0), None, backward=True, **facts)  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "severity"),
    [
        ({}, []),
        ({"smoothing": 0.1}, []),
        ({"smoothing": 0.6}, ["warning"]),
        ({"smoothing": 0.9}, ["error"]),
        ({"target": 0.05 * HOT + 0.95 / 6}, ["error"]),
        ({"target": 0.95 * HOT + 0.05 / 6}, []),
    ],
)
def test_labels_that_are_smoothed_away(facts, severity):
    assert [f.severity for f in labels_smoothed(Seen("a.py", losses=[entropy(**facts)]))] == severity


def call(images: torch.Tensor, train: bool) -> Call:
    """A net's call on these images."""
    made = Call(
        0, nn.Identity(), Place("a.py", 9), 0, train, (), (), tuple(images.shape), trained=train, judged=not train
    )
    made.images, made.mean, made.std = images, float(images.mean()), float(images.std())
    return made


def test_training_images_of_which_nothing_is_left():
    images = torch.randn(40, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    erased = images.clone()
    erased[::2] = 0.0
    assert blank([call(erased, True)]) == 0.5
    assert blank([call(images[:8], True)]) is None
    seen = Seen("a.py", calls=[call(0.3 * erased, True), call(images, False)])
    assert [f.rule for f in images_erased(seen)] == ["augmentation-breaks-labels"]
    assert not list(normalisation_differs(seen)), "they are scaled alike, as far as there is anything"
    assert not list(images_erased(Seen("a.py", calls=[call(erased, True), call(erased, False)])))
    assert not list(images_erased(Seen("a.py", calls=[call(images, True), call(images, False)])))


def test_images_of_one_grey_although_their_brightness_is_drawn():
    draw = torch.Generator().manual_seed(0)
    flat = -1.9 + 0.004 * torch.randn(32, 3, 8, 8, generator=draw)
    assert grey(call(flat * (0.9 + 0.2 * torch.rand(32, 1, 1, 1, generator=draw)), True))
    assert not grey(call(torch.rand(32, 3, 1, 1, generator=draw).expand(32, 3, 8, 8) + 1e-3 * flat, True)), "colours"
    assert not grey(call(torch.randn(32, 3, 8, 8, generator=draw), True))
