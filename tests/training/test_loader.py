"""The input path: every image once an epoch, streams that depend on the seed and the position alone, preprocessing."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold import api
from tenfold.datasets import preprocessing
from tenfold.datasets.preprocessing import CONSTANTS, Preprocessing, channel_statistics, fit_preprocessing
from tenfold.errors import RecipeError
from tenfold.recipe import PreprocessOptions
from tenfold.training.setup import prepare


@pytest.fixture
def setup(small):
    return prepare(api.plan("simplenn-augment", **small))


def test_every_image_once_an_epoch_in_an_order_of_its_own(setup):
    loader = setup.loader
    orders = [torch.cat([loader.positions(epoch, step) for step in range(loader.steps)]).tolist() for epoch in (0, 1)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(len(loader.images)))
    assert orders[0] != orders[1]


def test_batch_depends_on_seed_epoch_and_step_alone(small, setup):
    other = prepare(api.plan("simplenn-augment", **small))
    wanted = setup.loader.batch(1, 3)
    other.loader.batch(0, 0)
    for mine, theirs in zip(wanted, other.loader.batch(1, 3)):
        assert torch.equal(mine, theirs)
    seeded = prepare(api.plan("simplenn-augment", **small, seed=1))
    assert not torch.equal(wanted[0], seeded.loader.batch(1, 3)[0])


def test_alternating_flip_shows_each_image_mirrored_in_the_next_epoch(small):
    options = {"horizontal_flip_mode": "alternating", "crop": 0}
    loader = prepare(api.plan("simplenn-augment", **small, augment=options)).loader
    shown = []
    for epoch in range(3):
        images = torch.cat([loader.batch(epoch, step)[0] for step in range(loader.steps)])
        order = torch.cat([loader.positions(epoch, step) for step in range(loader.steps)])
        shown.append(images[order.argsort()])
    assert torch.equal(shown[0], shown[2])
    assert torch.equal(shown[0], shown[1].flip(-1))
    plain, _ = loader.images.take(torch.arange(len(loader.images)))
    assert 20 < sum(torch.equal(a, b) for a, b in zip(shown[0], plain)) < 77


def test_mixed_labels_come_as_targets_in_the_same_order_of_images(small):
    plain, mixed = (
        prepare(api.plan("simplenn-augment", **small, augment=options)).loader for options in ({}, {"mixup": 0.2})
    )
    (images, labels), (laid, targets) = plain.batch(1, 2), mixed.batch(1, 2)
    assert targets.shape == (len(labels), 3)
    assert not torch.equal(images, laid)
    kept = targets[torch.arange(len(labels)), labels]
    assert float(kept.mean()) > 0.4


def test_curriculum_shows_smaller_images_first(small):
    options = {"curriculum": [[16, 1], [24, 1]], "model": {"name": "sprint", "width": 0.125}}
    loader = prepare(api.plan("simplenn-augment", **small, **options)).loader
    assert [loader.batch(epoch, 0)[0].shape[-1] for epoch in range(3)] == [16, 24, 32]


def test_split_ignores_the_training_seed(small, setup):
    seeded = prepare(api.plan("simplenn-augment", **small, seed=7))
    assert all(np.array_equal(setup.splits[part], seeded.splits[part]) for part in ("train", "val", "test"))
    resplit = prepare(api.plan("simplenn-augment", **small, split_seed=1))
    assert not np.array_equal(setup.splits["val"], resplit.splits["val"])


def test_labels_belong_to_the_images(setup):
    images, labels = setup.loader.images.take(torch.tensor([5, 0, 50]))
    rows = setup.loader.images.rows[[5, 0, 50]]
    np.testing.assert_array_equal(images.numpy(), setup.dataset.images[rows])
    np.testing.assert_array_equal(labels.numpy(), setup.dataset.labels[rows])


def test_validation_is_not_augmented(setup):
    first = [images.clone() for images, _ in setup.validation.batches(4)]
    assert all(torch.equal(a, b) for a, (b, _) in zip(first, setup.validation.batches(4), strict=True))
    np.testing.assert_array_equal(torch.cat(first).numpy(), setup.dataset.images[setup.splits["val"]])


def test_train_on_both_uses_the_validation_images_too(small):
    both = prepare(api.plan("simplenn-augment", **small, train_on="train+val"))
    assert both.validation is None
    assert sorted(both.loader.images.rows) == sorted([*both.splits["train"], *both.splits["val"]])


def test_channel_statistics_are_numpys():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (50, 3, 5, 5), dtype=np.uint8)
    rows = np.arange(0, 50, 3)
    mean, std = channel_statistics(images, rows)
    scaled = images[rows] / 255
    np.testing.assert_allclose(mean, scaled.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, scaled.std((0, 2, 3)), rtol=1e-9)


def test_of_very_many_images_a_part_tells_their_mean(monkeypatch):
    monkeypatch.setattr(preprocessing, "MOST_MEASURED", 20)
    images = np.random.default_rng(0).integers(0, 256, (50, 3, 5, 5), dtype=np.uint8)
    fitted = fit_preprocessing(PreprocessOptions(), images, np.arange(50))
    np.testing.assert_allclose(fitted.mean, (images[::3] / 255).mean((0, 2, 3)), rtol=1e-12)
    few = np.arange(20)
    assert fit_preprocessing(PreprocessOptions(), images, few).mean == channel_statistics(images, few)[0]


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.booleans())
def test_normalize_is_the_formula_in_any_layout(n, side, seed, last):
    pixels = torch.randint(0, 256, (n, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    images = pixels.contiguous(memory_format=torch.channels_last) if last else pixels
    mean, std = (0.1, 0.5, 0.9), (0.2, 0.25, 1.0)
    expected = (pixels / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    for layout in (torch.channels_last, torch.contiguous_format):
        out = Preprocessing(side, None, mean, std).normalize(images, layout)
        torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)
        assert out.is_contiguous(memory_format=layout)


def test_preprocessing_survives_json_and_constant_channels():
    images = np.zeros((4, 3, 6, 6), np.uint8)
    fitted = fit_preprocessing(PreprocessOptions(center_crop=4), images, np.arange(4))
    assert Preprocessing.from_json(fitted.to_json()) == fitted
    assert torch.isfinite(fitted.normalize(torch.zeros(1, 3, 4, 4, dtype=torch.uint8))).all()
    assert fitted.crop(torch.zeros(1, 3, 6, 6)).shape[-1] == fitted.size == 4
    constants = {name: fit_preprocessing(PreprocessOptions(normalize=name), images, np.arange(4)) for name in CONSTANTS}
    assert constants["imagenet"].mean == (0.485, 0.456, 0.406)
    ends = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 6, 6)
    for name, (low, high) in {"signed": (-1, 1), "none": (0, 1)}.items():
        scaled = constants[name].normalize(ends)
        assert (float(scaled[0].max()), float(scaled[1].min())) == (pytest.approx(low), pytest.approx(high))
    with pytest.raises(RecipeError, match="larger than the images"):
        fit_preprocessing(PreprocessOptions(center_crop=7), images, np.arange(4))
