"""Max pooling of 2×2 pixels that keeps one byte an output instead of eight, and writes its gradient once."""

from ctypes import c_int, c_int64, c_void_p
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tenfold.training.kernels import CHANNELS, STORED, kind, library


@cache
def functions() -> Any:
    """The C functions, their argument types declared."""
    lib = library()
    lib.pool_forward.argtypes = lib.pool_backward.argtypes = [c_void_p] * 3 + [c_int64] * 4 + [c_int] * 2
    return lib


class Pool(torch.autograd.Function):
    """[N, C, H, W], float32 or bfloat16 and channels-last, to [N, C, H // 2, W // 2]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """The largest of each four."""
        n, c, h, w = ctx.shape = x.shape
        y = torch.empty((n, c, h // 2, w // 2), device=x.device, dtype=x.dtype, memory_format=torch.channels_last)
        winner = x.new_empty(y.numel(), dtype=torch.uint8)
        functions().pool_forward(*(t.data_ptr() for t in (x, y, winner)), n, h, w, c, *kind(x))
        ctx.save_for_backward(winner)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Any) -> Tensor:
        """The gradient goes to the pixel that won."""
        (winner,), (n, c, h, w) = ctx.saved_tensors, ctx.shape
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        x = torch.empty((n, c, h, w), device=gradient.device, dtype=gradient.dtype, memory_format=torch.channels_last)
        functions().pool_backward(*(t.data_ptr() for t in (gradient, winner, x)), n, h, w, c, *kind(x))
        return x


class NativeMaxPool2d(nn.MaxPool2d):
    """nn.MaxPool2d(2), computed by `Pool` for float32 and bfloat16 on the CPU and as ever otherwise."""

    def forward(self, input: Tensor) -> Tensor:
        """[N, C, H, W] to [N, C, H // 2, W // 2]."""
        if input.dtype not in STORED or input.device.type != "cpu" or input.shape[1] % CHANNELS:
            return super().forward(input)  # type: ignore[no-any-return]
        x = input.contiguous(memory_format=torch.channels_last)
        return Pool.apply(x)  # type: ignore[no-any-return]


def suits(module: nn.Module) -> bool:
    """Whether this is a plain 2×2 max pooling."""
    return (
        isinstance(module, nn.MaxPool2d)
        and type(module) in (nn.MaxPool2d, NativeMaxPool2d)
        and module.kernel_size == module.stride == 2
        and module.padding == 0
        and module.dilation == 1
        and not module.ceil_mode
        and not module.return_indices
    )
