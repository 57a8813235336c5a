"""The picture of where the time of a training step goes."""

from collections.abc import Mapping, Sequence

from tenfold.reports.style import INK, MUTED, SERIES, WIDTH, drawing, figure, png, short
from tenfold.reports.words import milliseconds, percent

APART = 0.12
"""Least distance of two labels, as a share of the bar."""


@drawing()
def step_times(parts: Mapping[str, float], title: str, below: str) -> bytes:
    """One bar, as long as the parts' seconds together; each part's name, milliseconds and share above it."""
    total = sum(parts.values())
    made = figure(WIDTH, 2.6, title)
    axes = made.add_subplot()
    start, middles = 0.0, []
    for color, seconds in zip(SERIES, parts.values(), strict=False):
        axes.barh(0, seconds / total, left=start, height=1, color=color, linewidth=0)
        middles.append(start + seconds / total / 2)
        start += seconds / total
    for (name, seconds), color, middle, at in zip(parts.items(), SERIES, middles, spread(middles, APART), strict=False):
        axes.plot((middle, middle, at, at), (0.5, 0.6, 0.77, 0.87), color=color, linewidth=1.2)
        axes.text(at, 1.5, name, ha="center", va="bottom", color=INK, weight="bold")
        numbers = f"{milliseconds(seconds)}\n{percent(seconds / total, 1)}"
        axes.text(at, 0.94, numbers, ha="center", va="bottom", color=INK, linespacing=1.4)
    axes.set(xlim=(0, 1), ylim=(-0.5, 1.75))
    axes.set_xticks((0, 0.25, 0.5, 0.75, 1), ("0 %", "25 %", "50 %", "75 %", "100 %"))
    axes.set_yticks(())
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)
    axes.set_xlabel(short(below, 125), color=MUTED, fontsize=9)
    return png(made)


def spread(centres: Sequence[float], apart: float) -> list[float]:
    """The ascending centres of labels in [0, 1], moved as far as they must to be `apart` and inside."""
    placed: list[float] = []
    for centre in centres:
        placed.append(max(centre, placed[-1] + apart if placed else apart / 2))
    limit = 1 - apart / 2
    for index in reversed(range(len(placed))):
        placed[index] = min(placed[index], limit)
        limit = placed[index] - apart
    return placed
