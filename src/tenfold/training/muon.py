"""Muon (Jordan 2024): filters move by their momentum made orthogonal, so that every direction moves equally far.

Meant for filters that a normalisation follows: each is scaled to a fixed length before every step. Everything that is
no filter moves by SGD with Nesterov's momentum.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the Newton–Schulz polynomial ax + bx³ + cx⁵, which brings singular values in 0..1 near 1 in few steps."""

SMALLEST_NORM = 1e-7
"""Added to a norm before dividing by it."""


class Muon(Optimizer):
    """Groups with `orthogonal` True hold filters [out, in, h, w]; the others are plain Nesterov SGD."""

    def __init__(self, groups: Sequence[dict[str, Any]]) -> None:
        super().__init__(groups, {"lr": 0.0, "weight_decay": 0.0, "nesterov": True, "ns_steps": 0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step with the gradients as they are."""
        for group in self.param_groups:
            move = move_filters if group["orthogonal"] else move_weights
            for parameter in group["params"]:
                if parameter.grad is not None:
                    move(parameter, parameter.grad, group, self.state[parameter])


def move_filters(filters: nn.Parameter, gradient: Tensor, group: dict[str, Any], state: dict[str, Tensor]) -> None:
    """W ← √out · W / ‖W‖ − lr · orthogonalised(momentum)."""
    direction = with_momentum(gradient, group, state)
    update = orthogonalised(direction.reshape(len(direction), -1), group["ns_steps"]).view(direction.shape)
    filters.mul_(len(filters) ** 0.5 / (filters.norm() + SMALLEST_NORM))
    filters.add_(update, alpha=-group["lr"])


def move_weights(weights: nn.Parameter, gradient: Tensor, group: dict[str, Any], state: dict[str, Tensor]) -> None:
    """w ← w − lr · momentum of (gradient + weight_decay · w)."""
    gradient = gradient.add(weights, alpha=group["weight_decay"])
    weights.add_(with_momentum(gradient, group, state), alpha=-group["lr"])


def with_momentum(gradient: Tensor, group: dict[str, Any], state: dict[str, Tensor]) -> Tensor:
    """The momentum after this gradient; looking one step ahead with Nesterov's."""
    if "momentum_buffer" not in state:
        state["momentum_buffer"] = torch.zeros_like(gradient)
    buffer = state["momentum_buffer"].mul_(group["momentum"]).add_(gradient)
    return gradient.add(buffer, alpha=group["momentum"]) if group["nesterov"] else buffer


def orthogonalised(matrix: Tensor, steps: int) -> Tensor:
    """About the nearest matrix [m, n] with orthonormal rows (or columns), by `steps` of Newton–Schulz."""
    a, b, c = COEFFICIENTS
    x: Tensor = matrix / (matrix.norm() + SMALLEST_NORM)
    if matrix.is_cuda:  # the tensor cores' bf16 is precise enough; on CPUs these products are a hundredth of a step
        x = x.bfloat16()
    if len(x) > x.shape[1]:
        x = x.T
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if x.shape != matrix.shape else x).to(matrix.dtype)
