"""A residual block's training step in bf16 as one function for autograd, on matrix registers (Intel AMX).

Both convolutions, both batch norms, the addition and the activations: what a norm makes is not written, but made again
where it is read (block.cpp), which leaves about three fifths of the memory traffic of the parts one by one.
"""

from ctypes import c_double, c_int, c_int64, c_void_p
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tenfold.models.blocks import ActivatedBatchNorm
from tenfold.models.resnet import Block, PadShortcut
from tenfold.training.kernels import library, norm
from tenfold.training.kernels.norm import ACTIVATIONS, BENDS, extent, place
from tenfold.training.kernels.winograd import has_split

LANES = 16
"""Channels must be a multiple of it."""


@cache
def functions() -> Any:
    """The C functions, their argument types declared."""
    lib = library()
    if has_split():
        lib.block_forward.argtypes = [c_void_p] * 10 + [c_double] * 2 + [c_int64] * 10 + [c_int] * 2
        lib.block_backward.argtypes = [c_void_p] * 13 + [c_int64] * 10 + [c_int] * 2
    return lib


def convolve(
    x: Tensor, before: Tensor | None, activation: str, weight: Tensor, step: int, after: Any
) -> tuple[Tensor, Tensor]:
    """conv(activation(x · scale + shift)), or conv(x), and what the batch norm `after` becomes; its statistics move.

    The filters are laid on every step-th pixel. x bf16 [N, C, H, W] channels-last, weight bf16 [K, C, 3, 3]; norms are
    float32 [4, C] and [4, K]: scale, shift, mean and 1 / deviation.
    """
    (n, cin, h, w), cout = x.shape, weight.shape[0]
    shape = n, cout, (h - 1) // step + 1, (w - 1) // step + 1
    y = torch.empty(shape, dtype=torch.bfloat16, memory_format=torch.channels_last)
    norm.refuse_lone(y)
    kept = torch.empty((4, cout))
    running = after.running_mean, after.running_var, after.num_batches_tracked
    parts = (x, before, weight, y, after.weight, after.bias, kept, *running)
    functions().block_forward(
        *map(place, parts), after.eps, after.momentum, n, h, w, cin, cout, step, *weight.stride(),
        ACTIVATIONS[activation], torch.get_num_threads(),
    )  # fmt: skip
    return y, kept


def gradients(
    g: Tensor, y: Tensor, after: Tensor, of_after: Tensor, x: Tensor, before: Tensor | None, activation: str,
    extra: Tensor | None, weight: Tensor, step: int,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Of a convolution's weight; of what it was given; float32 [2, C] of the norm before it.

    g is the gradient behind the norm `after` of the outputs y, `of_after` [2, K] that of this norm's scale and shift.
    With a norm before it, the second is the gradient behind that norm; without, `extra`, of the shape of y, is added to
    every step-th pixel's channels.
    """
    (n, cin, h, w), cout = x.shape, weight.shape[0]
    of_weight, of_x, of_before = torch.empty_like(weight), torch.empty_like(x), torch.empty((2, cin))
    parts = (g, y, after, *rows(of_after), x, before, extra, weight, of_weight, of_x, *rows(of_before))
    functions().block_backward(
        *(part if isinstance(part, int) else place(part) for part in parts), n, h, w, cin, cout, step, *weight.stride(),
        ACTIVATIONS[activation], torch.get_num_threads(),
    )  # fmt: skip
    return of_weight, of_x, of_before


def rows(two: Tensor) -> tuple[int, int]:
    """The addresses of a float32 tensor's two rows."""
    return two.data_ptr(), two.data_ptr() + 4 * two.shape[1]


class Residual(torch.autograd.Function):
    """act2(norm2(conv2(act1(norm1(conv1(x))))) + shortcut(x)); statistics of the batch, the running ones moved.

    The shortcut is x, every stride-th pixel of it with zeros for new channels, or (None) nothing.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight1: Tensor, scale1: Tensor, shift1: Tensor, weight2: Tensor, scale2: Tensor,
        shift2: Tensor, block: Block,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        """The output; then, without gradients, each convolution's output and what its norm became, and the shortcut."""
        norms: Any = (block.norm1, block.norm2)
        activations, shortcut = (norms[0].activation, norms[1].activation), block.shortcut
        other = None if shortcut is None else shortcut(x)
        step = block.conv1.stride[0]
        y1, norm1 = convolve(x, None, "none", weight1, step, norms[0])
        y2, norm2 = convolve(y1, norm1, activations[0], weight2, 1, norms[1])
        out = torch.empty_like(y2)
        norm.functions().norm_apply(
            *map(place, (y2, other, norm2[0], norm2[1], out)), ACTIVATIONS[activations[1]], *extent(y2)
        )
        ctx.activations, ctx.added, ctx.step = activations, other is not None, step
        told = other if activations[1] in BENDS else out
        ctx.save_for_backward(x, y1, y2, told, weight1, weight2, norm1, norm2)
        seen = [y1, norm1, y2, *([other] if other is not None and other is not x else [])]
        ctx.mark_non_differentiable(*seen)
        ctx.set_materialize_grads(False)  # else zeros are made for each of them
        return out, *seen

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *several: Any) -> tuple[Tensor | None, ...]:
        """Gradients of x and of the six weights."""
        x, y1, y2, told, weight1, weight2, norm1, norm2 = ctx.saved_tensors
        gradient = several[0].contiguous(memory_format=torch.channels_last)
        g, of_norm2 = torch.empty_like(y2), torch.empty((2, y2.shape[1]))
        other, out = (told, None) if ctx.activations[1] in BENDS else (None, told)
        norm.functions().norm_backward(
            *map(place, (gradient, y2, other, out, *norm2, None, g)),
            *(*rows(of_norm2), True, ACTIVATIONS[ctx.activations[1]], *extent(y2)),
        )
        of_weight2, g1, of_norm1 = gradients(g, y2, norm2, of_norm2, y1, norm1, ctx.activations[0], None, weight2, 1)
        extra = g if ctx.added else None
        of_weight1, of_x, _ = gradients(g1, y1, norm1, of_norm1, x, None, "none", extra, weight1, ctx.step)
        return of_x, of_weight1, *of_norm1, of_weight2, *of_norm2, None


class NativeBlock(Block):
    """models.resnet.Block, computed by `Residual` in training in bf16 on the CPU and as ever otherwise."""

    def forward(self, x: Tensor) -> Tensor:
        """[N, before, H, W] to [N, after, H / stride, W / stride]."""
        parts: Any = (self.conv1, self.norm1, self.conv2, self.norm2)
        conv1, norm1, conv2, norm2 = parts
        ours = self.training and x.dtype == conv1.weight.dtype == torch.bfloat16 and x.device.type == "cpu"
        if not ours or torch.is_autocast_enabled("cpu") or any(map(takes_part, (*parts, self.shortcut))):
            return super().forward(x)
        x = x.contiguous(memory_format=torch.channels_last)
        weights = (
            m for conv, norm_ in ((conv1, norm1), (conv2, norm2)) for m in (conv.weight, norm_.weight, norm_.bias)
        )
        out, y1, kept, y2, *other = Residual.apply(x, *weights, self)
        if any(m._forward_pre_hooks for m in parts):
            self.show(x, y1, y2, kept, other[0] if other else x if self.shortcut is not None else None)
        return out  # type: ignore[no-any-return]

    @torch.no_grad()
    def show(self, x: Tensor, y1: Tensor, y2: Tensor, kept: Tensor, other: Tensor | None) -> None:
        """Let those who watch the parts see what each would have been given."""
        z, activation = torch.empty_like(y1), ACTIVATIONS[self.norm1.activation]  # type: ignore[index]
        norm.functions().norm_apply(*map(place, (y1, None, kept[0], kept[1], z)), activation, *extent(y1))
        given = (x,), (y1,), (z,), (y2, other)
        for part, inputs in zip((self.conv1, self.norm1, self.conv2, self.norm2), given, strict=True):
            for hook in part._forward_pre_hooks.values():
                hook(part, tuple(None if t is None else t.detach() for t in inputs))


def takes_part(module: nn.Module | None) -> bool:
    """Whether hooks want more than to look at what a module gets: those that only look say so."""
    if module is None:
        return False
    other = module._forward_hooks or module._backward_hooks or module._backward_pre_hooks
    looks = all(getattr(hook, "only_looks", False) for hook in module._forward_pre_hooks.values())
    return bool(other) or not looks or bool(module._forward_pre_hooks_with_kwargs)


def suits(module: nn.Module) -> bool:
    """Whether the kernels compute this module: a block with two norms, channels in multiples of 16, no projection."""
    if type(module) not in (Block, NativeBlock) or not has_split():
        return False
    parts: Any = module
    plain = parts.shortcut is None or isinstance(parts.shortcut, nn.Identity | PadShortcut)
    return (
        plain
        and parts.conv1.in_channels % LANES == parts.conv1.out_channels % LANES == 0
        and all(isinstance(n, ActivatedBatchNorm) and n.activation in ACTIVATIONS for n in (parts.norm1, parts.norm2))
    )
