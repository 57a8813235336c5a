"""Several views of each image in one batch, and the labels repeated in another order than the views."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.resemblance import BLOCK
from tenfold.checks.script.samples import labels_taught, plain_parts, whole
from tenfold.checks.script.seen import Call, Seen
from tenfold.checks.script.source import line
from tenfold.errors import Finding

LOOKED_AT, ENOUGH = 6, 3
"""Batches that are looked at, and so many must tell it."""
FOUND, WRONG = 0.8, 0.2
"""The share of views whose image is found, and of these the share that is taught the label of another image."""


def views_mislabelled(seen: Seen) -> Iterator[Finding]:
    """Views are taught the labels of other images of their batch, in the same places of every batch."""
    told = [found for call in list(seen.training_calls())[:LOOKED_AT] if (found := taught_and_own(seen, call))]
    if len(told) < ENOUGH:
        return
    wrong = float(torch.cat([taught != own for _, taught, own in told]).float().mean())
    if wrong < WRONG:
        return
    views = told[0][0]
    place = next((loss.place for loss in seen.training_losses()), None)
    yield finding(
        "wrong-labels",
        "Views of an image are taught the labels of other images",
        f"A batch holds {views} views of each image, and {wrong:.0%} of the views get another image's label.",
        f"Repeat the labels as the views lie: `labels.repeat({views})` where all first views come first, "
        f"`labels.repeat_interleave({views})` where the views of one image lie together{line(place)}.",
        **where(place),
    )


def taught_and_own(seen: Seen, call: Call) -> tuple[int, Tensor, Tensor] | None:
    """How many views an image has in a call, and for each view whose image is known what it is taught and what its
    image's label is; None where a batch holds no several views.
    """
    given, taught, parts = call.images, labels_taught(seen, call), plain_parts(call)
    images = next((p for p in parts if p.dim() == 4 and p.is_floating_point()), None)
    labels = next((p for p in parts if whole(p)), None)
    if given is None or taught is None or images is None or labels is None or given.dim() != 4:
        return None
    views, rest = divmod(len(given), len(images))
    if rest or views < 2 or len(labels) != len(images) or len(taught) != len(given):
        return None
    at = image_held(images, given)
    known = at >= 0
    if float(known.float().mean()) < FOUND:
        return None
    return views, taught[known].long(), labels[at[known]].long()


def image_held(images: Tensor, views: Tensor) -> Tensor:
    """For each view [V, C, h, w] the image [N, C, H, W] that holds its middle block, flipped or not; -1: none."""
    h, w = views.shape[2:]
    at = torch.full((len(views),), -1)
    if images.shape[1] != views.shape[1] or min(h, w) < BLOCK or h > images.shape[2] or w > images.shape[3]:
        return at
    top, left = (h - BLOCK) // 2, (w - BLOCK) // 2
    chance = torch.Generator().manual_seed(0)
    kernel = torch.randn(1, images.shape[1], BLOCK, BLOCK, dtype=torch.float64, generator=chance)
    wanted = F.conv2d(views[..., top : top + BLOCK, left : left + BLOCK].double(), kernel).flatten()
    there = [F.conv2d(images.double(), k).flatten(1) for k in (kernel, kernel.flip(-1), kernel.flip(-2))]
    for index, value in enumerate(wanted):
        far = torch.stack([(one - value).abs().min(1).values for one in there]).min(0).values
        if float(far.min()) < 1e-5 * (1 + abs(float(value))):
            at[index] = far.argmin()
    return at


VIEWS = (views_mislabelled,)
