"""Label tables: path,label and perhaps split; whatever is wrong with one is named with its lines."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.datasets import folder, table
from tenfold.errors import DataError

FILES = [f"photos/{i}.png" for i in range(4)]


@pytest.fixture
def write(tmp_path, put):
    """A CSV of these lines beside four photos."""
    put(tmp_path, *FILES)

    def write(*lines, encoding="utf-8"):
        path = tmp_path / "labels.csv"
        path.write_text("\n".join(lines) + "\n", encoding=encoding)
        return path

    return write


def labelled(*labels):
    return [f"{path},{label}" for path, label in zip(FILES, labels, strict=True)]


def refused(path, match):
    with pytest.raises(DataError, match=match) as caught:
        table.load(path, 8)
    assert caught.value.remedy
    assert str(path) in caught.value.what
    return caught.value


def test_a_table_becomes_a_dataset(write, tmp_path):
    data = table.load(write("path,label", *labelled("10", "2", "2", "10")), 8)
    assert (data.name, data.where, data.classes) == ("labels", str(tmp_path / "labels.csv"), ("2", "10"))
    assert (data.ids, data.labels.tolist()) == (FILES, [1, 0, 0, 1])
    assert {part: rows.tolist() for part, rows in data.parts.items()} == {"train": [0, 1, 2, 3]}


def test_the_split_column_gives_the_parts(write):
    lines = labelled("cat,train", "dog,train", "cat,validation", "dog,Test")
    data = table.load(write("path,label,split", *lines), 8)
    assert {part: rows.tolist() for part, rows in data.parts.items()} == {"train": [0, 1], "val": [2], "test": [3]}
    assert data.notes == ("The val part has no image of 'dog'.", "The test part has no image of 'cat'.")


def test_what_spreadsheets_write_is_understood(write):
    """A byte-order mark, capitals, spaces, quotes, other columns, empty lines, any order."""
    lines = ["Label , id,PATH", '"cat, old",1, ./photos/1.png', "", "dog ,2,photos//0.png"]
    data = table.load(write(*lines, encoding="utf-8-sig"), 8)
    assert (data.ids, data.classes, data.labels.tolist()) == (FILES[:2], ("cat, old", "dog"), [1, 0])


def test_new_labels_are_seen_at_once(write):
    first = table.load(write("path,label", *labelled("a", "a", "b", "b")), 8)
    second = table.load(write("path,label", *labelled("a", "b", "b", "b")), 8)
    assert (first.labels.tolist(), second.labels.tolist()) == ([0, 0, 1, 1], [0, 1, 1, 1])
    assert first.fingerprint != second.fingerprint


def test_a_table_of_a_folder_has_its_fingerprint(pets):
    data = folder.load(pets, 8)
    lines = [f"{path},{data.classes[label]}" for path, label in zip(data.ids, data.labels, strict=True)]
    (pets / "labels.csv").write_text("\n".join(["path,label", *lines]))
    assert table.load(pets / "labels.csv", 8).fingerprint == data.fingerprint


def test_nothing_beside_the_table_is_touched(write, tmp_path, snapshot):
    path = write("path,label", *labelled("a", "a", "b", "b"))
    before = snapshot(tmp_path)
    table.load(path, 8, verify=False)
    table.load(path, 8, verify=True)
    assert snapshot(tmp_path) == before


def test_a_missing_table_is_refused(tmp_path):
    refused(tmp_path / "none.csv", "No such file")


@pytest.mark.parametrize("header", ["file,class", "path", "path;label", ""])
def test_missing_columns_are_refused(write, header):
    refused(write(header, *labelled("a", "a", "b", "b")), "has no column '(path|label)'")


def test_an_empty_file_is_refused(write, tmp_path):
    path = write()
    path.write_bytes(b"")
    refused(path, "has no column 'path', 'label'")


def test_a_table_without_rows_is_refused(write):
    refused(write("path,label"), "lists no images")


def test_missing_files_are_refused(write):
    lines = [f"gone/{i}.png,a" for i in range(7)]
    error = refused(write("path,label", *labelled("a", "a", "b", "b"), *lines), "lists 7 missing files")
    assert "'gone/4.png' …" in error.what


@pytest.mark.parametrize("label", ["", "  "])
def test_an_empty_label_is_refused(write, label):
    refused(write("path,label", *labelled("a", label, "b", "b")), "has an empty label in line 3")


def test_a_line_without_a_label_is_refused(write):
    refused(write("path,label", *labelled("a", "a", "b", "b")[:3], FILES[3]), "an empty label in line 5")


def test_an_empty_path_is_refused(write):
    refused(write("path,label", *labelled("a", "a", "b", "b"), ",a"), "an empty path in line 6")


@pytest.mark.parametrize("split", ["holdout", ""])
def test_an_unknown_split_is_refused(write, split):
    lines = labelled("a,train", "b,train", f"a,{split}", "b,test")
    refused(write("path,label,split", *lines), rf"an unknown split \('{split}'\) in line 4")


def test_a_path_listed_twice_is_refused(write):
    lines = [*labelled("a", "a", "b", "b"), "./photos/0.png,b"]
    refused(write("path,label", *lines), r"a path that is listed twice \('photos/0\.png'\) in line 2, 6")


def test_a_class_that_training_lacks_is_refused(write):
    refused(write("path,label,split", *labelled("a,train", "b,train", "a,test", "c,test")), "does not have: 'c'")


def test_a_single_class_is_refused(write):
    refused(write("path,label", *labelled("a", "a", "a", "a")), "only one class: 'a'")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_other_encodings_are_refused(write, encoding):
    refused(write("path,label", *labelled("é", "é", "b", "b"), encoding=encoding), "is not text in UTF-8")


def test_an_open_quote_is_refused(write):
    refused(write("path,label", *labelled("a", '"a', "b", "b")), "is not a readable CSV")


def test_a_path_that_is_a_folder_is_missing(write):
    refused(write("path,label", *labelled("a", "a", "b", "b"), "photos,a"), "lists 1 missing file: 'photos'")


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=80), st.sampled_from([b"", b"path,label\n", b"path,label,split\n"]))
def test_arbitrary_bytes_never_raise_anything_but_data_error(tmp_path_factory, junk, header):
    path = tmp_path_factory.getbasetemp() / "fuzzed.csv"
    path.write_bytes(header + junk)
    with pytest.raises(DataError):
        table.load(path, 8)
