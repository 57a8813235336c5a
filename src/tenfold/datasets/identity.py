"""What a data set and its images are called by: the fingerprint, and ids made only when asked for."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import overload

import numpy as np

from tenfold.datasets.dataset import Images, Labels

CHUNK = 4096
"""Images hashed at a time (12 MB of 32×32 colour)."""


def fingerprint(images: Images, labels: Labels, classes: Sequence[str]) -> str:
    """SHA-256 over shape, pixels (channels-last), labels and classes; images: uint8 [N, C, H, W], labels: [N]."""
    digest = hashlib.sha256(json.dumps([list(images.shape), list(classes)]).encode())
    channels_last = images.transpose(0, 2, 3, 1)
    for start in range(0, len(images), CHUNK):
        digest.update(np.ascontiguousarray(channels_last[start : start + CHUNK]).data)
    digest.update(labels.astype("<i8").tobytes())
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class PartIds(Sequence[str]):
    """'train/0', 'train/1', … 'test/0', …: one id an image, made only when asked for."""

    def __init__(self, **sizes: int) -> None:
        self.sizes = sizes

    def __len__(self) -> int:
        return sum(self.sizes.values())

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        for part, size in self.sizes.items():
            if index < size:
                return f"{part}/{index}"
            index -= size
        raise IndexError(index)
