"""Pictures made of the data's own images, pixel by pixel: captioned grids, and some images of each class."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from tenfold.datasets.dataset import Dataset, Images
from tenfold.reports.style import INK, WIDTH, drawing, figure, note, png, short

MOST_CLASSES = 20
"""A class grid shows so many classes."""
SHARE = 0.84
"""The part of a cell's width that its image takes."""
SHARP = 128
"""Images larger than this many pixels a side are thinned: nobody sees more in a cell."""


@drawing()
def image_grid(
    images: Images | Sequence[NDArray[np.uint8]], captions: Sequence[str], title: str, columns: int = 5
) -> bytes:
    """Images uint8 [n, C, H, W], each above its caption."""
    if not len(images):
        return note("There are none.", title)
    rows, cell, top = -(-len(images) // columns), WIDTH / columns, 0.5
    lines = max(caption.count("\n") + 1 for caption in captions)
    pitch = SHARE + (0.35 + 0.2 * lines) / cell
    made = figure(WIDTH, top + rows * pitch * cell, title, arranged=False)
    # one panel for all, in units of a cell's width: 25 panels would take as many seconds
    axes = made.add_axes((0, 0, 1, rows * pitch * cell / (top + rows * pitch * cell)))
    for index, (image, caption) in enumerate(zip(images, captions)):
        row, column = divmod(index, columns)
        left, upper = column + (1 - SHARE) / 2, row * pitch + 0.02
        show(axes, pixels(image), (left, left + SHARE, upper + SHARE, upper))
        caption = "\n".join(short(line, 26) for line in caption.split("\n"))
        under = upper + SHARE + 0.1 / cell
        axes.text(column + 0.5, under, caption, ha="center", va="top", fontsize=9, linespacing=1.35)
    axes.set(xlim=(0, columns), ylim=(rows * pitch, 0))
    return png(made)


def before_and_after(
    before: Sequence[NDArray[np.uint8]],
    after: Sequence[NDArray[np.uint8]],
    captions: Sequence[tuple[str, str]],
    title: str,
) -> bytes:
    """Rows of images uint8 [C, H, W], and below each row the same ones augmented."""
    columns, shown, said = 6, [], []
    for start in range(0, len(before), columns):
        row = slice(start, start + columns)
        blank = columns - len(before[row])
        for images, which in ((before, 0), (after, 1)):
            shown += [*images[row], *[np.full((3, 1, 1), 255, np.uint8)] * blank]
            said += [*(caption[which] for caption in captions[row]), *[""] * blank]
    return image_grid(shown, said, title, columns)


@drawing()
def class_grid(dataset: Dataset, per_class: int = 8) -> bytes:
    """The first training images of each class, one row a class, at most 20 classes."""
    shown = dataset.classes[:MOST_CLASSES]
    title = f"{dataset.name}: the first {per_class} training images of each class"
    if len(shown) < len(dataset.classes):
        title = f"{dataset.name}: images of the first {len(shown)} of {len(dataset.classes)} classes"
    rows = [first_images(dataset, index, per_class) for index in range(len(shown))]
    if not rows:
        return note("This data has no classes.", title)
    cell = pixels(dataset.images[0]).shape[0] if len(dataset.images) else 1
    mosaic = np.concatenate([strip(row, per_class, cell) for row in rows])
    made = figure(WIDTH, 0.6 + 8.3 * mosaic.shape[0] / mosaic.shape[1], title)
    axes = made.add_subplot()
    show(axes, mosaic)
    height = mosaic.shape[0] / len(rows)
    axes.set_yticks([(index + 0.5) * height - 0.5 for index in range(len(rows))], [short(name) for name in shown])
    axes.tick_params(length=0, labelcolor=INK, labelsize=10)
    return png(made)


def first_images(dataset: Dataset, index: int, most: int) -> list[NDArray[np.uint8]]:
    """The first images of a class: training ones, so that the test set stays unseen."""
    rows = dataset.parts.get("train", np.arange(len(dataset.labels)))
    chosen = rows[dataset.labels[rows] == index][:most]
    return [pixels(dataset.images[row]) for row in chosen]


def strip(images: Sequence[NDArray[np.uint8]], cells: int, side: int) -> NDArray[np.uint8]:
    """Images [H, W, 3] in a row with white gaps, and white where there are fewer than `cells`."""
    gap = max(1, side // 10)
    made = np.full((side + gap, cells * (side + gap), 3), 255, np.uint8)
    for index, image in enumerate(images):
        left = index * (side + gap) + gap // 2
        made[gap // 2 : gap // 2 + side, left : left + side] = image
    return made


def pixels(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[C, H, W] as [H, W, 3], thinned if it is large; grey where there are not three channels."""
    step = -(-max(image.shape[1:]) // SHARP)
    thin = image[:, ::step, ::step]
    colours = thin[:3] if len(thin) >= 3 else np.repeat(thin[:1], 3, axis=0)
    return np.ascontiguousarray(colours.transpose(1, 2, 0))


def show(axes: Axes, image: NDArray[np.uint8], extent: tuple[float, float, float, float] | None = None) -> None:
    """An image with crisp pixels and no axes around it; `extent`: left, right, lower and upper edge."""
    axes.imshow(image, interpolation="nearest", extent=extent, aspect="auto" if extent else "equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
