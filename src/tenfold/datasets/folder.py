"""A folder of class folders as a Dataset; how its layout is understood is shared with zips.

    pets/cat/1.jpg  pets/dog/old/2.png               classes cat and dog; files may be nested below a class
    pets/train/cat/1.jpg  pets/test/cat/2.jpg        the same, already split; `val` is also called valid or validation

Nothing is ever written to the folder or beside it.
"""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tenfold.datasets import images, ingest
from tenfold.datasets.collection import Collection, Entry, natural, quoted
from tenfold.datasets.dataset import Dataset, Progress, silent
from tenfold.errors import DataError, counted

PARTS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""Folder names (in any case) that mean a part of the data, not a class."""
LAYOUT = "Put the images of each class into a folder of its name: {0}/cat/…, {0}/dog/… (or {0}/train/cat/…)."


@dataclass
class Listing:
    """What lies below a source: image files as (path, size, stamp), all folders, and how many files are no images."""

    images: list[tuple[str, int, int]] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)
    hidden: int = 0
    others: int = 0

    def notes(self) -> tuple[str, ...]:
        """What was ignored, for the user to know."""
        return tuple(
            f"{counted(count, kind)} ignored."
            for count, kind in ((self.hidden, "hidden file"), (self.others, "non-image file"))
            if count
        )


def load(path: Path, image_size: int | None = None, verify: bool = False, progress: Progress = silent) -> Dataset:
    """The images of a folder of class folders, or of train, val and test folders of them.

    image_size: side in pixels; None: the files' median shorter side, within 8 and 64.
    verify: hash the files again, and compare with what was ingested.
    DataError: no such folder, no usable classes, or what `ingest.load` says.
    """
    return ingest.load(collect(path), image_size, verify, progress)


def collect(path: Path) -> Collection:
    """The image files of such a folder, none of them opened yet; DataError: no such folder, no class folders."""
    where = Path(path).expanduser().absolute()
    if not where.is_dir():
        fault = "is not a folder" if where.exists() else "does not exist"
        raise DataError(f"{where} {fault}.", LAYOUT.format(where))
    listing = Listing()
    try:
        walk(where, "", frozenset({where.resolve()}), listing)
    except OSError as error:
        raise DataError(
            f"{error.filename or where} cannot be read: {error.strerror}.", "Check its permissions."
        ) from None
    entries, notes = arrange(listing, where)
    return Collection(where, where.name, entries, lambda entry: images.read(f"{where}/{entry.path}"), notes)


def walk(folder: Path, prefix: str, above: frozenset[Path], listing: Listing) -> None:
    """Add what lies in `folder` to the listing; links to folders are followed, but never into a folder `above`."""
    with os.scandir(folder) as found:
        for item in found:
            if hidden(item.name):
                listing.hidden += 1
            elif item.is_dir():
                real = Path(check_text(item)).resolve()
                if real not in above:
                    listing.folders.add(prefix + item.name)
                    walk(Path(item.path), f"{prefix}{item.name}/", above | {real}, listing)
            elif is_image(check_text(item)) and (size_and_time := regular(item)):
                listing.images.append((prefix + item.name, *size_and_time))
            else:
                listing.others += 1


def check_text(item: os.DirEntry[str]) -> str:
    """The path, if its name is text that can be printed and stored; DataError if not."""
    try:
        item.name.encode()
    except UnicodeEncodeError:
        shown = item.path.encode(errors="backslashreplace").decode()
        raise DataError(f"The name of {shown} is not valid UTF-8.", "Rename it.") from None
    return item.path


def regular(item: os.DirEntry[str]) -> tuple[int, int] | None:
    """Size in bytes and time in ns of a file; (0, 0) for a broken link, which reading will report; None for a pipe."""
    try:
        info = item.stat()
    except OSError:
        return 0, 0
    return (info.st_size, info.st_mtime_ns) if stat.S_ISREG(info.st_mode) else None


def hidden(name: str) -> bool:
    """Whether a file or folder of that name is no concern of the user's: dot files, and what macOS puts into zips."""
    return name.startswith(".") or name == "__MACOSX"


def is_image(name: str) -> bool:
    """Whether the name ends like an image's."""
    return os.path.splitext(name)[1].lower() in images.ENDINGS  # noqa: PTH122 (a Path for each of 60,000 names is slow)


def arrange(listing: Listing, where: Path) -> tuple[list[Entry], tuple[str, ...]]:
    """Class and part of every image by its path, and notes; DataError if there are no class folders."""
    if not listing.images:
        raise DataError(f"{where} has no images in it.", LAYOUT.format(where))
    level = 1 if is_split(listing, where) else 0
    entries = []
    for path, size, stamp in listing.images:
        names = path.split("/")
        if len(names) > level + 1:
            entries.append(Entry(path, names[level], PARTS[names[0].lower()] if level else "train", size, stamp))
    outside = len(listing.images) - len(entries)
    if not entries:
        raise DataError(f"{where} has {counted(outside, 'image')}, but no class folders.", LAYOUT.format(where))
    check_empty(listing, entries, level, where)
    stray = (f"{counted(outside, 'image')} outside of the class folders ignored.",) if outside else ()
    return entries, listing.notes() + stray


def is_split(listing: Listing, where: Path) -> bool:
    """Whether the top folders are parts (train, val, test) rather than classes; DataError if some are and some not."""
    paths = [path.split("/") for path, _, _ in listing.images]
    tops = {names[0] for names in paths if len(names) > 1}
    parts = {top for top in tops if top.lower() in PARTS}
    if not parts or parts == tops:
        return bool(parts)
    with_classes = {PARTS[names[0].lower()] for names in paths if len(names) > 2 and names[0] in parts}
    if "train" in with_classes and len(with_classes) > 1:
        raise DataError(
            f"{where} has both parts ({quoted(sorted(parts))}) and other folders ({quoted(sorted(tops - parts))}).",
            "Leave only train, val and test at the top, with the class folders in each of them.",
        )
    return False


def check_empty(listing: Listing, entries: list[Entry], level: int, where: Path) -> None:
    """DataError naming training class folders without any image."""
    used = {entry.label for entry in entries if entry.part == "train"}
    folders = [PurePosixPath(name).parts for name in listing.folders]
    classes = {names[-1] for names in folders if len(names) == level + 1 and (not level or is_train(names[0]))}
    if empty := sorted(classes - used, key=natural):
        raise DataError(
            f"{where}: the class folder {quoted(empty)} has no images in it.",
            "Put images into it, or remove it; a folder whose name begins with a dot is ignored.",
        )


def is_train(name: str) -> bool:
    """Whether a top folder of that name is the training part."""
    return PARTS.get(name.lower()) == "train"
