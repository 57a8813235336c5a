"""Statements 1.8 and 1.9: what depthwise-separable convolutions and SqueezeNet cost, counted and timed."""

import statistics
import time

import torch
from matplotlib.axes import Axes
from torch import nn

from tenfold.experiments.statements.answers import Context, Experiment, Found, Table
from tenfold.experiments.statements.nets import untrained
from tenfold.models.inspection import Inspection, Layer, inspect_model
from tenfold.recipe import ModelOptions
from tenfold.reports.style import BLUE, GREEN, INK, MUTED, ORANGE, WIDTH, drawing, figure, png
from tenfold.reports.words import count

CHANNELS = (8, 16, 32, 64, 128, 256)
SIDE = 16
"""Pixels of the maps that are convolved."""


def separable(context: Context) -> Found:
    """A full 3×3 convolution against a depthwise and a pointwise one, N channels in and out."""
    pairs = {n: (full(n), depthwise_separable(n)) for n in CHANNELS}
    counted = {n: ratio_of_counts(n, *pair) for n, pair in pairs.items()}
    formula = {n: 1 / (1 / n + 1 / 9) for n in CHANNELS}
    timed = {n: ratio_of_times(n, *pair, rounds=5 if context.quick else 25) for n, pair in pairs.items()}
    rows = tuple((str(n), f"{counted[n]:.3f}", f"{formula[n]:.3f}", f"{timed[n]:.2f}") for n in CHANNELS)
    exact = max(abs(counted[n] - formula[n]) for n in CHANNELS)
    few, many = CHANNELS[0], CHANNELS[-1]
    less = "less" if timed[many] < counted[many] else "as much"
    evidence = (
        f"Counted multiply-adds agree with 1/(1/N + 1/9) for every number of channels N (largest difference "
        f"{exact:.0e}): {counted[few]:.1f} times less at N = {few}, {counted[many]:.1f} times at N = {many}, 9 times "
        "for very many. So it holds for many channels only. Measured time, forward and backward on this machine, gains "
        f"{less}: {timed[few]:.1f} times at N = {few}, {timed[many]:.1f} times at N = {many}. The depthwise part does "
        "little arithmetic on each number that it moves."
    )
    caption = f"Full against depthwise-separable 3×3 convolution, {SIDE}×{SIDE} maps; median times, on this machine"
    return Found(
        "true" if exact < 1e-9 and counted[many] > 8 else "false",
        evidence,
        (Table(("channels N", "counted ratio", "1/(1/N + 1/9)", "ratio of times"), rows, caption),),
        {"separable.png": draw_separable(counted, formula, timed)},
    )


def full(channels: int) -> nn.Module:
    """One 3×3 convolution."""
    return nn.Conv2d(channels, channels, 3, padding=1, bias=False)


def depthwise_separable(channels: int) -> nn.Module:
    """Each channel alone 3×3, then each pixel alone."""
    depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
    return nn.Sequential(depthwise, nn.Conv2d(channels, channels, 1, bias=False))


def ratio_of_counts(channels: int, whole: nn.Module, parts: nn.Module) -> float:
    """How many times fewer multiply-adds the parts take, counted layer by layer."""
    first, second = (inspect_model(net, channels, SIDE, 1).multiply_adds for net in (nn.Sequential(whole), parts))
    return first / second


def ratio_of_times(channels: int, whole: nn.Module, parts: nn.Module, rounds: int) -> float:
    """How many times faster the parts are, forward and backward; medians of rounds that alternate."""
    images = torch.randn(max(4, 2048 // channels), channels, SIDE, SIDE).to(memory_format=torch.channels_last)
    images.requires_grad_()
    seen: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for net, times in zip((whole, parts), seen, strict=True):
            began = time.perf_counter()
            net(images).sum().backward()
            if number:  # the first round warms up
                times.append(time.perf_counter() - began)
    return statistics.median(seen[0]) / statistics.median(seen[1])


@drawing()
def draw_separable(counted: dict[int, float], formula: dict[int, float], timed: dict[int, float]) -> bytes:
    """The ratios over the number of channels."""
    made = figure(WIDTH, 3.8, "How many times cheaper a depthwise-separable 3×3 convolution is")
    axes = made.add_subplot()
    axes.axhline(9, color=MUTED, linewidth=0.9, linestyle=(0, (4, 4)))
    axes.annotate("9", (CHANNELS[0], 9), xytext=(0, 3), textcoords="offset points", color=MUTED)
    axes.plot(list(formula), list(formula.values()), color=INK, linewidth=1.2, label="1/(1/N + 1/9)")
    axes.plot(list(counted), list(counted.values()), "o", color=BLUE, markersize=7, label="counted multiply-adds")
    axes.plot(list(timed), list(timed.values()), "s-", color=ORANGE, label="measured time (this machine)")
    axes.set_xscale("log", base=2)
    axes.set_xticks(CHANNELS, [str(n) for n in CHANNELS])
    axes.minorticks_off()
    axes.set_ylim(0, max(9.8, 1.1 * max(timed.values())))
    axes.set(xlabel="channels N, in and out", ylabel="times less than the full convolution")
    axes.legend(loc="upper left", bbox_to_anchor=(0.01, 0.86), labelcolor=MUTED)
    return png(made)


def squeezenet(_context: Context) -> Found:
    """Parameters, multiply-adds and map size of each part, and of the same net with 3×3 convolutions throughout."""
    seen = inspect_model(untrained(ModelOptions(name="squeezenet"), 32), 3, 32, 1)
    parts = grouped(seen)
    weights, adds = seen.parameters, seen.multiply_adds
    late = [part for name, part in parts.items() if name.startswith("stage 3") or name == "fc"]
    weights_late, adds_late = (sum(part[at] for part in late) for at in (1, 2))
    plain, wide = plain_twin(seen)
    rows = tuple(
        (name, f"{side}×{side}", count(own), f"{own / weights:.1%}", count(work), f"{work / adds:.1%}")
        for name, (side, own, work) in parts.items()
    )
    evidence = (
        f"The last stage (4 Fire modules on the smallest maps) and the classifier hold {weights_late / weights:.0%} of "
        f"the {count(weights)} parameters but do {adds_late / adds:.0%} of the {adds / 1e6:.1f} M multiply-adds: the "
        "net halves its maps late, and most computation is on the large ones before. The savings come from 1×1 filters "
        "and narrow inputs: with 3×3 filters in place of all 1×1 ones the Fire modules would take "
        f"{plain:.1f} times the multiply-adds, and without squeezing their inputs {wide:.1f} times."
    )
    header = ("part", "maps", "parameters", "share", "multiply-adds", "share")
    return Found(
        "true" if adds_late > adds / 2 else "false",
        evidence,
        (Table(header, rows, "SqueezeNet for 32×32 pixels"),),
        {"squeezenet.png": draw_squeezenet(parts, seen)},
    )


def grouped(seen: Inspection) -> dict[str, tuple[int, int, int]]:
    """(side of the maps, parameters, multiply-adds) of the first convolution, each Fire module, and the classifier."""
    parts: dict[str, tuple[int, int, int]] = {}
    for layer in seen.layers:
        if layer.parameters:
            name = part_of(layer)
            side = layer.output[-1] if len(layer.output) == 4 else 1
            _, weights, adds = parts.get(name, (side, 0, 0))
            parts[name] = (side, weights + layer.parameters, adds + layer.multiply_adds)
    return parts


def part_of(layer: Layer) -> str:
    """'stages.0.1.squeeze.conv' → 'stage 1, Fire 2'."""
    words = layer.name.split(".")
    return f"stage {int(words[1]) + 1}, Fire {int(words[2]) + 1}" if words[0] == "stages" else words[0]


def plain_twin(seen: Inspection) -> tuple[float, float]:
    """How many times the multiply-adds of the Fire modules would grow with 3×3 filters only, and without squeezing."""
    fires = [layer for layer in seen.layers if layer.name.startswith("stages") and layer.multiply_adds]
    now = sum(layer.multiply_adds for layer in fires)
    only3 = sum(layer.multiply_adds * (1 if "expand3" in layer.name else 9) for layer in fires)
    before, wide = 64, 0  # channels that enter the first Fire module
    for squeeze, one, three in zip(fires[::3], fires[1::3], fires[2::3], strict=True):
        wider = before / squeeze.output[1]
        wide += int((one.multiply_adds + three.multiply_adds) * wider)
        before = one.output[1] + three.output[1]
    return only3 / now, wide / now


@drawing()
def draw_squeezenet(parts: dict[str, tuple[int, int, int]], seen: Inspection) -> bytes:
    """Shares of parameters and of multiply-adds, part by part, and the side of the maps."""
    made = figure(WIDTH, 4.6, "SqueezeNet: where its parameters are, and where its computation is")
    left, right = made.subplots(1, 2, sharey=True)
    weights = [100 * part[1] / seen.parameters for part in parts.values()]
    adds = [100 * part[2] / seen.multiply_adds for part in parts.values()]
    bars(left, list(parts), weights, "share of the parameters (%)", BLUE)
    bars(right, list(parts), adds, "share of the multiply-adds (%)", GREEN)
    for row, (side, _, _) in enumerate(parts.values()):
        right.annotate(f"{side}×{side}", (adds[row], row), xytext=(4, 0), textcoords="offset points", va="center",
                       color=MUTED)  # fmt: skip
    right.set_xlim(0, 1.2 * max(adds))
    return png(made)


def bars(axes: Axes, names: list[str], values: list[float], label: str, colour: str) -> None:
    """A bar for each part, the first one on top."""
    axes.barh(range(len(values)), values, color=colour, height=0.7)
    axes.set_yticks(range(len(names)), names, color=INK)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(label)


EXPERIMENTS = (
    Experiment("1.8", "Depthwise-separable convolution costs about 9 times less.", "true", separable, (3.0, 10.0)),
    Experiment("1.9", "SqueezeNet puts most of its computation in the late stages.", "false", squeezenet, (1.0, 1.0)),
)
