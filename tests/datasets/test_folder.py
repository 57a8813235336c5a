"""Folders of class folders: what is understood, what is ignored, and what is refused with a remedy."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.datasets import folder, images
from tenfold.datasets.collection import natural
from tenfold.errors import DataError


def refused(path, match, **options):
    with pytest.raises(DataError, match=match) as caught:
        folder.load(path, **options)
    assert caught.value.remedy
    assert str(path) in caught.value.what
    return caught.value


def test_class_folders_become_a_dataset(pets):
    data = folder.load(pets, 12)
    assert (data.name, data.where, data.classes) == ("pets", str(pets), ("cat", "dog"))
    assert data.ids == [f"{name}/{i}.png" for name in ("cat", "dog") for i in range(3)]
    assert data.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.labels.dtype == np.int64
    assert {part: rows.tolist() for part, rows in data.parts.items()} == {"train": [0, 1, 2, 3, 4, 5]}
    assert data.images.shape == (6, 3, 12, 12)
    assert (data.notes, data.skipped) == ((), ())
    for name, image in zip(data.ids, data.images, strict=True):
        assert np.array_equal(image.transpose(1, 2, 0), images.decode(pets / name, 12))


def test_files_may_be_nested_below_a_class(tmp_path, put):
    put(tmp_path, "cat/a/b/1.png", "cat/2.JPG", "dog/x/3.jpeg")
    data = folder.load(tmp_path, 8)
    assert data.ids == ["cat/2.JPG", "cat/a/b/1.png", "dog/x/3.jpeg"]
    assert data.labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "Val"])
def test_parts_are_understood(tmp_path, put, validation):
    names = [f"{part}/{name}/1.png" for part in ("train", validation, "test") for name in ("cat", "dog")]
    data = folder.load(put(tmp_path, *names, "train/cat/2.png"), 8)
    assert {part: [data.ids[row] for row in rows] for part, rows in data.parts.items()} == {
        "train": ["train/cat/1.png", "train/cat/2.png", "train/dog/1.png"],
        "val": [f"{validation}/cat/1.png", f"{validation}/dog/1.png"],
        "test": ["test/cat/1.png", "test/dog/1.png"],
    }
    assert data.notes == ()


def test_a_class_may_be_called_like_a_part(tmp_path, put):
    data = folder.load(put(tmp_path, "train/1.png", "car/1.png", "bus/1.png"), 8)
    assert data.classes == ("bus", "car", "train")


def test_classes_are_sorted_naturally(tmp_path, put):
    data = folder.load(put(tmp_path, *(f"{name}/1.png" for name in ("10", "9", "2", "c10", "c9"))), 8)
    assert data.classes == ("2", "9", "10", "c9", "c10")
    assert [data.classes[label] for label in data.labels] == ["10", "2", "9", "c10", "c9"]


@given(st.lists(st.text(max_size=8), max_size=8))
def test_natural_order_is_total_and_exact(names):
    once, backwards = sorted(names, key=natural), list(reversed(names))
    assert sorted(backwards, key=natural) == once
    numbers = [name for name in once if name.isdecimal() and name.isascii()]
    assert [int(number) for number in numbers] == sorted(int(number) for number in numbers)


def test_hidden_and_other_files_are_ignored_and_counted(pets, put):
    put(pets, ".DS_Store", "cat/.hidden.png", "__MACOSX/cat/1.png", ".git/x.png", "cat/notes.txt", content=b"x")
    data = folder.load(pets, 8)
    assert len(data.ids) == 6
    assert data.notes == ("4 hidden files ignored.", "1 non-image file ignored.")


def test_images_outside_of_class_folders_are_ignored_with_a_note(pets, put):
    put(pets, "cover.png")
    assert folder.load(pets, 8).notes == ("1 image outside of the class folders ignored.",)


def test_links_are_followed_but_not_in_circles(pets, tmp_path, put):
    put(tmp_path / "elsewhere", "1.png", "2.png")
    (pets / "owl").symlink_to(tmp_path / "elsewhere")
    (pets / "cat" / "all").symlink_to(pets)
    (pets / "cat" / "self").symlink_to(pets / "cat")
    data = folder.load(pets, 8)
    assert data.classes == ("cat", "dog", "owl")
    assert len(data.ids) == 8


def test_a_pipe_is_not_opened(pets):
    os.mkfifo(pets / "cat" / "pipe.png")
    assert folder.load(pets, 8).notes == ("1 non-image file ignored.",)


@pytest.mark.parametrize("name", [b"cat/\xff.png", b"\xff/1.png"])
def test_names_that_are_no_text_are_refused(pets, name):
    path = pets / os.fsdecode(name)
    path.parent.mkdir(exist_ok=True)
    path.hardlink_to(pets / "cat" / "0.png")
    refused(pets, r"udcff.* is not valid UTF-8")


def test_the_users_folder_is_untouched(pets, put, snapshot):
    put(pets, "cat/note.txt", content=b"x")
    before = snapshot(pets.parent)
    for verify in (False, True):
        folder.load(pets, 8, verify)
    assert snapshot(pets.parent) == before


def test_a_read_only_folder_is_enough(pets, snapshot):
    for path in [pets, *pets.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = snapshot(pets)
    assert len(folder.load(pets, 8).ids) == 6
    assert snapshot(pets) == before


def test_a_missing_path_is_refused(tmp_path):
    refused(tmp_path / "none", "does not exist")


def test_a_file_instead_of_a_folder_is_refused(tmp_path, put):
    refused(put(tmp_path, "1.png") / "1.png", "is not a folder")


def test_an_empty_folder_is_refused(tmp_path):
    refused(tmp_path, "has no images")


def test_a_folder_without_class_folders_is_refused(tmp_path, put):
    refused(put(tmp_path, "1.png", "2.png"), "has 2 images, but no class folders")


def test_parts_without_class_folders_are_refused(tmp_path, put):
    refused(put(tmp_path, "train/1.png", "test/2.png"), "has 2 images, but no class folders")


def test_a_single_class_is_refused(tmp_path, put):
    refused(put(tmp_path, "cat/1.png", "cat/2.png"), "only one class: 'cat'")


def test_an_empty_class_folder_is_refused(pets):
    (pets / "owl").mkdir()
    refused(pets, "class folder 'owl' has no images")


def test_an_empty_class_folder_in_the_training_part_is_refused(tmp_path, put):
    put(tmp_path, *(f"{part}/{name}/1.png" for part in ("train", "test") for name in ("cat", "dog")))
    (tmp_path / "train" / "owl").mkdir()
    refused(tmp_path, "class folder 'owl' has no images")


def test_a_class_that_training_lacks_is_refused(tmp_path, put):
    put(tmp_path, "train/cat/1.png", "train/dog/1.png", "test/cat/1.png", "test/owl/1.png")
    error = refused(tmp_path, "the test part has classes that the training part does not have: 'owl'")
    assert "'cat', 'dog'" in error.remedy


def test_a_class_that_test_lacks_is_a_note(tmp_path, put):
    put(tmp_path, "train/cat/1.png", "train/dog/1.png", "test/cat/1.png", "val/cat/1.png", "val/dog/1.png")
    assert folder.load(tmp_path, 8).notes == ("The test part has no image of 'dog'.",)


def test_parts_without_training_are_refused(tmp_path, put):
    refused(put(tmp_path, "val/cat/1.png", "test/cat/1.png"), "has no training images")


def test_parts_beside_other_folders_are_refused(tmp_path, put):
    names = [f"{part}/{name}/1.png" for part in ("train", "test") for name in ("cat", "dog")]
    error = refused(put(tmp_path, *names, "extra/1.png"), r"both parts \('test', 'train'\) and other folders")
    assert "'extra'" in error.what


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may read everything")
def test_a_folder_that_may_not_be_read_is_refused(pets):
    (pets / "cat").chmod(0)
    refused(pets, "Permission denied")


@pytest.mark.parametrize("size", [0, -3])
def test_an_image_size_below_one_is_refused(pets, size):
    with pytest.raises(DataError, match="pixels wide"):
        folder.load(pets, size)
