"""Pictures decode, have a sensible size, show something, and survive what runs and data bring."""

import math

import matplotlib
import numpy as np
import pytest

from tenfold.datasets.dataset import Dataset
from tenfold.reports import pictures
from tenfold.reports.style import short

HOSTILE = ("<script>alert(1)</script>", "$x_{$", "_hidden", "two\nlines", "half \udcff", "猫", "n" * 300)


def colours_of(pixels, wanted):
    """How many pixels have about that colour."""
    return int((np.abs(pixels.astype(int) - wanted).sum(-1) < 12).sum())


def test_curves_show_training_and_validation(make_rows, look):
    pixels = look(pictures.curves(make_rows(30), "simplenn"))
    assert colours_of(pixels, (0, 114, 178)) > 500
    assert colours_of(pixels, (213, 94, 0)) > 500


@pytest.mark.parametrize("count", [0, 1, 500])
def test_curves_of_any_length(count, make_rows, look):
    look(pictures.curves(make_rows(count), "simplenn"))


def test_curves_without_validation(make_rows, look):
    pixels = look(pictures.curves(make_rows(5, validated=False), "simplenn"))
    assert colours_of(pixels, (0, 114, 178)) == 0


@pytest.mark.parametrize("rate", [0.0, 0.01])
def test_curves_of_losses_that_are_not_finite(rate, make_rows, look):
    rows = make_rows(4, lambda epoch: rate)
    odd = [type(row)(**{**vars(row), "val_loss": bad}) for row, bad in zip(rows, (math.nan, math.inf, 1.0, math.nan))]
    look(pictures.curves(odd, "simplenn"))


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (lambda e: 0.01, []),
        (lambda e: 0.01 * 0.1 ** ((e - 1) // 5), [6, 11]),
        (lambda e: 0.01 if e < 12 else 0.001, [12]),
        (lambda e: 0.01 if e < 2 else 0.001, [2]),
        (lambda e: 0.05 * (1 + math.cos(math.pi * e / 12)), []),
        (lambda e: 0.1 * 0.5**e, []),
        (lambda e: 0.01 * min(e, 5), []),
    ],
    ids=["constant", "step", "last", "first", "cosine", "exponential", "warm-up"],
)
def test_only_drops_from_a_level_stretch_are_marked(rate, expected, make_rows):
    assert [row.epoch for row in pictures.drops(make_rows(12, rate))] == expected


@pytest.mark.parametrize("classes", [1, 2, 12, 200])
def test_confusion_matrix_of_any_size(classes, look):
    counts = np.random.default_rng(0).poisson(3, (classes, classes)) + 90 * np.eye(classes, dtype=int)
    look(pictures.confusion_matrix(counts.tolist(), [f"class {i}" for i in range(classes)], "simplenn, val split"))


def test_confusion_matrix_of_hostile_names_and_an_empty_class(look):
    counts = np.diag(np.arange(len(HOSTILE)))
    look(pictures.confusion_matrix(counts.tolist(), HOSTILE, "$title_{ of \udcff"))


@pytest.mark.parametrize(("count", "channels"), [(0, 3), (1, 1), (7, 3)])
def test_image_grid_of_any_number(count, channels, look):
    images = np.random.default_rng(0).integers(0, 256, (count, channels, 8, 8), np.uint8)
    captions = [f"{HOSTILE[i % 7]}, 99 %\nis {HOSTILE[-1]}" for i in range(count)]
    look(pictures.image_grid(images, captions, "The most confident mistakes"))


def test_image_grid_keeps_pixels_crisp(look):
    red = np.zeros((1, 3, 2, 2), np.uint8)
    red[0, 0, 0, 0] = 255
    pixels = look(pictures.image_grid(red, ["one red pixel"], "crisp"))
    assert colours_of(pixels, (255, 0, 0)) > 5000
    assert colours_of(pixels, (128, 0, 0)) < 50


def dataset(classes, size=16, channels=3):
    """Three images a class; image i is of brightness i; the first of each class is a test image."""
    labels = np.repeat(np.arange(classes), 3)
    values = np.linspace(0, 255, len(labels)).astype(np.uint8)
    images = np.tile(values[:, None, None, None], (1, channels, size, size))
    rows = np.arange(len(labels))
    parts = {"train": rows[rows % 3 > 0], "test": rows[rows % 3 == 0]}
    names = tuple(f"class {i}" for i in range(classes))
    return Dataset("photos", images, labels, names, [str(row) for row in rows], parts, "f" * 64)


@pytest.mark.parametrize(("classes", "size", "channels"), [(1, 16, 3), (5, 1, 1), (25, 300, 3)])
def test_class_grid_of_any_data(classes, size, channels, look):
    look(pictures.class_grid(dataset(classes, size, channels)))


def test_class_grid_leaves_the_test_set_unseen_and_the_title_free(look):
    data = dataset(2)
    data.images[data.parts["test"]] = np.array([255, 0, 255], np.uint8)[:, None, None]
    data.images[data.parts["train"]] = np.array([0, 255, 0], np.uint8)[:, None, None]
    pixels = look(pictures.class_grid(data))
    assert colours_of(pixels, (255, 0, 255)) == 0
    assert colours_of(pixels, (0, 255, 0)) > 50_000
    assert colours_of(pixels[:45], (0, 255, 0)) == 0


def test_side_by_side(maker, look):
    runs = [maker.run(f"_run $ {index}", epochs=3, pictured=False) for index in range(9)]
    runs.append(maker.run("final", epochs=2, pictured=False, train_on="train+val"))
    runs.append(maker.run("not begun", epochs=0))
    look(pictures.side_by_side(runs))
    look(pictures.side_by_side(runs[-1:]))


def test_the_same_picture_gives_the_same_bytes_and_leaves_matplotlib_as_it_was(make_rows):
    before = dict(matplotlib.rcParams)
    assert pictures.curves(make_rows(3), "a") == pictures.curves(make_rows(3), "a")
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(("name", "expected"), [("a b", "a b"), ("a\n\tb\0", "a b"), ("x" * 30, "x" * 21 + "…")])
def test_short_names(name, expected):
    assert short(name) == expected
