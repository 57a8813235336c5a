"""Statement 1.10: the loss around trained nets with and without shortcut connections.

The loss is drawn over two random directions, each filter of a direction scaled to the norm of the net's own filter, so
that steps are comparable between nets (Li et al. 2018, "Visualizing the loss landscape of neural nets").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.contour import ContourSet
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tenfold.experiments.groups import Group
from tenfold.experiments.statements import trainings
from tenfold.experiments.statements.answers import Context, Experiment, Found, Table
from tenfold.experiments.statements.nets import batches, trained, validation_images
from tenfold.experiments.statements.trainings import over_seeds
from tenfold.models.blocks import batch_statistics
from tenfold.randomness import generator
from tenfold.recipe import Plan
from tenfold.reports.style import MUTED, SERIES, WIDTH, drawing, figure, png

REACH = 1.0
"""How far the surface goes: 1 is a step as long as the net's own filters."""

Surface = NDArray[np.float64]
"""Losses [points, points] over two directions; the trained net is in the middle."""


@dataclass(frozen=True)
class Size:
    """How much is computed: depths of the nets, epochs, batch, points along a direction, images of the loss, pixels."""

    depths: tuple[int, ...]
    epochs: int
    batch: int
    points: int
    images: int
    pixels: int | None


FULL, QUICK = Size((20, 56), 2, 128, 11, 1000, None), Size((20, 56), 1, 32, 7, 128, 16)
UNKNOWN = "inconclusive"
KINDS = {"with shortcuts": "A", "without": "none"}


def size_of(context: Context) -> Size:
    """As the context asks."""
    return QUICK if context.quick else FULL


def plans(context: Context) -> dict[str, Plan]:
    """ResNets of each depth, with shortcuts and without, trained briefly."""
    size = size_of(context)
    common = {
        "epochs": size.epochs,
        "image_size": size.pixels,
        "batch": size.batch,
        "fraction": 1.0,
    }
    return {
        f"ResNet-{depth} {kind}": trainings.plan(
            context, "resnet20-lab", model__name=f"resnet{depth}", model__shortcut=shortcut, optimizer__lr=0.1, **common
        )
        for depth in size.depths
        for kind, shortcut in KINDS.items()
    }


def shortcuts(context: Context) -> Found:
    """The surfaces, how rough each is, and whether shortcuts make the deep one smoother."""
    found = {name: group for name, group in trainings.groups(context, plans(context), 1).items() if group.values}
    size = size_of(context)
    surfaces = {}
    for name, group in found.items():
        context.tell(f"Loss surface of {name}: {size.points} × {size.points} points.")
        run = group.runs[0]
        surfaces[name] = surface(trained(run), *validation_images(run, size.images), size.points)
    rough = {name: roughness(each) for name, each in surfaces.items()}
    deepest = f"ResNet-{max(size.depths)}"
    smooth, rugged = (rough.get(f"{deepest} {kind}") for kind in KINDS)
    rows = tuple(
        (name, f"{found[name].values[0]:.2%}", f"{rough[name]:.1%}", f"{middle(each):.3f}", f"{each.max():.3g}")
        for name, each in surfaces.items()
    )
    header = ("net", "validation accuracy", "bent downwards", "loss in the middle", "highest loss")
    told = "; ".join(f"{name} {value:.1%}" for name, value in rough.items())
    evidence = (
        f"Each net was trained for {size.epochs} epoch{'s' * (size.epochs > 1)} (one seed), and the loss on "
        f"{size.images} validation images computed on {size.points} × {size.points} points along two random "
        "directions, scaled filter by filter to the net's own weights; batch norms use each batch's statistics. "
        "Share of the places along rows and columns where the surface bends downwards, which a smooth bowl does "
        f"nowhere: {told}. "
        "A loss that stays at that of guessing is flat, not smooth: look at the accuracies too."
    )
    caption = "Loss surfaces; bent downwards: share of negative second differences beyond rounding"
    return Found(
        smoother(smooth, rugged)
        if learned([found[name] for name in surfaces if name.startswith(deepest)])
        else UNKNOWN,
        evidence,
        (Table(header, rows, caption),),
        {"surface.png": draw_surfaces(surfaces), "surface-lines.png": draw_lines(surfaces)} if surfaces else {},
    )


def learned(several: Sequence[Group]) -> bool:
    """Whether each net is right twice as often as a guess; the surface around an untrained net tells nothing."""
    return all(group.values[0] > 2 / len(group.runs[0].read("data.json")["classes"]) for group in several)


def smoother(smooth: float | None, rugged: float | None) -> str:
    """The answer from the roughness of the deepest net, with shortcuts and without; one seed shows large ones only."""
    if smooth is None or rugged is None or max(smooth, rugged) < 1.5 * min(smooth, rugged):
        return UNKNOWN
    return "true" if smooth < rugged else "false"


def directions(net: nn.Module, number: int) -> list[Tensor]:
    """A random direction, each filter scaled to the norm of the net's own; biases and norms stay as they are."""
    draw = generator(number, "loss surface")
    made = []
    for weights in net.parameters():
        if weights.dim() < 2:
            made.append(torch.zeros_like(weights))
            continue
        step = torch.randn(weights.shape, generator=draw)
        dims = tuple(range(1, weights.dim()))
        own, drawn = (torch.linalg.vector_norm(each, dim=dims, keepdim=True) for each in (weights.detach(), step))
        made.append(step * own / drawn)
    return made


@torch.no_grad()
def surface(net: nn.Module, pixels: Tensor, labels: Tensor, points: int) -> Surface:
    """Losses over both directions from −REACH to REACH."""
    steps = np.linspace(-REACH, REACH, points)
    start = [weights.clone() for weights in net.parameters()]
    first, second = directions(net, 0), directions(net, 1)
    losses = np.empty((points, points))
    with batch_statistics(net):
        for row, b in enumerate(steps):
            for column, a in enumerate(steps):
                for weights, at, one, two in zip(net.parameters(), start, first, second, strict=True):
                    weights.copy_(at + float(a) * one + float(b) * two)
                losses[row, column] = mean_loss(net, pixels, labels)
    for weights, at in zip(net.parameters(), start, strict=True):
        weights.copy_(at)
    return losses


def mean_loss(net: nn.Module, pixels: Tensor, labels: Tensor) -> float:
    """Mean cross-entropy; infinite and NaN count as a very large loss."""
    total = sum(cross_entropy(net(part), answers, reduction="sum").item() for part, answers in batches(pixels, labels))
    return float(np.nan_to_num(total / len(labels), nan=1e6, posinf=1e6))


def roughness(losses: Surface) -> float:
    """The share of second differences along rows and columns that are negative: 0 for any convex surface."""
    bends = np.concatenate([np.diff(losses, 2, axis=axis).ravel() for axis in (0, 1)])
    return float(np.mean(bends < -1e-4 * np.abs(losses).max()))


def middle(losses: Surface) -> float:
    """The loss of the trained net itself."""
    return float(losses[len(losses) // 2, len(losses) // 2])


@drawing()
def draw_surfaces(surfaces: Mapping[str, Surface]) -> bytes:
    """Contours of the loss, all on one logarithmic scale."""
    columns = len(KINDS)
    lines = -(-len(surfaces) // columns)
    made = figure(WIDTH, 0.9 + 3.6 * lines, "The loss around trained nets, over two filter-normalised directions")
    panels = made.subplots(lines, columns, squeeze=False).ravel()
    lowest = max(min(float(each.min()) for each in surfaces.values()), 1e-3)
    highest = min(max(float(each.max()) for each in surfaces.values()), 1e3 * lowest)
    levels = np.geomspace(lowest, highest, 21)
    for panel in panels[len(surfaces) :]:
        panel.set_axis_off()
    drawn: ContourSet | None = None
    for panel, (name, losses) in zip(panels, surfaces.items(), strict=False):
        drawn = contours(panel, name, losses, levels)
    assert drawn is not None
    bar = made.colorbar(drawn, ax=list(panels), shrink=0.7, ticks=levels[::4], format="%.3g")
    bar.ax.minorticks_off()
    bar.set_label("validation loss (nats)", color=MUTED)
    return png(made)


def contours(axes: Axes, name: str, losses: Surface, levels: NDArray[np.float64]) -> ContourSet:
    """One net's surface; a dot where the trained net is."""
    steps = np.linspace(-REACH, REACH, len(losses))
    inside = losses.clip(levels[0], levels[-1])
    drawn = axes.contourf(steps, steps, inside, levels, norm=LogNorm(levels[0], levels[-1]), cmap="viridis_r")
    axes.contour(steps, steps, inside, levels, colors="white", linewidths=0.4)
    axes.plot([0], [0], "o", color="white", markersize=4, markeredgecolor="black", markeredgewidth=0.8)
    axes.set_title(name)
    axes.set_xticks([-REACH, 0, REACH])
    axes.set_yticks([-REACH, 0, REACH])
    axes.set_aspect("equal")
    axes.grid(visible=False)
    return drawn


@drawing()
def draw_lines(surfaces: Mapping[str, Surface]) -> bytes:
    """The loss along the first direction, through the trained nets."""
    made = figure(WIDTH, 3.6, "The loss along one direction through each trained net")
    axes = made.add_subplot()
    for (name, losses), colour in zip(surfaces.items(), SERIES, strict=False):
        steps = np.linspace(-REACH, REACH, len(losses))
        axes.plot(steps, losses[len(losses) // 2], "o-", color=colour, markersize=3.5, label=name)
    axes.set_yscale("log")
    for which in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        which("{x:.3g}")
    axes.set(xlabel="step along the direction (1: as long as the net's own filters)", ylabel="validation loss (nats)")
    axes.legend(loc="best", labelcolor=MUTED)
    return png(made)


EXPERIMENTS = (
    Experiment(
        "1.10",
        "Shortcut connections make the loss surface smoother.",
        "true",
        shortcuts,
        (15.0, 400.0),
        lambda context: over_seeds(plans(context), 1),
    ),
)
