"""Rules on what stands around the convolutions: biases, dropout, pooling, norms."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tenfold.checks.rules import finding
from tenfold.checks.structure.reading import names, sources
from tenfold.checks.trace import Graph, Op
from tenfold.errors import Finding, counted


def needless_bias(graph: Graph) -> Iterator[Finding]:
    """A bias that only a batch norm reads, pooled or not."""
    layers = [op for op in graph.layers if op.bias and only_normed(op)]
    if layers:
        yield finding(
            "bias-before-norm",
            f"{counted(len(layers), 'layer')} with a bias before batch norm",
            f"{names(layers)}: {sum(op.weight.shape[0] for op in layers if op.weight is not None):,} numbers in vain.",
            "Give these layers bias=False.",
            **layers[0].where,
        )


def only_normed(op: Op) -> bool:
    """Whether batch norm, and nothing else, reads what the layer makes, or the largest of it."""
    return bool(op.read_by) and all(
        reader.function == "batch_norm" or ("max_pool" in reader.function and only_normed(reader))
        for reader in op.read_by
    )


def dropout_into_norm(graph: Graph) -> Iterator[Finding]:
    """Batch norm right after dropout; Wide ResNets do it, so in a net of sums it is only a note."""
    residual = any(op.kind == "join" for op in graph.ops)
    for op in graph.ops:
        if op.function != "batch_norm":
            continue
        for before, _ in sources(op, ("activation", "pool", "shape")):
            if before.kind == "dropout" and before.probability:
                yield finding(
                    "dropout-before-norm",
                    f"batch norm {op.named} reads what dropout ({before.probability:g}) makes",
                    "In training the variance it sees is "
                    f"{1 / (1 - min(before.probability, 0.99)):.2f} times that of judging (for inputs of mean 0).",
                    "Put the dropout after the last batch norm, or after the activation that follows it.",
                    severity="note" if residual else None,
                    **op.where,
                )


def pooled_away(graph: Graph) -> Iterator[Finding]:
    """Convolutions that see a single pixel, or half of all that see two."""
    wide = [op for op in graph.layers if op.function in ("conv1d", "conv2d", "conv3d") and op.kernel > 1]
    single = [op for op in wide if op.reads and op.reads[0].side == 1]
    small = [op for op in wide if op.reads and 0 < op.reads[0].side <= 2]
    at = single or (small if len(small) >= 2 and 2 * len(small) >= len(wide) else [])
    if at:
        side, kernel = at[0].reads[0].side, at[0].kernel
        yield finding(
            "pooled-away",
            f"{counted(len(at), 'convolution')} of {kernel}×{kernel} "
            f"see{'s' if len(at) == 1 else ''} maps of {side}×{side}",
            f"{names(at)}; the images have {graph.input.side}×{graph.input.side} pixels. "
            f"At each place {kernel**2 - side**2} of a kernel's {kernel**2} weights meet only padding.",
            "Leave out the first pooling, or make the first stride 1.",
            **shrinking(graph, at[0]).where,
        )
    elif (hasty := next(hasty_pools(graph, wide), None)) is not None:
        op, told = hasty
        before = op.reads[0].side
        yield finding(
            "pooled-away",
            f"{op.named} pools maps of {before}×{before} to {op.side}×{op.side}",
            f"{told}; the images have {graph.input.side}×{graph.input.side} pixels.",
            "Pool by 2 at a time, each after a convolution, and keep maps of 4×4 or more for the layers after it.",
            **op.where,
        )


def shrinking(graph: Graph, op: Op) -> Op:
    """The last pooling before an operation, or the operation itself."""
    return next((o for o in reversed(graph.ops[: graph.ops.index(op)]) if o.kind == "pool"), op)


def hasty_pools(graph: Graph, wide: list[Op]) -> Iterator[tuple[Op, str]]:
    """Poolings that throw away most of what no convolution has seen yet. A mean of the whole map at the end is none.

    Ops of square maps only; one that is joined to another path (squeeze and excitation, pyramids) is left in peace.
    """
    pools = [op for op in graph.ops if op.kind == "pool" and op.reads and op.side and op.reads[0].side > op.side]
    pools = [op for op in pools if len(set(op.shape[2:])) == 1 == len(set(op.reads[0].shape[2:]))]
    if any(op.kind == "join" or op.function in ("cat", "concat", "concatenate") for op in graph.ops):
        return
    for op in pools:
        before, after = op.reads[0].side, op.side
        share, below = (op.window * after / before) ** 2, op.downstream
        later, earlier = [c for c in wide if c in below], [c for c in wide if op in c.downstream]
        if op.window and after == 1 < before and share < 0.5:
            yield op, f"Its one window of {op.window}×{op.window} sees {share:.0%} of the map"
        elif op.window > 3 and not earlier and later:
            yield op, f"No convolution has seen the {1 - 1 / op.window**2:.0%} of the numbers that it leaves out"
        elif not op.window and later and before >= 4 * after and after <= 4:
            yield op, f"{counted(len(later), 'convolution')} of {later[0].kernel}×{later[0].kernel} still follow"
        elif (
            3 < op.window < before and after <= 2 and len(earlier) > 1 and graph.input.side >= after * 4 ** len(earlier)
        ):
            yield op, f"After {len(earlier)} convolutions one number of 1 in {(graph.input.side // after) ** 2} is left"


def heavy_dropout(graph: Graph) -> Iterator[Finding]:
    """A dropout that leaves no more than a quarter: most often the share to keep, given as the share to drop."""
    op = next((op for op in graph.ops if op.kind == "dropout" and op.probability >= HEAVY), None)
    if op is not None:
        yield drops_much(op.named, op.probability, "", op.where)


HEAVY = 0.75
"""A dropout that drops so much most likely was given the share to keep."""


def drops_much(what: str, share: float, at: str, where: Mapping[str, Any]) -> Finding:
    """Of `what`, which drops such a share of its units; `at` names the line for the remedy."""
    return finding(
        "dropout-high",
        f"{what} drops {share:.0%} of its units",
        f"{1 - share:.0%} are left; 50 % to 90 % are usual. TensorFlow 1 took the share to keep.",
        f"Give it p={1 - share:.2g}{at}.",
        **where,
    )


def dropped_logits(graph: Graph) -> Iterator[Finding]:
    """Dropout after the last layer: scores of classes are set to 0, and the right one's as often as any."""
    op = graph.output
    while op is not None and op.reads and (op.kind in ("shape", "scale") or op.function == "log_softmax"):
        op = op.reads[0]
    drops = op is not None and op.kind == "dropout" and op.probability
    before = next((read for read, _ in sources(op, ("dropout",))), None) if op is not None and drops else None
    if op is not None and before is not None and before.kind in ("linear", "conv"):
        yield finding(
            "dropout-on-logits",
            f"{op.named} drops the scores that {before.named} gives the classes",
            f"In training, {op.probability:.0%} of them become 0, the right class's as often as another's.",
            f"Move it before {before.named}.",
            **op.where,
        )


def lone_numbers(graph: Graph) -> Iterator[Finding]:
    """Norms over a single number: whatever comes in, 0 goes out."""
    modules = dict(graph.model.named_modules())
    for op in graph.ops:
        norm = modules.get(op.layer)
        if op.kind != "norm" or not isinstance(norm, nn.GroupNorm) or len(op.shape) < 2:
            continue
        if op.shape[1] // norm.num_groups * math.prod(op.shape[2:]) == 1:
            yield finding(
                "input-ignored",
                f"{op.named} takes the mean of one number out of itself",
                f"{norm.num_groups} groups of {op.shape[1]} channels on maps of {'×'.join(map(str, op.shape[2:])) or 1}"
                ": every number is its own group, and 0 is left of it for every image.",
                f"Give it fewer groups, or leave {op.named} out after the pooling.",
                **op.where,
            )
            return


SLOW = 0.002
"""Momentum of batch norm below which a training takes thousands of batches to know its averages."""


def norm_momentum(graph: Graph) -> Iterator[Finding]:
    """Batch norms whose running averages never change or hardly do, or that know little but the last batch."""
    modules = dict(graph.model.named_modules())
    for op in graph.ops:
        norm = modules.get(op.layer)
        if not isinstance(norm, _BatchNorm) or not norm.track_running_stats or norm.momentum is None:
            continue
        fresh = not norm.num_batches_tracked
        if fresh and 0 < norm.momentum < SLOW:
            yield finding(
                "norm-momentum",
                f"{op.named} hardly updates its running averages",
                f"momentum={norm.momentum:g} is the share that each new batch gets: after 500 batches they know "
                f"{1 - (1 - norm.momentum) ** 500:.0%} of what evaluation takes for mean and variance.",
                "Give it momentum=0.1.",
                severity="warning",  # of a very long training it is a choice
                **op.where,
            )
            return
        if (norm.momentum == 0 and fresh) or 0.9 <= norm.momentum < 1:
            never = norm.momentum == 0
            yield finding(
                "norm-momentum",
                f"{op.named} {'never updates' if never else 'hardly keeps'} its running averages",
                f"momentum={norm.momentum:g} is the share that each new batch gets in torch"
                + (": evaluation uses mean 0 and variance 1." if never else "; in Keras and JAX it is what is kept."),
                f"Give it momentum={0.1 if never else 1 - norm.momentum:.2g}.",
                severity="error" if never else "note",  # of large maps one batch knows the averages well
                **op.where,
            )
            return
