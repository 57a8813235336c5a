"""Arrows: built-in data whose classes are directions, 4,800 small pictures drawn on the fly.

A flip turns a picture of one class into one of another: the data to see what an augmentation does that does not
preserve the label. Drawn as the shapes are: colour, place, size, contrast, noise, clutter and an occluder vary.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tenfold.datasets.dataset import Dataset, Images, Labels, Progress, silent
from tenfold.datasets.shapes import Canvas, Plane, drawn, picture, triangle_up

TRAIN, TEST = 4_000, 800

DIRECTIONS: dict[str, Callable[[Plane, Plane], tuple[Plane, Plane]]] = {
    "left": lambda x, y: (y, -x),
    "right": lambda x, y: (y, x),
    "up": lambda x, y: (x, y),
    "down": lambda x, y: (x, -y),
}
"""From x (to the right) and y (upwards) to (across, along) the arrow."""


def arrow(across: Plane, along: Plane) -> Plane:
    """Distance to an arrow's edge, negative inside, in units of its radius."""
    head = triangle_up(across / np.float32(0.6), (along - np.float32(0.35)) / np.float32(0.6)) * np.float32(0.6)
    shaft = np.maximum(np.abs(across) - np.float32(0.2), np.abs(along + np.float32(0.4)) - np.float32(0.55))
    either: Plane = np.minimum(head, shaft)
    return either


def draw(labels: Labels, size: int, rng: np.random.Generator) -> Images:
    """Pictures of these labels: uint8 [N, H, W, 3]."""

    def subject(canvas: Canvas, colour: Plane) -> None:
        x, y = canvas.turned(18, 0.3)
        radius = canvas.uniform(0.4, 0.75)
        distance = np.empty((canvas.n, size, size), np.float32)
        for label, direction in enumerate(DIRECTIONS.values()):
            rows = labels == label
            distance[rows] = arrow(*direction(x[rows] / radius[rows], y[rows] / radius[rows]))
        canvas.paint(distance * radius, colour)

    return picture(Canvas(len(labels), size, rng), subject)


def load(
    path: Path | None = None, image_size: int | None = None, verify: bool = False, progress: Progress = silent
) -> Dataset:
    """The built-in arrows: 4,000 training and 800 test pictures in 4 classes, image_size² pixels (32)."""
    return drawn("arrows", tuple(DIRECTIONS), (TRAIN, TEST), draw, path, image_size, progress)
