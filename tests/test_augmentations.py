"""Every augmentation: shape, type, repeatable from its generator, off at strength 0; each against a reference."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tenfold.augmentations import AUGMENTATIONS, augment, center_crop, crop, horizontal_flip, pad, vertical_flip
from tenfold.errors import RecipeError
from tenfold.randomness import generator
from tenfold.recipe import AugmentOptions

STRENGTH = {"center_crop": 6, "pad": 2, "crop": 2, "horizontal_flip": 0.5, "vertical_flip": 0.5}
SIZE = {"center_crop": 6, "pad": 12}


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
    out = AUGMENTATIONS[name](images, generator(0, "test"), STRENGTH[name])
    side = SIZE.get(name, 8)
    assert out.shape == (16, 3, side, side)
    assert out.dtype == torch.uint8


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_repeats_from_the_same_generator_and_leaves_its_input_alone(name):
    images = pictures()
    before = images.clone()
    first = AUGMENTATIONS[name](images, generator(1, "test"), STRENGTH[name])
    again = AUGMENTATIONS[name](images, generator(1, "test"), STRENGTH[name])
    assert torch.equal(first, again)
    assert torch.equal(images, before)


@pytest.mark.parametrize("name", ["crop", "horizontal_flip", "vertical_flip"])
def test_another_seed_gives_other_pictures(name):
    images = pictures()
    assert not torch.equal(
        AUGMENTATIONS[name](images, generator(1, "test"), STRENGTH[name]),
        AUGMENTATIONS[name](images, generator(2, "test"), STRENGTH[name]),
    )


def test_nothing_switched_on_changes_nothing():
    images = pictures()
    assert torch.equal(augment(images, AugmentOptions(), generator(0, "test")), images)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_each_option_alone_is_the_function(name):
    images = pictures()
    options = AugmentOptions(**{name: STRENGTH[name]})
    expected = AUGMENTATIONS[name](images, generator(5, "test"), STRENGTH[name])
    assert torch.equal(augment(images, options, generator(5, "test")), expected)


@pytest.mark.parametrize(("function", "axis"), [(horizontal_flip, 3), (vertical_flip, 2)])
def test_flip_mirrors_about_half_and_certain_flips_all(function, axis):
    images = pictures(400)
    flipped = function(images, generator(0, "test"), 0.5)
    mirrored = torch.tensor([torch.equal(a, b.flip(axis - 1)) for a, b in zip(flipped, images)])
    same = torch.tensor([torch.equal(a, b) for a, b in zip(flipped, images)])
    assert bool((mirrored ^ same).all())
    assert 150 < int(mirrored.sum()) < 250
    assert torch.equal(function(images, generator(0, "test"), 1.0), images.flip(axis))


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 5), st.integers(3, 9), st.integers(1, 2), st.sampled_from(["zero", "reflect"]), st.integers(0, 99)
)
def test_crop_equals_numpy_padding_and_slicing(n, side, pixels, padding, seed):
    images = pictures(n, side)
    out = crop(images, generator(seed, "test"), pixels, padding).numpy()
    mode = {"zero": "constant", "reflect": "reflect"}[padding]
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (pixels, pixels), (pixels, pixels)), mode=mode)
    ys, xs = torch.randint(2 * pixels + 1, (2, n), generator=generator(seed, "test")).tolist()
    for image, expected, y, x in zip(out, padded, ys, xs):
        np.testing.assert_array_equal(image, expected[:, y : y + side, x : x + side])


def test_crop_reaches_every_place():
    marked = torch.zeros(2000, 1, 5, 5, dtype=torch.uint8)
    marked[:, :, 2, 2] = 1
    out = crop(marked, generator(0, "test"), 2)
    assert {tuple(place) for place in out.nonzero()[:, 2:].tolist()} == {(y, x) for y in range(5) for x in range(5)}


def test_crop_takes_any_memory_layout():
    images = pictures()
    for same in (images.contiguous(), images.contiguous(memory_format=torch.channels_last)):
        assert torch.equal(crop(same, generator(0, "t"), 2), crop(images, generator(0, "t"), 2))


def test_center_crop_and_pad_are_inverse_in_the_middle():
    images = pictures()
    small = center_crop(images, generator(0, "t"), 4)
    assert torch.equal(small, images[:, :, 2:6, 2:6])
    assert torch.equal(center_crop(pad(small, generator(0, "t"), 2), generator(0, "t"), 4), small)


def test_too_large_crops_are_refused():
    with pytest.raises(RecipeError, match="larger than the images"):
        center_crop(pictures(), generator(0, "t"), 9)
    with pytest.raises(RecipeError, match="cannot reflect"):
        crop(pictures(), generator(0, "t"), 8, "reflect")
