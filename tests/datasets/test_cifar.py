"""CIFAR-10: both layouts, folders and archives, every way they can be wrong; and the real files."""

import gzip
import io
import os
import tarfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from python2_pickle import dumps

from tenfold.datasets import cifar, cifar_cache, tarball
from tenfold.datasets.cifar_files import BINARY, PYTHON
from tenfold.datasets.identity import fingerprint
from tenfold.errors import DataError

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
DATA = Path(os.environ.get("TENFOLD_DATA") or Path(__file__).parents[3] / "shared" / "data") / "cifar10"


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """No test sees or changes the user's own folders, or gets out into the network."""
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TENFOLD_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(cifar, "URL", "https://localhost:1/cifar-10-binary.tar.gz")


def made_up():
    """60,000 nearly black pictures: labels 0 to 9 in turn; red, green, blue of three pixels tell picture and place."""
    labels = (np.arange(60_000) % 10).astype(np.uint8)
    planes = np.zeros((60_000, 3, 32, 32), np.uint8)
    planes[:, 0, 0, 0] = np.arange(60_000) % 251
    planes[:, 1, 5, 31] = np.arange(60_000) // 251
    planes[:, 2, 31, 7] = 77
    return labels, planes.reshape(60_000, 3072)


@pytest.fixture(scope="session")
def binary(tmp_path_factory):
    labels, planes = made_up()
    folder = tmp_path_factory.mktemp("binary") / BINARY.folder
    folder.mkdir()
    records = np.column_stack([labels, planes])
    for k, name in enumerate(BINARY.batches):
        records[k * 10_000 : (k + 1) * 10_000].tofile(folder / name)
    (folder / BINARY.meta).write_text("\n".join(NAMES) + "\n\n")
    return folder


@pytest.fixture(scope="session")
def python(tmp_path_factory):
    labels, planes = made_up()
    folder = tmp_path_factory.mktemp("python") / PYTHON.folder
    folder.mkdir()
    for k, name in enumerate(PYTHON.batches):
        rows = slice(k * 10_000, (k + 1) * 10_000)
        batch = {b"batch_label": b"some", b"labels": labels[rows].tolist(), b"data": planes[rows]}
        (folder / name).write_bytes(dumps(batch))
    (folder / PYTHON.meta).write_bytes(dumps({b"label_names": [name.encode() for name in NAMES]}))
    return folder


@pytest.fixture(scope="session")
def archive(binary, tmp_path_factory):
    """A complete binary archive (not the official bytes)."""
    path = tmp_path_factory.mktemp("archive") / BINARY.archive
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        tar.add(binary, BINARY.folder)
    return path


def admit(monkeypatch, path, layout=BINARY):
    """Let this file count as the official archive; returns its SHA-256."""
    digest = sha256(path.read_bytes()).hexdigest()
    layouts = tuple(replace(one, sha256=digest) if one is layout else one for one in (BINARY, PYTHON))
    monkeypatch.setattr(cifar, "LAYOUTS", layouts)
    return digest


def variant(source, target, **changed):
    """A folder with the same files, except those given as name=bytes, or None for missing ones."""
    target.mkdir()
    for file in source.iterdir():
        (target / file.name).symlink_to(file)
    for name, content in changed.items():
        (target / name).unlink()
        if content is not None:
            (target / name).write_bytes(content)
    return target


def forged(path, *members):
    """An archive of made-up members: (name, size) or a TarInfo of a link."""
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                entry = tarfile.TarInfo(member[0])
                entry.size = member[1]
                tar.addfile(entry, io.BytesIO(bytes(member[1])))
    return path


# What is read


def test_binary_folder(binary):
    data = cifar.load(binary)
    index = np.arange(60_000)
    assert (data.name, data.where) == ("cifar10", str(binary))
    assert data.notes == (f"using verified files in {binary}",)
    assert data.images.shape == (60_000, 3, 32, 32)
    assert data.images.transpose(0, 2, 3, 1).flags.c_contiguous
    np.testing.assert_array_equal(data.images[:, 0, 0, 0], index % 251)
    np.testing.assert_array_equal(data.images[:, 1, 5, 31], index // 251)
    assert (data.images[:, 2, 31, 7] == 77).all()
    np.testing.assert_array_equal(data.labels, index % 10)
    assert data.labels.dtype == np.int64
    assert data.classes == NAMES
    assert (len(data.ids), data.ids[0], data.ids[50_000], data.ids[-1]) == (60_000, "train/0", "test/0", "test/9999")
    assert data.ids[49_999:50_001] == ["train/49999", "test/0"]
    assert data.counts(data.parts["train"]) == [5000] * 10
    assert data.counts(data.parts["test"]) == [1000] * 10


def test_both_layouts_are_the_same_data(binary, python):
    first, second = cifar.load(binary.parent), cifar.load(python.parent)
    assert np.array_equal(first.images, second.images)
    assert first.fingerprint == second.fingerprint
    assert first.classes == second.classes


def test_the_fingerprint_tells_order_labels_and_classes():
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 2, 2)
    labels, classes = np.array([0, 1]), ["cat", "dog"]
    different = [
        fingerprint(images, labels, classes),
        fingerprint(images[::-1], labels, classes),
        fingerprint(images, labels[::-1], classes),
        fingerprint(images, labels, classes[::-1]),
        fingerprint(images.reshape(2, 3, 1, 4), labels, classes),
    ]
    assert len(set(different)) == len(different)
    channels_last = np.ascontiguousarray(images.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    assert fingerprint(channels_last, labels, classes) == different[0]


def test_another_size(binary, monkeypatch):
    resized = cifar.resized
    monkeypatch.setattr(cifar, "resized", lambda pixels, size, progress: resized(pixels[:1000], size, progress))
    data = cifar.load(binary, image_size=8)
    assert data.images.shape == (1000, 3, 8, 8)
    assert data.images.transpose(0, 2, 3, 1).flags.c_contiguous
    assert data.images[0, 2, 7, 1] > 0
    assert data.fingerprint == fingerprint(data.images, data.labels, data.classes)


def test_found_in_TENFOLD_DATA_and_then_in_the_cache(binary, python, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "cifar10").symlink_to(python.parent)
    assert PYTHON.folder in cifar.load().where
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cifar10").symlink_to(binary.parent)
    assert BINARY.folder in cifar.load().where


def test_looks_like(binary, python, archive, tmp_path):
    for path in (binary, binary.parent, python, python.parent, archive, archive.parent):
        assert cifar.looks_like(path)
    (tmp_path / "dogs").mkdir()
    for path in (tmp_path, tmp_path / "dogs", tmp_path / "missing", binary / "data_batch_1.bin"):
        assert not cifar.looks_like(path)


def test_archive_is_decoded_once_mapped_afterwards_and_anew_if_the_cache_is_damaged(archive, monkeypatch):
    digest = admit(monkeypatch, archive)
    first = cifar.load(archive)
    assert first.notes == ("using verified file cifar-10-binary.tar.gz",)
    with monkeypatch.context() as patch:
        patch.setattr(cifar.tarball, "members", None)
        patch.setattr(cifar.tarball, "check_sha256", None)
        second = cifar.load(archive.parent)
    assert second.fingerprint == first.fingerprint
    assert isinstance(second.images.base, np.memmap)
    assert second.notes == first.notes
    with (cifar_cache.home() / f"decoded-{digest[:16]}.npy").open("r+b") as file:
        file.seek(5_000_000)
        file.write(b"damage")
    third = cifar.load(archive)
    assert third.fingerprint == first.fingerprint
    assert np.array_equal(third.images, first.images)


def test_verify_checks_and_decodes_again(archive, monkeypatch):
    cifar_cache.remember_verified(archive, admit(monkeypatch, archive))
    done = []
    monkeypatch.setattr(cifar_cache, "load_decoded", None)
    monkeypatch.setattr(tarball, "check_sha256", lambda *_given: done.append("checked"))
    monkeypatch.setattr(tarball, "members", lambda *_given: done.append("read") or iter(()))
    monkeypatch.setattr(cifar, "assemble", lambda *_given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cifar.load(archive, verify=True)
    assert done == ["checked", "read"]


def test_damaged_records_count_as_none(archive):
    cifar_cache.remember_verified(archive, "abc")
    assert cifar_cache.is_verified(archive, "abc")
    assert not cifar_cache.is_verified(archive, "abd")
    for damage in ("[1", "[1]", "", "{}"):
        (cifar_cache.home() / "verified.json").write_text(damage)
        assert not cifar_cache.is_verified(archive, "abc")
        (cifar_cache.home() / "decoded-abc.json").write_text(damage)
        (cifar_cache.home() / "decoded-abc.npy").write_text(damage)
        assert cifar_cache.load_decoded("abc") is None


def test_a_cache_that_cannot_be_written_only_costs_time(archive, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "file"))
    cifar_cache.remember_verified(archive, "abc")
    assert not cifar_cache.is_verified(archive, "abc")


def test_a_changed_archive_is_checked_again(archive, monkeypatch, tmp_path):
    copy = tmp_path / BINARY.archive
    copy.write_bytes(archive.read_bytes())
    digest = admit(monkeypatch, copy)
    cifar_cache.remember_verified(copy, digest)
    assert cifar_cache.is_verified(copy, digest)
    with copy.open("ab") as file:
        file.write(b"more")
    with pytest.raises(DataError, match="SHA-256"):
        cifar.load(copy)


# What is refused


def test_missing_path(tmp_path):
    with pytest.raises(DataError, match=r"There is no .*nowhere"):
        cifar.load(tmp_path / "nowhere")


def test_a_path_without_cifar(tmp_path):
    with pytest.raises(DataError, match="does not hold CIFAR-10") as caught:
        cifar.load(tmp_path)
    assert "cifar-10-batches-bin" in caught.value.remedy


def test_truncated_batch(binary, tmp_path):
    folder = variant(binary, tmp_path / "bad", **{"data_batch_1.bin": bytes(1000)})
    with pytest.raises(DataError, match=r"data_batch_1\.bin has 1,000 bytes, expected 30,730,000"):
        cifar.load(folder)


def test_missing_batch(binary, tmp_path):
    folder = variant(binary, tmp_path / "bad", **{"data_batch_1.bin": None})
    with pytest.raises(DataError, match=r"incomplete: data_batch_1\.bin is missing"):
        cifar.load(folder)


def test_label_beyond_nine(binary, tmp_path):
    content = bytearray((binary / "data_batch_1.bin").read_bytes())
    content[3073 * 4] = 10
    folder = variant(binary, tmp_path / "bad", **{"data_batch_1.bin": content})
    with pytest.raises(DataError, match=r"data_batch_1\.bin: image 4 has the label 10; CIFAR-10 has 0 to 9"):
        cifar.load(folder)


def test_wrong_counts(binary, tmp_path):
    content = bytearray((binary / "test_batch.bin").read_bytes())
    content[0] = 1
    folder = variant(binary, tmp_path / "bad", **{"test_batch.bin": content})
    with pytest.raises(DataError, match="has 999 test images of class 'airplane'; CIFAR-10 has 1,000"):
        cifar.load(folder)


@pytest.mark.parametrize("meta", [b"cat\ndog\n", b"cat\n" * 10, b"\xff\xfe"])
def test_wrong_class_names(binary, tmp_path, meta):
    folder = variant(binary, tmp_path / "bad", **{BINARY.meta: meta})
    with pytest.raises(DataError, match="must name ten classes"):
        cifar.load(folder)


def padded(batch):
    """A pickle as long as a real batch."""
    return dumps({**batch, b"padding": bytes(30_720_000)})


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({b"labels": [0] * 10_000}, "has no 'data'"),
        ({b"labels": [0] * 10_000, b"data": np.zeros((2, 3072), np.uint8)}, "has no 'data'"),
        ({b"labels": [0] * 9, b"data": np.zeros((10_000, 3072), np.uint8)}, "has no 'labels'"),
        ({b"labels": [b"0"] * 10_000, b"data": np.zeros((10_000, 3072), np.uint8)}, "has no 'labels'"),
        ({b"labels": [0, -7] * 5_000, b"data": np.zeros((10_000, 3072), np.uint8)}, "image 1 has the label -7"),
    ],
)
def test_wrong_python_batches(python, tmp_path, batch, message):
    content = dumps(batch)
    if len(content) < 30_720_000:
        content = padded(batch)
    folder = variant(python, tmp_path / "bad", data_batch_1=content)
    with pytest.raises(DataError, match=message):
        cifar.load(folder)


def test_python_batch_with_a_forbidden_global(python, tmp_path):
    hostile = dumps({b"padding": bytes(30_720_000)})[:-2] + b"\x8c\x01xcos\nsystem\nu."
    folder = variant(python, tmp_path / "bad", data_batch_1=hostile)
    with pytest.raises(DataError, match=r"data_batch_1 is not a safe pickle: it asks for os\.system"):
        cifar.load(folder)


def test_wrong_checksum(tmp_path):
    path = tmp_path / PYTHON.archive
    path.write_bytes(b"not the official one")
    with pytest.raises(DataError, match=f"expected {PYTHON.sha256}") as caught:
        cifar.load(tmp_path)
    assert caught.value.remedy == "Delete it and download it again."


def link(kind, name, target):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (link(tarfile.SYMTYPE, "cifar-10-batches-bin/data_batch_1.bin", "/etc/passwd"), "link or device"),
        (link(tarfile.LNKTYPE, "cifar-10-batches-bin/data_batch_1.bin", "other"), "link or device"),
        (link(tarfile.FIFOTYPE, "cifar-10-batches-bin/data_batch_1.bin", ""), "link or device"),
        (("/etc/passwd", 5), "leads out of the archive"),
        (("cifar-10-batches-bin/../../evil", 5), "leads out of the archive"),
        (("cifar-10-batches-bin/data_batch_1.bin", 30_730_001), "has 30,730,001 bytes, expected 30,730,000"),
        (("cifar-10-batches-bin/batches.meta.txt", 5_000), "has 5,000 bytes, expected 1 to 1,024"),
        (("cifar-10-batches-bin/other.bin", 10), "lacks cifar-10-batches-bin/batches.meta.txt"),
    ],
)
def test_forged_archives(member, message, tmp_path, monkeypatch):
    path = forged(tmp_path / BINARY.archive, member)
    admit(monkeypatch, path)
    with pytest.raises(DataError, match=message):
        cifar.load(path)
    assert not list(tmp_path.rglob("*.bin"))


def test_an_archive_that_unpacks_to_more_than_its_files(tmp_path):
    path = forged(tmp_path / "bomb.tar.gz", ("readme.html", 5_000_000))
    with pytest.raises(DataError, match="unpacks to more than its files' sizes"):
        list(tarball.members(path, {"data": range(100, 101)}))


def test_an_archive_with_a_file_twice(tmp_path):
    path = forged(tmp_path / "twice.tar.gz", ("data", 100), ("data", 100))
    with pytest.raises(DataError, match="'data' is in it twice"):
        list(tarball.members(path, {"data": range(100, 101)}))


@pytest.mark.parametrize(
    "content",
    [b"", b"not gzip", gzip.compress(b"not tar" * 1000), gzip.compress(bytes(99))[:-9]],
    ids=["empty", "not gzip", "not tar", "cut off"],  # gzip holds the time: without ids, workers would disagree
)
def test_damaged_archives(content, tmp_path, monkeypatch):
    path = tmp_path / BINARY.archive
    path.write_bytes(content)
    admit(monkeypatch, path)
    with pytest.raises(DataError, match=r"cannot be read|lacks"):
        cifar.load(path)


def test_offline_says_where_to_put_the_files(tmp_path):
    with pytest.raises(DataError, match="nor could it be downloaded") as caught:
        cifar.load()
    assert str(tmp_path / "data" / "cifar10") in caught.value.what
    assert str(tmp_path / "cache" / "cifar10") in caught.value.remedy
    assert "TENFOLD_DATA" in caught.value.remedy
    assert "--data" in caught.value.remedy


# The real files


@pytest.mark.skipif(not cifar.looks_like(DATA), reason="no real CIFAR-10: set TENFOLD_DATA to a folder with cifar10/")
def test_real_cifar():
    data = cifar.load(DATA)
    assert data.classes == NAMES
    assert data.counts(data.parts["train"]) == [5000] * 10
    means = data.images[:50_000].mean((0, 2, 3))
    np.testing.assert_allclose(means, [125.31, 122.95, 113.87], atol=0.01)  # Published: 0.4914, 0.4822, 0.4465.
