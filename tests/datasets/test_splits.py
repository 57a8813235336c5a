"""Splits: disjoint, complete, in proportion, and independent of the training seed."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.datasets.dataset import Dataset
from tenfold.datasets.splits import portion, split
from tenfold.errors import DataError


def dataset(labels, classes=None, **parts):
    labels = np.asarray(labels, np.int64)
    number = classes or int(labels.max()) + 1
    return Dataset(
        name="made up",
        images=np.zeros((len(labels), 1, 1, 1), np.uint8),
        labels=labels,
        classes=tuple(f"class {k}" for k in range(number)),
        ids=[str(i) for i in range(len(labels))],
        parts={part: np.asarray(rows, np.int64) for part, rows in parts.items()} or {"train": np.arange(len(labels))},
        fingerprint="",
    )


def of_counts(counts, seed=0):
    labels = np.repeat(np.arange(len(counts)), counts)
    return dataset(np.random.default_rng(seed).permutation(labels))


class_counts = st.lists(st.integers(3, 60), min_size=1, max_size=12)
shares = st.floats(0.05, 0.45)


@settings(deadline=None, max_examples=150)
@given(class_counts, st.integers(0, 1000), shares, shares)
def test_any_counts_give_a_disjoint_complete_stratified_split(counts, seed, validation, test):
    data = of_counts(counts)
    rows = split(data, seed, validation, test)
    assert list(rows) == ["train", "val", "test"]
    assert np.array_equal(np.sort(np.concatenate(list(rows.values()))), np.arange(sum(counts)))
    for part in rows.values():
        assert (np.diff(part) > 0).all()
    held, total = np.array(data.counts(rows["test"])), np.array(counts)
    assert (np.abs(held - total * test) < 1 + 1e-9).all()
    left = total - held
    assert (np.abs(np.array(data.counts(rows["val"])) - left * validation) < 1 + 1e-9).all()
    assert min(data.counts(rows["train"])) >= 1


@settings(deadline=None, max_examples=50)
@given(class_counts, st.integers(0, 1000), shares)
def test_with_a_test_part_only_val_is_drawn_and_totals_are_exact(counts, seed, validation):
    total = sum(counts)
    data = dataset(np.concatenate([of_counts(counts).labels, [0, 0]]), train=range(total), test=[total, total + 1])
    rows = split(data, seed, validation)
    assert rows["test"].tolist() == [total, total + 1]
    assert len(rows["val"]) == max(1, round(total * validation))
    assert np.array_equal(np.sort(np.concatenate([rows["train"], rows["val"]])), np.arange(total))


def test_cifar_numbers():
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 6000))
    by_class = np.stack([np.flatnonzero(labels == k) for k in range(10)])
    data = dataset(labels, train=by_class[:, :5000].ravel(), test=by_class[:, 5000:].ravel())
    rows = split(data)
    assert data.counts(rows["val"]) == [500] * 10
    assert data.counts(rows["train"]) == [4500] * 10
    assert data.counts(rows["test"]) == [1000] * 10


def test_independent_of_every_other_seed():
    data = of_counts([50, 30, 20])
    first = split(data, split_seed=3)
    torch.manual_seed(99)
    np.random.seed(99)
    again = split(data, split_seed=3)
    other = split(data, split_seed=4)
    assert all(np.array_equal(first[part], again[part]) for part in first)
    assert not np.array_equal(first["val"], other["val"])
    assert not np.array_equal(first["test"], other["test"])


def test_pinned_rows():
    """Another numpy, machine or version of tenfold draws the same split."""
    assert split(of_counts([20, 20]))["val"].tolist() == [12, 22, 24, 28]


def test_a_class_keeps_its_draw_when_another_class_grows():
    labels = np.repeat([0, 1], 40)
    before = split(dataset(labels))["val"]
    after = split(dataset(np.concatenate([labels, np.ones(40, np.int64)])))["val"]
    assert np.array_equal(before[before < 40], after[after < 40])


def test_the_sources_own_parts_are_used():
    data = dataset([0, 1] * 6, train=[11, 0, 1, 10], val=[3, 2], test=[4, 5, 6, 7, 8, 9])
    rows = split(data)
    assert {part: r.tolist() for part, r in rows.items()} == {
        "train": [0, 1, 10, 11],
        "val": [2, 3],
        "test": [4, 5, 6, 7, 8, 9],
    }


def test_val_without_test_holds_out_test_only():
    data = dataset([0, 1] * 20, train=range(38), val=[38, 39])
    rows = split(data)
    assert rows["val"].tolist() == [38, 39]
    assert len(rows["test"]) == 4


def test_three_images_give_one_each_at_most():
    rows = split(of_counts([3]), validation=0.9, test=0.9)
    assert [len(part) for part in rows.values()] == [1, 1, 1]


def test_two_images_without_a_test_part_are_too_few():
    with pytest.raises(DataError, match="'class 1' of made up has 2 training images; it needs at least 3") as caught:
        split(of_counts([9, 2]))
    assert "Add images" in caught.value.remedy


def test_one_image_beside_a_test_part_is_too_few():
    data = dataset([0, 0, 0, 1, 0, 1], train=range(4), test=[4, 5])
    with pytest.raises(DataError, match=r"Class 'class 1' of made up has 1 training image; it needs at least 2"):
        split(data)
    two = dataset([0, 0, 0, 1, 1, 1], train=range(5), test=[5])
    assert two.counts(split(two, validation=0.4)["train"]) == [2, 1]


def test_a_class_without_images_is_named():
    with pytest.raises(DataError, match="Class 'class 2' of made up has 0 training images"):
        split(dataset([0, 0, 0, 1, 1, 1], classes=3))


@settings(deadline=None, max_examples=100)
@given(class_counts, st.integers(0, 1000), st.floats(0.01, 1.0))
def test_a_fraction_is_drawn_class_by_class_and_is_the_same_each_time(counts, seed, share):
    data = of_counts(counts)
    rows = data.parts["train"][::2] if min(counts) > 40 else data.parts["train"]
    found = portion(rows, data, share, seed)
    assert np.array_equal(found, portion(rows, data, share, seed))
    assert (np.diff(found) > 0).all()
    assert np.isin(found, rows).all()
    have, of = (np.bincount(data.labels[part], minlength=len(counts)) for part in (found, rows))
    assert (have >= 1).all()
    assert (np.abs(have - of * share) <= 1).all()
