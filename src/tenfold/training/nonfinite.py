"""Explaining a loss that is NaN or infinite: the first layer where it shows, and the batch."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tenfold.errors import TrainingError


class NonFiniteLoss(TrainingError):
    """A loss that is NaN or infinite; `facts` are what was seen, without what to do."""

    def __init__(self, what: str, facts: str, remedy: str, replay: str) -> None:
        super().__init__(f"{what}; no optimiser step was taken. {facts}", f"{remedy} {replay}")
        self.happened, self.facts, self.cure = what, facts, remedy


@dataclass(frozen=True)
class BadLayer:
    """Where it shows first: the layer's name, and which of its parameters is bad already (None: only the output is)."""

    name: str
    parameter: str | None

    def text(self) -> str:
        """For an error."""
        if self.parameter:
            return f"{self.name} (its {self.parameter} holds NaN or infinity)"
        return f"{self.name} (its output holds NaN or infinity, its weights do not)"


def first_bad_layer(model: nn.Module, forward: Callable[[], object]) -> BadLayer | None:
    """The first layer of a pass (`forward` makes it) whose weights or output are not finite."""
    found: list[BadLayer] = []

    def watch(name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(module: nn.Module, _inputs: object, output: object) -> None:
            if found:
                return
            bad = [p for p, values in module.named_parameters(recurse=False) if not torch.isfinite(values).all()]
            if bad or (isinstance(output, Tensor) and not torch.isfinite(output).all()):
                found.append(BadLayer(name, bad[0] if bad else None))

        return hook

    leaves = [(name, m) for name, m in model.named_modules() if name and not list(m.children())]
    hooks = [module.register_forward_hook(watch(name)) for name, module in leaves]
    try:
        with torch.no_grad():
            forward()
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else None


def explain(
    loss: str, layer: BadLayer | None, epoch: int, step: int, ids: list[str], lr: float, resume: str
) -> NonFiniteLoss:
    """The error that stops the run."""
    shown = ", ".join(ids[:4]) + (f", … {len(ids)} in all" if len(ids) > 4 else "")
    where = layer.text() if layer else "the loss itself (every layer's output is finite)"
    return NonFiniteLoss(
        f"The loss is {loss} at epoch {epoch + 1}, step {step + 1}",
        f"First bad layer: {where}. Batch: {shown}.",
        lower_rate(lr),
        f"The weights before the step are saved; to replay it: {resume}",
    )


def lower_rate(lr: float) -> str:
    """What helps most often."""
    return f"Most often the learning rate ({lr:g}) is too high: try --optimizer.lr {lr / 10:g}."
