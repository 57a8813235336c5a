"""Listed: the images behind a finding, as a table to be written and as groups to be drawn."""

from dataclasses import dataclass

import numpy as np

from tenfold.datasets.dataset import Dataset, Images, Rows

Cell = str | int | float


@dataclass(frozen=True)
class Listed:
    """A list of the audit. `groups`: rows of the data set that are looked at together; `said`: a word on each group."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    groups: tuple[tuple[int, ...], ...] = ()
    said: tuple[str, ...] = ()


def parts_of(dataset: Dataset) -> list[str]:
    """The part of each image: train, val or test."""
    part = np.full(len(dataset.labels), "", dtype="<U5")
    for name, rows in dataset.parts.items():
        part[rows] = name
    return [str(name) for name in part]


def contiguous(images: Images, rows: Rows) -> Images:
    """These images as they lie in memory: uint8 [n, H, W, C]."""
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1)[rows])
