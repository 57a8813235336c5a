"""Dataset: what every source returns, and what everything after it is made from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
Rows = NDArray[np.int64]
Progress = Callable[[str, int, int], None]
"""Called as progress("decoding", done, total) during long work."""


def silent(_what: str, _done: int, _total: int) -> None:
    """A Progress that shows nothing."""


@dataclass(frozen=True)
class Skipped:
    """A file that could not be used, and why."""

    path: str
    reason: str


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with labels, in the parts that their source brings.

    images: uint8 [N, C, H, W], lying in memory as [N, H, W, C] (channels-last); may be memory-mapped
    labels: int64 [N], indices into classes
    ids: what to call each image: its path, or part and index
    parts: rows of "train", and of "val" and "test" where the source has them
    fingerprint: SHA-256 over contents, labels and classes
    """

    name: str
    images: Images
    labels: Labels
    classes: tuple[str, ...]
    ids: Sequence[str]
    parts: dict[str, Rows]
    fingerprint: str
    where: str = ""
    notes: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = field(default=())

    @property
    def image_size(self) -> int:
        """Side of the (square) images in pixels."""
        return int(self.images.shape[2])

    @property
    def channels(self) -> int:
        """Colour channels."""
        return int(self.images.shape[1])

    def counts(self, rows: Rows) -> list[int]:
        """How many of these rows belong to each class."""
        return [int(n) for n in np.bincount(self.labels[rows], minlength=len(self.classes))]
