"""Smaller images first: which size when, the resizing against Pillow's, and nets that cannot."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from tenfold import api
from tenfold.cli import main
from tenfold.errors import RecipeError
from tenfold.runs import Run
from tenfold.training.curriculum import resized, size_at
from tenfold.training.loop import seconds_left
from tenfold.training.setup import prepare

SMALL_NET = {"name": "sprint", "width": 0.125}


def test_stages_follow_each_other_and_end():
    stages = ((24, 2), (28, 1))
    assert [size_at(stages, epoch) for epoch in range(5)] == [24, 24, 28, None, None]
    assert size_at((), 0) is None


@pytest.mark.parametrize("side", [16, 24, 28])
def test_resizing_is_pillows(side):
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    made = resized(images, side)
    for mine, image in zip(made, images):
        picture = Image.fromarray(image.permute(1, 2, 0).numpy()).resize((side, side), Image.Resampling.BILINEAR)
        difference = np.asarray(picture).astype(int) - mine.permute(1, 2, 0).numpy().astype(int)
        assert np.abs(difference).max() <= 1
    assert made.dtype == torch.uint8
    assert resized(images, None) is images


def test_flat_images_stay_flat():
    images = torch.arange(0, 250, 50, dtype=torch.uint8)[:, None, None, None].expand(5, 3, 32, 32)
    assert torch.equal(resized(images, 24), images[..., :24, :24])


@pytest.mark.parametrize("net", [SMALL_NET, {"name": "resnet20"}, {"name": "simplenn", "adaptive_pool": True}])
def test_nets_for_any_size_take_it(net, small):
    prepare(api.plan(**small, model=net, curriculum=[[24, 2]]))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"curriculum": [[24, 1]]}, "built for 32 pixels, does not take images of 24 pixels"),
        ({"curriculum": [[8, 1]], "model": SMALL_NET}, "does not take images of 8 pixels"),
        ({"curriculum": [[24, 1], [32, 1]], "model": SMALL_NET}, "32 pixels are not fewer than the images' 32"),
        ({"curriculum": [[24, 4]], "model": SMALL_NET}, "its stages take 4 epochs, the run has 3"),
    ],
)
def test_sizes_that_cannot_be_are_refused(options, told, small):
    with pytest.raises(RecipeError, match=told):
        prepare(api.plan(**small, **options))


def test_command_line_takes_pairs(small, tmp_path):
    options = [f"--{key}={value}" for key, value in {**small, "epochs": 1}.items()]
    more = ["--model.name", "sprint", "--model.width", "0.125", "--curriculum", "24", "1"]
    assert main(["train", *options, *more, "--out", str(tmp_path), "--name", "run"]) == 0
    assert Run.open(tmp_path / "run").recipe.curriculum == ((24, 1),)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"epochs": 3}, "its stages take 4 epochs, the run has 3. It is left out."),
        ({"epochs": 5, "image_size": 16}, "20 pixels are not fewer than the images' 16. It is left out."),
    ],
)
def test_a_recipes_own_that_does_not_fit_is_left_out_and_said(options, told, small):
    setup = prepare(api.plan("sprint", **{**small, "model.width": 0.125, **options}))
    assert setup.recipe.curriculum == ()
    assert any(told in note for note in setup.notes)


def test_time_left_counts_pixels(small):
    setup = prepare(api.plan(**small, model=SMALL_NET, curriculum=[[16, 1]]))
    at = setup.state.progress
    assert seconds_left(setup) is None
    at.rows.append(SimpleNamespace(seconds=1.0))
    at.epoch = 1
    assert seconds_left(setup) == pytest.approx(2 * 32**2 / 16**2)
