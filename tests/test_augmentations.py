"""Every augmentation: shape, type, repeatable from its generator, off at strength 0; each against a reference."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tenfold.augmentations import AUGMENTATIONS, Chance, augment, center_crop, crop, horizontal_flip, pad, vertical_flip
from tenfold.errors import RecipeError
from tenfold.randomness import generator
from tenfold.recipe import AugmentOptions

STRENGTH = {"center_crop": 6, "pad": 2, "crop": 2, "horizontal_flip": 0.5, "vertical_flip": 0.5}
SIZE = {"center_crop": 6, "pad": 12}


def chance(seed: int = 0, epoch: int = 0, n: int = 16) -> Chance:
    return Chance(generator(seed, "test"), epoch, torch.rand(n, generator=generator(seed, "lots")))


def pictures(n: int = 16, side: int = 8) -> Tensor:
    rng = np.random.default_rng(0)
    rows = torch.from_numpy(rng.integers(0, 256, (n, side, side, 3), dtype=np.uint8))
    return rows.permute(0, 3, 1, 2)


def test_registry_and_options_agree():
    fields = list(AugmentOptions.model_fields)
    assert [f for f in fields if f in AUGMENTATIONS] == list(AUGMENTATIONS)
    assert all(any(f == name or f.startswith(f"{name}_") for name in AUGMENTATIONS) for f in fields)
    assert set(STRENGTH) == set(AUGMENTATIONS)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_shape_and_type(name):
    images = pictures()
    out = AUGMENTATIONS[name](images, chance(), STRENGTH[name])
    side = SIZE.get(name, 8)
    assert out.shape == (16, 3, side, side)
    assert out.dtype == torch.uint8


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_repeats_from_the_same_generator_and_leaves_its_input_alone(name):
    images = pictures()
    before = images.clone()
    first = AUGMENTATIONS[name](images, chance(1), STRENGTH[name])
    again = AUGMENTATIONS[name](images, chance(1), STRENGTH[name])
    assert torch.equal(first, again)
    assert torch.equal(images, before)


@pytest.mark.parametrize("name", ["crop", "horizontal_flip", "vertical_flip"])
def test_another_seed_gives_other_pictures(name):
    images = pictures()
    assert not torch.equal(
        AUGMENTATIONS[name](images, chance(1), STRENGTH[name]),
        AUGMENTATIONS[name](images, chance(2), STRENGTH[name]),
    )


def test_nothing_switched_on_changes_nothing():
    images = pictures()
    assert torch.equal(augment(images, AugmentOptions(), chance()), images)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_each_option_alone_is_the_function(name):
    images = pictures()
    options = AugmentOptions(**{name: STRENGTH[name]})
    expected = AUGMENTATIONS[name](images, chance(5), STRENGTH[name])
    assert torch.equal(augment(images, options, chance(5)), expected)


@pytest.mark.parametrize(("function", "axis"), [(horizontal_flip, 3), (vertical_flip, 2)])
def test_flip_mirrors_about_half_and_certain_flips_all(function, axis):
    images = pictures(400)
    flipped = function(images, chance(), 0.5)
    mirrored = torch.tensor([torch.equal(a, b.flip(axis - 1)) for a, b in zip(flipped, images)])
    same = torch.tensor([torch.equal(a, b) for a, b in zip(flipped, images)])
    assert bool((mirrored ^ same).all())
    assert 150 < int(mirrored.sum()) < 250
    assert torch.equal(function(images, chance(), 1.0), images.flip(axis))


def test_alternating_flip_is_decided_once_and_then_every_other_epoch():
    images = pictures(400)
    lots = chance(n=400).lots
    moments = [Chance(generator(epoch, "test"), epoch, lots) for epoch in range(4)]
    first, second, third, fourth = (horizontal_flip(images, now, 0.5, "alternating") for now in moments)
    assert torch.equal(first, third)
    assert torch.equal(second, fourth)
    assert torch.equal(second, first.flip(3)), "what one epoch shows, the next shows mirrored"
    mirrored = sum(not torch.equal(a, b) for a, b in zip(first, images))
    assert 150 < mirrored < 250


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 5), st.integers(3, 9), st.integers(1, 2), st.sampled_from(["zero", "reflect"]), st.integers(0, 99)
)
def test_crop_equals_numpy_padding_and_slicing(n, side, pixels, padding, seed):
    images = pictures(n, side)
    out = crop(images, chance(seed), pixels, padding).numpy()
    mode = {"zero": "constant", "reflect": "reflect"}[padding]
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (pixels, pixels), (pixels, pixels)), mode=mode)
    ys, xs = torch.randint(2 * pixels + 1, (2, n), generator=chance(seed).generator).tolist()
    for image, expected, y, x in zip(out, padded, ys, xs):
        np.testing.assert_array_equal(image, expected[:, y : y + side, x : x + side])


def test_crop_reaches_every_place():
    marked = torch.zeros(2000, 1, 5, 5, dtype=torch.uint8)
    marked[:, :, 2, 2] = 1
    out = crop(marked, chance(), 2)
    assert {tuple(place) for place in out.nonzero()[:, 2:].tolist()} == {(y, x) for y in range(5) for x in range(5)}


def test_crop_takes_any_memory_layout():
    images = pictures()
    for same in (images.contiguous(), images.contiguous(memory_format=torch.channels_last)):
        assert torch.equal(crop(same, chance(), 2), crop(images, chance(), 2))


def test_center_crop_and_pad_are_inverse_in_the_middle():
    images = pictures()
    small = center_crop(images, chance(), 4)
    assert torch.equal(small, images[:, :, 2:6, 2:6])
    assert torch.equal(center_crop(pad(small, chance(), 2), chance(), 4), small)


def test_too_large_crops_are_refused():
    with pytest.raises(RecipeError, match="larger than the images"):
        center_crop(pictures(), chance(), 9)
    with pytest.raises(RecipeError, match="cannot reflect"):
        crop(pictures(), chance(), 8, "reflect")
