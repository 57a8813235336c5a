"""Pictures of a run as the bytes of a PNG: curves, confusion matrix, grids of images, runs side by side.

curves(run.epochs, run.recipe.name)
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from tenfold.reports.mosaics import class_grid, image_grid
from tenfold.reports.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    SERIES,
    WIDTH,
    drawing,
    epoch_axis,
    figure,
    note,
    png,
    short,
)
from tenfold.reports.words import titles
from tenfold.runs import Epoch, Run, best_of

__all__ = ["class_grid", "confusion_matrix", "curves", "image_grid", "side_by_side"]

NUMBERED = 20
"""Up to so many classes a confusion matrix has its counts in the cells, and every class its label."""
DROP = 0.7
"""A learning rate below this share of the one before is a drop."""


@drawing()
def curves(epochs: Sequence[Epoch], title: str) -> bytes:
    """Loss, accuracy and learning rate over the epochs."""
    if not epochs:
        return note("No epoch has ended yet.", title)
    made = figure(WIDTH, 5.4, title)
    grid = made.add_gridspec(2, 2, height_ratios=(3.3, 1))
    loss, accuracy, rate = (made.add_subplot(grid[at]) for at in ((0, 0), (0, 1), (1, slice(None))))
    plot_pair(loss, epochs, [row.train_loss for row in epochs], [row.val_loss for row in epochs])
    loss.set(title="Loss", ylabel="cross-entropy (nats)")
    plot_pair(accuracy, epochs, percents(epochs, "train_accuracy"), percents(epochs, "val_accuracy"))
    accuracy.set(title="Accuracy", ylabel="accuracy (%)")
    mark_best(accuracy, epochs)
    end_at_hundred(accuracy)
    plot_rate(rate, epochs)
    for axes in (loss, accuracy, rate):
        epoch_axis(axes, epochs[-1].epoch)
        for row in drops(epochs):
            axes.axvline(row.epoch - 0.5, color=MUTED, linestyle=(0, (4, 4)), linewidth=0.9, zorder=1)
    return png(made)


def percents(epochs: Sequence[Epoch], field: str) -> list[float | None]:
    """A rate of each epoch in %."""
    values = [getattr(row, field) for row in epochs]
    return [None if value is None else 100 * value for value in values]


def plot_pair(axes: Axes, epochs: Sequence[Epoch], train: Sequence[float | None], val: Sequence[float | None]) -> None:
    """Training and, where there was one, validation."""
    plot(axes, epochs, train, color=ORANGE, label="training")
    if any(value is not None for value in val):
        plot(axes, epochs, val, color=BLUE, label="validation")
    axes.legend(loc="best", labelcolor=MUTED, handlelength=1.4, frameon=True, framealpha=0.9, edgecolor="none")


def plot(axes: Axes, epochs: Sequence[Epoch], values: Sequence[float | None], **look: str) -> Line2D:
    """One line over the epochs, with gaps where there is nothing; a short one shows its points."""
    heights = np.array([np.nan if value is None else value for value in values])
    heights[~np.isfinite(heights)] = np.nan
    marker = "o" if len(epochs) <= 5 else ""
    return axes.plot([row.epoch for row in epochs], heights, marker=marker, markersize=4.5, **look)[0]  # type: ignore[arg-type]


def mark_best(axes: Axes, epochs: Sequence[Epoch]) -> None:
    """A ring around the best validated epoch; its value stands above the panel, where it covers no line."""
    best = best_of(epochs)
    if best is None or best.val_accuracy is None:
        return
    at = (best.epoch, 100 * best.val_accuracy)
    axes.plot(*at, marker="o", markersize=8, markerfacecolor="white", markeredgecolor=BLUE, markeredgewidth=2)
    axes.set_title(f"best {100 * best.val_accuracy:.2f} %, epoch {best.epoch}", loc="right", color=BLUE)


def end_at_hundred(axes: Axes) -> None:
    """No tick above 100 %."""
    limits = axes.get_ylim()
    axes.set_yticks([tick for tick in axes.get_yticks() if tick <= 100 and limits[0] <= tick <= limits[1]])
    axes.set_ylim(limits)


def plot_rate(axes: Axes, epochs: Sequence[Epoch]) -> None:
    """The learning rate at each epoch's last step."""
    rates = [row.lr for row in epochs]
    stepped = bool(drops(epochs))
    plot(axes, epochs, rates, color=GREEN, drawstyle="steps-mid" if stepped else "default")
    axes.set(title="Learning rate", ylabel="rate")
    if stepped and min(rates) > 0 and max(rates) / min(rates) >= 9:
        axes.set_yscale("log")
        axes.margins(y=0.35)
        axes.minorticks_off()
        axes.yaxis.set_major_formatter("{x:g}")
    else:
        axes.set_ylim(0, 1.35 * max(rates) or 1)
    level = stepped or max(rates) == min(rates)
    for row in (epochs[0], *drops(epochs)) if level else ():
        axes.annotate(f"{row.lr:.3g}", (row.epoch, row.lr), (3, 5), textcoords="offset points", color=INK, fontsize=9)


def drops(epochs: Sequence[Epoch]) -> list[Epoch]:
    """The epochs that begin with a lower learning rate after, or before, a level stretch; none on a smooth slope."""
    rates = [row.lr for row in epochs]
    found = []
    for at in range(1, len(rates)):
        beside = [(rates[i], rates[i + 1]) for i in (at - 2, at) if 0 <= i < len(rates) - 1]
        level = not beside or any(abs(a - b) <= 0.01 * a for a, b in beside)
        if rates[at] < DROP * rates[at - 1] and level:
            found.append(epochs[at])
    return found


@drawing()
def confusion_matrix(confusion: Sequence[Sequence[int]], classes: Sequence[str], title: str) -> bytes:
    """Which class (row) was called which (column): colours by share of the row, counts in the cells."""
    counts = np.asarray(confusion, dtype=np.int64).reshape(len(classes), len(classes))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = min(2.2 + 0.5 * len(classes), 8.2)
    made = figure(side + 1.4, side + 0.3, "")
    axes = made.add_subplot()
    axes.set_title(short(title, max(34, round(13 * side))))
    # the root makes a confusion of a few per cent visible beside a diagonal near 100 %
    norm = PowerNorm(0.5, 0, 1)
    picture = axes.imshow(shares, cmap="Blues", norm=norm, interpolation="nearest")
    if len(classes) <= NUMBERED:
        write_counts(axes, counts, np.asarray(norm(shares)))
    label_classes(axes, classes)
    bar = made.colorbar(picture, ax=axes, shrink=0.7, aspect=24, ticks=[0, 0.05, 0.2, 0.5, 1])
    bar.ax.set_yticklabels(["0", "5", "20", "50", "100"])
    bar.set_label("share of the true class (%)")
    bar.outline.set_visible(False)
    return png(made)


def write_counts(axes: Axes, counts: NDArray[np.int64], darkness: NDArray[np.float64]) -> None:
    """The counts, readable on their colour; a zero is left out."""
    size = 9 if counts.max(initial=0) < 10_000 and len(counts) <= 12 else 7
    for row, column in np.argwhere(counts):
        color = "white" if darkness[row, column] > 0.62 else INK
        axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", color=color, fontsize=size)


def label_classes(axes: Axes, classes: Sequence[str]) -> None:
    """Class names along both sides; of many classes every so many-th."""
    step = 1 if len(classes) <= NUMBERED else -(-len(classes) // 25)
    at = range(0, len(classes), step)
    names = [short(classes[index]) for index in at]
    axes.set_xticks(at, names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(at, names)
    axes.set(xlabel="called (prediction)", ylabel="is (truth)")
    axes.grid(visible=False)
    axes.tick_params(length=0, labelcolor=INK)
    axes.spines[:].set_visible(False)


@drawing()
def side_by_side(runs: Sequence[Run]) -> bytes:
    """Validation accuracy and loss of several runs over the epochs; of a run without validation, training (dotted)."""
    shown = [(run, run.epochs) for run in runs]
    if not any(epochs for _, epochs in shown):
        return note("No epoch of these runs has ended yet.", "")
    made = figure(WIDTH, 4.1 + 0.24 * len(runs), "")
    accuracy, loss = made.subplots(1, 2)
    lines = [plot_run(accuracy, loss, index, epochs) for index, (_, epochs) in enumerate(shown)]
    accuracy.set(title="Validation accuracy", ylabel="accuracy (%)")
    end_at_hundred(accuracy)
    loss.set(title="Validation loss", ylabel="cross-entropy (nats)")
    for axes in (accuracy, loss):
        epoch_axis(axes, max(epochs[-1].epoch for _, epochs in shown if epochs))
    name_lines(made, lines, titles(runs))
    return png(made)


def plot_run(accuracy: Axes, loss: Axes, index: int, epochs: Sequence[Epoch]) -> Line2D:
    """A run's two lines; dashes tell apart what has the same colour."""
    part = "val" if any(row.val_accuracy is not None for row in epochs) else "train"
    style = ":" if part == "train" else ("-", "--", "-.")[index // len(SERIES) % 3]
    look = {"color": SERIES[index % len(SERIES)], "linestyle": style}
    plot(loss, epochs, [getattr(row, f"{part}_loss") for row in epochs], **look)
    return plot(accuracy, epochs, percents(epochs, f"{part}_accuracy"), **look)


def name_lines(made: Figure, lines: Sequence[Line2D], names: Sequence[str]) -> None:
    """A legend below; its texts are set afterwards, because matplotlib drops labels that begin with an underscore."""
    made.legend(lines, [f"{index}" for index in range(len(lines))], loc="outside lower left", handlelength=2.2)
    dotted = [" (training: it has no validation)" if line.get_linestyle() == ":" else "" for line in lines]
    for text, name, ending in zip(made.legends[0].get_texts(), names, dotted, strict=True):
        text.set_text(short(name, 80) + ending)
