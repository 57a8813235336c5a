"""Images that occur more than once: equal pixels, and near duplicates; what it means depends on where they lie."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from tenfold.checks.audit import alignment, near
from tenfold.checks.audit.lists import Listed, contiguous
from tenfold.checks.rules import finding
from tenfold.datasets.dataset import Dataset, Images, Progress, silent
from tenfold.errors import Finding, Severity, counted

Found = tuple[Finding, Listed]
PROMISING = (0.8, 0.6)
"""Correlations (brightness, details) at half the side below which a pair is not looked at further."""
SAME = (0.9, 0.75)
"""Correlations of colours and of details from which a pair is a near duplicate; how they were found: bench/audit.py."""
TORN = 0.9
"""Agreement of the details from which two pictures of different classes count as one picture: the 15 near pairs of
CIFAR-10 with two classes agree by 0.75 to 0.85, and are pictures of different things in the same kind of frame."""


@dataclass(frozen=True)
class Pair:
    """Two rows of the data, how the second lies, and how well the colours and the details of both agree (1 = equal)."""

    first: int
    second: int
    turn: str
    colours: float
    details: float


def exact_groups(images: Images) -> list[list[int]]:
    """Rows of uint8 [N, C, H, W] with equal pixels, in groups of two or more."""
    groups: dict[bytes, list[int]] = {}
    for start in range(0, len(images), 2000):
        rows = np.arange(start, min(start + 2000, len(images)))
        for row, pixels in zip(rows.tolist(), contiguous(images, rows)):
            groups.setdefault(hashlib.blake2b(pixels.data, digest_size=16).digest(), []).append(row)
    return [rows for rows in groups.values() if len(rows) > 1]


def near_pairs(images: Images, progress: Progress = silent) -> tuple[list[Pair], bool]:
    """Near duplicates among uint8 [N, C, H, W] without equal pixels, most alike first; whether pairs were left out.

    Found although recompressed, resized, brightened, cropped or moved by a tenth of the side, or mirrored.
    """
    if len(images) < 2:
        return [], False
    pictures = near.small(images)
    raw, contrast = near.vectors(pictures)
    first_of = torch.arange(len(images))
    for group in exact_groups(images):
        first_of[group] = group[0]
    rows = ((contrast > near.FLAT) & (first_of == torch.arange(len(images)))).nonzero()[:, 0]
    if len(rows) < 2:
        return [], False
    unit = near.standardised(raw[rows])
    found: dict[tuple[int, int], Pair] = {}
    dropped = False
    for some in near.candidates(unit, rows, progress):
        dropped |= some.dropped
        for pair in verified(pictures, some, progress):
            before = found.get((pair.first, pair.second))
            if before is None or before.details < pair.details:
                found[pair.first, pair.second] = pair
    return sorted(found.values(), key=lambda pair: -pair.details), dropped


def verified(pictures: torch.Tensor, some: near.Candidates, progress: Progress) -> Iterator[Pair]:
    """Those candidates whose pictures agree once one is laid on the other."""
    axes, done = near.TURNS[some.turn], 0
    for pairs in some.pairs.split(alignment.BATCH) if len(some.pairs) else ():
        first, second = pictures[pairs[:, 0]], pictures[pairs[:, 1]].flip(axes)
        motion, agree = alignment.coarse(alignment.brightness(first), alignment.brightness(second))
        kept = (agree >= torch.tensor(PROMISING)).all(1).nonzero()[:, 0]
        if len(kept):
            scores = alignment.fine(first[kept], second[kept], motion[kept])
            for index in (scores >= torch.tensor(SAME)).all(1).nonzero()[:, 0].tolist():
                one, other = pairs[kept[index]].tolist()
                yield Pair(one, other, some.turn, *scores[index].tolist())
        done += len(pairs)
        progress(f"looking at candidates{' ' + some.turn if some.turn else ''}", done, len(some.pairs))


def exact(dataset: Dataset, parts: Sequence[str]) -> Iterator[Found]:
    """Findings on images of equal pixels."""
    pairs = [Pair(group[0], other, "", 1.0, 1.0) for group in exact_groups(dataset.images) for other in group[1:]]
    yield from told(dataset, parts, pairs, "exact", "equal pixels", "error")


def alike(dataset: Dataset, parts: Sequence[str], progress: Progress = silent) -> Iterator[Found]:
    """Findings on near duplicates."""
    pairs, dropped = near_pairs(dataset.images, progress)
    yield from told(dataset, parts, pairs, "near", "nearly the same picture", "warning")
    if dropped:
        yield (
            finding(
                "duplicates",
                "There are too many alike images to compare all",
                f"More than {near.MOST:,} pairs have the same large forms; the less similar ones were left out.",
                "Frames of one video? Then keep each video within one split.",
                severity="note",
            ),
            Listed("too-many", "Too many alike images", ("most",), ((near.MOST,),)),
        )


def told(
    dataset: Dataset, parts: Sequence[str], pairs: Sequence[Pair], kind: str, words: str, across: Severity
) -> Iterator[Found]:
    """Findings on pairs: over different parts, within a part, and under different classes."""
    label = dataset.labels
    over = [pair for pair in pairs if parts[pair.first] != parts[pair.second]]
    within = [pair for pair in pairs if parts[pair.first] == parts[pair.second]]
    torn = [pair for pair in pairs if label[pair.first] != label[pair.second] and pair.details >= TORN]
    if over:
        judged = {r for pair in over for r in (pair.first, pair.second) if parts[r] != "train"}
        share = len(judged) / sum(len(rows) for part, rows in dataset.parts.items() if part != "train")
        yield (
            finding(
                "validation-in-training",
                f"{counted(len(judged), 'val or test image')} ({share:.2%}) with {words} in another part",
                f"{counted(len(over), 'pair')} over different parts; the most alike: {shown(dataset, over[0])}.",
                "Take one of each pair out of the training part (the list says which), or judge without them.",
                severity=across,
            ),
            listed(dataset, parts, over, f"{kind}-across", f"Over different parts: {words}"),
        )
    if within:
        split = "" if len(dataset.parts) > 1 else " A split drawn at random puts copies on both sides."
        yield (
            finding(
                "duplicates",
                f"{counted(len(within), 'pair')} of images with {words} within a part",
                f"The most alike: {shown(dataset, within[0])}.{split}",
                "Keep one of each pair, or keep both in the same split.",
                severity="note" if len(dataset.parts) > 1 else "warning",
            ),
            listed(dataset, parts, within, f"{kind}-within", f"Within one part: {words}"),
        )
    if torn:
        yield (
            finding(
                "wrong-labels",
                f"{counted(len(torn), 'pair')} of images with {words}, but different classes",
                f"The most alike: {shown(dataset, torn[0])}.",
                "At least one of each pair is wrong, or the classes overlap: look at them.",
            ),
            listed(dataset, parts, torn, f"{kind}-two-classes", f"In two classes: {words}"),
        )


def shown(dataset: Dataset, pair: Pair) -> str:
    """A pair by the names of its images."""
    turn = f" ({pair.turn})" if pair.turn else ""
    return f"{dataset.ids[pair.first]} and {dataset.ids[pair.second]}{turn}"


def listed(dataset: Dataset, parts: Sequence[str], pairs: Sequence[Pair], name: str, title: str) -> Listed:
    """The pairs as a list; distance: 1 minus the correlation of their details."""
    classes = [dataset.classes[label] for label in dataset.labels]
    rows = tuple(
        (
            a,
            b,
            dataset.ids[a],
            dataset.ids[b],
            parts[a],
            parts[b],
            classes[a],
            classes[b],
            pair.turn,
            round(1 - pair.details, 4),
        )
        for pair in pairs
        for a, b in [(pair.first, pair.second)]
    )
    columns = ("row_a", "row_b", "id_a", "id_b", "part_a", "part_b", "class_a", "class_b", "turn", "distance")
    groups = tuple((pair.first, pair.second) for pair in pairs)
    said = tuple(f"{1 - pair.details:.3f}{' ' + pair.turn if pair.turn else ''}" for pair in pairs)
    return Listed(name, title, columns, rows, groups, said)
