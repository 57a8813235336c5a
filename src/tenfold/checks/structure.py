"""Static rules on a net's graph: what is wrong before any number is learned.

    examine(trace(model, pixels))          every rule over the graph; a rule gives findings, none where all is well
    forgotten(model, optimizer)            rules on what the optimiser holds

The rules know the manners of published nets: linear bottlenecks, dropout in Wide ResNets, zero heads, pooled logits.
"""

import ast
import linecache
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from tenfold.checks.rules import finding
from tenfold.checks.trace import SQUASHING, Graph, Op
from tenfold.errors import Finding, counted

HUGE_GAIN, TINY_GAIN = 5.0, 0.02
"""Weights times the root of their fan-in: He's start has 1.4, torch's own 0.6, a careful head 0.1."""

SMALL_GAIN = 0.35
"""The same for grouped convolutions without a norm, of which torch's own start has 0.58."""

TINY_SIGNAL = 1e-3
"""What is left of a signal, or its inverse, that no longer trains; torch's own start leaves 0.4 a layer with ReLU."""

FEW = 4
"""So few images are no batch to take a mean and deviation of."""


def examine(graph: Graph) -> list[Finding]:
    """Every static rule over the graph of a net that is trained with cross-entropy on its output."""
    return [found for rule in RULES_OF_GRAPHS for found in rule(graph)]


def sources(op: Op, through: Sequence[str]) -> Iterator[tuple[Op, list[Op]]]:
    """What an operation reads when kinds in `through` are looked through, each with what was passed on the way."""
    waiting = [(read, list[Op]()) for read in op.reads]
    while waiting:
        read, passed = waiting.pop()
        if read.kind in through:
            waiting += [(deeper, [*passed, read]) for deeper in read.reads]
        else:
            yield read, passed


def last_activation(graph: Graph) -> Op | None:
    """The activation whose result is the net's output, shapes and factors aside."""
    op = graph.output
    while op is not None and op.kind in ("shape", "scale", "dropout") and op.reads:
        op = op.reads[0]
    return op if op is not None and op.kind == "activation" else None


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


def owner(op: Op) -> str:
    """The part of the net that holds a layer."""
    return op.layer.rpartition(".")[0]


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


RULES_OF_GRAPHS: tuple[Callable[[Graph], Iterable[Finding]], ...] = (
    squashed_output,
    cut_logits,
    linear_pairs,
    thrown_away,
    doubled,
    dropout_into_norm,
    pooled_away,
    bad_start,
    grouped_start,
    silent_norms,
    lone_numbers,
    norm_momentum,
    heavy_dropout,
    dropped_logits,
    needless_bias,
)


def unheld(model: nn.Module, optimizer: Optimizer) -> Iterator[Finding]:
    """Parameters that are to be trained and that the optimiser does not hold."""
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    missing = [name for name, p in model.named_parameters() if p.requires_grad and id(p) not in held]
    if missing:
        whole = len(missing) == sum(p.requires_grad for p in model.parameters())
        yield finding(
            "parameters-forgotten",
            "the optimiser holds none of the net's parameters"
            if whole
            else f"the optimiser does not hold {counted(len(missing), 'parameter')} of the net",
            f"{', '.join(missing[:4])}{', …' if len(missing) > 4 else ''}.",
            "Make the optimiser of model.parameters(), after the last change of the net's layers.",
            layer=missing[0].rpartition(".")[0] or None,
        )


def hidden_layers(graph: Graph, held: Collection[int] = ()) -> Iterator[Finding]:
    """Layers in a plain list or dict: the net uses them, but its parameters() does not give them.

    held: ids of parameters that an optimiser was given in another way.
    """
    known = {id(p) for p in graph.model.parameters()} | set(held)
    hidden = [op for op in graph.layers if is_hidden(op.weight, known)]
    if hidden:
        yield finding(
            "parameters-forgotten",
            f"{counted(len(hidden), 'layer')} that the net uses "
            f"{'is' if len(hidden) == 1 else 'are'} not among its modules",
            f"{sum(op.weight.numel() for op in hidden if op.weight is not None):,} weights are in no parameter list.",
            "Keep layers in nn.ModuleList or nn.ModuleDict in place of a plain list or dict.",
            **hidden[0].where,
        )


def is_hidden(weight: Tensor | None, known: Collection[int]) -> bool:
    """Whether a layer's weight is a parameter to train that nobody knows."""
    return isinstance(weight, nn.Parameter) and weight.requires_grad and id(weight) not in known


def unused(graph: Graph) -> Iterator[Finding]:
    """Layers with weights that the forward pass never calls."""
    called = {id(op.weight) for op in graph.layers}
    reached = {op.layer for op in graph.ops}
    idle = [
        name
        for name, module in graph.model.named_modules()
        if isinstance(module, nn.Linear | nn.modules.conv._ConvNd)
        and id(module.weight) not in called
        and name not in reached
    ]
    if idle and graph.output is not None:
        yield finding(
            "parameters-frozen",
            f"{len(idle)} layer{'s are' if len(idle) > 1 else ' is'} never used",
            f"{', '.join(idle[:4])}{', …' if len(idle) > 4 else ''}: the forward pass does not call "
            f"{'them' if len(idle) > 1 else 'it'}.",
            "Call it in forward(), or delete it.",
            layer=idle[0],
        )


def decayed_norms(
    model: nn.Module,
    optimizer: Optimizer,
    remedy: str = "Give them a parameter group of their own with weight_decay=0.",
) -> Iterator[Finding]:
    """Weight decay on what has one axis: biases and norms."""
    name_of = {id(p): name for name, p in model.named_parameters()}
    decayed = [
        p
        for group in optimizer.param_groups
        if group.get("weight_decay")
        for p in group["params"]
        if p.requires_grad and p.dim() <= 1
    ]
    if decayed:
        shown = [name_of.get(id(p), "?") for p in decayed[:3]]
        yield finding(
            "decay-on-norms",
            f"weight decay acts on {len(decayed)} biases and norms",
            f"{', '.join(shown)}{', …' if len(decayed) > 3 else ''}: {sum(p.numel() for p in decayed):,} numbers.",
            remedy,
        )


def small_last_batch(model: nn.Module, images: int, batch: int) -> Iterator[Finding]:
    """A last batch of one or a few images, where batch norm takes its statistics from it."""
    rest = images % batch
    if 0 < rest <= min(FEW, batch // 4) and any(isinstance(m, _BatchNorm) for m in model.modules()):
        yield finding(
            "last-batch-small",
            f"the last batch of an epoch has {rest} image{'' if rest == 1 else 's'}",
            f"{images:,} images in batches of {batch} leave {rest}, and the net has batch norm.",
            f"Choose a batch of {better_batch(images, batch)}, or drop the last one (drop_last=True).",
            severity="error" if rest == 1 and any(isinstance(m, nn.BatchNorm1d) for m in model.modules()) else None,
        )


def better_batch(images: int, batch: int) -> int:
    """The nearest smaller batch whose last one is at least half full."""
    return next((b for b in range(batch - 1, 1, -1) if images % b == 0 or 2 * (images % b) >= b), batch)


def names(ops: Sequence[Op], most: int = 4) -> str:
    """The first few layers' names."""
    return ", ".join(op.named for op in ops[:most]) + (", …" if len(ops) > most else "")
