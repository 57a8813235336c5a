"""Zips: the same data as the folder they were made from; hostile and damaged ones are refused."""

import io
import stat
import zipfile

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tenfold.datasets import archive, folder
from tenfold.errors import DataError


def zipped(target, root, prefix=""):
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(root.rglob("*")):
            file.write(path, prefix + path.relative_to(root).as_posix())
    return target


def with_members(target, members):
    with zipfile.ZipFile(target, "w") as file:
        for name, content in members:
            file.writestr(name, content)
    return target


def refused(path, match):
    with pytest.raises(DataError, match=match) as caught:
        archive.load(path, 8)
    assert caught.value.remedy
    assert str(path) in caught.value.what


@pytest.fixture
def four(image_bytes):
    """The members of a zip of two cats and two dogs."""
    return [(name, image_bytes(name)) for name in ("cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png")]


@pytest.mark.parametrize("prefix", ["", "pets/", "a/b/", "./pets/"])
def test_a_zip_is_the_same_data_as_its_folder(tmp_path, pets, prefix):
    data, of_folder = archive.load(zipped(tmp_path / "pets.zip", pets, prefix), 12), folder.load(pets, 12)
    assert (data.name, data.where) == ("pets", str(tmp_path / "pets.zip"))
    assert (data.ids, data.classes, data.fingerprint) == (of_folder.ids, of_folder.classes, of_folder.fingerprint)
    assert (data.images == of_folder.images).all()
    assert data.notes == ()


def test_parts_are_understood(tmp_path, put):
    names = [f"{part}/{name}/1.png" for part in ("train", "test") for name in ("cat", "dog")]
    path = zipped(tmp_path / "a.zip", put(tmp_path / "a", *names), "a/")
    assert {part: len(rows) for part, rows in archive.load(path, 8).parts.items()} == {"train": 2, "test": 2}


def test_a_training_part_alone_is_not_stripped(tmp_path, put):
    path = zipped(tmp_path / "a.zip", put(tmp_path / "a", "train/cat/1.png", "train/dog/1.png"))
    assert archive.load(path, 8).ids == ["train/cat/1.png", "train/dog/1.png"]


def test_what_other_systems_put_into_zips_is_understood(tmp_path, four):
    """Back slashes from Windows, resource forks from macOS, a read-me beside the folder."""
    members = [("pets\\" + name.replace("/", "\\"), content) for name, content in four]
    extra = [("__MACOSX/pets/cat/._1.png", b"x"), ("pets/.DS_Store", b"x"), ("pets/README.txt", b"x")]
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members + extra:
            info = zipfile.ZipInfo("placeholder")
            info.filename = name
            file.writestr(info, content)
    data = archive.load(path, 8)
    assert data.ids == [name for name, _ in four]
    assert data.notes == ("1 hidden file ignored.", "1 non-image file ignored.")


def test_verify_and_second_load(tmp_path, pets, cache):
    path = zipped(tmp_path / "pets.zip", pets)
    first = archive.load(path, 8)
    files = sorted(cache.rglob("*"))
    assert archive.load(path, 8, verify=True).fingerprint == first.fingerprint
    assert sorted(cache.rglob("*")) == files


def test_nothing_is_unpacked_or_changed(tmp_path, pets, snapshot):
    zipped(tmp_path / "pets.zip", pets)
    before = snapshot(tmp_path)
    archive.load(tmp_path / "pets.zip", 8)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    "name",
    ["../cat/3.png", "cat/../../3.png", "/cat/3.png", "C:/cat/3.png", "C:cat/3.png", "..\\3.png", "\\\\host\\a\\3.png"],
)
def test_paths_that_lead_out_are_refused(tmp_path, four, name):
    refused(with_members(tmp_path / "a.zip", [*four, (name, b"x")]), "leads out of the archive")


def test_links_are_refused(tmp_path, four):
    link = zipfile.ZipInfo("cat/link.png")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    refused(with_members(tmp_path / "a.zip", [*four, (link, "/etc/passwd")]), r"link\.png' is a link")


def test_encrypted_members_are_refused(tmp_path, four):
    path = with_members(tmp_path / "a.zip", four)
    content = bytearray(path.read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    refused(path, "is encrypted")


def test_the_total_size_is_capped(tmp_path, four, monkeypatch):
    path = with_members(tmp_path / "a.zip", four)
    monkeypatch.setattr(archive, "TOTAL_LIMIT", sum(len(content) for _, content in four))
    archive.load(path, 8)
    monkeypatch.setattr(archive, "TOTAL_LIMIT", archive.TOTAL_LIMIT - 1)
    refused(path, "more than the limit")


@pytest.mark.parametrize("declared", [10, 600_000_000, 2_000_000])
def test_a_lie_about_the_size_is_detected(tmp_path, four, declared):
    """A member of a megabyte that declares less, more than an image may have, or merely more."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in four:
            file.writestr(name, content)
        file.writestr("dog/liar.png", bytes(1_000_000))
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02") + 24
    content[at : at + 4] = declared.to_bytes(4, "little")
    path.write_bytes(content)
    refused(path, "1 of 5 images cannot be read")


def test_a_member_twice_is_refused(tmp_path, four):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = with_members(tmp_path / "a.zip", [*four, four[0]])
    refused(path, r"holds 'cat/1\.png' twice")


def test_a_damaged_member_is_skipped_with_its_reason(tmp_path, image_bytes):
    names = [f"{name}/{i:02}.png" for name in ("cat", "dog") for i in range(10)]
    path = with_members(tmp_path / "a.zip", [(name, image_bytes(name)) for name in names])
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 20] ^= 255
    path.write_bytes(content)
    data = archive.load(path, 8)
    assert len(data.ids) == 19
    assert [item.path for item in data.skipped] == ["cat/00.png"]
    assert "Bad CRC" in data.skipped[0].reason


def test_a_missing_zip_is_refused(tmp_path):
    refused(tmp_path / "none.zip", "No such file")


def test_an_empty_zip_is_refused(tmp_path):
    refused(with_members(tmp_path / "a.zip", []), "has no images")


def test_a_file_that_is_no_zip_is_refused(tmp_path, put):
    refused(put(tmp_path, "a.zip", content=b"no zip at all") / "a.zip", "is not a zip file, or it is damaged")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_zip_is_refused(tmp_path, four, share):
    path = with_members(tmp_path / "a.zip", four)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refused(path, "is not a zip file, or it is damaged")


def small_zip():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in ("cat/1.png", "dog/1.png"):
            file.writestr(name, b"no image")
    return buffer.getvalue()


@settings(max_examples=80, deadline=None)
@given(at=st.integers(0, 400), junk=st.binary(max_size=12))
@example(at=140, junk=b"\x00")  # a member without a name
def test_arbitrary_damage_never_raises_anything_but_data_error(tmp_path_factory, at, junk):
    path = tmp_path_factory.getbasetemp() / "fuzzed.zip"
    content = small_zip()
    path.write_bytes(content[:at] + junk + content[at + len(junk) :])
    with pytest.raises(DataError):
        archive.load(path, 8)
