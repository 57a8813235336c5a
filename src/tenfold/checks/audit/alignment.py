"""Whether two pictures are one: the second is moved and stretched until it lies on the first, then compared.

Gauss-Newton on x' = (1 + a)·x + b, y' = (1 + c)·y + d over brightness (Lucas and Kanade 1981), many pairs at once,
first at half the side. The score is the correlation over what both show, of the colours and of the details alone:
smooth pictures, a bird in a blue sky, correlate by their large forms whatever they show.
"""

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, one_hot, pad

BATCH = 1024
"""Pairs in memory at once: 12 MB for each copy of their pictures of 32×32."""
LIMITS = (0.2, 0.25, 0.2, 0.25)
"""Farther than this a picture is not stretched (a, c) or moved (b, d; 2 is its whole side)."""
COARSE, FINE = 4, 3
"""Steps at half the side, and at the whole."""
BRIGHTNESS = (0.299, 0.587, 0.114)


def brightness(pictures: Tensor) -> Tensor:
    """uint8 [n, 3, H, W] as float32 [n, 1, H, W]."""
    return torch.einsum("c,nchw->nhw", torch.tensor(BRIGHTNESS), pictures.float())[:, None]


def normalised(planes: Tensor) -> Tensor:
    """Planes [n, 1, H, W] of mean 0 and deviation 1."""
    centred = planes - planes.mean((1, 2, 3), keepdim=True)
    return centred / centred.square().mean((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-3)


def warped(planes: Tensor, motion: Tensor) -> Tensor:
    """Planes [n, C, H, W] after the motion [n, 4] (a, b, c, d); coordinates run from -1 to 1, the edge is repeated."""
    x, y = looked_at(planes.shape[-1], motion)
    grid = torch.stack(torch.broadcast_tensors(x[:, None, :], y[:, :, None]), 3)
    return grid_sample(planes, grid, padding_mode="border", align_corners=False)


def looked_at(side: int, motion: Tensor) -> tuple[Tensor, Tensor]:
    """Where the pixels of a moved picture come from, across and down: [n, side] each."""
    place = places(side)
    return (1 + motion[:, :1]) * place + motion[:, 1:2], (1 + motion[:, 2:3]) * place + motion[:, 3:4]


def places(side: int) -> Tensor:
    """Where the middles of `side` pixels are between -1 and 1."""
    return (torch.arange(side) + 0.5) * 2 / side - 1


def jacobian(planes: Tensor) -> Tensor:
    """How planes [n, 1, H, W] change with a, b, c, d: [n, H·W, 4]."""
    side = planes.shape[-1]
    wide = pad(planes, (1, 1, 1, 1), mode="replicate")[:, 0]
    across = (wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2]) * (side / 4)
    down = (wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]) * (side / 4)
    place = places(side)
    return torch.stack([across * place, across, down * place[:, None], down], 3).flatten(1, 2)


def settled(first: Tensor, second: Tensor, motion: Tensor, steps: int) -> Tensor:
    """The motion [n, 4], improved by so many steps, that lays the planes `second` on `first` [n, 1, H, W]."""
    target = normalised(first)
    change = jacobian(target)
    square = change.transpose(1, 2) @ change
    # a little weight on the diagonal keeps pictures that any motion fits where they are
    weight = 0.01 * square.diagonal(dim1=1, dim2=2).mean(1) + 1e-3
    inverse = torch.linalg.inv(square + weight[:, None, None] * torch.eye(4))
    limits = torch.tensor(LIMITS)
    for _ in range(steps):
        residual = (target - normalised(warped(second, motion))).flatten(1)
        step = inverse @ (change.transpose(1, 2) @ residual[..., None])
        motion = (motion + step[..., 0]).clamp(-limits, limits)
    return motion


def seen_by_both(side: int, motion: Tensor) -> Tensor:
    """1 where the moved picture really has a pixel, 0 where its edge was repeated: [n, 1, side, side]."""
    x, y = looked_at(side, motion)
    return ((y.abs() <= 1)[:, :, None] & (x.abs() <= 1)[:, None, :])[:, None].float()


def correlation(first: Tensor, second: Tensor, inside: Tensor) -> Tensor:
    """Correlation [n] of planes [n, C, H, W] where `inside` [n, 1, H, W] is 1, each plane around its own mean."""
    area = inside.sum((2, 3), keepdim=True).clamp_min(1)
    a, b = ((x - (x * inside).sum((2, 3), keepdim=True) / area) * inside for x in (first, second))
    both, one, two = ((x * y).sum((1, 2, 3)) for x, y in ((a, b), (a, a), (b, b)))
    return both / (one * two).clamp_min(1e-9).sqrt()


def details(planes: Tensor, reach: int) -> Tensor:
    """Planes without what is the same over 2·reach + 1 pixels."""
    around = neighbourhoods(planes.shape[-1], reach)
    return planes - around @ planes @ around.T


def neighbourhoods(side: int, reach: int) -> Tensor:
    """Means of 2·reach + 1 neighbours along one axis, its ends repeated, as a matrix [side, side]."""
    every = torch.arange(side)[:, None] + torch.arange(-reach, reach + 1)
    return one_hot(every.clamp(0, side - 1), side).float().mean(1)


def halves(side: int) -> Tensor:
    """Means of two pixels along one axis, as a matrix [side / 2, side]."""
    return torch.eye(side).view(side // 2, 2, side).mean(1)


def coarse(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Motion [n, 4] and correlation [n, 2] (brightness, its details) of brightness [n, 1, H, W] at half the side."""
    half = halves(first.shape[-1])
    a, b = (half @ planes @ half.T for planes in (first, second))
    motion = settled(a, b, torch.zeros(len(a), 4), COARSE)
    moved, inside = warped(b, motion), seen_by_both(a.shape[-1], motion)
    return motion, torch.stack(
        [correlation(a, moved, inside), correlation(details(a, 2), details(moved, 2), inside)], 1
    )


def fine(first: Tensor, second: Tensor, motion: Tensor) -> Tensor:
    """Correlations [n, 2], of colours and of details, of uint8 pictures [n, 3, H, W] after the settled motion."""
    motion = settled(brightness(first), brightness(second), motion, FINE)
    a, moved, inside = first.float(), warped(second.float(), motion), seen_by_both(first.shape[-1], motion)
    return torch.stack([correlation(a, moved, inside), correlation(details(a, 3), details(moved, 3), inside)], 1)
