"""CIFAR-10's files: what the two official layouts are called and how their bytes become pixels and labels."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenfold.datasets.dataset import Images, Labels, Progress
from tenfold.datasets.tarball import expected
from tenfold.datasets.unpickle import load_dict
from tenfold.errors import DataError

Bytes = NDArray[np.uint8]

BATCH, BATCHES, CLASSES = 10_000, 6, 10
TRAIN, COUNT = 50_000, 60_000
PIXELS = 32 * 32
FLAT_SIZE = COUNT * (3 * PIXELS + 1)
PER_CLASS = {"training": 5_000, "test": 1_000}
REMEDY = "Delete it and unpack or download the archive again."


@dataclass(frozen=True)
class Layout:
    """One official layout: where its files are, their sizes, and how each is decoded.

    decode: a batch file as (labels, integers [10000], pixels uint8 [10000, 3 * 1024]); classes: the meta file as names
    """

    folder: str
    archive: str
    sha256: str
    batches: tuple[str, ...]
    batch_sizes: range
    meta: str
    decode: Callable[[bytes, str], tuple[NDArray[Any], Bytes]]
    classes: Callable[[bytes, str], list[str]]

    @property
    def sizes(self) -> dict[str, range]:
        """The sizes in bytes that each file may have."""
        return {**dict.fromkeys(self.batches, self.batch_sizes), self.meta: range(1, 1025)}


class Content:
    """All of CIFAR-10 in one uint8 array (so that it is cached as one): pixels [N, H, W, C], then labels [N]."""

    def __init__(self, flat: Bytes, classes: tuple[str, ...]) -> None:
        self.flat, self.classes = flat, classes
        self.pixels = flat[: COUNT * 3 * PIXELS].reshape(COUNT, 32, 32, 3)
        self.small_labels = flat[COUNT * 3 * PIXELS :]

    @property
    def images(self) -> Images:
        """uint8 [60000, 3, 32, 32], a channels-last view."""
        return self.pixels.transpose(0, 3, 1, 2)

    @property
    def labels(self) -> Labels:
        """int64 [60000]."""
        return self.small_labels.astype(np.int64)


def assemble(layout: Layout, files: Iterable[tuple[str, bytes]], where: str, progress: Progress) -> Content:
    """Decode each (name, contents) into its place; DataError if labels or counts are not CIFAR-10's."""
    content = Content(np.empty(FLAT_SIZE, np.uint8), ())
    for done, (name, data) in enumerate(files, start=1):
        if name == layout.meta:
            content.classes = check_classes(layout.classes(data, f"{where}/{name}"), f"{where}/{name}")
        else:
            labels, planes = layout.decode(data, f"{where}/{name}")
            place(content, layout.batches.index(name), check_labels(labels, f"{where}/{name}"), planes)
        progress("reading CIFAR-10", done, BATCHES + 1)
    check_counts(content, where)
    return content


def place(content: Content, batch: int, labels: Bytes, planes: Bytes) -> None:
    """Write one batch's labels and its pixels, plane by plane into channels-last."""
    rows = slice(batch * BATCH, (batch + 1) * BATCH)
    content.small_labels[rows] = labels
    pixels = content.pixels[rows].reshape(BATCH, PIXELS, 3)
    for channel in range(3):
        pixels[:, :, channel] = planes[:, channel * PIXELS : (channel + 1) * PIXELS]


def check_labels(labels: NDArray[Any], where: str) -> Bytes:
    """The labels as bytes; DataError names the first that is not 0 to 9."""
    wrong = (labels < 0) | (labels >= CLASSES)
    if wrong.any():
        index = int(np.argmax(wrong))
        raise DataError(f"{where}: image {index} has the label {labels[index]}; CIFAR-10 has 0 to 9.", REMEDY)
    return labels.astype(np.uint8)


def check_counts(content: Content, where: str) -> None:
    """DataError unless each class has 5,000 training and 1,000 test images."""
    labels = {"training": content.small_labels[:TRAIN], "test": content.small_labels[TRAIN:]}
    for part, expected_count in PER_CLASS.items():
        for name, count in zip(content.classes, np.bincount(labels[part], minlength=CLASSES)):
            if count != expected_count:
                raise DataError(
                    f"{where} has {count:,} {part} images of class '{name}'; CIFAR-10 has {expected_count:,}.", REMEDY
                )


def check_classes(names: list[str], where: str) -> tuple[str, ...]:
    """The class names; DataError unless there are ten different ones."""
    if len(names) != CLASSES or len(set(names)) != CLASSES:
        raise DataError(f"{where} must name ten classes; it names {', '.join(names) or 'none'}.", REMEDY)
    return tuple(names)


def check_file_size(size: int, sizes: range, where: str) -> None:
    """DataError if a file is truncated or too long."""
    if size not in sizes:
        raise DataError(f"{where} has {size:,} bytes, expected {expected(sizes)}.", REMEDY)


def decode_binary(data: bytes, where: str) -> tuple[NDArray[Any], Bytes]:
    """A .bin file: 10,000 records of one label byte and 3,072 pixel bytes."""
    records = np.frombuffer(data, np.uint8).reshape(BATCH, 1 + 3 * PIXELS)
    return records[:, 0], records[:, 1:]


def classes_binary(data: bytes, where: str) -> list[str]:
    """batches.meta.txt: one name a line."""
    return data.decode("ascii", errors="replace").split()


def decode_python(data: bytes, where: str) -> tuple[NDArray[Any], Bytes]:
    """A pickled batch: "labels", a list of 10,000 integers, and "data", uint8 [10000, 3072]."""
    batch = load_dict(data, where)
    labels, planes = batch.get(b"labels"), batch.get(b"data")
    if not (isinstance(planes, np.ndarray) and planes.dtype == np.uint8 and planes.shape == (BATCH, 3 * PIXELS)):
        raise DataError(f"{where} has no 'data' of 10,000 × 3,072 bytes.", REMEDY)
    if not (isinstance(labels, list) and len(labels) == BATCH and all(type(x) is int for x in labels)):
        raise DataError(f"{where} has no 'labels', a list of 10,000 integers.", REMEDY)
    return np.array(labels), planes


def classes_python(data: bytes, where: str) -> list[str]:
    """batches.meta: "label_names", a list of texts."""
    names = load_dict(data, where).get(b"label_names")
    if not (isinstance(names, list) and all(isinstance(name, bytes) for name in names)):
        raise DataError(f"{where} has no 'label_names', a list of texts.", REMEDY)
    return [name.decode("ascii", errors="replace") for name in names]


BINARY = Layout(
    folder="cifar-10-batches-bin",
    archive="cifar-10-binary.tar.gz",
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    batches=(*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"),
    batch_sizes=range(BATCH * (1 + 3 * PIXELS), BATCH * (1 + 3 * PIXELS) + 1),
    meta="batches.meta.txt",
    decode=decode_binary,
    classes=classes_binary,
)
PYTHON = Layout(
    folder="cifar-10-batches-py",
    archive="cifar-10-python.tar.gz",
    sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    batches=(*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"),
    # The pixels, and at most a million bytes of labels and file names.
    batch_sizes=range(BATCH * 3 * PIXELS, BATCH * 3 * PIXELS + 1_000_001),
    meta="batches.meta",
    decode=decode_python,
    classes=classes_python,
)
