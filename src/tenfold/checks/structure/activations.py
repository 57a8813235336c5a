"""Rules on activations: on the logits, missing, doubled, thrown away."""

import ast
import linecache
import math
from collections.abc import Iterator

from torch import nn

from tenfold.checks.rules import finding
from tenfold.checks.structure.reading import last_activation, owner, sources
from tenfold.checks.trace import SQUASHING, Graph, Op
from tenfold.errors import Finding


def squashed_output(graph: Graph) -> Iterator[Finding]:
    """Softmax or sigmoid, then cross-entropy. log_softmax is left in peace: a second one changes nothing."""
    op = last_activation(graph)
    if op is not None and op.function in SQUASHING and op.function != "log_softmax":
        classes = op.shape[-1]
        floor = math.log(1 + (classes - 1) / math.e)
        yield finding(
            "softmax-before-loss",
            f"the net ends in {op.function}, and cross-entropy applies softmax itself",
            f"With outputs between 0 and 1, the loss of {classes} classes cannot fall below {floor:.2f}.",
            f"Return what goes into {op.function} ({op.reads[0].named}); use softmax only to read probabilities.",
            **op.where,
        )


def cut_logits(graph: Graph) -> Iterator[Finding]:
    """ReLU and its kin as the last operation."""
    op = last_activation(graph)
    if op is not None and op.function not in SQUASHING:
        yield finding(
            "activation-on-logits",
            f"{op.function} is applied to the logits",
            f"It is the last operation; the net's output is {op.named}'s.",
            f"Return {op.reads[0].named}'s output without {op.function}.",
            **op.where,
        )


def linear_pairs(graph: Graph) -> Iterator[Finding]:
    """Two full layers with nothing bent between them.

    Linear bottlenecks are meant so: a 1×1 or grouped convolution on either side, a narrow layer between two wide ones,
    the mean over a map before the head, sums and products. But not where nothing in the net is bent, or nothing in a
    long row of layers, or where a part of it holds an activation that never runs.
    """
    flat, idle = unbent(graph), idle_activations(graph)
    row = set(graph.layers) if flat else long_row(graph)
    pairs = [
        (before, op, passed)
        for op in graph.layers
        for before, passed in sources(op, ("norm", "pool", "dropout", "shape", "scale"))
        if before.kind in ("conv", "linear")
        and len(before.read_by) == 1
        and not graph.returned & {before, *passed}  # features that a loss of their own reads
        and ({before, op} <= row or owner(before) in idle or not meant(before, op, passed))
    ]
    if not pairs:
        return
    before, op, passed = pairs[0]
    bare = list(dict.fromkeys(each.named for each, _, _ in pairs))
    more = f", nor at {len(pairs) - 1} other place{'s' * (len(pairs) > 2)}" if len(pairs) > 1 else ""
    yield finding(
        "activation-missing",
        f"there is no activation between {before.named} and {op.named}{more}",
        (
            f"Only {', '.join(p.function for p in reversed(passed))} stands between them."
            if passed
            else f"{op.named} reads {before.named}'s output as it is."
        )
        + (f" '{idle[owner(before)]}' is made and never runs." if owner(before) in idle else "")
        + (" Nothing in the net is bent: it is one linear layer." if flat else "")
        + (f" {len(row)} layers in a row are one linear layer together." if row and not flat else ""),
        f"Apply an activation, such as torch.relu(x), to the output{'s' * (len(bare) > 1)} of {', '.join(bare)}.",
        **op.where,
    )


ROW = 5
"""ConvNeXt has four layers in a row: the end of a block, a reduction, and the beginning of the next block."""

STRAIGHT = {"conv", "linear", "norm", "dropout", "shape", "scale", "pool"}


def unbent(graph: Graph) -> bool:
    """Whether a net of several layers is one linear map: no activation, no maximum, no product, nothing unknown."""
    return len(graph.layers) > 2 and all(map(straight, graph.ops))


def straight(op: Op) -> bool:
    """Whether an operation bends nothing: layers, norms, means, shapes and sums."""
    added = ("add", "sub", "__add__", "__radd__", "__iadd__", "__sub__")
    return (op.kind in STRAIGHT and "max" not in op.function) or (op.kind == "join" and op.function in added)


def long_row(graph: Graph) -> set[Op]:
    """The layers of the longest row without anything bent between, if it is longer than those of published nets."""
    rows: dict[Op, list[Op]] = {}
    for op in graph.ops:  # what an operation reads stands before it
        longest = max((rows.get(read, []) for read in op.reads), key=len, default=[])
        rows[op] = ([*longest, op] if op.kind in ("conv", "linear") else longest) if straight(op) else []
    found = max(rows.values(), key=len, default=[])
    return set(found) if len(found) >= ROW else set()


def idle_activations(graph: Graph) -> dict[str, str]:
    """Parts of the net that hold an activation which never runs, and do without any other: its name for each."""
    bent = {op.layer for op in graph.ops if op.kind == "activation"}
    held = [n for n, module in graph.model.named_modules() if type(module).__module__ == nn.ReLU.__module__]
    return {
        owner: name
        for name in held
        for owner in [name.rpartition(".")[0]]
        if not any(layer == owner or layer.startswith(f"{owner}." if owner else "") for layer in bent)
    }


def meant(before: Op, op: Op, passed: list[Op]) -> bool:
    """Whether two layers are published without an activation between them."""
    if before.weight is None or op.weight is None:
        return True
    if any(p.function == "amax" and p.shape[2:] == before.shape[2:] for p in passed):  # maxout: over groups of channels
        return True
    if any(p.groups > 1 for p in (before, op)) or any(p.kind == "conv" and p.kernel == 1 for p in (before, op)):
        return True
    if not (before.weight.requires_grad and op.weight.requires_grad):
        return True
    if before.kind == "conv" and op.kind == "linear" and any(p.side == 1 or p.function == "mean" for p in passed):
        return True
    wide = min(math.prod(before.weight.shape[1:]), op.weight.shape[0])
    return before.kind == op.kind == "linear" and before.weight.shape[0] < wide


def thrown_away(graph: Graph) -> Iterator[Finding]:
    """An activation whose result nothing reads, in a layer or function that goes on with what it read."""
    if graph.output is None:
        return
    for op in graph.ops:
        idle = op.kind == "activation" and not op.read_by and op is not graph.output and op.reads
        if idle and op.function not in SQUASHING and bare(op):
            yield finding(
                "activation-missing",
                f"what {op.named} gives is thrown away",
                f"Nothing reads it: the net goes on with {op.reads[0].named}'s output.",
                f"Keep it, as `x = {op.named.rpartition('.')[2]}(x)`, or return it.",
                **op.where,
            )
            return


def bare(op: Op) -> bool:
    """Whether the user's line is the call alone, without a name for what it gives."""
    try:
        body = ast.parse(linecache.getline(op.file or "", op.line or 0).strip()).body
    except SyntaxError:
        return False
    return len(body) == 1 and isinstance(body[0], ast.Expr)


def doubled(graph: Graph) -> Iterator[Finding]:
    """An activation whose input is an activation already."""
    for op in graph.ops:
        if op.kind != "activation" or op.function in SQUASHING:
            continue
        for before, passed in sources(op, ("pool", "dropout", "shape")):
            if before.kind == "activation" and before.function not in SQUASHING:
                between = f" with {', '.join(p.function for p in passed)} between" if passed else ""
                yield finding(
                    "activation-doubled",
                    f"{op.function} is applied to the output of {before.function}{between}",
                    f"{before.named}, then {op.named}.",
                    "Leave one of both out; if a layer was meant to stand between them, put it there.",
                    severity="note" if op.function == before.function == "relu" and passed else None,
                    **op.where,
                )
