"""Splits: which images train, which select (val) and which judge (test); the source's own parts first.

What a source leaves out is drawn from its training images, class by class, from `split_seed` alone: every
training seed sees the same split.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tenfold.datasets.dataset import Dataset, Rows
from tenfold.errors import DataError
from tenfold.randomness import derived_seed


def split(dataset: Dataset, split_seed: int = 0, validation: float = 0.1, test: float = 0.1) -> dict[str, Rows]:
    """Rows of "train", "val" and "test": ascending, disjoint, complete, each class in proportion.

    Where the source has no test part, the share `test` of its training images is held out first; where it has no
    val part, the share `validation` of what then remains. DataError names a class with too few images.
    """
    parts = {part: np.sort(rows) for part, rows in dataset.parts.items()}
    missing = [part for part in ("test", "val") if part not in parts]
    check_counts(dataset, missing)
    for position, part in enumerate(missing):
        share = test if part == "test" else validation
        # Each class keeps one image for training and one for every part still to be drawn.
        keep = len(missing) - position
        parts["train"], parts[part] = hold_out(parts["train"], dataset, share, keep, split_seed, part)
    return {part: parts[part] for part in ("train", "val", "test")}


def portion(rows: Rows, dataset: Dataset, share: float, split_seed: int) -> Rows:
    """That share of the rows, ascending, each class in proportion and with one image at least."""
    if share == 1.0:
        return rows
    return hold_out(rows, dataset, 1 - share, 1, split_seed, "fraction")[0]


def check_counts(dataset: Dataset, missing: Sequence[str]) -> None:
    """DataError if a class has too few training images to give one to each missing part and keep one."""
    needed = 1 + len(missing)
    for name, count in zip(dataset.classes, dataset.counts(dataset.parts["train"])):
        if count < needed:
            purpose = "train" + "".join(f", one for {part}" for part in missing[::-1])
            raise DataError(
                f"Class '{name}' of {dataset.name} has {count} training image{'s' * (count != 1)}; "
                f"it needs at least {needed}: one to {purpose}.",
                "Add images of that class, or remove the class.",
            )


def hold_out(rows: Rows, dataset: Dataset, share: float, keep: int, split_seed: int, part: str) -> tuple[Rows, Rows]:
    """Rows as (kept, held out): `share` of each class drawn at random, at least `keep` of each class kept."""
    labels = dataset.labels[rows]
    counts = np.bincount(labels, minlength=len(dataset.classes))
    held = np.zeros(len(rows), np.bool_)
    for label, number in enumerate(apportion(counts, share, keep)):
        rng = np.random.default_rng(derived_seed(split_seed, f"split {part}", label))
        held[rng.permutation(np.flatnonzero(labels == label))[:number]] = True
    return rows[~held], rows[held]


def apportion(counts: NDArray[np.int64], share: float, keep: int) -> NDArray[np.int64]:
    """How many of each class to draw, by largest remainder: the total is `share` of all (at least one), rounded."""
    quotas = counts * share
    limit = counts - keep
    drawn: NDArray[np.int64] = np.minimum(np.floor(quotas).astype(np.int64), limit)
    total = max(1, round(float(counts.sum()) * share))
    for label in np.argsort(drawn - quotas, kind="stable"):
        if drawn.sum() < total and drawn[label] < limit[label]:
            drawn[label] += 1
    return drawn
