"""Explaining a loss that is NaN or infinite: the first layer where it shows, and the batch."""

import torch
from torch import Tensor, nn

from tenfold.errors import TrainingError
from tenfold.training.backend import Backend


class NonFiniteLoss(TrainingError):
    """A loss that is NaN or infinite; `facts` are what was seen, without what to do."""

    def __init__(self, what: str, facts: str, remedy: str, replay: str) -> None:
        super().__init__(f"{what}; no optimiser step was taken. {facts}", f"{remedy} {replay}")
        self.happened, self.facts, self.cure = what, facts, remedy


def first_bad_layer(model: nn.Module, pixels: Tensor, backend: Backend) -> str:
    """Name of the first layer whose weights or output are not finite, with what is wrong there."""
    found: list[str] = []

    def watch(name: str) -> object:
        def hook(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if found:
                return
            for parameter, values in module.named_parameters(recurse=False):
                if not torch.isfinite(values).all():
                    found.append(f"{name} (its {parameter} holds NaN or infinity)")
                    return
            if not torch.isfinite(output).all():
                found.append(f"{name} (its output holds NaN or infinity, its weights do not)")

        return hook

    leaves = [(name, m) for name, m in model.named_modules() if name and not list(m.children())]
    hooks = [module.register_forward_hook(watch(name)) for name, module in leaves]
    try:
        with torch.no_grad(), backend.autocast():
            model(pixels)
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else "the loss itself (every layer's output is finite)"


def explain(loss: str, layer: str, epoch: int, step: int, ids: list[str], lr: float, resume: str) -> NonFiniteLoss:
    """The error that stops the run."""
    shown = ", ".join(ids[:4]) + (f", … {len(ids)} in all" if len(ids) > 4 else "")
    return NonFiniteLoss(
        f"The loss is {loss} at epoch {epoch + 1}, step {step + 1}",
        f"First bad layer: {layer}. Batch: {shown}.",
        lower_rate(lr),
        f"The state before the step is saved; to replay it: {resume}",
    )


def lower_rate(lr: float) -> str:
    """What helps most often."""
    return f"Most often the learning rate ({lr:g}) is too high: try --optimizer.lr {lr / 10:g}."
