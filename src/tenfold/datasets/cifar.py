"""CIFAR-10: 60,000 colour pictures of 32×32 pixels in ten classes, from the official files in either layout.

Looked for in the given path, or else in $TENFOLD_DATA/cifar10 and the cache folder; otherwise the binary archive
is downloaded. An archive is read once its SHA-256 is right; unpacked files may be in any order, so they are checked
by their sizes, labels and counts. Source: Alex Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tenfold.datasets import cifar_cache, download, tarball
from tenfold.datasets.cifar_files import (
    BINARY,
    COUNT,
    PYTHON,
    REMEDY,
    TRAIN,
    Content,
    Layout,
    assemble,
    check_file_size,
)
from tenfold.datasets.dataset import Dataset, Images, Progress, silent
from tenfold.datasets.identity import PartIds, fingerprint
from tenfold.errors import DataError

LAYOUTS = (BINARY, PYTHON)
URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
DOWNLOAD_SIZE = 170_052_171


@dataclass(frozen=True)
class Found:
    """A place that holds CIFAR-10: an archive, or the folder of an unpacked one."""

    layout: Layout
    path: Path
    is_archive: bool


def load(
    path: Path | None = None, image_size: int | None = None, verify: bool = False, progress: Progress = silent
) -> Dataset:
    """CIFAR-10: uint8 images [60000, 3, image_size (32), image_size], parts train (50,000) and test (10,000).

    verify: check and decode an archive again even if that very file was verified before. DataError says what is
    wrong with the files found, or where to put them.
    """
    found = find(path) or fetched(progress)
    if found.is_archive:
        content, digest, notes = from_archive(found, verify, progress)
    else:
        content = assemble(found.layout, files_in(found), str(found.path), progress)
        digest, notes = fingerprint_of(content), (f"using verified files in {found.path}",)
    images = content.images
    if image_size is not None and image_size != 32:
        images = resized(content.pixels, image_size, progress)
        digest = fingerprint(images, content.labels, content.classes)
    return Dataset(
        name="cifar10",
        images=images,
        labels=content.labels,
        classes=content.classes,
        ids=PartIds(train=TRAIN, test=COUNT - TRAIN),
        parts={"train": np.arange(TRAIN), "test": np.arange(TRAIN, COUNT)},
        fingerprint=digest,
        where=str(found.path),
        notes=notes,
    )


def looks_like(path: Path) -> bool:
    """Whether the path is an official CIFAR-10 archive (by its name) or a folder with one or its files."""
    return find_in(path) is not None


def find(path: Path | None) -> Found | None:
    """CIFAR-10 at `path`; without a path, in the usual places, or None. DataError if `path` does not hold it."""
    if path is None:
        return next((found for place in places() if (found := find_in(place))), None)
    if not path.exists():
        raise DataError(f"There is no {path}.", "Give a folder that holds CIFAR-10, or one of its archives.")
    if found := find_in(path):
        return found
    names = " or ".join(name for layout in LAYOUTS for name in (layout.archive, f"{layout.folder}/"))
    raise DataError(f"{path} does not hold CIFAR-10.", f"Give one of its archives or a folder with {names}.")


def places() -> list[Path]:
    """Where CIFAR-10 is looked for when no path is given."""
    root = os.environ.get("TENFOLD_DATA")
    return [*([Path(root).expanduser() / "cifar10"] if root else []), cifar_cache.home()]


def find_in(place: Path) -> Found | None:
    """CIFAR-10 in this very place: unpacked (even if incomplete) rather than archived, binary rather than python."""
    for layout in LAYOUTS:
        for folder in (place, place / layout.folder):
            if any((folder / name).is_file() for name in layout.batches):
                return Found(layout, folder, is_archive=False)
    for layout in LAYOUTS:
        for archive in (place, place / layout.archive):
            if archive.name == layout.archive and archive.is_file():
                return Found(layout, archive, is_archive=True)
    return None


def fetched(progress: Progress) -> Found:
    """The binary archive, downloaded into the cache folder; DataError says where to put it instead."""
    layout, target = LAYOUTS[0], cifar_cache.home() / LAYOUTS[0].archive
    try:
        download.fetch(URL, target, DOWNLOAD_SIZE, layout.sha256, progress)
    except DataError as error:
        looked = " and ".join(str(place) for place in places())
        raise DataError(
            f"CIFAR-10 is neither in {looked}, nor could it be downloaded. {error.what}",
            f"Put {layout.archive} (from {URL}) into {target.parent}, or name the folder that holds it: "
            "--data PATH, or TENFOLD_DATA=FOLDER for FOLDER/cifar10. `--data shapes` needs no files.",
        ) from None
    cifar_cache.remember_verified(target, layout.sha256)
    return Found(layout, target, is_archive=True)


def files_in(found: Found) -> Iterator[tuple[str, bytes]]:
    """Each file of an unpacked archive as (name, contents); DataError if one is missing or of the wrong size."""
    for name, sizes in found.layout.sizes.items():
        file = found.path / name
        if not file.is_file():
            raise DataError(f"CIFAR-10 in {found.path} is incomplete: {name} is missing.", REMEDY)
        check_file_size(file.stat().st_size, sizes, str(file))
        yield name, file.read_bytes()


def from_archive(found: Found, verify: bool, progress: Progress) -> tuple[Content, str, tuple[str, ...]]:
    """An archive's content, fingerprint and notes, from the cache where this very file was decoded before."""
    layout, archive = found.layout, found.path
    known = not verify and cifar_cache.is_verified(archive, layout.sha256)
    if not known:
        tarball.check_sha256(archive, layout.sha256)
        cifar_cache.remember_verified(archive, layout.sha256)
    downloaded = "downloaded and " if archive.parent == cifar_cache.home() else ""
    notes = (f"using {downloaded}verified file {archive.name}",)
    cached = None if verify else cifar_cache.load_decoded(layout.sha256)
    if cached and fingerprint_of(cached[0]) == cached[1]:
        return *cached, notes
    prefix = layout.folder + "/"
    members = tarball.members(archive, {prefix + name: sizes for name, sizes in layout.sizes.items()})
    content = assemble(layout, ((name.removeprefix(prefix), data) for name, data in members), str(archive), progress)
    digest = fingerprint_of(content)
    cifar_cache.save_decoded(layout.sha256, content, digest)
    return content, digest, notes


def fingerprint_of(content: Content) -> str:
    """SHA-256 over images, labels and classes."""
    return fingerprint(content.images, content.labels, content.classes)


def resized(pixels: Images, size: int, progress: Progress) -> Images:
    """Images [N, H, W, 3] at size × size pixels, bilinear: uint8 [N, 3, size, size], a channels-last view."""
    images = np.empty((len(pixels), size, size, 3), np.uint8)
    for i, image in enumerate(pixels):
        images[i] = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))
        if i % 1000 == 999:
            progress("resizing CIFAR-10", i + 1, len(pixels))
    return images.transpose(0, 3, 1, 2)
