"""Rules on what the weights and norms begin as, and on signals that fade on their way."""

import math
from collections.abc import Iterator
from itertools import pairwise

from torch import Tensor

from tenfold.checks.rules import finding
from tenfold.checks.structure.reading import names
from tenfold.checks.trace import Graph, Op
from tenfold.errors import Finding, counted

HUGE_GAIN, TINY_GAIN = 5.0, 0.02
"""Weights times the root of their fan-in: He's start has 1.4, torch's own 0.6, a careful head 0.1."""

SMALL_GAIN = 0.35
"""The same for grouped convolutions without a norm, of which torch's own start has 0.58."""

TINY_SIGNAL = 1e-3
"""What is left of a signal, or its inverse, that no longer trains; torch's own start leaves 0.4 a layer with ReLU."""


def bad_start(graph: Graph) -> Iterator[Finding]:
    """Weights that are all alike, or far too large or small for their fan-in where no norm makes up for it."""
    for op in graph.layers:
        if op.weight is None or not op.weight.requires_grad or op.weight.numel() < 2:
            continue
        weight, fan_in = op.weight.detach().float(), math.prod(op.weight.shape[1:])
        if bool((weight == weight.flatten()[0]).all()):
            if not may_be_zero(graph, op, weight):
                yield constant(op, float(weight.flatten()[0]))
            continue
        alike = len(weight) - len(weight.flatten(1).unique(dim=0))
        if op.groups == 1 and len(weight) >= 4 and alike >= 0.5 * len(weight):
            yield finding(
                "bad-initialisation",
                f"{alike + 1} of {len(weight)} units of {op.named} begin with the same weights",
                "They compute the same and get the same gradient: one seed for every draw does this.",
                f"nn.init.kaiming_normal_({op.named}.weight), or one generator for all draws.",
                **op.where,
            )
            continue
        gain = float(weight.square().mean().sqrt()) * math.sqrt(fan_in)
        if not TINY_GAIN < gain < HUGE_GAIN and not rescaled(graph, op):
            yield finding(
                "bad-initialisation",
                f"the weights of {op.named} begin {'far too large' if gain > 1 else 'far too small'}",
                f"Their root mean square times √{fan_in} inputs is {gain:.3g}; a standard start has 0.5 to 1.5.",
                f"nn.init.kaiming_normal_({op.named}.weight), or leave torch's own initialisation.",
                severity="warning",
                **op.where,
            )


def grouped_start(graph: Graph) -> Iterator[Finding]:
    """Grouped convolutions that all begin too small, without any norm: their fan was taken over all channels."""
    grouped = [op for op in graph.layers if op.groups > 1 and op.weight is not None and op.weight.requires_grad]
    if len(grouped) < 2 or any(op.kind == "norm" for op in graph.ops):
        return
    gains = [
        float(op.weight.detach().square().mean().sqrt()) * math.sqrt(math.prod(op.weight.shape[1:]))
        for op in grouped
        if op.weight is not None
    ]
    if max(gains) < SMALL_GAIN:
        yield finding(
            "bad-initialisation",
            f"{counted(len(grouped), 'grouped convolution')} begin too small",
            f"{names(grouped)}: the root mean square of the weights times √inputs is {min(gains):.2g} to "
            f"{max(gains):.2g}; a standard start has 0.5 to 1.5, and no norm makes up for it.",
            "Divide the fan by `groups`: a depthwise 3×3 kernel has 9 inputs, whatever the channels.",
            severity="warning",
            **grouped[0].where,
        )


def silent_norms(graph: Graph) -> Iterator[Finding]:
    """Norms whose scale begins as 0, where their output is not only added to something."""
    modules = dict(graph.model.named_modules())
    for op in graph.ops:
        scale = getattr(modules.get(op.layer), "weight", None) if op.kind == "norm" else None
        if isinstance(scale, Tensor) and scale.requires_grad and not bool(scale.any()) and not leads_to_sum(op):
            yield finding(
                "bad-initialisation",
                f"the scale of {op.named} begins as 0",
                "All that it gives is 0, for every image, and nothing before it gets a gradient.",
                f"nn.init.ones_({op.named}.weight): set only biases to 0.",
                **op.where,
            )
            return


def fading(graph: Graph) -> Finding | None:
    """What differs from image to image, where it shrinks or grows from layer to layer in an untrained net."""
    sizes = [(op, op.spread) for op in graph.layers if 0 < op.spread < math.inf]
    if len(sizes) < 3 or TINY_SIGNAL < sizes[-1][1] / sizes[0][1] < 1 / TINY_SIGNAL:
        return None
    (first, begun), (last, left) = sizes[0], sizes[-1]
    changes = [(abs(math.log(b / a)), at, b / a) for (at, a), (_, b) in pairwise(sizes)]
    _, most, times = max(changes, key=lambda change: change[0])
    return finding(
        "bad-initialisation",
        f"signals {'fade' if left < begun else 'grow'} on their way through the untrained net",
        f"Images differ by {begun:.3g} where they enter {first.named}, by {left:.3g} where they enter {last.named}; "
        f"{most.named} changes it most ({times:.3g} times).",
        f"nn.init.kaiming_normal_(weight, nonlinearity='relu') for {most.named} and the other layers, or batch norm.",
        severity="warning",
        **most.where,
    )


def constant(op: Op, value: float) -> Finding:
    """The finding of a layer whose weights are all the same."""
    return finding(
        "bad-initialisation",
        f"all weights of {op.named} begin as {value:g}",
        "Its units compute the same and get the same gradient, so they stay alike.",
        f"nn.init.kaiming_normal_({op.named}.weight), or leave torch's own initialisation.",
        **op.where,
    )


def may_be_zero(graph: Graph, op: Op, weight: Tensor) -> bool:
    """Zeros are a known start of the last layer, and of a branch that is added to something."""
    if bool(weight.any()):
        return False
    return op is graph.output or leads_to_sum(op) or op is graph.layers[-1]


def leads_to_sum(op: Op) -> bool:
    """Whether what the layer makes is only added to something else."""
    readers = op.read_by
    while len(readers) == 1 and readers[0].kind in ("norm", "scale", "dropout", "shape"):
        readers = readers[0].read_by
    return bool(readers) and all(reader.kind == "join" for reader in readers)


def rescaled(graph: Graph, op: Op) -> bool:
    """Whether a norm or a factor follows, or it is the head, whose scale the initial loss tells."""
    readers = op.read_by
    while len(readers) == 1 and readers[0].kind in ("pool", "shape", "dropout"):
        readers = readers[0].read_by
    scaled = bool(readers) and all(reader.kind in ("norm", "scale", "join") for reader in readers)
    return scaled or op is graph.layers[-1]
