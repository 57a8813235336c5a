"""Images whose pixels lie in another order than the net reads them, as channels-last viewed as channels-first."""

import ast
from collections.abc import Iterator

import torch
from torch import Tensor

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.seen import Place, Seen
from tenfold.checks.script.source import called, line, shown_code, trees
from tenfold.errors import Finding

COLOURS = (2, 3, 4)
ENOUGH, AGREED = 0.08, 0.3
"""So much more alike must neighbouring pixels be in the right order; or, if they are not less so, the channels."""


def likeness(images: Tensor) -> Tensor:
    """For each image, how alike neighbouring pixels are: a mean of the correlations across and down, [N]."""
    values = images - images.mean((2, 3), keepdim=True)
    power = values.pow(2).mean((1, 2, 3)) + 1e-9
    across = (values[..., 1:] * values[..., :-1]).mean((1, 2, 3))
    down = (values[..., 1:, :] * values[..., :-1, :]).mean((1, 2, 3))
    return (across + down) / 2 / power


def agreement(images: Tensor) -> Tensor:
    """For each image, the correlation of its channels with the first one, pixel by pixel, [N]: 1 of grey images."""
    values = images - images.mean((2, 3), keepdim=True)
    values = values / (values.pow(2).mean((2, 3), keepdim=True).sqrt() + 1e-6)
    return (values[:, 1:] * values[:, :1]).mean((1, 2, 3))


def reordered(images: Tensor) -> Iterator[tuple[str, Tensor]]:
    """What the images may have been before a view or reshape took the axes for others."""
    n, c, h, w = images.shape
    yield "channels last", images.reshape(n, h, w, c).permute(0, 3, 1, 2)
    yield "channels first", images.permute(0, 2, 3, 1).reshape(n, c, h, w)


def pixels_scrambled(seen: Seen) -> Iterator[Finding]:
    """A view or reshape took channels-last images for channels-first ones, or the other way round."""
    call = next((c for c in seen.calls if c.images is not None and c.images.dim() == 4), None)
    if call is None or call.images is None or call.images.shape[1] not in COLOURS or min(call.images.shape[2:]) < 6:
        return
    images = call.images[:64].float()
    images = images - images.mean((2, 3), keepdim=True)  # channels of different means are no order of pixels
    if float(images.std((2, 3)).max()) < 1e-4:  # each channel is one value: no order to be seen
        return
    images = images / (images.std((2, 3), keepdim=True) + 1e-6)
    now = likeness(images)
    best: tuple[float, str, str] = (0.0, "", "")
    for name, other in reordered(images):
        then = likeness(other)
        gain, more = float((then - now).mean()), agreement(other) - agreement(images)
        grey = gain > 0 and float(more.mean()) > AGREED and float((more > 0).float().mean()) > 0.9
        if grey or (gain > max(ENOUGH, best[0]) and float((then > now).float().mean()) > 0.9):
            a, b = (agreement(some) if grey else likeness(some) for some in (images, other))
            what = "The channels" if grey else "Neighbouring pixels"
            told = f"{what} of what the net gets correlate by {float(a.mean()):.2f}; read as {name}, by "
            best = gain, name, f"{told}{float(b.mean()):.2f}."
    if not best[1] or not bool(torch.isfinite(now).all()):
        return
    place = reshaping(seen, tuple(images.shape[1:]))
    order = (0, 3, 1, 2) if best[1] == "channels last" else (0, 2, 3, 1)
    yield finding(
        "samples-mixed",
        "The pixels are scrambled: a view or reshape reads the images in the wrong order",
        best[2] + (f" {shown_code(place)} changes the order of axes without moving the pixels." if place else ""),
        f"Move the axes: `x.permute{order}` (numpy: `x.transpose{order}`) instead of view or reshape{line(place)}.",
        **where(place or call.place),
    )


def reshaping(seen: Seen, shape: tuple[int, ...]) -> Place | None:
    """The line of the view or reshape: as it was seen, else as it is written."""
    for event in seen.events:
        if event.kind == "shape" and event.after[-3:] == shape and event.before[-3:] in (
            (*shape[1:], shape[0]), (shape[2], shape[1], shape[0]),
        ):  # fmt: skip
            return event.place
    found: list[tuple[int, Place]] = []
    for file, tree in trees(seen):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and called(node) in ("reshape", "view", "resize"):
                parts = [p for a in node.args for p in (a.elts if isinstance(a, ast.Tuple | ast.List) else [a])]
                written = [ast.unparse(p) for p in parts]
                if len(written) >= 3 or any(isinstance(p, ast.Starred) for p in parts):
                    others = [a for a, b in zip(written[-3:], shape) if a.isdigit() and a != str(b)]
                    like = sum(a == str(b) for a, b in zip(written[-3:], shape)) - 3 * len(others)
                    found.append((like, Place(file, node.lineno)))
    return max(found, key=lambda one: (one[0], one[1].line), default=(0, None))[1]


LAYOUT = (pixels_scrambled,)
