"""Rules about units: never active, stuck at their ends, or asleep before the first step."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from tenfold.checks.rules import finding
from tenfold.checks.script.chance import same_chance
from tenfold.checks.script.modes import where
from tenfold.checks.script.places import layer_of, layer_place, written
from tenfold.checks.script.rates import pace
from tenfold.checks.script.seen import Place, Seen
from tenfold.errors import Finding

FEW = 8
"""A unit that was 0 in so many batches in a row is dead."""
LEARNS = 0.3
"""Dead units are no more than a note where the loss has lost so much of itself."""
ASLEEP = 0.01
"""A ReLU that leaves a smaller share of its inputs is dead from the start."""
AWAKE = 0.25
"""So is one that leaves a smaller share of its units anything at all, of many images."""


def at(seen: Seen, layer: str, used: Place | None = None) -> dict[str, Any]:
    """Layer, file and line of a finding about a layer."""
    return {"layer": layer or None, **where(layer_place(seen, layer, used))}


def units(seen: Seen) -> Iterator[Finding]:
    """Units that are never active, or stuck at their ends."""
    seen_so = pace(seen)
    learns = seen_so is not None and seen_so.saved > LEARNS
    began = list(asleep_from_the_start(seen))
    yield from began
    for layer, idle in seen.idle.items() if not began else ():
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
    """Notes the share of each ReLU's outputs, and of its units, that is not 0, by the layer with weights before it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.shares = "", dict[str, tuple[float, float]]()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call it, and note it."""
        result = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") in ("relu", "relu_", "relu6") and isinstance(result, Tensor):
            active = result.detach() > 0
            units = active.flatten(2).any(2) if active.dim() > 2 else active
            awake = float(units.any(0).float().mean()) if active.dim() > 1 and len(active) > 8 else 1.0
            self.shares.setdefault(self.layer, (float(active.float().mean()), awake))
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
    few = ((layer, share) for layer, (share, awake) in seen.shares.items() if share < ASLEEP or awake < AWAKE)
    return next(few, None)


def feeding(seen: Seen, layer: str) -> str:
    """The layer with weights that stands before an activation, or the activation's own if it has some."""
    last = ""
    for name, module in seen.model.named_modules() if seen.model is not None else ():
        if any(True for _ in module.parameters(recurse=False)):
            last = name
        if name == layer:
            break
    return last
