"""The operations of RandAugment and TrivialAugment, each on a batch with an amount for every image.

Each takes uint8 images [N, C, H, W] and amounts [N], and changes nothing where the amount is 0 (`autocontrast` and
`equalize` know no amount). After Pillow's operations, which the papers use.
"""

import torch
from torch import Tensor

from tenfold.augmentations.colour import blended, brightened, contrasted, each, in_bytes, saturated


def identity(images: Tensor, amount: Tensor) -> Tensor:
    """As it is."""
    return images


def brighten(images: Tensor, amount: Tensor) -> Tensor:
    """Brighter, or darker."""
    return brightened(images, 1 + amount)


def more_contrast(images: Tensor, amount: Tensor) -> Tensor:
    """More contrast, or less."""
    return contrasted(images, 1 + amount)


def more_colour(images: Tensor, amount: Tensor) -> Tensor:
    """More saturated, or less."""
    return saturated(images, 1 + amount)


def sharpen(images: Tensor, amount: Tensor) -> Tensor:
    """Away from the image smoothed over 3×3 pixels, or towards it; the outermost pixels stay."""
    smooth = images.float()
    lines = smooth[:, :, :-2] + smooth[:, :, 1:-1] + smooth[:, :, 2:]
    squares = lines[..., :-2] + lines[..., 1:-1] + lines[..., 2:]
    smooth[:, :, 1:-1, 1:-1] = (squares + 4 * smooth[:, :, 1:-1, 1:-1]).div_(13).round_()
    return blended(smooth, images, 1 + amount)


def posterize(images: Tensor, amount: Tensor) -> Tensor:
    """Without its `amount` lowest bits of each colour."""
    step = (2 ** each(amount).round()).to(torch.uint8)
    return images - images % step


def solarize(images: Tensor, amount: Tensor) -> Tensor:
    """The `amount` brightest of the 256 levels turned into their negative."""
    return torch.where(images >= 256 - each(amount), 255 - images, images)


def autocontrast(images: Tensor, amount: Tensor) -> Tensor:
    """Each colour stretched, so that its darkest pixel is 0 and its brightest 255."""
    low, high = images.amin((2, 3), keepdim=True).float(), images.amax((2, 3), keepdim=True).float()
    stretched = in_bytes((images.float() - low) * (255 / (high - low).clamp(min=1)))
    return torch.where(high > low, stretched, images)


def equalize(images: Tensor, amount: Tensor) -> Tensor:
    """Each colour's levels spread, so that all are about equally frequent."""
    n, c, h, w = images.shape
    levels = images.reshape(n * c, h * w).long()
    counts = torch.zeros(n * c, 256, dtype=torch.long, device=images.device)
    counts.scatter_add_(1, levels, torch.ones_like(levels))
    brightest = counts.gather(1, levels.amax(1, keepdim=True))
    step = (h * w - brightest) // 255
    table = ((counts.cumsum(1) - counts + step // 2) // step.clamp(min=1)).clamp(0, 255)
    spread = table.gather(1, levels).where(step > 0, levels).view(n, c, h, w)
    return spread.to(torch.uint8).contiguous(memory_format=torch.channels_last)


def rotate(images: Tensor, amount: Tensor) -> Tensor:
    """Turned about the centre, by degrees."""
    angle = amount * (torch.pi / 180)
    return warped(images, (angle.cos(), -angle.sin()), (angle.sin(), angle.cos()))


def shear_x(images: Tensor, amount: Tensor) -> Tensor:
    """Each line moved sideways by `amount` times its height above the centre."""
    one = torch.ones_like(amount)
    return warped(images, (one, amount), (0 * one, one))


def shear_y(images: Tensor, amount: Tensor) -> Tensor:
    """Each column moved up by `amount` times its distance from the centre."""
    one = torch.ones_like(amount)
    return warped(images, (one, 0 * one), (amount, one))


def translate_x(images: Tensor, amount: Tensor) -> Tensor:
    """Moved sideways by this share of its width."""
    one = torch.ones_like(amount)
    return warped(images, (one, 0 * one), (0 * one, one), (-amount * images.shape[3], 0 * one))


def translate_y(images: Tensor, amount: Tensor) -> Tensor:
    """Moved down by this share of its height."""
    one = torch.ones_like(amount)
    return warped(images, (one, 0 * one), (0 * one, one), (0 * one, -amount * images.shape[2]))


Pair = tuple[Tensor, Tensor]


def warped(images: Tensor, to_x: Pair, to_y: Pair, offset: Pair | None = None) -> Tensor:
    """The pixel at (x, y) from the centre comes from (to_x · (x, y), to_y · (x, y)) + offset, or is black.

    The nearest pixel is taken. Every number is [N].
    """
    n, c, h, w = images.shape
    y = torch.arange(h, device=images.device)[:, None] - (h - 1) / 2
    x = torch.arange(w, device=images.device) - (w - 1) / 2
    right, down = offset or (0 * to_x[0], 0 * to_x[0])
    planes = ((to_x, right, (w - 1) / 2), (to_y, down, (h - 1) / 2))
    columns, lines = (
        (plane(a, x) + plane(b, y) + plane(move, 1) + middle).round().long() for (a, b), move, middle in planes
    )
    inside = (columns >= 0) & (columns < w) & (lines >= 0) & (lines < h)
    first = torch.arange(n, device=images.device)[:, None, None] * (h * w)
    source = first + lines.clamp(0, h - 1) * w + columns.clamp(0, w - 1)
    pixels = images.permute(0, 2, 3, 1).reshape(n * h * w, c).index_select(0, source.view(-1))
    return (pixels.view(n, h, w, c) * inside[..., None]).permute(0, 3, 1, 2)


def plane(factor: Tensor, coordinate: Tensor | int) -> Tensor:
    """A factor [N] times a coordinate of the pixels."""
    return factor[:, None, None] * coordinate
