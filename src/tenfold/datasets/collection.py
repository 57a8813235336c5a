"""A user's image files as listed, before any is opened; and what must hold of their classes and parts."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tenfold.errors import DataError, counted

SKIP_LIMIT = 0.05
"""Share of unreadable files beyond which the data are refused."""


class Entry(NamedTuple):
    """One image file: path relative to its source, class, part, size in bytes, modification time in ns (or CRC)."""

    path: str
    label: str
    part: str
    size: int
    stamp: int


@dataclass(frozen=True)
class Collection:
    """A source's files: where it is (absolute), what it holds, and how to read one entry (DataError if unreadable)."""

    where: Path
    name: str
    entries: Sequence[Entry]
    read: Callable[[Entry], bytes]
    notes: tuple[str, ...] = ()


def natural(name: str) -> tuple[list[str | int], str]:
    """A sort key that puts class "10" after "2"."""
    return [int(piece) if piece.isdecimal() else piece for piece in re.split(r"(\d+)", name)], name


def check_classes(entries: Sequence[Entry], where: Path) -> list[str]:
    """The classes of the training part, sorted by name; DataError if they cannot be trained on."""
    in_part = {part: {entry.label for entry in entries if entry.part == part} for part in ("train", "val", "test")}
    classes = sorted(in_part["train"], key=natural)
    if not classes:
        raise DataError(f"{where} has no training images.", "Put images into its training part ('train').")
    for part in ("val", "test"):
        if strange := sorted(in_part[part] - in_part["train"], key=natural):
            raise DataError(
                f"{where}: the {part} part has classes that the training part does not have: {quoted(strange)}.",
                f"Name the classes alike in every part; training has {quoted(classes)}.",
            )
    if len(classes) == 1:
        raise DataError(f"{where} has only one class: '{classes[0]}'.", "A classifier needs two or more classes.")
    return classes


def missing_classes(entries: Sequence[Entry], classes: Sequence[str]) -> list[str]:
    """One note for each of val and test that lacks a class."""
    notes = []
    for part in ("val", "test"):
        present = {entry.label for entry in entries if entry.part == part}
        if present and (missing := [name for name in classes if name not in present]):
            notes.append(f"The {part} part has no image of {quoted(missing)}.")
    return notes


def judge(entries: Sequence[Entry], skipped: Sequence[tuple[Entry, str]], where: Path) -> None:
    """DataError if what could not be read leaves a class or part empty, or is more than SKIP_LIMIT of all."""
    lost = {entry.path for entry, _ in skipped}
    readable = [entry for entry in entries if entry.path not in lost]
    reasons = "\n".join(f"  {entry.path}: {reason}" for entry, reason in skipped[:5])
    remedy = f"{reasons}\nReplace or remove these files; the first ones are listed."
    trained = {entry.label for entry in readable if entry.part == "train"}
    if empty := sorted({entry.label for entry in entries} - trained, key=natural):
        raise DataError(f"{where}: no training image of class {quoted(empty)} can be read.", remedy)
    if gone := sorted({entry.part for entry in entries} - {entry.part for entry in readable}):
        raise DataError(f"{where}: no image of the {quoted(gone)} part can be read.", remedy)
    if len(skipped) > SKIP_LIMIT * len(entries):
        share = f"{len(skipped)} of {counted(len(entries), 'image')}"
        raise DataError(f"{where}: {share} cannot be read, more than {SKIP_LIMIT:.0%}.", remedy)


def quoted(names: Iterable[str]) -> str:
    """Names for a message: 'a', 'b'."""
    return ", ".join(f"'{name}'" for name in names)
