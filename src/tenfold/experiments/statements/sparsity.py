"""Statement 1.6: what L1 and L2 regularisation make of the weights, at equal accuracy."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tenfold.experiments.groups import Group
from tenfold.experiments.statements import trainings
from tenfold.experiments.statements.answers import Context, Experiment, Found, Table
from tenfold.experiments.statements.nets import accuracy, trained, validation_images
from tenfold.experiments.statements.trainings import over_seeds
from tenfold.recipe import Plan
from tenfold.reports.style import MUTED, SERIES, WIDTH, drawing, figure, png
from tenfold.runs import Run

NEAR_ZERO = 1e-3
"""A weight smaller than this counts as near zero; the accuracy without those weights shows that it is."""
STRENGTHS = ((3e-5, 1e-4, 3e-4), (3e-4, 1e-3, 3e-3))
QUICK_STRENGTHS = ((1e-4,), (3e-3, 5e-3))
"""Strengths of L1 and of L2 that are tried."""


@dataclass(frozen=True)
class Weights:
    """Means over seeds: the share of weights near zero, their root mean square, accuracy with and without those."""

    near_zero: float
    size: float
    accuracy: float
    without: float


def seeds_of(context: Context) -> int:
    """The shares vary little: few runs of each strength are enough."""
    return 1 if context.quick else min(3, context.seeds)


def plans(context: Context) -> dict[str, Plan]:
    """No regularisation, and each strength of L1 and L2."""
    ones, twos = QUICK_STRENGTHS if context.quick else STRENGTHS
    made = {"none": trainings.plan(context, "simplenn-augment", optimizer__weight_decay=0.0)}
    for strength in ones:
        changes = {"optimizer__weight_decay": 0.0, "optimizer__l1": strength}
        made[f"L1 {strength:g}"] = trainings.plan(context, "simplenn-augment", **changes)
    for strength in twos:
        made[f"L2 {strength:g}"] = trainings.plan(context, "simplenn-augment", optimizer__weight_decay=strength)
    return made


def sparsity(context: Context) -> Found:
    """Shares of near-zero weights, compared where accuracies are equal."""
    found = trainings.groups(context, plans(context), seeds_of(context))
    seen = {name: look(group) for name, group in found.items() if group.values}
    match = equal_accuracy(found, seen)
    rows = tuple(
        (name, f"{w.accuracy:.2%}", f"{w.near_zero:.1%}", f"{w.without:.2%}", f"{w.size:.4f}")
        for name, w in seen.items()
    )
    header = ("regularisation", "accuracy", f"weights under {NEAR_ZERO:g}", "accuracy without them", "root mean square")
    table = Table(header, rows, f"Filters and linear weights of SimpleNN, mean of {seeds_of(context)} seeds")
    why = (
        "The reason is the pull: in a step L1 takes the same amount from every weight, however small it is, until it "
        "is 0; L2 takes a share of it, which fades as the weight gets small, so that few arrive at 0. Whether weights "
        "lie between 0 and 1 plays no part."
    )
    if match is None:
        return Found(
            "inconclusive", f"No L1 and L2 strengths of equal accuracy were among those tried. {why}", (table,)
        )
    one, two = match
    a, b, none = seen[one], seen[two], seen["none"]
    evidence = (
        f"At equal accuracy ({one}: {a.accuracy:.2%}, {two}: {b.accuracy:.2%}) {a.near_zero:.1%} of the weights are "
        f"under {NEAR_ZERO:g} with L1, {b.near_zero:.1%} with L2 and {none.near_zero:.1%} with neither. Setting "
        f"them to 0 changes the accuracy of the L1 net by {100 * (a.without - a.accuracy):+.2f} points. The weights' "
        f"root mean square is {b.size:.4f} with L2 and {none.size:.4f} with neither. {why}"
    )
    sparse, denser, small = a.near_zero > 2 * b.near_zero, a.near_zero <= b.near_zero, b.size < none.size
    answer = "true" if sparse and small else "false" if denser or not small else "inconclusive"
    return Found(answer, evidence, (table,), {"sparsity.png": draw({k: found[k] for k in ("none", *match)})})


def look(group: Group) -> Weights:
    """The weights of a group's nets, before and after those near zero are set to 0."""
    runs = [group.runs[seed] for seed, value in group.accuracies.items() if value is not None]
    pixels, labels = validation_images(runs[0], 5000)
    each = []
    for run in runs:
        net = trained(run)
        values = weights_of(net)
        before = accuracy(net, pixels, labels)
        prune(net)
        each.append(
            (
                (values.abs() < NEAR_ZERO).float().mean().item(),
                values.square().mean().sqrt().item(),
                before,
                accuracy(net, pixels, labels),
            )
        )
    return Weights(*(float(column) for column in np.mean(each, 0)))


def weights_of(net: nn.Module) -> Tensor:
    """All filters and linear weights, in one row."""
    return torch.cat([p.detach().flatten() for p in net.parameters() if p.dim() > 1])


@torch.no_grad()
def prune(net: nn.Module) -> None:
    """Set the filters' and linear weights near zero to 0."""
    for weights in net.parameters():
        if weights.dim() > 1:
            weights[weights.abs() < NEAR_ZERO] = 0


def equal_accuracy(found: Mapping[str, Group], seen: Mapping[str, Weights]) -> tuple[str, str] | None:
    """The strongest L1 for which an L2 of equal accuracy was tried, and the nearest such L2."""
    twos = [name for name in seen if name.startswith("L2")]
    for one in [name for name in reversed(list(seen)) if name.startswith("L1")]:
        two = min(twos, key=lambda name: abs(seen[name].accuracy - seen[one].accuracy), default=None)
        if two is not None and abs(seen[two].accuracy - seen[one].accuracy) <= noise(found[one], found[two]):
            return one, two
    return None


def noise(a: Group, b: Group) -> float:
    """How far the mean accuracies of two groups may be apart by the choice of validation images alone (twice sigma)."""
    p = float(np.mean([*a.values, *b.values]))
    return 2 * float(np.sqrt(p * (1 - p) * (1 / len(a.values) + 1 / len(b.values)) / a.judging_images))


@drawing()
def draw(found: Mapping[str, Group]) -> bytes:
    """How many weights are of which size, on a logarithmic scale."""
    made = figure(WIDTH, 3.8, "Sizes of SimpleNN's weights under L1 and L2, at equal accuracy")
    axes = made.add_subplot()
    edges = np.logspace(-7, 0.5, 76)
    for (name, group), colour in zip(found.items(), SERIES, strict=False):
        run: Run = next(group.runs[seed] for seed, value in group.accuracies.items() if value is not None)
        sizes = weights_of(trained(run)).abs().clamp(min=edges[0]).numpy()
        counts, _ = np.histogram(sizes, edges)
        axes.stairs(100 * counts / len(sizes), edges, color=colour, linewidth=1.6, label=f"{name} (seed 0)")
    axes.axvline(NEAR_ZERO, color=MUTED, linewidth=0.9, linestyle=(0, (4, 4)))
    axes.set_xscale("log")
    axes.minorticks_off()
    axes.set(xlabel="size of the weight; left of the line: near zero", ylabel="share of the weights (%)")
    axes.legend(loc="upper left", labelcolor=MUTED)
    return png(made)


EXPERIMENTS = (
    Experiment(
        "1.6",
        "L1 regularisation gives sparse weights, L2 small ones.",
        "true (with a wrong reason: weights between 0 and 1)",
        sparsity,
        (3.0, 20.0),
        lambda context: over_seeds(plans(context), seeds_of(context)),
    ),
)
