"""Files out of a .tar.gz by exact name and size, into memory; nothing is extracted to disk."""

import gzip
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from tenfold.datasets.identity import file_sha256
from tenfold.errors import DataError

FRAMING = 1_000_000
"""Bytes that headers, padding and a readme may take."""


class Limited(gzip.GzipFile):
    """An unzipped file that refuses to give more than `limit` bytes in all, whatever the archive claims."""

    def __init__(self, path: Path, limit: int) -> None:
        super().__init__(path, "rb")
        self.path, self.left = path, limit

    def read(self, size: int | None = -1) -> bytes:
        """The next `size` bytes; DataError past the limit."""
        data = super().read(self.left + 1 if size is None or size < 0 else min(size, self.left + 1))
        self.left -= len(data)
        if self.left < 0:
            raise DataError(f"{self.path} unpacks to more than its files' sizes; it is refused.", "Delete it.")
        return data


def check_sha256(path: Path, expected: str) -> None:
    """DataError if the file's SHA-256 is another."""
    found = file_sha256(path)
    if found != expected:
        raise DataError(
            f"{path} is damaged or not the official file: its SHA-256 is {found}, expected {expected}.",
            "Delete it and download it again.",
        )


def members(path: Path, wanted: Mapping[str, range]) -> Iterator[tuple[str, bytes]]:
    """Each wanted file (name: allowed sizes) as (name, contents), in the archive's order.

    Links, devices, absolute and parent paths, wrong sizes, repeated and missing files are a DataError; other
    regular files are passed over unread.
    """
    limit = sum(sizes[-1] for sizes in wanted.values()) + FRAMING
    missing = set(wanted)
    try:
        with Limited(path, limit) as unzipped, tarfile.open(fileobj=unzipped, mode="r|") as tar:
            for member in tar:
                check_member(path, member)
                if member.name in wanted:
                    check_size(path, member, wanted[member.name], member.name in missing)
                    missing.remove(member.name)
                    yield member.name, read(tar, member)
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise DataError(f"{path} cannot be read: {error}.", "Delete it and download it again.") from None
    if missing:
        raise DataError(f"{path} lacks {', '.join(sorted(missing))}.", "Delete it and download it again.")


def check_member(path: Path, member: tarfile.TarInfo) -> None:
    """DataError unless it is a regular file or folder below the archive's top."""
    name = PurePosixPath(member.name)
    if not (member.isreg() or member.isdir()):
        raise DataError(f"{path} is refused: '{member.name}' in it is a link or device, not a file.", "Delete it.")
    if name.is_absolute() or ".." in name.parts:
        raise DataError(f"{path} is refused: '{member.name}' in it leads out of the archive.", "Delete it.")


def check_size(path: Path, member: tarfile.TarInfo, sizes: range, first: bool) -> None:
    """DataError if a wanted file has a size outside `sizes` or comes a second time."""
    if member.size not in sizes or not member.isreg():
        raise DataError(
            f"{path} is refused: '{member.name}' in it has {member.size:,} bytes, expected {expected(sizes)}.",
            "Delete it and download it again.",
        )
    if not first:
        raise DataError(f"{path} is refused: '{member.name}' is in it twice.", "Delete it and download it again.")


def expected(sizes: range) -> str:
    """A range of sizes in words."""
    return f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"


def read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """The member's contents."""
    file = tar.extractfile(member)
    assert file is not None, "a regular file"
    return file.read()
