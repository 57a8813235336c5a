"""A residual block's training step in bf16 as one function for autograd, on matrix registers (Intel AMX).

Both convolutions, both batch norms, the addition and the activations: what a norm makes is not written, but made again
where it is read (block.cpp), which leaves about three fifths of the memory traffic of the parts one by one.
"""

from ctypes import c_int, c_int64, c_void_p
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tenfold.models.blocks import ActivatedBatchNorm
from tenfold.models.resnet import Block
from tenfold.training.kernels import library, norm
from tenfold.training.kernels.norm import ACTIVATIONS, BENDS, extent, place

LANES = 16
"""Channels must be a multiple of it."""
SPAN = 32
"""Numbers of a row of a filter that a register holds."""


@cache
def functions() -> Any:
    """The C functions, their argument types declared."""
    lib = library()
    if possible():
        lib.block_filters.argtypes = [c_void_p] * 2 + [c_int64] * 6
        lib.block_forward.argtypes = [c_void_p] * 7 + [c_int64] * 5 + [c_int] * 2
        lib.block_backward.argtypes = [c_void_p] * 15 + [c_int64] * 5 + [c_int] * 2
    return lib


def possible() -> bool:
    """Whether this processor has matrix registers; asking permits them."""
    return bool(library().block_possible())


class Affine(NamedTuple):
    """A batch norm's work on a batch, float32 [C] each: x · scale + shift."""

    scale: Tensor
    shift: Tensor
    mean: Tensor
    inverse: Tensor


def affine(mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Affine:
    """What the statistics of a batch make of a norm."""
    inverse = (variance + eps).rsqrt()
    scale = weight * inverse
    return Affine(scale, bias - mean * scale, mean, inverse)


def filters(weight: Tensor, turned: bool = False) -> Tensor:
    """bf16 [K, C, 3, 3] as the C functions want it; turned: for the gradient of images."""
    start, (cout, cin) = weight, weight.shape[:2]
    by_out, by_in, by_row, by_column = weight.stride()
    if turned:
        start, cin, cout = weight[:, :, -1:, -1:], cout, cin
        by_out, by_in, by_row, by_column = by_in, by_out, -by_row, -by_column
    made = torch.empty(3 * -(-3 * cin // SPAN) * SPAN * cout, dtype=torch.bfloat16)
    functions().block_filters(place(start), place(made), cin, cout, by_in, by_out, by_row, by_column)
    return made


def convolve(x: Tensor, before: Affine | None, weight: Tensor, activation: str) -> tuple[Tensor, Tensor, Tensor]:
    """conv(activation(x · scale + shift)), or conv(x); its channels' mean and (biased) variance float32 [K].

    x bf16 [N, C, H, W] channels-last, weight bf16 [K, C, 3, 3].
    """
    (n, cin, h, w), cout = x.shape, weight.shape[0]
    y = torch.empty((n, cout, h, w), dtype=torch.bfloat16, memory_format=torch.channels_last)
    mean, variance = torch.empty((2, cout))
    scale, shift = (before.scale, before.shift) if before else (None, None)
    prepared = filters(weight)  # held here: C sees only its address
    functions().block_forward(
        *map(place, (x, scale, shift, prepared, y, mean, variance)),
        *(n, h, w, cin, cout, ACTIVATIONS[activation], torch.get_num_threads()),
    )
    return y, mean, variance


def slopes(after: Affine, sum_: Tensor, with_x: Tensor, rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """a, b and c of a norm's gradient g · a + x · b + c, from the sums of g and of g · (x − mean) · inverse."""
    tilt = with_x * after.inverse / rows
    return after.scale, -after.scale * tilt, after.scale * (after.mean * tilt - sum_ / rows)


def gradients(
    g: Tensor, y: Tensor, by: tuple[Tensor, ...], x: Tensor, before: Affine | None, extra: Tensor | None,
    weight: Tensor, activation: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Of a convolution's weight and of what `convolve` was given, and that gradient's sums, alone and with x − mean.

    g is the gradient behind the norm of the outputs y, `by` its slopes; `extra` is added to the images' gradient.
    """
    (n, cin, h, w), cout = x.shape, weight.shape[0]
    of_filters, of_x, sums = torch.empty((3, 3, cin, cout)), torch.empty_like(x), torch.empty((2, cin))
    scale, shift, mean = before[:3] if before else (None, None, None)
    prepared = filters(weight, turned=True)
    functions().block_backward(
        *map(place, (g, y, *by, x, scale, shift, mean, extra, prepared, of_filters, of_x, sums[0], sums[1])),
        *(n, h, w, cin, cout, ACTIVATIONS[activation], torch.get_num_threads()),
    )
    return of_filters.permute(3, 2, 0, 1).to(weight.dtype), of_x, sums[0], sums[1]


class Residual(torch.autograd.Function):
    """act2(norm2(conv2(act1(norm1(conv1(x))))) + x), or without the addition; statistics of the batch."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight1: Tensor, scale1: Tensor, shift1: Tensor, weight2: Tensor, scale2: Tensor,
        shift2: Tensor, eps: tuple[float, float], activations: tuple[str, str], added: bool,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        """The output; then, without gradients, each convolution's output, its mean and variance."""
        y1, mean1, variance1 = convolve(x, None, weight1, "none")
        norm1 = affine(mean1, variance1, scale1, shift1, eps[0])
        y2, mean2, variance2 = convolve(y1, norm1, weight2, activations[0])
        norm2 = affine(mean2, variance2, scale2, shift2, eps[1])
        out, other = torch.empty_like(y2), x if added else None
        norm.functions().norm_apply(
            *map(place, (y2, other, norm2.scale, norm2.shift, out)), ACTIVATIONS[activations[1]], *extent(y2)
        )
        ctx.activations, ctx.added = activations, added
        ctx.save_for_backward(x, y1, y2, out, weight1, weight2, *norm1, *norm2)
        seen = (y1, mean1, variance1, y2, mean2, variance2)
        ctx.mark_non_differentiable(*seen)
        ctx.set_materialize_grads(False)  # else zeros are made for each of them
        return out, *seen

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *several: Any) -> tuple[Tensor | None, ...]:
        """Gradients of x and of the six weights."""
        x, y1, y2, out, weight1, weight2, *norms = ctx.saved_tensors
        norm1, norm2, bends = Affine(*norms[:4]), Affine(*norms[4:]), ctx.activations[1] in BENDS
        gradient, rows = several[0].contiguous(memory_format=torch.channels_last), y1.numel() // y1.shape[1]
        g, of_scale2, of_shift2 = torch.empty_like(y2), torch.empty_like(norm2.mean), torch.empty_like(norm2.mean)
        told = (x if ctx.added else None, None) if bends else (None, out)
        norm.functions().norm_backward(
            *map(place, (gradient, y2, *told, *norm2, None, g, of_scale2, of_shift2)),
            *(True, ACTIVATIONS[ctx.activations[1]], *extent(y2)),
        )
        by = slopes(norm2, of_shift2, of_scale2, rows)
        of_weight2, g1, of_shift1, with_y1 = gradients(g, y2, by, y1, norm1, None, weight2, ctx.activations[0])
        of_scale1 = with_y1 * norm1.inverse
        by, extra = slopes(norm1, of_shift1, of_scale1, rows), g if ctx.added else None
        of_weight1, of_x, _, _ = gradients(g1, y1, by, x, None, extra, weight1, "none")
        return of_x, of_weight1, of_scale1, of_shift1, of_weight2, of_scale2, of_shift2, None, None, None


class NativeBlock(Block):
    """models.resnet.Block, computed by `Residual` in training in bf16 on the CPU and as ever otherwise."""

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to the same."""
        parts: Any = (self.conv1, self.norm1, self.conv2, self.norm2)
        conv1, norm1, conv2, norm2 = parts
        ours = self.training and x.dtype == conv1.weight.dtype == torch.bfloat16 and x.device.type == "cpu"
        if not ours or torch.is_autocast_enabled("cpu") or any(map(takes_part, parts)):
            return super().forward(x)
        x = x.contiguous(memory_format=torch.channels_last)
        out, y1, mean1, variance1, y2, mean2, variance2 = Residual.apply(
            *(x, conv1.weight, norm1.weight, norm1.bias, conv2.weight, norm2.weight, norm2.bias),
            *((norm1.eps, norm2.eps), (norm1.activation, norm2.activation), self.shortcut is not None),
        )
        if any(m._forward_pre_hooks for m in parts):
            self.show(x, y1, y2, affine(mean1, variance1, norm1.weight, norm1.bias, norm1.eps))
        norm.follow(norm1, mean1, variance1, y1.numel() // y1.shape[1])
        norm.follow(norm2, mean2, variance2, y2.numel() // y2.shape[1])
        return out  # type: ignore[no-any-return]

    @torch.no_grad()
    def show(self, x: Tensor, y1: Tensor, y2: Tensor, first: Affine) -> None:
        """Let those who watch the parts see what each would have been given."""
        z = torch.empty_like(y1)
        activation = ACTIVATIONS[self.norm1.activation]  # type: ignore[index]
        norm.functions().norm_apply(*map(place, (y1, None, first.scale, first.shift, z)), activation, *extent(y1))
        given = (x,), (y1,), (z,), (y2, *((x,) if self.shortcut is not None else ()))
        for part, inputs in zip((self.conv1, self.norm1, self.conv2, self.norm2), given, strict=True):
            for hook in part._forward_pre_hooks.values():
                hook(part, tuple(t.detach() for t in inputs))


def takes_part(module: nn.Module) -> bool:
    """Whether hooks want more than to look at what a module gets: those that only look say so."""
    hooks = module._forward_pre_hooks
    other = module._forward_hooks or module._backward_hooks or module._backward_pre_hooks
    looks = all(getattr(hook, "only_looks", False) for hook in hooks.values())
    return bool(other) or not looks or bool(module._forward_pre_hooks_with_kwargs)


def suits(module: nn.Module) -> bool:
    """Whether the kernels compute this module: a block that keeps the shape, channels in multiples of 16."""
    if type(module) not in (Block, NativeBlock) or not possible():
        return False
    parts: Any = module
    return (
        (parts.shortcut is None or isinstance(parts.shortcut, nn.Identity))
        and parts.conv1.stride == (1, 1)
        and parts.conv1.in_channels == parts.conv1.out_channels
        and parts.conv1.in_channels % LANES == 0
        and all(isinstance(n, ActivatedBatchNorm) and n.activation in ACTIVATIONS for n in (parts.norm1, parts.norm2))
    )
