"""Pictures that several statements draw."""

from collections.abc import Mapping, Sequence

import numpy as np

from tenfold.reports.style import MUTED, SERIES, WIDTH, drawing, epoch_axis, figure, note, png, short
from tenfold.runs import Epoch


@drawing()
def loss_curves(groups: Mapping[str, Mapping[int, Sequence[Epoch]]], title: str, level: float | None = None) -> bytes:
    """Validation loss over the epochs: every run thinly, the mean of each group; a level that all reach."""
    made = figure(WIDTH, 4.2, title)
    axes = made.add_subplot()
    last = 0
    for (name, runs), colour in zip(groups.items(), SERIES, strict=False):
        curves = [[np.nan if row.val_loss is None else row.val_loss for row in rows] for rows in runs.values() if rows]
        if not curves:
            continue
        shortest = min(map(len, curves))
        last = max(last, *map(len, curves))
        for curve in curves:
            axes.plot(range(1, len(curve) + 1), curve, color=colour, linewidth=0.7, alpha=0.4)
        means = np.mean([curve[:shortest] for curve in curves], 0)
        axes.plot(range(1, shortest + 1), means, color=colour, label=f"{short(name, 40)} ({len(curves)})")
    if not last:
        return note("No run has finished yet.", title)
    if level is not None:
        axes.axhline(level, color=MUTED, linewidth=0.9, linestyle=(0, (4, 4)))
        axes.annotate(f"{level:.3f}", (0.55, level), xytext=(0, 3), textcoords="offset points", color=MUTED)
    axes.set(ylabel="validation loss (nats)")
    axes.legend(loc="upper right", labelcolor=MUTED)
    epoch_axis(axes, last)
    return png(made)
