"""Where ingested images lie: one folder a source, size and state of its files.

    <cache>/images/<source>-<state>/images.npy    uint8 [N, H, W, 3], memory-mapped
                                    index.json    Index: paths, labels, hashes, what was skipped
    <cache>/images/tmp-…                          an ingestion under way; it becomes the above by one rename

`<source>` is a hash of the absolute path and the image size asked for, `<state>` a SHA-256 of all file names, labels,
sizes and times: files that change get a new folder, and the source's old one is removed.
"""

import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from tenfold.cache import cache_folder
from tenfold.datasets.dataset import Images, Skipped
from tenfold.datasets.images import DECODE_VERSION
from tenfold.errors import DataError

STALE_SECONDS = 600
"""An ingestion that has written nothing for so long is dead: its process was killed."""


class Index(BaseModel):
    """What images.npy holds, row by row, and what was left out."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    image_size: int
    classes: list[str]
    fingerprint: str
    paths: list[str]
    labels: list[int]
    parts: list[str]
    sha256: list[str]
    sizes: list[int]
    stamps: list[int]
    skipped: list[tuple[str, str]]

    def shape(self) -> tuple[int, int, int, int]:
        """The shape that images.npy must have."""
        return (len(self.paths), self.image_size, self.image_size, 3)

    def consistent(self) -> bool:
        """Whether every row has all its values, and a class."""
        columns = (self.labels, self.parts, self.sha256, self.sizes, self.stamps)
        whole = all(len(column) == len(self.paths) for column in columns)
        return whole and bool(self.paths) and set(self.labels) <= set(range(len(self.classes)))

    def skipped_files(self) -> tuple[Skipped, ...]:
        """The files that could not be used."""
        return tuple(Skipped(path, reason) for path, reason in self.skipped)


def home() -> Path:
    """The folder of ingested images."""
    return cache_folder("images").absolute()


def folder_for(
    source: Path, image_size: int | None, entries: Iterable[tuple[object, ...]], strict: bool = True
) -> Path:
    """Where these files of that source belong, whether they are there or not; apart if nothing was refused."""
    asked = [str(source), image_size] if strict else [str(source), image_size, "anything"]
    state = json.dumps([DECODE_VERSION, asked, list(entries)])
    return home() / f"{sha256(json.dumps(asked).encode())[:16]}-{sha256(state.encode())}"


def sha256(content: bytes) -> str:
    """The SHA-256 of some bytes, in hex."""
    return hashlib.sha256(content).hexdigest()


def load(folder: Path) -> tuple[Index, Images] | None:
    """Index and images [N, H, W, 3] (copy-on-write), or None if they are not there or damaged in any way."""
    try:
        index = Index.model_validate_json((folder / "index.json").read_bytes())
        pixels = np.lib.format.open_memmap(folder / "images.npy", mode="c")
    except (OSError, ValueError, ValidationError, EOFError):
        return None
    sound = index.consistent() and pixels.shape == index.shape() and pixels.dtype == np.uint8
    return (index, np.asarray(pixels)) if sound and pixels.flags.c_contiguous else None


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder that becomes `folder` if the block succeeds, and vanishes if not.

    What was damaged at `folder`, and older states of the same source, are removed.
    DataError: the cache cannot be written.
    """
    temporary: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix="tmp-", dir=folder.parent))
        yield temporary
        publish(temporary, folder)
    except OSError as error:
        raise DataError(
            f"The image cache {folder.parent} cannot be written: {error.strerror or error}.",
            "Set the environment variable TENFOLD_CACHE to a folder that is writable and has enough free space.",
        ) from None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def publish(temporary: Path, folder: Path) -> None:
    """Rename the finished folder to its place, unless another ingestion was faster with the same files.

    The rename comes first, and what is damaged is removed only after it failed: to look first, and remove then, would
    remove what was put there in between.
    """
    for last in (False, True):
        try:
            temporary.rename(folder)
            break
        except OSError:
            if load(folder) is not None:
                break
            if last:
                raise
            shutil.rmtree(folder, ignore_errors=True)
    for other in folder.parent.glob(f"{folder.name.split('-')[0]}-*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)


def write_images(path: Path, most: int, size: int, pixels: Iterable[Images]) -> int:
    """Write chunks [n, size, size, 3] one after the other as one .npy; at most `most` images, returns how many.

    Written as a stream: on a full disk that is an OSError, where a memory map would end the process.
    """
    needed = most * size * size * 3
    if shutil.disk_usage(path.parent).free < needed:
        raise OSError(errno.ENOSPC, f"{needed / 1e9:.1f} GB are needed, more than the disk has left")
    count = 0
    with path.open("wb") as file:
        write_header(file, (most, size, size, 3))
        for chunk in pixels:
            file.write(chunk.data)
            count += len(chunk)
        file.seek(0)
        write_header(file, (count, size, size, 3))
        sync(file)
    return count


def write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """The .npy header; NumPy pads it so that its length is the same for any number of rows."""
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def write_index(path: Path, index: Index) -> None:
    """Write index.json."""
    with path.open("wb") as file:
        file.write(json.dumps(index.model_dump()).encode())
        sync(file)


def sync(file: BinaryIO) -> None:
    """To the disk itself, so that the rename that follows cannot arrive there first."""
    file.flush()
    os.fsync(file.fileno())


def sweep() -> None:
    """Remove what killed ingestions left behind."""
    for leftover in home().glob("tmp-*"):
        try:
            last = max(path.stat().st_mtime for path in (leftover, *leftover.iterdir()))
        except OSError:  # finished or removed by its own process just now
            continue
        if time.time() - last > STALE_SECONDS:
            shutil.rmtree(leftover, ignore_errors=True)
