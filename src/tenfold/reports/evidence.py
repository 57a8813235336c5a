"""Pictures of comparisons: forest plot, curves with bands, pairs, a sweep. Every single run stays visible.

forest(rows, "simplenn", "Ablation of simplenn")
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy import stats

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
from tenfold.runs import Epoch

VERDICT_COLOURS = {"helps": GREEN, "hurts": ORANGE, "equivalent": BLUE}


@dataclass(frozen=True)
class Row:
    """One line of a forest plot, in points: differences of the single pairs, their mean, its interval, the verdict."""

    name: str
    differences: Sequence[float]
    mean: float | None
    interval: tuple[float, float] | None
    verdict: str


@drawing()
def forest(rows: Sequence[Row], baseline: str, title: str, delta_points: float = 0.5) -> bytes:
    """Difference of each variant from the baseline, with its interval and every pair."""
    made = figure(WIDTH, 1.4 + 0.5 * len(rows), title)
    axes = made.add_subplot()
    axes.axvspan(-delta_points, delta_points, color="#eef2f6", zorder=0)
    axes.axvline(0, color=MUTED, linewidth=0.9)
    for height, row in enumerate(reversed(rows)):
        colour = VERDICT_COLOURS.get(row.verdict, MUTED)
        axes.plot(row.differences, [height - 0.22] * len(row.differences), "|", color=colour, alpha=0.6, markersize=7)
        if row.interval is not None:
            axes.plot(row.interval, [height] * 2, color=colour, linewidth=2.4)
        if row.mean is not None:
            axes.plot([row.mean], [height], "o", color=colour, markersize=6.5)
        axes.annotate(
            row.verdict,
            (1.01, height),
            xycoords=("axes fraction", "data"),
            va="center",
            color=colour,
            annotation_clip=False,
        )
    axes.set_yticks(range(len(rows)), [short(row.name, 34) for row in reversed(rows)], color=INK)
    axes.set_ylim(-0.7, len(rows) - 0.4)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(
        f"validation accuracy against {short(baseline, 34)} (points); line: 95 % interval; ticks: single pairs; "
        f"band: ±{delta_points:g}"
    )
    return png(made)


@drawing()
def bands(groups: Mapping[str, Mapping[int, Sequence[Epoch]]], title: str) -> bytes:
    """Validation accuracy over the epochs: the mean of each group's seeds, its interval, and every run thinly."""
    drawn = {name: runs for name, runs in groups.items() if any(len(rows) for rows in runs.values())}
    if not drawn:
        return note("No run has finished yet.", title)
    made = figure(WIDTH, 4.6, title)
    axes = made.add_subplot()
    last = 1
    for (name, runs), colour in zip(drawn.items(), SERIES * len(drawn), strict=False):
        curves = [[100 * (row.val_accuracy or np.nan) for row in rows] for rows in runs.values() if rows]
        last = max(last, *map(len, curves))
        band(axes, curves, colour, f"{short(name, 30)} ({len(curves)})")
    heights = [
        100 * row.val_accuracy for runs in drawn.values() for rows in runs.values() for row in rows if row.val_accuracy
    ]
    if heights:  # a band of few seeds may be far wider than anything that happened
        margin = max(0.5, 0.05 * (max(heights) - min(heights)))
        axes.set_ylim(min(heights) - margin, min(100.5, max(heights) + margin))
    axes.set(ylabel="validation accuracy (%)")
    axes.legend(loc="lower right", labelcolor=MUTED, frameon=True, framealpha=0.9, edgecolor="none")
    epoch_axis(axes, last)
    return png(made)


def band(axes: Axes, curves: Sequence[Sequence[float]], colour: str, label: str) -> None:
    """One group's curves."""
    shortest = min(map(len, curves))
    table = np.array([curve[:shortest] for curve in curves])
    epochs = np.arange(1, shortest + 1)
    for curve in curves:
        axes.plot(np.arange(1, len(curve) + 1), curve, color=colour, linewidth=0.6, alpha=0.35)
    axes.plot(epochs, table.mean(0), color=colour, label=label, marker="o" if shortest == 1 else None)
    if len(table) > 1:
        half = half_width(table)
        axes.fill_between(epochs, table.mean(0) - half, table.mean(0) + half, color=colour, alpha=0.15, linewidth=0)


def half_width(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half of the 95 % interval of each column's mean (Student's t)."""
    count = len(table)
    width: NDArray[np.float64] = stats.t.isf(0.025, count - 1) * table.std(0, ddof=1) / np.sqrt(count)
    return width


@drawing()
def pairs(a: Mapping[int, float | None], b: Mapping[int, float | None], names: tuple[str, str], title: str) -> bytes:
    """Both arms' accuracies, the pairs of a seed joined."""
    whole = [(x, b[s]) for s, x in sorted(a.items()) if x is not None and b.get(s) is not None]
    if not whole:
        return note("No seed finished in both arms.", title)
    made = figure(WIDTH, 3.9, title)
    axes = made.add_subplot()
    for x, y in whole:
        assert y is not None
        axes.plot([1, 0], [100 * x, 100 * y], "-", color=GREEN if x > y else ORANGE if x < y else MUTED, linewidth=1)
    for at, values, colour in ((1, [p[0] for p in whole], BLUE), (0, [p[1] for p in whole], INK)):
        heights = 100 * np.array(values, np.float64)
        axes.plot([at] * len(heights), heights, "o", color=colour, markersize=5)
        axes.plot([at - 0.06, at + 0.06], [heights.mean()] * 2, color=colour, linewidth=2.6)
    axes.set_xticks([0, 1], [short(names[1], 34), short(names[0], 34)], color=INK)
    axes.set_xlim(-0.5, 1.5)
    axes.set(ylabel="validation accuracy (%)")
    axes.set_xlabel("a line joins the runs of one seed: green where the right one is better; bars: means")
    return png(made)


@drawing()
def sweep(
    values: Mapping[float, Sequence[float]],
    option: str,
    title: str,
    highlight: float | None = None,
    labels: Sequence[str] | None = None,
) -> bytes:
    """Accuracy against one option: every run, the means joined; logarithmic where the values call for it.

    labels: the names of the places 0, 1, … of an option that is no number.
    """
    points = {value: [100 * a for a in accuracies] for value, accuracies in sorted(values.items()) if accuracies}
    if not points:
        return note("No run has finished yet.", title)
    made = figure(WIDTH, 4.2, title)
    axes = made.add_subplot()
    for value, heights in points.items():
        axes.plot([value] * len(heights), heights, "o", color=BLUE, alpha=0.45, markersize=5)
    axes.plot(list(points), [float(np.mean(heights)) for heights in points.values()], color=BLUE)
    if highlight is not None and highlight in points:
        axes.plot([highlight], [float(np.mean(points[highlight]))], "o", color=GREEN, markersize=9, label="best mean")
        axes.legend(loc="best", labelcolor=MUTED)
    positive = [value for value in points if value > 0]
    if labels is None and len(positive) > 1 and max(positive) / min(positive) >= 20:
        axes.set_xscale("symlog", linthresh=min(positive)) if min(points) <= 0 else axes.set_xscale("log")
    axes.set_xticks(list(points), [labels[int(v)] if labels else f"{v:g}" for v in points])
    axes.minorticks_off()
    failed = [labels[int(v)] if labels else f"{v:g}" for v, accuracies in values.items() if not accuracies]
    told = f"; no run finished at {', '.join(failed)}" if failed else ""
    axes.set(ylabel="validation accuracy (%)", xlabel=option + told)
    return png(made)
