"""Lion (Chen et al. 2023, arXiv 2302.06675, algorithm 2): all weights move equally far, by their momentum's sign."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class Lion(Optimizer):
    """c ← β1·m + (1−β1)·g;  w ← w − lr·(sign(c) + weight_decay·w);  m ← β2·m + (1−β2)·g."""

    def __init__(self, groups: Sequence[dict[str, Any]], lr: float, betas: tuple[float, float], decay: float) -> None:
        super().__init__(groups, {"lr": lr, "betas": betas, "weight_decay": decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step with the gradients as they are."""
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None]
            if weights:
                move(weights, [p.grad for p in weights], [self.momentum(p) for p in weights], group)

    def momentum(self, parameter: Tensor) -> Tensor:
        """The parameter's buffer, zeros at first."""
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        buffer: Tensor = state["momentum_buffer"]
        return buffer


def move(weights: list[Tensor], gradients: list[Tensor], momenta: list[Tensor], group: dict[str, Any]) -> None:
    """All weights of a group at once: a loop over the tensors would cost several times as much in a small net."""
    lr, (beta1, beta2) = group["lr"], group["betas"]
    direction = torch._foreach_mul(momenta, beta1)
    torch._foreach_add_(direction, gradients, alpha=1 - beta1)
    torch._foreach_sign_(direction)
    torch._foreach_mul_(weights, 1 - lr * group["weight_decay"])
    torch._foreach_add_(weights, direction, alpha=-lr)
    torch._foreach_mul_(momenta, beta2)
    torch._foreach_add_(momenta, gradients, alpha=1 - beta2)
