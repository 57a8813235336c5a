"""A zip of class folders as a Dataset: laid out like a folder, read member by member into memory, never unpacked.

A folder around everything else is stripped, so pets.zip and the unpacked folder `pets` are the same data with the same
fingerprint. Links, encrypted members, absolute and parent paths, and more than TOTAL_LIMIT bytes are refused.
"""

import stat
import threading
from contextlib import closing
from pathlib import Path, PureWindowsPath
from zipfile import ZipFile, ZipInfo

from tenfold.datasets import ingest
from tenfold.datasets.collection import Collection, Entry
from tenfold.datasets.dataset import Dataset, Progress, silent
from tenfold.datasets.folder import PARTS, Listing, arrange, hidden, is_image
from tenfold.datasets.images import BYTES_LIMIT
from tenfold.errors import DataError

TOTAL_LIMIT = 64 * 1024**3
"""Bytes, unpacked, beyond which a zip is refused."""


def load(path: Path, image_size: int | None = None, verify: bool = False, progress: Progress = silent) -> Dataset:
    """The images of a zip of class folders, or of train, val and test folders of them.

    image_size: side in pixels; None: the files' median shorter side, within 8 and 64.
    verify: hash the members again, and compare with what was ingested.
    DataError: no zip, a damaged or hostile one, no usable classes, or what `ingest.load` says.
    """
    where = Path(path).expanduser().absolute()
    with closing(open_zip(where)) as archive:
        return ingest.load(collection_of(archive, where), image_size, verify, progress)


def collect(path: Path) -> Collection:
    """The members of such a zip, which stays open as long as the collection lives; DataError as for `load`."""
    where = Path(path).expanduser().absolute()
    return collection_of(open_zip(where), where)


def collection_of(archive: ZipFile, where: Path) -> Collection:
    """The image members of an open zip; DataError for a hostile one, or one without class folders."""
    members = checked_members(archive, where)
    entries, notes = arrange(list_members(members), where)
    return Collection(where, where.stem, entries, Reader(archive, members).read, notes)


def open_zip(where: Path) -> ZipFile:
    """The zip, opened; DataError if it is none."""
    try:
        return ZipFile(where)
    except OSError as error:
        raise DataError(f"{where} cannot be read: {error.strerror or error}.", "Check the path.") from None
    except Exception as error:  # zipfile answers damaged directories with whatever breaks first
        raise DataError(
            f"{where} is not a zip file, or it is damaged: {error}.",
            "Copy or download it again; `python -m zipfile -t FILE` tests a zip.",
        ) from None


def checked_members(archive: ZipFile, where: Path) -> dict[str, ZipInfo]:
    """The members by clean path, a top folder around all of them stripped; DataError if any is hostile."""
    members: dict[str, ZipInfo] = {}
    for info in archive.infolist():
        path = clean_path(info, where)
        if path in members and not info.is_dir():
            raise DataError(f"{where} holds '{path}' twice.", "Make the zip anew from the folder.")
        members[path] = info
    total = sum(info.file_size for info in members.values())
    if total > TOTAL_LIMIT:
        raise DataError(
            f"{where} would unpack to {total:,} bytes, more than the limit of {TOTAL_LIMIT:,}.",
            "Unpack it yourself if you trust it, and give the folder.",
        )
    top = common_top(members)
    return {path.removeprefix(top): info for path, info in members.items() if path.startswith(top)}


def clean_path(info: ZipInfo, where: Path) -> str:
    """A member's path with forward slashes; DataError for links, encryption, absolute and parent paths, and no name."""
    path = PureWindowsPath(info.filename)  # knows both kinds of slash, and drive letters
    fault = None
    if not info.filename:
        fault = "has no name"
    elif path.anchor or ".." in path.parts:
        fault = "leads out of the archive"
    elif stat.S_ISLNK(info.external_attr >> 16):
        fault = "is a link"
    elif info.flag_bits & 0x1:
        fault = "is encrypted"
    if fault:
        raise DataError(
            f"{where} is refused: its member '{info.filename}' {fault}.",
            "Make the zip anew from a plain folder of images, without a password.",
        )
    return path.as_posix()


def common_top(members: dict[str, ZipInfo]) -> str:
    """The folder ('pets/') around the class folders of every image, or ''."""
    top = ""
    paths = [path.split("/") for path in members if is_image(path) and not any(map(hidden, path.split("/")))]
    while paths and len({names[0] for names in paths}) == 1 and min(map(len, paths)) > 2:
        if paths[0][0].lower() in PARTS:
            break
        top += paths[0][0] + "/"
        paths = [names[1:] for names in paths]
    return top


def list_members(members: dict[str, ZipInfo]) -> Listing:
    """The members as a folder's listing; the checksum stands for the modification time."""
    listing = Listing()
    for path, info in members.items():
        names = path.split("/")
        folders = names if info.is_dir() else names[:-1]
        if any(map(hidden, names)):
            listing.hidden += not info.is_dir()
            continue
        listing.folders.update("/".join(folders[: depth + 1]) for depth in range(len(folders)))
        if not info.is_dir() and is_image(path):
            listing.images.append((path, info.file_size, info.CRC))
        else:
            listing.others += not info.is_dir()
    return listing


class Reader:
    """Reads members from several threads, one at a time: a ZipFile keeps one position in its file."""

    def __init__(self, archive: ZipFile, members: dict[str, ZipInfo]) -> None:
        self.archive, self.members = archive, members
        self.lock = threading.Lock()

    def read(self, entry: Entry) -> bytes:
        """The bytes of a member; DataError if it is damaged, or not as large as the archive says."""
        info = self.members[entry.path]
        if info.file_size > BYTES_LIMIT:
            raise DataError(f"It is larger than {BYTES_LIMIT:,} bytes.")
        try:
            with self.lock, self.archive.open(info) as member:
                content = member.read(info.file_size + 1)
        except Exception as error:  # bad checksum, unknown compression, a damaged stream: each has its own type
            raise DataError(f"It cannot be unpacked: {str(error) or type(error).__name__}.") from None
        if len(content) != info.file_size:
            raise DataError(f"It unpacks to {len(content):,} bytes, but declares {info.file_size:,}.")
        return content
