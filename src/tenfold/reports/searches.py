"""Pictures of a search: accuracy against each option with every run, and all options side by side.

against([Mark(0.1, 0.64, 1.0, "finalist"), …], "optimizer.lr", "simplenn: search")
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from tenfold.reports.style import BLUE, GREEN, INK, MUTED, ORANGE, WIDTH, drawing, figure, note, png, short


@dataclass(frozen=True)
class Mark:
    """One run: its point, accuracy (0..1; None: it failed), the share of the epochs it was given, and what it is.

    kind: discarded, whole, finalist (with the search's seed) or fresh (a finalist with another seed).
    """

    point: Mapping[str, Any]
    accuracy: float | None
    share: float
    kind: str


LOOKS = {
    "discarded": ("x", MUTED, "stopped early (the paler, the earlier)"),
    "whole": ("o", BLUE, "trained to the end"),
    "finalist": ("o", ORANGE, "finalist, the search's seed"),
    "fresh": ("D", GREEN, "finalist, fresh seeds"),
}


@dataclass(frozen=True)
class Axis:
    """How an option is laid out: its values' names where it has few, or a range, logarithmic or not."""

    option: str
    names: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0
    logarithmic: bool = False

    def place(self, value: Any) -> float:
        """Where a value lies, 0..1."""
        if self.names:
            return (self.names.index(str(value)) + 0.5) / len(self.names)
        if self.logarithmic:
            return float(np.log(value / self.low) / np.log(self.high / self.low))
        return float((value - self.low) / (self.high - self.low))


@drawing()
def against(marks: Sequence[Mark], axis: Axis, title: str) -> bytes:
    """Accuracy against one option: every run of the search, those that were stopped early too."""
    seen = [mark for mark in marks if mark.accuracy is not None]
    if not seen:
        return note("No run has finished yet.", title)
    made = figure(WIDTH, 4.2, title)
    axes = made.add_subplot()
    for kind, (sign, colour, label) in LOOKS.items():
        of_kind = [mark for mark in seen if mark.kind == kind]
        for number, mark in enumerate(of_kind):
            value = axis.place(mark.point[axis.option]) if axis.names else mark.point[axis.option]
            alpha = 0.3 + 0.6 * mark.share if kind == "discarded" else 0.85
            told = label if number == 0 else None
            axes.plot([value], [100 * (mark.accuracy or 0)], sign, color=colour, alpha=alpha, markersize=6, label=told)
    if axis.names:
        axes.set_xlim(0, 1)
        axes.set_xticks([axis.place(name) for name in axis.names], list(axis.names))
    elif axis.logarithmic:
        axes.set_xscale("log")
        axes.set_xlim(axis.low * 0.8, axis.high * 1.25)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.minorticks_off()
    failed = len(marks) - len(seen)
    axes.set(
        ylabel="validation accuracy (%)",
        xlabel=axis.option + (f"; {failed} runs failed and are not shown" * (failed > 0)),
    )
    axes.legend(loc="best", labelcolor=MUTED, frameon=True, framealpha=0.9, edgecolor="none")
    return png(made)


@drawing()
def parallel(marks: Sequence[Mark], several: Sequence[Axis], title: str) -> bytes:
    """Parallel coordinates: a line for each run through its values to its accuracy, the better the stronger."""
    seen = sorted(
        (mark for mark in marks if mark.accuracy is not None and mark.kind != "fresh"),
        key=lambda mark: mark.accuracy or 0,
    )
    if not seen:
        return note("No run has finished yet.", title)
    made = figure(WIDTH, 4.6, title)
    axes = made.add_subplot()
    heights = [100 * (mark.accuracy or 0) for mark in seen]
    low, high = min(heights), max(max(heights), min(heights) + 1e-9)
    for rank, (mark, height) in enumerate(zip(seen, heights, strict=True)):
        line = [*(axis.place(mark.point[axis.option]) for axis in several), (height - low) / (high - low)]
        _, colour, _ = LOOKS[mark.kind]
        strength = 0.25 + 0.65 * rank / len(seen)
        axes.plot(line, color=colour, alpha=strength, linewidth=1 + 1.2 * (mark.kind == "finalist"))
    for at, axis in enumerate(several):
        rule(axes, at, axis_ticks(axis))
    rule(axes, len(several), [(share, f"{low + share * (high - low):.1f}") for share in (0, 0.25, 0.5, 0.75, 1)])
    axes.set_xticks(
        range(len(several) + 1), [*(short(a.option, 26) for a in several), "validation accuracy (%)"], color=INK
    )
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_xlim(-0.2, len(several) + 0.35)
    axes.set_xlabel("a line is a run: grey stopped early, blue trained to the end, orange finalist")
    return png(made)


def axis_ticks(axis: Axis) -> list[tuple[float, str]]:
    """Places and texts along an option's rule."""
    if axis.names:
        return [(axis.place(name), name) for name in axis.names]
    shares = (0, 0.25, 0.5, 0.75, 1)
    if axis.logarithmic:
        return [(share, f"{axis.low * (axis.high / axis.low) ** share:.3g}") for share in shares]
    return [(share, f"{axis.low + share * (axis.high - axis.low):.3g}") for share in shares]


def rule(axes: Axes, at: float, ticks: Sequence[tuple[float, str]]) -> None:
    """A vertical line with its texts."""
    axes.plot([at, at], [0, 1], color=INK, linewidth=0.9, zorder=3)
    for height, text in ticks:
        axes.annotate(
            short(text, 14), (at, height), (4, 0), textcoords="offset points", va="center", color=INK, fontsize=8
        )
