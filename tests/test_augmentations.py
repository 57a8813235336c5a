"""Every augmentation: shape, type, repeatable from its generator, off at strength 0; each against a reference."""

import colorsys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

from tenfold.augmentations import AUGMENTATIONS, MIXES, Chance, augment, mix
from tenfold.augmentations import operations as op
from tenfold.augmentations.colour import brightened, contrasted, hue_turned, saturated
from tenfold.augmentations.erasing import cutout, erase
from tenfold.augmentations.geometry import center_crop, crop, horizontal_flip, pad, vertical_flip
from tenfold.augmentations.mixing import cutmix, mixup
from tenfold.augmentations.policies import OPERATIONS, drawn_operations, randaugment, trivialaugment
from tenfold.errors import RecipeError
from tenfold.randomness import generator
from tenfold.recipe import AugmentOptions

STRENGTH = {
    "center_crop": 6,
    "pad": 2,
    "crop": 2,
    "horizontal_flip": 0.5,
    "vertical_flip": 0.5,
    "randaugment": 2,
    "trivialaugment": 1.0,
    "brightness": 0.4,
    "contrast": 0.4,
    "saturation": 0.4,
    "hue": 0.1,
    "cutout": 4,
    "erase": 0.5,
}
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
    assert [f for f in fields if f in MIXES] == list(MIXES)
    assert all(any(f == name or f.startswith(f"{name}_") for name in (*AUGMENTATIONS, *MIXES)) for f in fields)
    assert set(STRENGTH) == set(AUGMENTATIONS)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_shape_and_type(name):
    images = pictures()
    out = AUGMENTATIONS[name](images, chance(), STRENGTH[name])
    side = SIZE.get(name, 8)
    assert out.shape == (16, 3, side, side)
    assert out.dtype == torch.uint8


@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if name not in ("center_crop", "pad")])
def test_lies_channels_last(name):
    images = pictures()
    for same in (images, images.contiguous()):
        assert AUGMENTATIONS[name](same, chance(), STRENGTH[name]).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_does_the_same_to_any_memory_layout_and_takes_a_single_image(name):
    images = pictures()
    expected = AUGMENTATIONS[name](images, chance(), STRENGTH[name])
    assert torch.equal(AUGMENTATIONS[name](images.contiguous(), chance(), STRENGTH[name]), expected)
    assert len(AUGMENTATIONS[name](images[:1], chance(n=1), STRENGTH[name])) == 1


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_repeats_from_the_same_generator_and_leaves_its_input_alone(name):
    images = pictures()
    before = images.clone()
    first = AUGMENTATIONS[name](images, chance(1), STRENGTH[name])
    again = AUGMENTATIONS[name](images, chance(1), STRENGTH[name])
    assert torch.equal(first, again)
    assert torch.equal(images, before)


@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if name not in ("center_crop", "pad")])
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
    options = AugmentOptions.model_validate({name: STRENGTH[name]})
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


def pillow(images: Tensor, function) -> np.ndarray:
    """What Pillow makes of each image: [N, C, H, W]."""
    made = [np.asarray(function(Image.fromarray(i.permute(1, 2, 0).contiguous().numpy()))) for i in images]
    return np.stack(made).transpose(0, 3, 1, 2)


def assert_near(images: Tensor, expected: np.ndarray, grey_levels: int) -> None:
    assert int(np.abs(images.numpy().astype(int) - expected.astype(int)).max()) <= grey_levels


@pytest.mark.parametrize("factor", [0.0, 0.3, 1.0, 1.7])
@pytest.mark.parametrize(
    ("function", "enhancer"),
    [
        (brightened, ImageEnhance.Brightness),
        (contrasted, ImageEnhance.Contrast),
        (saturated, ImageEnhance.Color),
        (lambda images, factor: op.sharpen(images, factor - 1), ImageEnhance.Sharpness),
    ],
)
def test_colours_are_pillows(function, enhancer, factor):
    images = pictures()
    made = function(images, torch.full((16,), factor))
    assert_near(made, pillow(images, lambda image: enhancer(image).enhance(factor)), 2)


@pytest.mark.parametrize("turn", [-0.4, 0.0, 0.25, 0.5])
def test_hue_is_that_of_colorsys(turn):
    images = pictures(4)
    made = hue_turned(images, torch.full((4,), turn))
    for pixel, turned in zip(images.permute(0, 2, 3, 1).reshape(-1, 3), made.permute(0, 2, 3, 1).reshape(-1, 3)):
        h, s, v = colorsys.rgb_to_hsv(*(pixel / 255).tolist())
        expected = torch.tensor(colorsys.hsv_to_rgb((h + turn) % 1, s, v)) * 255
        assert float((turned - expected).abs().max()) <= 0.51


@pytest.mark.parametrize(
    ("function", "amount", "reference"),
    [
        (op.posterize, 3, lambda image: ImageOps.posterize(image, 5)),
        (op.solarize, 100, lambda image: ImageOps.solarize(image, 156)),
        (op.equalize, 0, ImageOps.equalize),
        (op.autocontrast, 0, ImageOps.autocontrast),
    ],
)
def test_operations_are_pillows(function, amount, reference):
    images = pictures(8, 32) // 2 + 20
    images[0] = 77  # of one colour
    made = function(images, torch.full((8,), float(amount)))
    assert_near(made, pillow(images, reference), 1 if function is op.autocontrast else 0)


@pytest.mark.parametrize("side", [8, 9])
def test_warps_turn_shift_and_shear_where_they_should(side):
    images = pictures(4, side)
    four = torch.ones(4)
    assert torch.equal(op.rotate(images, 90 * four), images.rot90(1, (2, 3)))
    assert torch.equal(op.rotate(images, 180 * four), images.flip(2, 3))
    shifted = op.translate_x(images, 2 / side * four)
    assert torch.equal(shifted[..., 2:], images[..., :-2])
    assert not shifted[..., :2].any()
    down = op.translate_y(images, -1 / side * four)
    assert torch.equal(down[:, :, :-1], images[:, :, 1:])
    if side % 2:
        sheared = op.shear_x(images, four)
        middle = side // 2
        assert torch.equal(sheared[:, :, middle], images[:, :, middle])
        assert torch.equal(sheared[:, :, middle + 1, :-1], images[:, :, middle + 1, 1:])
        assert torch.equal(op.shear_y(images, four), op.shear_x(images.transpose(2, 3), four).transpose(2, 3))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.function.__name__)
def test_operation_at_amount_0_changes_nothing(operation):
    if operation.function not in (op.autocontrast, op.equalize):
        images = pictures()
        images[0], images[1] = 0, 255
        assert torch.equal(operation.function(images, torch.zeros(16)), images)


def test_each_image_gets_the_operation_it_drew():
    """Together as each alone."""
    images, magnitudes, most = pictures(64), torch.full((64,), 0.5), torch.tensor([o.randaugment for o in OPERATIONS])
    together = drawn_operations(images, chance(), magnitudes, most)
    again = chance().generator
    drawn = torch.randint(len(OPERATIONS), (64,), generator=again)
    sides = torch.randint(2, (64,), generator=again) * 2 - 1
    assert len(set(drawn.tolist())) == len(OPERATIONS)
    for index, (which, side) in enumerate(zip(drawn.tolist(), sides.tolist())):
        operation = OPERATIONS[which]
        amount = torch.tensor([0.5 * operation.randaugment * (side if operation.two_sided else 1)])
        alone = operation.function(images[index : index + 1], amount)
        assert torch.equal(alone[0], together[index]), operation


def test_randaugment_of_more_operations_and_magnitudes_changes_more():
    images = pictures(200)

    def changed(*settings) -> float:
        return float((randaugment(images, chance(), *settings).float() - images).abs().mean())

    assert changed(1, 5) < changed(1, 25)
    assert changed(1, 9) < changed(3, 9)


def test_trivialaugment_spares_the_others():
    images = pictures(400)
    for probability, least, most in ((0.0001, 0, 4), (0.5, 110, 210), (1.0, 250, 400)):
        changed = (trivialaugment(images, chance(), probability) != images).flatten(1).any(1)
        assert least <= int(changed.sum()) <= most


def test_cutout_covers_a_square_with_the_mean_colour():
    images = pictures(300)
    changed = (cutout(images, chance(), 4) != images).any(1)
    for image, hidden, covered in zip(images, changed, cutout(images, chance(), 4)):
        rows, columns = (hidden.any(axis).nonzero().squeeze(1) for axis in (1, 0))
        assert len(rows) <= 4
        assert len(columns) <= 4
        mean = image.float().mean((1, 2)).round().to(torch.uint8)
        assert all(torch.equal(covered[:, y, x], mean) for y, x in hidden.nonzero().tolist())
    covered = changed.float().mean(0)
    assert float(covered.min()) > 0.05, "every pixel is reached"
    assert torch.equal(cutout(images, chance(), 99)[0].amax((1, 2)), images[0].float().mean((1, 2)).round())


def test_erase_makes_noise_of_a_rectangle_with_its_probability():
    images = torch.full((500, 3, 32, 32), 7, dtype=torch.uint8)
    changed = (erase(images, chance(), 0.4) != images).any(1)
    erased = changed.flatten(1).any(1)
    assert 160 < int(erased.sum()) < 240
    for hidden in changed[erased]:
        rows, columns = (hidden.any(axis).nonzero().squeeze(1) for axis in (1, 0))
        box = hidden[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert float(box.float().mean()) > 0.9, "noise may be 7 by chance, all three colours hardly"
        assert box.numel() <= 0.4 * 32 * 32


def targets(n: int = 16, classes: int = 5) -> tuple[Tensor, Tensor]:
    labels = torch.randint(classes, (n,), generator=torch.Generator().manual_seed(2))
    return labels, torch.nn.functional.one_hot(labels, classes).float()


@pytest.mark.parametrize("name", MIXES)
def test_mix_keeps_shapes_repeats_and_shares_the_labels(name):
    images, (labels, _) = pictures(), targets()
    before = images.clone()
    options = AugmentOptions.model_validate({name: 1.0})
    first, second = (mix(images, labels, options, chance(1), 5) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert torch.equal(images, before)
    assert (first[0].shape, first[0].dtype) == (images.shape, torch.uint8)
    assert first[0].is_contiguous(memory_format=torch.channels_last)
    assert (first[1].shape, first[1].dtype) == ((16, 5), torch.float32)
    torch.testing.assert_close(first[1].sum(1), torch.ones(16))
    assert bool((first[1] >= 0).all())
    assert not torch.equal(first[0], mix(images, labels, options, chance(2), 5)[0])


def test_nothing_mixed_leaves_images_and_labels_as_they_are():
    images, (labels, _) = pictures(), targets()
    same, still = mix(images, labels, AugmentOptions(), chance(), 5)
    assert same is images
    assert still is labels


def test_both_mixes_take_turns():
    images, (labels, _) = pictures(), targets()
    both = AugmentOptions(mixup=1.0, cutmix=1.0)
    made = [mix(images, labels, both, chance(seed), 5)[0] for seed in range(40)]
    pasted = [bool(((m == images).all(1) | (m[:, None] == images).all(2).any(1)).all()) for m in made]
    assert 8 < sum(pasted) < 32, "each pixel of a pasted image is one of the batch's"


def test_mixup_is_the_formula():
    images, (_, hot) = pictures(), targets()
    mixed, soft = mixup(images, hot, chance(3), 0.7)
    again = chance(3)
    share = again.beta(16, 0.7)
    partner = torch.randperm(16, generator=again.generator)
    expected = share.view(-1, 1, 1, 1) * images + (1 - share.view(-1, 1, 1, 1)) * images[partner]
    assert float((mixed - expected).abs().max()) <= 0.501
    torch.testing.assert_close(soft, share[:, None] * hot + (1 - share[:, None]) * hot[partner])


def test_cutmix_pastes_a_box_and_shares_the_label_by_its_area():
    n = 250
    images = torch.arange(n).to(torch.uint8).view(n, 1, 1, 1).expand(n, 3, 16, 16)
    mixed, soft = cutmix(images, torch.eye(n), chance(4), 1.0)
    for index, (image, target) in enumerate(zip(mixed, soft)):
        pasted = image[0] != index
        assert float(target[index]) == pytest.approx(1 - float(pasted.float().mean()), abs=1e-6)
        rows, columns = (pasted.any(axis).nonzero().squeeze(1) for axis in (1, 0))
        assert int(pasted.sum()) == len(rows) * len(columns), "a full box"
    assert 0.3 < float(soft.diagonal().mean()) < 0.75


@pytest.mark.parametrize(("alpha", "spread"), [(0.2, 0.423), (1.0, 0.289), (8.0, 0.121)])
def test_beta_has_its_mean_and_deviation(alpha, spread):
    drawn = chance().beta(20_000, alpha)
    assert float(drawn.mean()) == pytest.approx(0.5, abs=0.01)
    assert float(drawn.std()) == pytest.approx(spread, abs=0.01)
    assert bool(torch.isfinite(chance().beta(1000, 1e-5)).all())
