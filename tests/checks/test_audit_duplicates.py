"""Copies are found, whatever became of them; images that only look alike in their large forms are not."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter

from tenfold.checks.audit import alignment, near
from tenfold.checks.audit.duplicates import exact_groups, near_pairs


def scenes(count, seed, side=32):
    """Distinct pictures with forms of every size, as photographs have: uint8 [n, side, side, 3]."""
    rng = np.random.default_rng(seed)
    total = np.zeros((count, side, side, 3))
    for scale, coloured in ((1, 0), (2, 0.3), (4, 0.5), (8, 0.8)):
        noise = rng.normal(size=(count, side, side, 1)) + coloured * rng.normal(size=total.shape)
        noise = gaussian_filter(noise, (0, scale, scale, 0))
        total += noise / noise.std()
    return np.clip(128 + 25 * total, 0, 255).astype(np.uint8)


def dataset_images(pictures):
    return np.ascontiguousarray(pictures).transpose(0, 3, 1, 2)


def jpeg(picture, quality):
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer))


def cropped(picture, left, top, right, bottom):
    side = len(picture)
    box = (left, top, side - right, side - bottom)
    return np.array(Image.fromarray(picture).resize((side, side), Image.Resampling.BILINEAR, box=box))


COPIES = {
    "recompressed": lambda p: jpeg(p, 75),
    "recompressed hard": lambda p: jpeg(p, 50),
    "brighter": lambda p: np.clip(p * 1.2 + 10, 0, 255).astype(np.uint8),
    "mirrored": lambda p: p[:, ::-1],
    "upside down": lambda p: p[::-1],
    "cropped": lambda p: cropped(p, 1, 2, 2, 1),
    "mirrored, cropped, recompressed": lambda p: jpeg(cropped(np.ascontiguousarray(p[:, ::-1]), 2, 1, 1, 2), 75),
}


@pytest.mark.parametrize("kind", COPIES)
def test_near_copies_are_found_and_nothing_else(kind):
    pictures = scenes(300, 0)
    copies = np.stack([COPIES[kind](picture) for picture in pictures[:20]])
    pairs, dropped = near_pairs(dataset_images(np.concatenate([pictures, copies])))
    found = {(pair.first, pair.second) for pair in pairs}
    planted = {(row, 300 + row) for row in range(20)}
    assert len(found & planted) >= 19
    assert found <= planted
    assert not dropped


def test_the_turn_is_told():
    pictures = scenes(50, 1)
    made = np.concatenate([pictures, pictures[:1, :, ::-1], pictures[1:2, ::-1]])
    turns = {(pair.first, pair.second): pair.turn for pair in near_pairs(dataset_images(made))[0]}
    assert turns == {(0, 50): "mirrored", (1, 51): "upside down"}


def test_images_of_another_size_are_compared_too():
    pictures = scenes(60, 2, side=48)
    copies = np.stack([jpeg(picture, 60) for picture in pictures[:10]])
    pairs, _ = near_pairs(dataset_images(np.concatenate([pictures, copies])))
    assert {(pair.first, pair.second) for pair in pairs} == {(row, 60 + row) for row in range(10)}


@pytest.mark.parametrize("channels", [1, 4])
def test_other_channels_are_compared_too(channels):
    pictures = scenes(40, 3)[..., [0, 1, 2, 0][:channels]]
    copy = np.clip(pictures[:1] * 1.1 + 3, 0, 255).astype(np.uint8)
    pairs, _ = near_pairs(dataset_images(np.concatenate([pictures, copy])))
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 40)]


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 60), st.lists(st.integers(0, 10**6), max_size=8), st.integers(0, 10**6))
def test_exact_copies_are_always_found(count, chosen, seed):
    pictures = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), np.uint8)
    sources = [index % count for index in chosen]
    made = np.concatenate([pictures, pictures[sources]])
    groups = {frozenset(group) for group in exact_groups(dataset_images(made))}
    expected = {frozenset([s, *(count + at for at, t in enumerate(sources) if t == s)]) for s in set(sources)}
    assert groups == expected


def test_one_changed_pixel_is_no_exact_copy():
    pictures = scenes(1, 4).repeat(2, 0)
    pictures[1, 3, 3, 1] ^= 1
    assert exact_groups(dataset_images(pictures)) == []


def test_constant_images_are_no_near_duplicates_of_each_other():
    flat = np.arange(30, 60, dtype=np.uint8)[:, None, None, None] * np.ones((1, 32, 32, 3), np.uint8)
    assert near_pairs(dataset_images(flat)) == ([], False)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_images(count):
    assert near_pairs(dataset_images(scenes(max(count, 1), 5)[:count])) == ([], False)


def test_tiles_hold_every_pair_once(monkeypatch):
    monkeypatch.setattr(near, "TILE", (7, 16))
    monkeypatch.setattr(near, "LEAST", 0.2)
    vectors = torch.nn.functional.normalize(torch.randn(61, 63, generator=torch.Generator().manual_seed(0)), dim=1)
    pairs, _ = near.similar(vectors, vectors, lambda *_: None)
    expected = ((vectors @ vectors.T) > 0.2).triu(1).nonzero()
    assert sorted(map(tuple, pairs.tolist())) == sorted(map(tuple, expected.tolist()))


def test_too_many_candidates_keep_the_most_alike(monkeypatch):
    monkeypatch.setattr(near, "MOST", 40)
    monkeypatch.setattr(near, "LEAST", 0.0)
    vectors = torch.nn.functional.normalize(torch.randn(50, 63, generator=torch.Generator().manual_seed(1)), dim=1)
    pairs, dropped = near.similar(vectors, vectors, lambda *_: None)
    scores = (vectors @ vectors.T)[pairs[:, 0], pairs[:, 1]]
    left_out = (vectors @ vectors.T).triu(1).flatten().sort(descending=True).values
    assert dropped
    assert torch.equal(scores.sort(descending=True).values, left_out[: len(scores)])


def test_a_known_motion_is_recovered():
    first = alignment.brightness(torch.from_numpy(dataset_images(scenes(8, 6))))
    motion = torch.tensor([[0.05, 0.06, -0.04, -0.08]]).expand(8, 4)
    found = alignment.settled(alignment.warped(first, motion), first, torch.zeros(8, 4), 12)
    assert (found - motion).abs().max() < 0.02


def test_mirroring_changes_signs_only():
    pictures = torch.from_numpy(dataset_images(scenes(5, 7)))
    for axes in near.TURNS.values():
        assert torch.allclose(
            near.vectors(pictures.flip(axes))[0], near.vectors(pictures)[0] * near.signs(axes), atol=1e-3
        )
