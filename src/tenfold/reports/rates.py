"""Pictures of learning rates: a schedule over the epochs, and the loss of a range test over the rates it tried."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator

from tenfold.reports.pictures import drops
from tenfold.reports.style import BLUE, GREEN, MUTED, ORANGE, WIDTH, drawing, epoch_axis, figure, note, png, short
from tenfold.runs import Epoch
from tenfold.training.range_test import RangeTest

WIDE = 30.0
"""A schedule whose rates differ by this factor, and none of which is 0, is drawn on a logarithmic axis."""
NEAR = 1.6
"""The losses shown of a range test end at so many times the loss at its beginning: what diverges leaves the picture."""


@drawing()
def schedule(epochs: Sequence[float], rates: Sequence[float], title: str, below: str = "") -> bytes:
    """The learning rate at positions of the run."""
    made = figure(WIDTH, 3.4, title)
    axes = made.add_subplot()
    axes.plot(epochs, rates, color=GREEN)
    axes.set_xlim(0, np.ceil(epochs[-1]))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1))
    if min(rates) > 0 and WIDE <= max(rates) / min(rates) < WIDE**4:
        axes.set_yscale("log")
        axes.margins(y=0.12)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
    else:
        axes.set_ylim(0, 1.08 * max(rates) or 1)
    axes.set(ylabel="learning rate", xlabel=f"epochs trained. {below}" if below else "epochs trained")
    return png(made)


@drawing()
def range_curve(seen: RangeTest, title: str) -> bytes:
    """The loss of each step over its rate, smoothed too, and the suggestion."""
    made = figure(WIDTH, 4.2, title)
    axes = made.add_subplot()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.plot(seen.rates, seen.losses, ".", color=BLUE, alpha=0.3, markersize=5, label="one batch")
    axes.plot(seen.rates, seen.smooth, color=BLUE, label="smoothed")
    axes.axvline(seen.suggestion, color=ORANGE, linestyle=(0, (4, 3)), label=f"suggestion: {seen.option}")
    low, high = min(seen.losses), NEAR * seen.smooth[0]
    axes.set_ylim(low - 0.05 * (high - low), min(high, max(seen.losses) + 0.05 * (high - low)))
    axes.set_xlim(seen.rates[0], seen.rates[-1])
    axes.set(xlabel="learning rate of the step", ylabel="training loss (nats)")
    axes.legend(loc="lower left", labelcolor=MUTED)
    return png(made)


@drawing()
def accuracies_and_rates(curves: Mapping[str, Sequence[Epoch]], title: str) -> bytes:
    """A panel for each run: validation accuracy, the learning rate behind it, and its drops as dashed lines."""
    if not curves:
        return note("No run has finished yet.", title)
    columns = 3
    rows = -(-len(curves) // columns)
    made = figure(WIDTH, 0.6 + 2.5 * rows, title)
    heights = [100 * row.val_accuracy for epochs in curves.values() for row in epochs if row.val_accuracy is not None]
    for at, (name, epochs) in enumerate(curves.items()):
        axes = made.add_subplot(rows, columns, at + 1)
        places = [row.epoch for row in epochs]
        behind = axes.twinx()
        behind.fill_between(places, [row.lr for row in epochs], color=GREEN, alpha=0.18, linewidth=0, step="mid")
        behind.set_ylim(0, 1.3 * max(row.lr for row in epochs) or 1)
        behind.set_yticks([])
        behind.grid(visible=False)
        axes.plot(
            places,
            [100 * (row.val_accuracy or np.nan) for row in epochs],
            color=BLUE,
            marker="o" if len(epochs) <= 5 else "",
        )
        for row in drops(epochs):
            axes.axvline(row.epoch - 0.5, color=MUTED, linestyle=(0, (4, 4)), linewidth=0.9)
        axes.set_ylim(min(heights) - 2, max(heights) + 2)
        axes.set(title=short(name, 30), ylabel="accuracy (%)" if at % columns == 0 else "")
        epoch_axis(axes, epochs[-1].epoch)
    return png(made)


def steps_shown(epochs: int, each: int = 50) -> list[float]:
    """Positions at which a schedule is drawn; the run's end is none of them, since no step is taken there."""
    positions: list[float] = (np.arange(epochs * each) / each).tolist()
    return positions
