"""How every picture looks: colours that colour-blind people can tell apart, quiet axes, readable at report width.

A figure of 9.6 inches is 960 pixels wide in the report; pixels are denser, so that it stays sharp on fine screens.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

WIDTH = 9.6
"""Inches of a picture as wide as the report."""
DPI = 160

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
SERIES = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", "#8C6D1F", "#000000", "#E69F00")
"""After Okabe and Ito; the yellow made darker, to be seen on white."""
INK, MUTED, FAINT = "#1f2328", "#59636e", "#e4e7eb"

STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # a class may be called "$5"
    "text.usetex": False,
    "text.color": INK,
    "font.family": ["DejaVu Sans"],
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 9,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": "#aab1ba",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "xtick.color": "#aab1ba",
    "ytick.color": "#aab1ba",
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "lines.linewidth": 1.9,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "figure.facecolor": "white",
    "figure.titlesize": 12.5,
    "figure.titleweight": "bold",
    "figure.constrained_layout.h_pad": 0.09,
    "figure.constrained_layout.w_pad": 0.11,
    "savefig.facecolor": "white",
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in this style, and put matplotlib back as it was; usable as a decorator."""
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # a class name in a script that the font lacks is drawn as boxes; the page has it in full
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        yield


def figure(width: float, height: float, title: str, arranged: bool = True) -> Figure:
    """An empty figure with its title, in inches; its panels are arranged, or placed by hand."""
    made = Figure(figsize=(width, height), dpi=DPI, layout="constrained" if arranged else None)
    FigureCanvasAgg(made)
    if title:
        by_hand = {} if arranged else {"y": 1 - 0.09 / height, "va": "top"}  # a placed title is not made room for
        made.suptitle(short(title, 90), x=0.012, ha="left", **by_hand)
    return made


def png(made: Figure) -> bytes:
    """The figure as the bytes of a PNG; equal figures give equal bytes."""
    buffer = io.BytesIO()
    made.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def note(text: str, title: str) -> bytes:
    """A picture that says why there is nothing to see."""
    made = figure(WIDTH, 1.5, title)
    made.text(0.5, 0.4, text, ha="center", va="center", color=MUTED, fontsize=11)
    return png(made)


def short(name: str, most: int = 22) -> str:
    """A name on one line, of at most `most` characters, fit to be drawn."""
    line = " ".join(name.encode("utf-8", "replace").decode().split())
    line = "".join(letter for letter in line if letter.isprintable())
    return line if len(line) <= most else line[: most - 1] + "…"


def epoch_axis(axes: Axes, last: int) -> None:
    """Whole epochs from the first to the last."""
    axes.set_xlim(0.5, last + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch")
