"""Single images that are odd: unreadable, constant, tiny, of another mode or shape than the rest."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from tenfold.checks.audit.lists import Listed
from tenfold.checks.rules import finding
from tenfold.datasets.collection import SKIP_LIMIT, Collection, Entry
from tenfold.datasets.dataset import Dataset, Progress
from tenfold.datasets.images import Header, header
from tenfold.datasets.parallel import in_chunks, in_parallel
from tenfold.errors import DataError, Finding, counted

Found = tuple[Finding, Listed]
CONSTANT = 2.0
"""Standard deviation over all pixels and colours, in grey levels, up to which an image shows nothing."""
TINY = 0.5
"""A file whose shorter side is below this share of the size that images are read at is blown up."""
STRETCHED = 3.0
"""One side so many times the other: the middle square, which is kept, is less than a third of the picture."""
RARE = 0.1
"""A mode that fewer than this share of the files have is odd among them."""


def unreadable(dataset: Dataset) -> Iterator[Found]:
    """The files that could not be decoded, and why."""
    if dataset.skipped:
        total = len(dataset.labels) + len(dataset.skipped)
        share = len(dataset.skipped) / total
        first = dataset.skipped[0]
        yield (
            finding(
                "unreadable-images",
                f"{counted(len(dataset.skipped), 'file')} of {total:,} cannot be read",
                f"The first: {first.path}: {first.reason}",
                "Replace these files, or take them out. tenfold trains without them"
                + (f", but refuses more than {SKIP_LIMIT:.0%}." if share > SKIP_LIMIT else "."),
                severity="error" if share > SKIP_LIMIT else "warning",
            ),
            Listed(
                "unreadable",
                "Files that cannot be read",
                ("path", "reason"),
                tuple((file.path, file.reason) for file in dataset.skipped),
            ),
        )


def constant(dataset: Dataset, parts: Sequence[str]) -> Iterator[Found]:
    """Images that are one colour all over."""
    spread = np.empty(len(dataset.labels), np.float32)
    for start in range(0, len(spread), 2000):
        # a grey image's channels are equal: the spread over places alone counts, of the liveliest channel
        spread[start : start + 2000] = dataset.images[start : start + 2000].std((2, 3), dtype=np.float32).max(1)
    rows = np.flatnonzero(spread <= CONSTANT).tolist()
    if rows:
        cells = tuple(
            (dataset.ids[r], parts[r], dataset.classes[dataset.labels[r]], round(float(spread[r]), 2)) for r in rows
        )
        yield (
            finding(
                "odd-images",
                f"{counted(len(rows), 'image')} of one colour all over",
                f"Their pixels deviate by at most {CONSTANT:g} of 255 grey levels; the first: {dataset.ids[rows[0]]}.",
                "Look at them, and take out what shows nothing.",
                severity="warning" if len(rows) > 1 else "note",
            ),
            Listed(
                "constant",
                "Images of one colour",
                ("id", "part", "class", "deviation"),
                cells,
                tuple((int(r),) for r in rows),
            ),
        )


def headers(collection: Collection, progress: Progress) -> list[tuple[Entry, Header]]:
    """What each readable file says of itself; only headers are decoded."""
    found: list[tuple[Entry, Header]] = []

    def read(entries: Sequence[Entry]) -> list[tuple[Entry, Header]]:
        told = []
        for entry in entries:
            try:
                told.append((entry, header(collection.read(entry))))
            except DataError:
                continue  # decoding says why
        return told

    done = 0
    for chunk in in_parallel(read, in_chunks(collection.entries, 64)):
        found += chunk
        done = min(done + 64, len(collection.entries))
        progress("reading headers", done, len(collection.entries))
    return found


def odd_files(dataset: Dataset, collection: Collection, progress: Progress) -> Iterator[Found]:
    """Files that are tiny, long and narrow, or of another mode than nearly all others."""
    told = headers(collection, progress)
    row_of = {dataset.ids[row]: row for row in range(len(dataset.labels))}
    size = dataset.image_size
    tiny = [(e, h) for e, h in told if min(h.width, h.height) < TINY * size]
    long = [(e, h) for e, h in told if max(h.width, h.height) >= STRETCHED * min(h.width, h.height)]
    modes = Counter(h.mode for _, h in told)
    usual = modes.most_common(1)[0][0] if modes else ""
    rare = {mode for mode, count in modes.items() if mode != usual and count < RARE * len(told)}
    other = [(e, h) for e, h in told if h.mode in rare]
    cases = (
        ("tiny", tiny, f"Files smaller than half of {size} pixels", f"blown up to {size} pixels",
         "Use larger originals, or read all images smaller: --image-size."),
        ("narrow", long, "Long and narrow files", f"with one side at least {STRETCHED:g} times the other",
         "Only the middle square is read: crop them to what the class is."),
        ("modes", other, "Files of another mode than most", f"of another mode than most ({usual})",
         "They are read as RGB. If a class has a mode of its own, a net learns the mode: convert all files alike."),
    )  # fmt: skip
    for name, files, title, what, remedy in cases:
        if files:
            yield odd(name, files, title, what, remedy, row_of)


def odd(
    name: str, files: Sequence[tuple[Entry, Header]], title: str, what: str, remedy: str, row_of: dict[str, int]
) -> Found:
    """One kind of odd file as finding and list."""
    entry, first = files[0]
    cells = tuple((e.path, e.part, e.label, h.format, h.mode, h.width, h.height) for e, h in files)
    rows = [row_of[e.path] for e, _ in files if e.path in row_of]
    return (
        finding(
            "odd-images",
            f"{counted(len(files), 'file')} {what}",
            f"The first: {entry.path}, {first.width}×{first.height} {first.format}, {first.mode}.",
            remedy,
        ),
        Listed(
            name,
            title,
            ("path", "part", "class", "format", "mode", "width", "height"),
            cells,
            tuple((row,) for row in rows),
        ),
    )
