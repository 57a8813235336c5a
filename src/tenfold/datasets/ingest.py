"""From a list of image files to a Dataset: check the classes, decode every file once, keep the result in the cache.

Folders, zips and tables only differ in how they list and read their files (a Collection); all else is here. The second
load of unchanged files opens none of them: it maps the cached pixels into memory.
"""

import json
import statistics
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tenfold.datasets import image_cache
from tenfold.datasets.collection import (
    Collection,
    Entry,
    check_classes,
    judge,
    missing_classes,
    natural,
    quoted,
)
from tenfold.datasets.dataset import Dataset, Images, Progress
from tenfold.datasets.image_cache import Index, sha256
from tenfold.datasets.images import decode, shorter_side
from tenfold.datasets.parallel import in_chunks, in_parallel
from tenfold.errors import DataError, counted

LARGEST_AUTO, SMALLEST_AUTO = 64, 8
"""Bounds in pixels of an image size that the user did not choose."""
CHUNK_FILES, CHUNK_BYTES = 64, 16 * 1024**2
"""Files decoded in one go by one thread: so many, or fewer if their pixels are more than so many bytes."""


@dataclass
class Decoded:
    """What became of some entries, and the pixels [n, size, size, 3] of those that could be read."""

    pixels: Images
    kept: list[tuple[Entry, str]] = field(default_factory=list)
    skipped: list[tuple[Entry, str]] = field(default_factory=list)


def load(
    collection: Collection, image_size: int | None, verify: bool, progress: Progress, strict: bool = True
) -> Dataset:
    """The collection as a Dataset of RGB images, decoded now or taken from the cache.

    image_size: side in pixels; None: the files' median shorter side, within 8 and 64.
    verify: hash the files again, and compare with what was ingested.
    strict: refuse what cannot be trained on; if not, the classes are those of all parts, and any file may be missing.
    DataError: unusable classes, too many unreadable files, changed contents, a cache that cannot be written.
    """
    if image_size is not None and image_size < 1:
        raise DataError(f"Images cannot be {image_size} pixels wide.", "Use an image size of 1 or more, or none.")
    entries = sorted(collection.entries)
    if strict:
        classes = check_classes(entries, collection.where)
    else:
        classes = sorted({entry.label for entry in entries}, key=natural)
    folder = image_cache.folder_for(collection.where, image_size, entries, strict)
    image_cache.sweep()
    cached = image_cache.load(folder)
    if cached is None:
        cached = ingest(collection, entries, classes, image_size, folder, progress, strict)
    elif verify:
        verify_contents(collection, entries, cached[0], folder, progress)
    notes = (*collection.notes, *missing_classes(entries, classes))
    return as_dataset(collection, *cached, notes)


def as_dataset(collection: Collection, index: Index, pixels: Images, notes: tuple[str, ...]) -> Dataset:
    """The Dataset over cached pixels [N, H, W, 3]."""
    part_of = np.array(index.parts)
    return Dataset(
        name=collection.name,
        images=pixels.transpose(0, 3, 1, 2),
        labels=np.array(index.labels, np.int64),
        classes=tuple(index.classes),
        ids=index.paths,
        parts={part: np.flatnonzero(part_of == part) for part in ("train", "val", "test") if part in index.parts},
        fingerprint=index.fingerprint,
        where=str(collection.where),
        notes=notes,
        skipped=index.skipped_files(),
    )


def ingest(
    collection: Collection,
    entries: Sequence[Entry],
    classes: Sequence[str],
    image_size: int | None,
    folder: Path,
    progress: Progress,
    strict: bool,
) -> tuple[Index, Images]:
    """Decode everything into the cache folder, and open it."""
    with warnings.catch_warnings(), image_cache.new_folder(folder) as temporary:
        # Pillow warns about odd metadata of images that it reads well; what it cannot read is an error anyway.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        size = image_size or median_side(collection, entries, progress)
        decoded = Decoded(np.empty((0, size, size, 3), np.uint8))
        chunks = decode_all(collection, entries, size, progress, decoded)
        image_cache.write_images(temporary / "images.npy", len(entries), size, chunks)
        if strict:
            judge(entries, decoded.skipped, collection.where)
        elif not decoded.kept:
            raise DataError(f"{collection.where}: no image can be read.", decoded.skipped[0][1])
        image_cache.write_index(temporary / "index.json", index_of(decoded, classes, size))
    cached = image_cache.load(folder)
    if cached is None:
        raise DataError(f"The image cache {folder} is damaged as soon as written.", "Set TENFOLD_CACHE elsewhere.")
    return cached


def index_of(decoded: Decoded, classes: Sequence[str], size: int) -> Index:
    """The index of what was decoded; its fingerprint does not depend on the machine."""
    contents = [(entry.path, entry.label, entry.part, digest) for entry, digest in decoded.kept]
    kept = [entry for entry, _ in decoded.kept]
    number = {name: label for label, name in enumerate(classes)}
    return Index(
        image_size=size,
        classes=list(classes),
        fingerprint=sha256(json.dumps([list(classes), size, contents]).encode()),
        paths=[entry.path for entry in kept],
        labels=[number[entry.label] for entry in kept],
        parts=[entry.part for entry in kept],
        sha256=[digest for _, digest in decoded.kept],
        sizes=[entry.size for entry in kept],
        stamps=[entry.stamp for entry in kept],
        skipped=[(entry.path, reason) for entry, reason in decoded.skipped],
    )


def decode_all(
    collection: Collection, entries: Sequence[Entry], size: int, progress: Progress, total: Decoded
) -> Iterator[Images]:
    """Pixels of the readable files, chunk by chunk in order; `total` collects what became of each entry."""
    length = max(1, min(CHUNK_FILES, CHUNK_BYTES // (size * size * 3)))
    for chunk in in_parallel(lambda some: decode_chunk(collection, some, size), in_chunks(entries, length)):
        total.kept += chunk.kept
        total.skipped += chunk.skipped
        progress("decoding", len(total.kept) + len(total.skipped), len(entries))
        yield chunk.pixels[: len(chunk.kept)]


def decode_chunk(collection: Collection, entries: Sequence[Entry], size: int) -> Decoded:
    """Read, hash and decode some entries."""
    chunk = Decoded(np.empty((len(entries), size, size, 3), np.uint8))
    for entry in entries:
        try:
            content = collection.read(entry)
            chunk.pixels[len(chunk.kept)] = decode(content, size)
            chunk.kept.append((entry, sha256(content)))
        except DataError as error:
            chunk.skipped.append((entry, error.what))
    return chunk


def median_side(collection: Collection, entries: Sequence[Entry], progress: Progress) -> int:
    """The median of the files' shorter sides in pixels, at least 8 and at most 64; unreadable files do not count."""
    sides: list[int] = []
    done = 0
    for chunk in in_parallel(lambda some: sides_of(collection, some), in_chunks(entries, CHUNK_FILES)):
        sides += chunk
        done = min(done + CHUNK_FILES, len(entries))
        progress("measuring", done, len(entries))
    return min(max(int(statistics.median(sides or [SMALLEST_AUTO])), SMALLEST_AUTO), LARGEST_AUTO)


def sides_of(collection: Collection, entries: Sequence[Entry]) -> list[int]:
    """The shorter sides of those entries that can be read."""
    sides = []
    for entry in entries:
        try:
            sides.append(shorter_side(collection.read(entry)))
        except DataError:
            continue  # decoding will say why
    return sides


def verify_contents(
    collection: Collection, entries: Sequence[Entry], index: Index, folder: Path, progress: Progress
) -> None:
    """DataError naming files whose content is not what was ingested, although size and time are the same."""
    expected = dict(zip(index.paths, index.sha256, strict=True))
    kept = [entry for entry in entries if entry.path in expected]
    changed: list[str] = []
    done = 0
    for chunk in in_parallel(lambda some: hashes_of(collection, some), in_chunks(kept, CHUNK_FILES)):
        changed += [path for path, digest in chunk if digest != expected[path]]
        done += len(chunk)
        progress("verifying", done, len(kept))
    if changed:
        raise DataError(
            f"{collection.where}: the contents of {counted(len(changed), 'file')} differ from what was ingested, "
            f"although size and time are the same: {quoted(changed[:5])}{' …' if len(changed) > 5 else ''}.",
            f"Restore these files; or, to use them as they are now, delete {folder} and load again.",
        )


def hashes_of(collection: Collection, entries: Sequence[Entry]) -> list[tuple[str, str]]:
    """Path and SHA-256 of some entries; an empty hash for what cannot be read any more."""
    hashes = []
    for entry in entries:
        try:
            hashes.append((entry.path, sha256(collection.read(entry))))
        except DataError:
            hashes.append((entry.path, ""))
    return hashes
