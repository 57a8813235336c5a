"""Rules on what the optimiser holds, layers that never run, decayed norms and the size of the last batch."""

from collections.abc import Collection, Iterator

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from tenfold.checks.rules import finding
from tenfold.checks.trace import Graph
from tenfold.errors import Finding, counted

FEW = 4
"""So few images are no batch to take a mean and deviation of."""


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
