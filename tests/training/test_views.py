"""Test-time augmentation against plain numpy, its own properties, and where its result is reported."""

import numpy as np
import pytest
import torch
from torch import nn

from tenfold import api
from tenfold.datasets.preprocessing import Preprocessing
from tenfold.training.backend import Backend
from tenfold.training.setup import prepare
from tenfold.training.step import logits_of
from tenfold.training.views import logits_of_views, other_views

CPU = Backend(torch.device("cpu"), "fp32", torch.contiguous_format, 1)


def pictures() -> torch.Tensor:
    return torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_six_views_are_numpys():
    images = pictures()
    wide = np.pad(images.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    up_left, down_right = wide[:, :, :8, :8], wide[:, :, 2:, 2:]
    expected = [
        (1 / 4, images.numpy()[..., ::-1]),
        *((1 / 8, view) for moved in (up_left, down_right) for view in (moved, moved[..., ::-1])),
    ]
    found = other_views(images, "flip_translate")
    assert len(found) == 5
    for (weight, view), (wanted, reference) in zip(found, expected, strict=True):
        assert weight == wanted
        np.testing.assert_array_equal(view.numpy(), reference)


@pytest.mark.parametrize(("tta", "rest"), [("flip", 1 / 2), ("flip_translate", 1 / 4)])
def test_weights_are_whole_and_mirror_images_weigh_the_same(tta, rest):
    weights = [weight for weight, _ in other_views(pictures(), tta)]
    assert 1 - sum(weights) == rest
    assert rest + sum(weights[1::2]) == sum(weights[0::2]) == 1 / 2


class Columns(nn.Module):
    """Logits that depend on which side of the image is bright."""

    def forward(self, x):
        return x.mean(1)[:, 0, [0, 1, -1]]


@pytest.fixture
def judged(small):
    setup = prepare(api.plan(**small))
    model = Columns()
    plain = torch.cat([z for z, _ in logits_of(model, setup.validation, setup.preprocessing, CPU)])
    return model, setup.validation, plain, setup.preprocessing


def test_mirror_pair_makes_a_net_blind_to_mirroring(judged):
    model, images, plain, preprocessing = judged
    averaged = logits_of_views(model, images, plain, "flip", 1.0, preprocessing, CPU)
    torch.testing.assert_close(averaged[:, 0], averaged[:, 2])
    torch.testing.assert_close(averaged[:, 0], (plain[:, 0] + plain[:, 2]) / 2)


def test_only_the_least_sure_share_gets_views(judged):
    model, images, plain, preprocessing = judged
    averaged = logits_of_views(model, images, plain, "flip_translate", 0.3, preprocessing, CPU)
    everything = logits_of_views(model, images, plain, "flip_translate", 1.0, preprocessing, CPU)
    sure = plain.softmax(1).amax(1)
    chosen = sure <= sure.sort().values[3]  # ⌈0.3 · 11⌉ = 4
    assert int(chosen.sum()) == 4
    assert torch.equal(averaged[~chosen], plain[~chosen])
    assert torch.equal(averaged[chosen], everything[chosen])


def test_views_come_after_the_centre_crop():
    made = Preprocessing(8, 6, (0.0,) * 3, (1.0,) * 3)
    cropped = made.crop(pictures())
    assert all(view.shape[-1] == 6 for _, view in other_views(cropped, "flip_translate"))
    assert torch.equal(made.crop(cropped), cropped)


def test_result_is_reported_beside_the_plain_one(small, trained, tmp_path, capsys):
    run = api.train(out=tmp_path, name="views", tta="flip_translate", tta_share=0.5, **small)
    assert "averaged over views (flip_translate) for the least sure 50% of the images" in capsys.readouterr().out
    assert [row.val_accuracy for row in run.epochs] == [row.val_accuracy for row in trained.epochs]
    told = run.read("evaluation_val.json")
    assert told["metrics"] == trained.read("evaluation_val.json")["metrics"]
    assert trained.read("evaluation_val.json")["views"] is None
    assert (told["views"]["tta"], told["views"]["share"], told["views"]["total"]) == ("flip_translate", 0.5, 11)
    found = api.evaluate(run, split="test").views
    assert found.accuracy == found.correct / found.total
    assert found.total == 12
