"""Shapes: built-in data, 12,000 small pictures of ten shapes, drawn on the fly; nothing to download.

The shapes stand upright (±18°), so a horizontal flip keeps every label and a vertical flip turns one triangle
into the other. Colour, place, size, contrast, noise, clutter and an occluder vary. A fixed seed draws them, and
each pixel takes only + - × ÷, comparison and square root, so that no thread count or maths library changes a byte.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tenfold.datasets.dataset import Dataset, Images, Labels, Progress, silent
from tenfold.datasets.identity import PartIds, fingerprint
from tenfold.errors import DataError
from tenfold.randomness import derived_seed

Plane = NDArray[np.float32]
"""One value a pixel: [N, H, W], or broadcastable to it."""

SIZE = 32
TRAIN, TEST = 10_000, 2_000
SEED = 10
CHUNK = 50
"""Images drawn at a time: small enough to stay in the processor's cache."""
KEPT: dict[tuple[str, int], Images] = {}
"""Pictures of this process by name and size, which its forks inherit; none of more than MOST_KEPT bytes."""
MOST_KEPT = 2**26


def disc(x: Plane, y: Plane) -> Plane:
    """Distance to a disc's edge, negative inside; x to the right, y upwards, in units of the shape's radius."""
    return length(x, y) - np.float32(0.85)


def ring(x: Plane, y: Plane) -> Plane:
    """Distance to a ring's edge."""
    from_middle: Plane = np.abs(disc(x, y) + np.float32(0.15))
    return from_middle - np.float32(0.2)


def square(x: Plane, y: Plane) -> Plane:
    """Distance to an upright square's edge."""
    return np.maximum(np.abs(x), np.abs(y)) - np.float32(0.75)


def diamond(x: Plane, y: Plane) -> Plane:
    """Distance to the edge of a square standing on its corner."""
    return square(*eighth_turn(x, y))


def triangle_up(x: Plane, y: Plane) -> Plane:
    """Distance to the edge of an equilateral triangle with its tip above."""
    below = np.abs(x) * np.float32(0.866) + y * np.float32(0.5)
    return np.maximum(below, -y) - np.float32(0.5)


def triangle_down(x: Plane, y: Plane) -> Plane:
    """Distance to the edge of an equilateral triangle with its tip below."""
    return triangle_up(x, -y)


def plus(x: Plane, y: Plane) -> Plane:
    """Distance to the edge of an upright plus sign."""
    ax, ay = np.abs(x), np.abs(y)
    return np.maximum(np.minimum(ax, ay) - np.float32(0.28), np.maximum(ax, ay) - np.float32(0.95))


def cross(x: Plane, y: Plane) -> Plane:
    """Distance to the edge of a diagonal cross."""
    return plus(*eighth_turn(x, y))


def star(x: Plane, y: Plane) -> Plane:
    """Distance to a pentagram's edge: inside lies on the inner side of at least four of its five lines."""
    first = second = np.full_like(x, -np.inf)
    for k in range(5):
        angle = np.pi * (0.5 + 0.2 + 0.4 * k)
        line = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle)) - np.float32(0.36)
        first, second = np.maximum(first, line), np.maximum(second, np.minimum(first, line))
    return second


def crescent(x: Plane, y: Plane) -> Plane:
    """Distance to the edge of a moon, open to the right."""
    bite: Plane = disc(x - np.float32(0.45), y) + np.float32(0.1)
    return np.maximum(disc(x, y), -bite)


def length(x: Plane, y: Plane) -> Plane:
    """Distance to the origin."""
    distance: Plane = np.sqrt(x * x + y * y)
    return distance


def eighth_turn(x: Plane, y: Plane) -> tuple[Plane, Plane]:
    """Coordinates turned by 45°."""
    return (x + y) * np.float32(0.5**0.5), (y - x) * np.float32(0.5**0.5)


SHAPES: tuple[Callable[[Plane, Plane], Plane], ...] = (
    disc, ring, square, diamond, triangle_up, triangle_down, plus, cross, star, crescent,
)  # fmt: skip
CLASSES = tuple(shape.__name__ for shape in SHAPES)


class Canvas:
    """N pictures being painted: coordinates from -1 to 1, colours 0..1, planes [N, 3, H, W], random numbers."""

    def __init__(self, n: int, size: int, rng: np.random.Generator) -> None:
        self.n, self.size, self.rng = n, size, rng
        grid = ((np.arange(size) + 0.5) * 2 / size - 1).astype(np.float32)
        self.x, self.y = grid[None, None, :], -grid[None, :, None]
        self.colour: NDArray[np.float32] = np.empty((n, 3, size, size), np.float32)

    def uniform(self, low: float, high: float, channels: int = 1) -> Plane:
        """A random number for each image (and channel): float32 [N, channels, 1]."""
        return self.rng.uniform(low, high, (self.n, channels, 1)).astype(np.float32)

    def turned(self, degrees: float, reach: float) -> tuple[Plane, Plane]:
        """Coordinates around a random centre at most `reach` from the middle, turned by up to ±degrees."""
        angle = self.uniform(-degrees, degrees) * np.float32(np.pi / 180)
        cos, sin = np.cos(angle), np.sin(angle)
        x, y = self.x - self.uniform(-reach, reach), self.y - self.uniform(-reach, reach)
        return x * cos + y * sin, y * cos - x * sin

    def paint(self, distance: Plane, colour: Plane) -> None:
        """Blend in a colour [N, 3, 1] where distance (in half pictures) is negative, with an edge 1.5 pixels soft."""
        cover = np.clip(np.float32(0.5) - distance * np.float32(self.size / 3), 0, 1)[:, None]
        change = colour[..., None] - self.colour
        change *= cover
        self.colour += change


def background(canvas: Canvas) -> Plane:
    """Fill with a linear gradient between two similar colours; returns the mean colour [N, 3, 1]."""
    mean = canvas.uniform(0.1, 0.6, 3)
    across, down = canvas.uniform(-0.15, 0.15, 3)[..., None], canvas.uniform(-0.15, 0.15, 3)[..., None]
    canvas.colour[:] = mean[..., None] + across * canvas.x[:, None] + down * canvas.y[:, None]
    return mean


def contrasting(canvas: Canvas, mean: Plane) -> Plane:
    """A colour [N, 3, 1] at a random distance from `mean`, often a small one."""
    direction = canvas.uniform(-0.3, 1, 3)
    direction /= np.sqrt((direction * direction).sum(axis=1, keepdims=True))
    return mean + direction * canvas.uniform(0.3, 0.9)


def lines(canvas: Canvas) -> None:
    """A thin line right across the picture."""
    x, _y = canvas.turned(90, 0.9)
    canvas.paint(np.abs(x) - canvas.uniform(0.0, 0.04), canvas.uniform(0, 1, 3))


def blobs(canvas: Canvas) -> None:
    """A small disc anywhere."""
    x, y = canvas.turned(0, 0.95)
    canvas.paint(length(x, y) - canvas.uniform(0.03, 0.14), canvas.uniform(0, 1, 3))


def shape(canvas: Canvas, labels: Labels, colour: Plane) -> None:
    """The picture's subject, one of SHAPES for each image."""
    x, y = canvas.turned(18, 0.3)
    radius = canvas.uniform(0.4, 0.75)
    # Mirrored at random, so that a horizontal flip makes no picture that could not have been drawn.
    x, y = x * np.sign(canvas.uniform(-1, 1)) / radius, y / radius
    distance = np.empty((canvas.n, canvas.size, canvas.size), np.float32)
    for label, edge in enumerate(SHAPES):
        rows = labels == label
        distance[rows] = edge(x[rows], y[rows])
    canvas.paint(distance * radius, colour)


def occluder(canvas: Canvas) -> None:
    """A bar over part of the picture."""
    x, _y = canvas.turned(90, 0.8)
    canvas.paint(np.abs(x) - canvas.uniform(-0.05, 0.12), canvas.uniform(0, 1, 3))


def noise(canvas: Canvas) -> None:
    """Independent noise on each pixel and channel: the sum of two dice, of a strength that varies by picture."""
    shape = (2, *canvas.colour.shape)
    dice = np.frombuffer(canvas.rng.bytes(int(np.prod(shape))), np.uint8).reshape(shape)
    grain = dice[0].astype(np.float32) + dice[1] - np.float32(255)
    canvas.colour += grain * (canvas.uniform(0.0, 0.12) / np.float32(255))[..., None]


def draw(labels: Labels, size: int, rng: np.random.Generator) -> Images:
    """Pictures of these labels: uint8 [N, H, W, 3]."""
    return picture(Canvas(len(labels), size, rng), lambda canvas, colour: shape(canvas, labels, colour))


def picture(canvas: Canvas, subject: Callable[[Canvas, Plane], None]) -> Images:
    """The subject, painted in a colour that stands out, between clutter: uint8 [N, H, W, 3]."""
    mean = background(canvas)
    lines(canvas)
    blobs(canvas)
    subject(canvas, contrasting(canvas, mean))
    occluder(canvas)
    noise(canvas)
    return np.rint(np.clip(canvas.colour, 0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1)


def balanced(count: int, part: int, classes: int) -> Labels:
    """As many labels of each class, in random order: int64 [count]."""
    labels = np.arange(count, dtype=np.int64) % classes
    return np.random.default_rng(derived_seed(SEED, "labels", part)).permutation(labels)


def load(
    path: Path | None = None, image_size: int | None = None, verify: bool = False, progress: Progress = silent
) -> Dataset:
    """The built-in shapes: 10,000 training and 2,000 test pictures in 10 classes, image_size² pixels (32)."""
    return drawn("shapes", CLASSES, (TRAIN, TEST), draw, path, image_size, progress)


def drawn(
    name: str,
    classes: tuple[str, ...],
    counts: tuple[int, int],
    draw: Callable[[Labels, int, np.random.Generator], Images],
    path: Path | None,
    image_size: int | None,
    progress: Progress,
) -> Dataset:
    """A data set of so many training and test pictures, drawn chunk by chunk; DataError where it is given a path."""
    if path is not None:
        raise DataError(f"{name} are drawn by tenfold itself, they are not read from {path}.", "Leave the path out.")
    size, (train, test) = image_size or SIZE, counts
    labels = np.concatenate([balanced(count, part, len(classes)) for part, count in enumerate(counts)])
    images = KEPT.get((name, size))
    if images is None:
        images = np.empty((len(labels), size, size, 3), np.uint8)
        for start in range(0, len(labels), CHUNK):
            rows = slice(start, start + CHUNK)
            images[rows] = draw(labels[rows], size, np.random.default_rng(derived_seed(SEED, name, start)))
            progress(f"drawing {name}", start, len(labels))
        if images.nbytes <= MOST_KEPT:
            KEPT[name, size] = images
    progress(f"drawing {name}", len(labels), len(labels))
    views = images.transpose(0, 3, 1, 2)
    return Dataset(
        name=name,
        images=views,
        labels=labels,
        classes=classes,
        ids=PartIds(train=train, test=test),
        parts={"train": np.arange(train), "test": np.arange(train, train + test)},
        fingerprint=fingerprint(views, labels, classes),
        where="drawn by tenfold",
    )
