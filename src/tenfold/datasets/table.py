"""A CSV of image paths and labels as a Dataset.

    path,label,split
    photos/1.jpg,cat,train
    photos/2.jpg,dog,test

The header is required; `split` (train, val or test) is optional. Paths are relative to the CSV's folder.
"""

import csv
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tenfold.datasets import images, ingest
from tenfold.datasets.collection import Collection, Entry, quoted
from tenfold.datasets.dataset import Dataset, Progress, silent
from tenfold.datasets.folder import PARTS
from tenfold.errors import DataError, counted

SHOWN = 5
"""How many examples an error lists."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    line: int
    path: str
    label: str
    split: str


def load(path: Path, image_size: int | None = None, verify: bool = False, progress: Progress = silent) -> Dataset:
    """The images that a CSV with the columns path, label and perhaps split lists.

    image_size: side in pixels; None: the files' median shorter side, within 8 and 64.
    verify: hash the files again, and compare with what was ingested.
    DataError: no readable table, missing columns, labels or files, unknown splits, or what `ingest.load` says.
    """
    return ingest.load(collect(path), image_size, verify, progress)


def collect(path: Path) -> Collection:
    """The image files that such a CSV lists, none of them opened yet; DataError as for `load`."""
    where = Path(path).expanduser().absolute()
    rows = read_rows(where)
    check_rows(rows, where)
    return Collection(where, where.stem, entries_of(rows, where), lambda entry: images.read(where.parent / entry.path))


def read_rows(where: Path) -> list[Row]:
    """All lines of the table, stripped; DataError if it is no CSV in UTF-8 with the needed columns."""
    try:
        with where.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="", strict=True)
            reader.fieldnames = check_header(reader.fieldnames or [], where)
            return [row_of(cells, reader.line_num) for cells in reader]
    except OSError as error:
        raise DataError(f"{where} cannot be read: {error.strerror}.", "Check the path and its permissions.") from None
    except UnicodeDecodeError:
        raise DataError(f"{where} is not text in UTF-8.", "Save it as 'CSV UTF-8'.") from None
    except csv.Error as error:
        raise DataError(f"{where} is not a readable CSV: {error}.", "Save it again as 'CSV UTF-8'.") from None


def check_header(header: Sequence[str], where: Path) -> list[str]:
    """The column names in small letters; DataError if path or label is missing."""
    names = [name.strip().lower() for name in header]
    if missing := [name for name in ("path", "label") if name not in names]:
        raise DataError(
            f"{where} has no column {quoted(missing)}; its first line reads: {','.join(names)[:200]}.",
            "The first line must be `path,label` or `path,label,split`, separated by commas.",
        )
    return names


def row_of(cells: dict[str, str], line: int) -> Row:
    """One line as a Row; without a split column everything is 'train', which is then split."""
    path = cells["path"].strip()
    return Row(
        line,
        PurePosixPath(path).as_posix() if path else "",
        cells["label"].strip(),
        cells.get("split", "train").strip(),
    )


def check_rows(rows: list[Row], where: Path) -> None:
    """DataError for a table without rows, and for empty cells, unknown splits and paths listed twice."""
    if not rows:
        raise DataError(f"{where} lists no images.", "Add a line `path,label` for each image.")
    refuse([row for row in rows if not row.path], "an empty path", "Fill the column 'path' in every line.", where)
    refuse([row for row in rows if not row.label], "an empty label", "Fill the column 'label' in every line.", where)
    unknown = [row for row in rows if row.split.lower() not in PARTS]
    splits = quoted(sorted({row.split for row in unknown})[:SHOWN])
    refuse(unknown, f"an unknown split ({splits})", "Splits are train, val and test.", where)
    count = Counter(row.path for row in rows)
    twice = [row for row in rows if count[row.path] > 1]
    refuse(twice, f"a path that is listed twice ({quoted([row.path for row in twice[:1]])})", "List it once.", where)


def refuse(rows: list[Row], fault: str, remedy: str, where: Path) -> None:
    """DataError naming the first lines of these rows, if there are any."""
    if rows:
        lines = ", ".join(str(row.line) for row in rows[:SHOWN])
        more = f" … ({len(rows)} in all)" if len(rows) > SHOWN else ""
        raise DataError(f"{where} has {fault} in line {lines}{more}.", remedy)


def entries_of(rows: list[Row], where: Path) -> list[Entry]:
    """The rows as entries; DataError listing files that do not exist."""
    entries = []
    missing = []
    for row in rows:
        found = size_and_time(where.parent / row.path)
        if found is None:
            missing.append(row.path)
        else:
            entries.append(Entry(row.path, row.label, PARTS[row.split.lower()], *found))
    if missing:
        raise DataError(
            f"{where} lists {counted(len(missing), 'missing file')}: {quoted(missing[:SHOWN])}"
            f"{' …' if len(missing) > SHOWN else ''}.",
            f"Paths are relative to {where.parent}; correct them or remove the lines.",
        )
    return entries


def size_and_time(path: Path) -> tuple[int, int] | None:
    """Size in bytes and modification time in ns of a file, or None if there is none."""
    try:
        info = path.stat()
    except (OSError, ValueError):  # ValueError: a null character in the path
        return None
    return (info.st_size, info.st_mtime_ns) if stat.S_ISREG(info.st_mode) else None
