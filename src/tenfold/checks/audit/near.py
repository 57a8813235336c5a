"""Candidates for near duplicates: pairs of images whose large forms agree, among all pairs, mirrored ones included.

An image becomes 63 numbers: the lowest coefficients of the cosine transform of brightness and colours, over the
contrast, each standardised over the data. Two images are a candidate pair if these vectors correlate: exact matrix
products over all pairs, tile by tile. A mirrored image only changes the sign of every second coefficient.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from tenfold.datasets.dataset import Images, Progress, silent

SIDE = 32
"""Images are compared at this many pixels a side."""
BRIGHTNESS, COLOURS = 31, 16
"""So many coefficients of brightness, and of each of the two colour differences."""
FREQUENCIES = 8
LEAST = 0.67
"""Correlation of the vectors from which a pair is a candidate: of crops by up to 3 of 32 pixels, 99 % are above."""
FLAT = 3.0
"""Standard deviation of the brightness, in grey levels, below which an image shows nothing that could be compared."""
TILE = (512, 2048)
MOST = 2_000_000
"""Candidates kept at once; beyond, the less similar half is dropped."""
# ITU-R BT.601
COLOUR_SPACE = torch.tensor([[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]])
TURNS = {"": (), "mirrored": (-1,), "upside down": (-2,)}
"""How the second of a pair may lie, and the axes to flip for it."""


@dataclass(frozen=True)
class Candidates:
    """Pairs of rows (int64 [n, 2], first < second) and how the second lies; whether some were dropped."""

    pairs: Tensor
    turn: str
    dropped: bool


def small(images: Images) -> Tensor:
    """Images of any size as uint8 [N, 3, SIDE, SIDE], antialiased; a view where they have that size."""
    stored = torch.from_numpy(images)
    if stored.shape[1] != 3:
        stored = stored[:, :1].expand(-1, 3, -1, -1) if stored.shape[1] < 3 else stored[:, :3]
    if stored.shape[2:] == (SIDE, SIDE):
        return stored
    chunks = [
        interpolate(chunk.float(), (SIDE, SIDE), mode="bilinear", antialias=True).round().clamp(0, 255).byte()
        for chunk in stored.split(2000)
    ]
    return torch.cat(chunks)


def cosines() -> Tensor:
    """The first cosines over SIDE pixels, orthonormal: [FREQUENCIES, SIDE]."""
    place = (torch.arange(SIDE) + 0.5) * torch.pi / SIDE
    waves: Tensor = torch.cos(torch.arange(FREQUENCIES)[:, None] * place) * (2 / SIDE) ** 0.5
    waves[0] /= 2**0.5
    return waves


def chosen() -> list[tuple[int, int, int]]:
    """Frequency downwards and across, and plane, of each number of a vector; the slowest waves first."""
    every = [(u, v) for u in range(FREQUENCIES) for v in range(FREQUENCIES)]
    slow = sorted(every, key=lambda place: (place[0] ** 2 + place[1] ** 2, place))
    return [(*p, 0) for p in slow[1 : BRIGHTNESS + 1]] + [(*p, c) for c in (1, 2) for p in slow[:COLOURS]]


def vectors(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Unstandardised vectors float32 [N, 63] of uint8 [N, 3, SIDE, SIDE], and deviation of brightness [N]."""
    waves, places = cosines(), torch.tensor(chosen()).T
    found, contrast = [], []
    for chunk in pictures.split(4000):
        planes = torch.einsum("kc,nchw->nkhw", COLOUR_SPACE, chunk.float())
        waved = waves @ planes @ waves.T
        waved[:, 0, 0, 0] = 0
        spread = planes[:, 0].flatten(1).std(1)
        found.append(waved[:, places[2], places[0], places[1]] / (spread + 2)[:, None])
        contrast.append(spread)
    return torch.cat(found), torch.cat(contrast)


def standardised(raw: Tensor) -> Tensor:
    """Vectors of length 1, each number first over its deviation in the data; waves that a flip changes keep mean 0."""
    even = torch.tensor([u % 2 == 0 and v % 2 == 0 for u, v, _ in chosen()])
    mean = raw.mean(0) * even
    spread = (raw - mean).square().mean(0).sqrt()
    scaled: Tensor = (raw - mean) / (spread + 0.05 * spread.max() + 1e-9)
    unit: Tensor = scaled / scaled.norm(dim=1, keepdim=True).clamp_min(1e-9)
    return unit


def signs(axes: tuple[int, ...]) -> Tensor:
    """What flipping an image does to its vector: +1 or -1 for each number."""
    return torch.tensor([(-1.0) ** ((u if -2 in axes else 0) + (v if -1 in axes else 0)) for u, v, _ in chosen()])


def candidates(vectors: Tensor, rows: Tensor, progress: Progress = silent) -> Iterator[Candidates]:
    """The candidate pairs for each turn, among the `rows` (int64 [n]) that these unit vectors [n, 63] belong to."""
    for turn, axes in TURNS.items():
        pairs, dropped = similar(vectors, vectors * signs(axes), progress)
        yield Candidates(rows[pairs], turn, dropped)


def similar(one: Tensor, other: Tensor, progress: Progress) -> tuple[Tensor, bool]:
    """Pairs i < j with one[i]·other[j] above LEAST (higher where there would be more than MOST), and whether so."""
    height, width = TILE
    least, dropped, count = LEAST, False, 0
    pairs, scores = [torch.empty(0, 2, dtype=torch.int64)], [torch.empty(0)]
    buffer = torch.empty(height * width)
    for top in range(0, len(one), height):
        for left in range(top // width * width, len(one), width):
            a, b = one[top : top + height], other[left : left + width]
            tile = torch.mm(a, b.T, out=buffer[: len(a) * len(b)].view(len(a), len(b)))
            lines = (tile.amax(1) > least).nonzero()[:, 0]  # few: the others need not be searched
            if not len(lines):
                continue
            found = (tile[lines] > least).nonzero()
            found[:, 0] = lines[found[:, 0]]
            place = found + torch.tensor([top, left])
            before = place[:, 0] < place[:, 1]
            pairs.append(place[before])
            scores.append(tile[found[before, 0], found[before, 1]])
            count += len(pairs[-1])
            if count > MOST:
                pairs, scores, least = better_half(pairs, scores)
                dropped, count = True, len(pairs[0])
        progress("comparing all pairs", min(top + height, len(one)), len(one))
    return torch.cat(pairs), dropped


def better_half(pairs: list[Tensor], scores: list[Tensor]) -> tuple[list[Tensor], list[Tensor], float]:
    """The pairs above the median score, their scores, and that median."""
    every, all_scores = torch.cat(pairs), torch.cat(scores)
    least = float(all_scores.median())
    kept = all_scores > least
    return [every[kept]], [all_scores[kept]], least
