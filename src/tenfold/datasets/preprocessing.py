"""Preprocessing: the one object that turns stored images into what the net sees.

Training, validation, prediction and export all use this object, and it is stored with the weights, so that they
cannot disagree.
"""

import json
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from tenfold.datasets.dataset import Images, Rows
from tenfold.errors import RecipeError
from tenfold.recipe import PreprocessOptions

SMALLEST_DEVIATION = 1 / 255
"""A channel that never changes is divided by one grey level instead of zero."""


Statistics = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and deviation of each channel, in units of 0..1."""

CONSTANTS: dict[str, Statistics] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "signed": ((0.5,) * 3, (0.5,) * 3),
    "none": ((0.0,) * 3, (1.0,) * 3),
}
"""What `normalize` may take instead of the training images' own. Images are always RGB."""

MOST_MEASURED = 100_000
"""Of more training images so many, evenly taken, tell the mean and deviation: a start does not grow with the data."""

MOST_LINES = 2**31 // 255**2
"""So many squares of grey levels an int32 can sum."""


@dataclass(frozen=True)
class Preprocessing:
    """Resize to image_size (on reading), cut the centre, scale to (x/255 − mean) / std per channel."""

    image_size: int
    center_crop: int | None
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def size(self) -> int:
        """Side of the images that the net sees, in pixels."""
        return self.center_crop or self.image_size

    @property
    def channels(self) -> int:
        """Colour channels."""
        return len(self.mean)

    def crop(self, images: Tensor) -> Tensor:
        """The centre of each image: uint8 [N, C, S, S] to [N, C, size, size], a view."""
        start = (images.shape[-1] - self.size) // 2
        return images[..., start : start + self.size, start : start + self.size]

    def normalize(self, images: Tensor, layout: torch.memory_format = torch.channels_last) -> Tensor:
        """uint8 [N, C, H, W] to float32 [N, C, H, W] in that memory layout."""
        n, c, h, w = images.shape
        # Rows of W·C numbers: a [C] vector broadcast over the innermost axis would cost seven times as much.
        rows = images.permute(0, 2, 3, 1).reshape(n * h, w * c).to(torch.float32)
        scale = torch.tensor([1 / (255 * s) for s in self.std], device=images.device).repeat(w)
        shift = torch.tensor([-m / s for m, s in zip(self.mean, self.std, strict=True)], device=images.device).repeat(w)
        scaled = rows.mul_(scale).add_(shift).view(n, h, w, c).permute(0, 3, 1, 2)
        return scaled.contiguous(memory_format=layout)

    def to_json(self) -> str:
        """For the metadata of a weights file."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Preprocessing":
        """The inverse of `to_json`."""
        values = json.loads(text)
        return cls(values["image_size"], values["center_crop"], tuple(values["mean"]), tuple(values["std"]))


def fit_preprocessing(options: PreprocessOptions, images: Images, rows: Rows) -> Preprocessing:
    """Preprocessing with the channel mean and deviation of the training rows of uint8 [N, C, H, W], or a part."""
    size = images.shape[2]
    if options.center_crop is not None and options.center_crop > size:
        raise RecipeError(
            f"preprocess.center_crop = {options.center_crop} is larger than the images, which are {size} pixels.",
            f"Choose at most {size}, or larger images with --image-size.",
        )
    known = CONSTANTS.get(options.normalize)
    mean, std = known or channel_statistics(images, rows[:: max(1, -(-len(rows) // MOST_MEASURED))])
    return Preprocessing(size, options.center_crop, mean, std)


def channel_statistics(images: Images, rows: Rows) -> Statistics:
    """Mean and standard deviation of each channel of images[rows], in units of 0..1, from exact integer sums."""
    _, c, h, w = images.shape
    stored = torch.from_numpy(images).permute(0, 2, 3, 1)
    total = np.zeros(w * c, np.int64)
    squares = np.zeros(w * c, np.int64)
    # Lines of w·c numbers keep the sums vectorised; so many of them that int32 cannot overflow.
    for part in torch.from_numpy(rows).split(max(1, MOST_LINES // h)):
        lines = stored[part].reshape(-1, w * c).to(torch.int32)
        total += lines.sum(0, dtype=torch.int32).numpy()
        squares += lines.mul_(lines).sum(0, dtype=torch.int32).numpy()
    count = len(rows) * h * w
    mean = total.reshape(w, c).sum(0) / count
    std = np.sqrt(np.maximum(squares.reshape(w, c).sum(0) / count - mean**2, 0.0))
    return tuple((mean / 255).tolist()), tuple(np.maximum(std / 255, SMALLEST_DEVIATION).tolist())
