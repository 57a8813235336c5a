"""Test-time augmentation: the logits of several views of an image, averaged (arXiv 2404.00498, section 3.5)."""

import math

from torch import Tensor, nn

from tenfold.augmentations import padded_rows
from tenfold.datasets.preprocessing import Preprocessing
from tenfold.training.backend import Backend
from tenfold.training.loader import EVALUATION_BATCH, Images
from tenfold.training.step import judge_batch


def other_views(images: Tensor, tta: str) -> list[tuple[float, Tensor]]:
    """Weight and uint8 images [N, C, S, S] of each view beside the plain one, which has the weight that is left.

    flip: the mirror image, one half. flip_translate: the pairs of image and mirror image unmoved (one half), moved by
    one pixel up and left, and down and right (one quarter each), the edge reflected.
    """
    if tta == "flip":
        return [(1 / 2, images.flip(-1))]
    side = images.shape[-1]
    wide = padded_rows(images, 1, "reflect").permute(0, 3, 1, 2)
    moved = [wide[..., start : start + side, start : start + side] for start in (0, 2)]
    return [(1 / 4, images.flip(-1)), *((1 / 8, view) for each in moved for view in (each, each.flip(-1)))]


def logits_of_views(
    model: nn.Module,
    images: Images,
    plain: Tensor,
    tta: str,
    share: float,
    preprocessing: Preprocessing,
    backend: Backend,
) -> Tensor:
    """Logits [N, classes] averaged over the views, for the `share` of images whose `plain` logits are least sure."""
    least_sure = plain.softmax(1).amax(1).argsort(stable=True)[: math.ceil(share * len(plain))]
    averaged = plain.clone()
    for positions in least_sure.sort().values.split(EVALUATION_BATCH):
        batch, _ = images.take(positions)
        views = other_views(preprocessing.crop(batch), tta)
        total = (1 - sum(weight for weight, _ in views)) * plain[positions]
        for weight, view in views:
            total += weight * judge_batch(model, view, preprocessing, backend)
        averaged[positions] = total
    return averaged


def right(logits: Tensor, labels: Tensor) -> int:
    """How many images the logits [N, classes] call by their labels [N]."""
    return int((logits.argmax(1) == labels).sum())
