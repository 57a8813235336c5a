"""Rules about the net itself: its graph, its start, its units, and probes on a copy."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from tenfold.checks.rules import finding
from tenfold.checks.script.chance import same_chance
from tenfold.checks.script.modes import where
from tenfold.checks.script.places import birth, builtin, layer_of, layer_place, written
from tenfold.checks.script.rates import pace
from tenfold.checks.script.seen import Place, Seen
from tenfold.checks.script.source import line, name_at, shown_code
from tenfold.checks.structure import examine
from tenfold.checks.trace import RECTIFYING, trace
from tenfold.errors import Finding

ELSEWHERE = {"softmax-before-loss", "activation-on-logits", "parameters-forgotten"}
"""Rules of the graph that the run itself tells better."""
FEW = 8
"""A unit that was 0 in so many batches in a row is dead."""


LEARNS = 0.3
"""Dead units are no more than a note where the loss has lost so much of itself."""
ASLEEP = 0.01
"""A ReLU that leaves a smaller share of its inputs is dead from the start."""


def probed(seen: Seen) -> tuple[nn.Module, Tensor] | None:
    """The net's copy and a few images as it got them; None where there is no such thing."""
    if seen.first is None or len(seen.inputs) != 1 or not isinstance(seen.inputs[0], Tensor):
        return None
    images = seen.inputs[0]
    return (seen.first, images[:8]) if images.is_floating_point() and images.dim() > 1 and len(images) > 1 else None


def graph_rules(seen: Seen) -> Iterator[Finding]:
    """What is wrong with the net before any number is learned."""
    case = probed(seen)
    if case is None or (seen.error is not None and not seen.backwards):
        return
    with same_chance():
        graph = trace(*case)
    seen.reads_norm = bool(graph.input.read_by) and all(op.kind in ("norm", "scale") for op in graph.input.read_by)
    for found in examine(graph):
        loaded = bool(seen.loaded) and found.rule == "bad-initialisation"
        if found.rule not in ELSEWHERE and not loaded:
            yield replaced(seen, found)
    for op in graph.ops:
        before = op.reads[0] if op.reads else None
        if op.function == "sigmoid" and op is not graph.output and before and before.function in RECTIFYING:
            yield finding(
                "activation-doubled",
                f"sigmoid is applied to the output of {before.function}",
                f"{before.named}, then {op.named}: what comes out is never below 0.5.",
                "Leave one of both out.",
                **at(seen, op.layer, Place(op.file, op.line or 0) if op.file else None),
            )
            return


MADE = {"bias-before-norm", "pooled-away"}
"""What is wrong in how a layer is made, not in where it stands."""


def replaced(seen: Seen, found: Finding) -> Finding:
    """With the line at which it is mended."""
    used = Place(found.file, found.line) if found.file and found.line else None
    if found.rule == "bad-initialisation":
        used = written(seen, found.layer) or used
    elif found.rule in MADE:
        used = (birth(seen, found.layer) if builtin(layer_of(seen, found.layer)) else None) or used
    else:
        used = layer_place(seen, found.layer, used)
    return Finding(**{**vars(found), "file": None, "line": None, **where(used)})


def at(seen: Seen, layer: str, used: Place | None = None) -> dict[str, Any]:
    """Layer, file and line of a finding about a layer."""
    return {"layer": layer or None, **where(layer_place(seen, layer, used))}


def samples_mixed(seen: Seen) -> Iterator[Finding]:
    """The output for one image depends on the pixels of another; and the net may be blind to its images."""
    case = probed(seen)
    if case is None or (seen.error is not None and not seen.backwards):
        return
    net, images = case
    images = images[:4].detach().clone().requires_grad_()
    modes = [(module, module.training) for module in net.modules()]
    with same_chance(), torch.enable_grad():
        try:
            output = net.eval()(images)
            blank = net(torch.zeros_like(images))
        finally:
            for module, mode in modes:
                module.training = mode
    if not isinstance(output, Tensor) or output.dim() < 2 or not output.requires_grad:
        return
    seen.asleep = asleep(net, images.detach())
    alive = all(bool((idle < FEW).any()) for idle in seen.idle.values()) and seen.asleep is None
    seen.blind = alive and torch.equal(output, blank) and bool(images.detach().any()) and not zero_head(net)
    scores = output[0].sum() if len(output) == len(images) else output.sum() * 0
    (slope,) = torch.autograd.grad(scores * 1.0, images, allow_unused=True)
    slope = torch.zeros_like(images) if slope is None else slope
    if len(output) == len(images) and not bool(slope[1:].any()):
        weights = torch.randn(output.shape[1:], generator=torch.Generator().manual_seed(0))
        with torch.enable_grad():
            again = net.eval()(images)
        (slope,) = torch.autograd.grad((again[0] * weights).sum(), images)
        for module, mode in modes:
            module.training = mode
    mixes = bool((slope[1:].abs() > 0).any()) or len(output) != len(images)
    if mixes:
        kind, before, after, place = next(iter(seen.mixing), ("", (), (), None))
        shape = f" {shown_code(place)} ({kind}) turns {list(before)} into {list(after)}." if place else ""
        yield finding(
            "samples-mixed",
            "The net mixes the images of a batch with each other",
            f"In eval mode, the first image's output depends on other images' pixels.{shape}",
            f"Keep the first dimension for the images: `x.flatten(1)`, `x.view(x.size(0), -1)`, softmax with dim=1"
            f"{line(place)}.",
            **where(place or softmax_place(seen)),
        )


def softmax_place(seen: Seen) -> Place | None:
    """Where the net is called."""
    return seen.calls[0].place if seen.calls else None


def zero_head(net: nn.Module) -> bool:
    """Whether some layer's weights are all 0, which is a known start."""
    return any(p.dim() > 1 and not bool(p.any()) for p in net.parameters())


def last_batch(seen: Seen) -> Iterator[Finding]:
    """The last batch is too small for batch norm."""
    if seen.model is None or not any(isinstance(m, _BatchNorm) for m in seen.model.modules()):
        return
    for fact in seen.loaders:
        size = fact.loader.batch_size
        if not fact.steps or not size or fact.loader.drop_last or size < 8:
            continue
        images = len(fact.loader.dataset)
        rest = images % size
        if 0 < rest <= (1 if size < 32 else 2):
            name = name_at(fact.place, "the training loader")
            yield finding(
                "last-batch-small",
                f"The last batch of `{name}` has {rest} image{'s' if rest > 1 else ''}",
                f"{images:,} images in batches of {size}, and the net has batch norm.",
                f"Write `drop_last=True` in the DataLoader{line(fact.place)}.",
                **where(fact.place),
            )
            return


def units(seen: Seen) -> Iterator[Finding]:
    """Units that are never active, or stuck at their ends."""
    seen_so = pace(seen)
    learns = seen_so is not None and seen_so.saved > LEARNS
    for layer, idle in seen.idle.items():
        dead = float((idle >= FEW).float().mean())
        if dead > 0.8 and idle.numel() > 1:
            yield finding(
                "dead-units",
                f"{100 * dead:.0f} % of the units of {layer} are dead",
                f"{round(dead * idle.numel())} of {idle.numel()} were 0 for every image of the last {FEW} batches.",
                "Lower the learning rate, start biases at 0, or use LeakyReLU.",
                severity="note" if learns else None,
                layer=layer,
                **where(written(seen, feeding(seen, layer), ["bias", "weight"])),
            )
            break
    else:
        yield from asleep_from_the_start(seen)
    for layer, shares in seen.saturated.items():
        if len(shares) >= 5 and min(shares[-5:]) > 0.9:
            yield finding(
                "saturated-units",
                f"The units of {layer} are saturated",
                f"{100 * shares[-1]:.0f} % of its outputs lie at the ends of the activation.",
                "Scale its inputs down, or use ReLU inside the net.",
                **at(seen, layer),
            )
            break


def asleep_from_the_start(seen: Seen) -> Iterator[Finding]:
    """A ReLU after which the untrained net has almost nothing left."""
    if seen.asleep is None or seen.loaded:
        return
    layer, share = seen.asleep
    bias = getattr(layer_of(seen, layer), "bias", None)
    low = f" Its biases are {float(bias.detach().mean()):.2g} on average." if isinstance(bias, Tensor) else ""
    yield finding(
        "dead-units",
        f"{100 * (1 - share):.1f} % of what ReLU makes of {layer} is 0 from the start",
        f"Measured on an untrained copy with the first images.{low}",
        f"Start the biases of {layer} at 0, and its weights as torch does.",
        layer=layer or None,
        **where(written(seen, layer, ["bias", "weight"])),
    )


class Sleepers(TorchFunctionMode):
    """Notes how much of each ReLU's output is not 0, by the layer with weights that ran before it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.shares = "", dict[str, float]()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call it, and note it."""
        result = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") in ("relu", "relu_", "relu6") and isinstance(result, Tensor):
            self.shares.setdefault(self.layer, float((result.detach() > 0).float().mean()))
        return result


def asleep(net: nn.Module, images: Tensor) -> tuple[str, float] | None:
    """The first layer after which ReLU leaves almost nothing of real images, and the share that it leaves."""
    seen = Sleepers()

    def entered(name: str) -> Any:
        return lambda *_: setattr(seen, "layer", name)

    bearing = [(n, m) for n, m in net.named_modules() if any(True for _ in m.parameters(recurse=False))]
    hooks = [module.register_forward_pre_hook(entered(name)) for name, module in bearing]
    try:
        with same_chance(), torch.no_grad(), seen:
            net(images)
    finally:
        for hook in hooks:
            hook.remove()
    return next(((layer, share) for layer, share in seen.shares.items() if share < ASLEEP), None)


def feeding(seen: Seen, layer: str) -> str:
    """The layer with weights that stands before an activation, or the activation's own if it has some."""
    last = ""
    for name, module in seen.model.named_modules() if seen.model is not None else ():
        if any(True for _ in module.parameters(recurse=False)):
            last = name
        if name == layer:
            break
    return last


def device_mismatch(seen: Seen) -> Iterator[Finding]:
    """The net goes to the device, and what it is given does not."""
    if not seen.cuda:
        return
    calls = [call for call in seen.training_calls() if call.shape]
    losses = [loss for loss in seen.training_losses() if loss.call is not None]
    if seen.moves == 1:  # a net that was moved twice may be judged elsewhere
        calls += [call for call in seen.judging_calls() if call.shape]
    stays = next((call for call in calls if not call.moved), None)
    if seen.model_moved and stays:
        told = "The net is moved to the device, its images are not", stays.place, "the images"
    elif calls and not seen.model_moved and all(call.moved for call in calls):
        told = "The images are moved to the device, the net is not", calls[0].place, "the net"
    elif seen.model_moved and losses and not losses[0].moved:
        told = "The outputs are on the device, the labels are not", losses[0].place, "the labels"
    else:
        return
    what, place, missing = told
    yield finding(
        "device-mismatch",
        what,
        f"{shown_code(seen.model_moved or place)}{line(seen.model_moved or place)} moves, and {shown_code(place)} uses "
        f"{missing} as they were made. There is no GPU here; on one this fails.",
        f"Move {missing} too, keeping the result: `x = x.to(device)`{line(place)}.",
        **where(place),
    )


RULES = (graph_rules, samples_mixed, last_batch, device_mismatch)
SYMPTOMS = (units,)
