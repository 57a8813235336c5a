"""Batch norm, an addition and an activation in one pass, for the `ActivatedBatchNorm` modules of a net."""

from ctypes import c_int, c_int64, c_void_p
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tenfold.models.blocks import ActivatedBatchNorm
from tenfold.training.kernels import CHANNELS, STORED, kind, library

ACTIVATIONS = {"none": 0, "relu": 1, "leaky_relu": 2, "swish": 3, "silu": 3, "gelu": 4}
"""As norm.cpp numbers them."""

BENDS = ("swish", "silu", "gelu")
"""Their slope cannot be told from the output."""


@cache
def functions() -> Any:
    """The C functions, their argument types declared."""
    lib = library()
    lib.norm_statistics.argtypes = [c_void_p] * 3 + [c_int64] * 2 + [c_int] * 2
    lib.norm_apply.argtypes = [c_void_p] * 5 + [c_int] + [c_int64] * 2 + [c_int] * 2
    lib.norm_backward.argtypes = [c_void_p] * 12 + [c_int] * 2 + [c_int64] * 2 + [c_int] * 2
    return lib


def place(tensor: Tensor | None) -> int | None:
    """The address of a tensor's numbers, for C."""
    return None if tensor is None else tensor.data_ptr()


def extent(x: Tensor) -> tuple[int, int, bool, int]:
    """What every C function is told at the end: pixels, channels, and `kind`."""
    return x.numel() // x.shape[1], x.shape[1], *kind(x)


def statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and (biased) variance float32 [C] of each channel of channels-last [N, C, H, W]."""
    mean, variance = x.new_empty((2, x.shape[1]), dtype=torch.float32)
    functions().norm_statistics(*map(place, (x, mean, variance)), *extent(x))
    return mean, variance


def affine(mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """A norm as x · scale + shift: scale, shift, and 1 / deviation, [C] each."""
    inverse = (variance + eps).rsqrt()
    scale = weight * inverse
    return scale, bias - mean * scale, inverse


class Activated(torch.autograd.Function):
    """activation((x − mean) / √(variance + eps) · weight + bias + other)."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        other: Tensor | None,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        variance: Tensor,
        eps: float,
        activation: str,
        batch: bool,
    ) -> Tensor:
        """`x` and `other` channels-last; `batch`: mean and variance are x's own, gradients flow through them."""
        scale, shift, inverse = affine(mean, variance, weight, bias, eps)
        y = torch.empty_like(x)
        functions().norm_apply(*map(place, (x, other, scale, shift, y)), ACTIVATIONS[activation], *extent(x))
        ctx.activation, ctx.batch, ctx.added = activation, batch, other is not None
        told = ctx.added and activation not in BENDS  # without an addition x tells it, one tensor less to read
        ctx.save_for_backward(x, None if told else other, y if told else None, scale, shift, mean, inverse)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        """Gradients of x, other, weight and bias."""
        (gradient,) = gradients
        x, other, y, scale, shift, mean, inverse = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)  # held here: C sees only its address
        of_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        of_other = torch.empty_like(x) if ctx.added else None
        of_weight, of_bias = torch.empty_like(mean), torch.empty_like(mean)
        functions().norm_backward(
            *map(place, (gradient, x, other, y, scale, shift, mean, inverse, of_x, of_other, of_weight, of_bias)),
            ctx.batch,
            ACTIVATIONS[ctx.activation],
            *extent(x),
        )
        return of_x, of_other, of_weight, of_bias, None, None, None, None, None


def normalised(norm: nn.BatchNorm2d, input: Tensor, other: Tensor | None, activation: str) -> Tensor:
    """activation(norm(input) + other) as `norm` is set, its running statistics moved in training."""
    x = input.contiguous(memory_format=torch.channels_last)
    if other is not None:
        other = other.to(x.dtype).contiguous(memory_format=torch.channels_last)
    mean, variance = norm.running_mean, norm.running_var
    if norm.training:
        refuse_lone(x)
        mean, variance = statistics(x.detach())
        follow(norm, mean, variance, x.numel() // x.shape[1])
    return Activated.apply(  # type: ignore[no-any-return]
        x, other, norm.weight, norm.bias, mean, variance, norm.eps, activation, norm.training
    )


def refuse_lone(x: Tensor) -> None:
    """One number a channel has no deviation to train by: a ValueError, as torch's norms raise it."""
    if x.numel() == x.shape[1]:
        raise ValueError(f"Expected more than 1 value per channel when training, got {tuple(x.shape)}")


@torch.no_grad()
def follow(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor, count: int) -> None:
    """Move the running statistics towards a batch's, as nn.BatchNorm2d does (the variance unbiased)."""
    buffers: Any = norm  # nn.BatchNorm2d declares that there may be none; those that suit have them
    buffers.num_batches_tracked.add_(1)
    buffers.running_mean.lerp_(mean, buffers.momentum)
    buffers.running_var.lerp_(variance * (count / max(1, count - 1)), buffers.momentum)


def ours(input: Tensor) -> bool:
    """Whether the kernels compute such images: float32 and bfloat16 on the CPU."""
    return input.dtype in STORED and input.device.type == "cpu"


class NativeActivatedBatchNorm(ActivatedBatchNorm):
    """ActivatedBatchNorm, computed by `Activated` where it can be and as ever otherwise."""

    def forward(self, input: Tensor, other: Tensor | None = None) -> Tensor:
        """[N, C, H, W] and the same to [N, C, H, W]."""
        return normalised(self, input, other, self.activation) if ours(input) else super().forward(input, other)


class NativeBatchNorm2d(nn.BatchNorm2d):
    """nn.BatchNorm2d, computed by `Activated` where it can be and as ever otherwise."""

    def forward(self, input: Tensor) -> Tensor:
        """[N, C, H, W] to [N, C, H, W]."""
        self._check_input_dim(input)
        return normalised(self, input, None, "none") if ours(input) else super().forward(input)


def suits(module: nn.Module) -> bool:
    """Whether the kernels compute this module, an ActivatedBatchNorm."""
    return (
        isinstance(module, ActivatedBatchNorm)
        and module.num_features % CHANNELS == 0
        and module.activation in ACTIVATIONS
    )


def suits_plain(module: nn.Module) -> bool:
    """Whether they compute this one: an nn.BatchNorm2d with weights and with running statistics of a fixed momentum."""
    return (
        isinstance(module, nn.BatchNorm2d)
        and type(module) in (nn.BatchNorm2d, NativeBatchNorm2d)
        and module.num_features % CHANNELS == 0
        and module.affine
        and module.track_running_stats
        and module.momentum is not None
    )
