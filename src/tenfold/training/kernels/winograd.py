"""3×3 convolutions by Winograd's method, for autograd and for nn.Conv2d modules that are already there.

Measured on a processor with AVX-512 BF16 (`bench/convolutions.py`), forward and backward, against oneDNN's fp32: 1.2 to
2.1 times its images/s from 32 channels on (0.8 at 16), 1.6 to 2.9 (1.1) with gradients from bf16 products, which are
off by 1.2 %; in fp32 at two to six times oneDNN's rounding error, 1e-6 of the length. On one with AMX, 1.1 to 1.8
(0.9), and 1.8 to 3.1 (1.2).
"""

from ctypes import c_int, c_int64, c_void_p
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tenfold.training.kernels import CHANNELS, library


@cache
def functions() -> Any:
    """The C functions, their argument types declared. Asking for `numbers` also permits matrix registers."""
    lib = library()
    lib.winograd_numbers()
    lib.winograd_weights.argtypes = [c_void_p, c_void_p, c_int64, c_int64, c_int, c_int]
    lib.winograd_forward.argtypes = [c_void_p] * 3 + [c_int64] * 6 + [c_int] * 2
    lib.winograd_gradient.argtypes = [c_void_p] * 3 + [c_int64] * 6 + [c_int] * 2
    return lib


EXACT, HALVES, SPLIT = 0, 1, 2
"""What the transformed images and filters are multiplied as: fp32; rounded to bf16, which puts the outputs off by about
1 %; or each as the sum of two bf16 (0.002 %), which only matrix registers multiply faster than fp32."""


def has_halves() -> bool:
    """Whether this processor multiplies pairs of bf16 (AVX-512 BF16, AMX)."""
    return bool(functions().winograd_numbers() >= HALVES)


def has_split() -> bool:
    """Whether it multiplies matrices of bf16 (AMX)."""
    return bool(functions().winograd_numbers() >= SPLIT)


def convolve(images: Tensor, filters: Tensor, padding: int, numbers: int = EXACT) -> Tensor:
    """float32 [N, C, H, W] with filters [3, 3, C, K] to [N, K, H + 2·padding − 2, W + 2·padding − 2], channels-last."""
    images = images.contiguous(memory_format=torch.channels_last)
    (n, c, h, w), k = images.shape, filters.shape[3]
    filters, threads = filters.contiguous(), torch.get_num_threads()
    transformed = images.new_empty(36 * c * k)
    functions().winograd_weights(filters.data_ptr(), transformed.data_ptr(), c, k, numbers, threads)
    shape = (n, k, h + 2 * padding - 2, w + 2 * padding - 2)
    output = torch.empty(shape, device=images.device, dtype=images.dtype, memory_format=torch.channels_last)
    functions().winograd_forward(
        images.data_ptr(), transformed.data_ptr(), output.data_ptr(), n, h, w, c, k, padding, numbers, threads
    )
    return output


def filter_gradient(images: Tensor, gradient: Tensor, padding: int, halves: bool = False) -> Tensor:
    """The gradient of `convolve`'s filters, [3, 3, C, K], from that of its output; halves: products of bf16."""
    images = images.contiguous(memory_format=torch.channels_last)
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    (n, c, h, w), k = images.shape, gradient.shape[1]
    filters = images.new_empty((3, 3, c, k))
    functions().winograd_gradient(
        *(t.data_ptr() for t in (images, gradient, filters)), n, h, w, c, k, padding, halves, torch.get_num_threads()
    )
    return filters


class Convolution(torch.autograd.Function):
    """images [N, C, H, W], weight [K, C, 3, 3], padding → [N, K, H', W'].

    halves: the gradients from products of bf16, the outputs from split ones where the processor has them.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, padding: int, halves: bool) -> Tensor:
        """Weights as torch has them, [K, C, 3, 3]."""
        ctx.save_for_backward(images, weight)
        ctx.padding, ctx.halves = padding, halves
        numbers = SPLIT if halves and has_split() else EXACT
        return convolve(images, weight.permute(2, 3, 1, 0), padding, numbers)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, Tensor | None, None, None]:
        """The gradient of the images is a convolution with the weights turned round; only what is asked for is made."""
        (gradient,) = gradients
        images, weight = ctx.saved_tensors
        of_images = of_weight = None
        numbers = HALVES if ctx.halves else EXACT
        if ctx.needs_input_grad[0]:
            of_images = convolve(gradient, weight.flip(2, 3).permute(2, 3, 0, 1), 2 - ctx.padding, numbers)
        if ctx.needs_input_grad[1]:
            of_filters = filter_gradient(images, gradient, ctx.padding, ctx.halves)
            turned = of_filters.flatten(0, 2).t().contiguous()  # as a matrix: torch transposes those four times as fast
            of_weight = turned.unflatten(1, of_filters.shape[:3]).permute(0, 3, 1, 2)
        return of_images, of_weight, None, None


class WinogradConv2d(nn.Conv2d):
    """nn.Conv2d, computed by `Convolution` for float32 on the CPU and as ever otherwise."""

    halves = False
    """Whether gradients come from products of bf16."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if input.dtype != torch.float32 or input.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
            return super()._conv_forward(input, weight, bias)  # type: ignore[no-any-return]
        output: Tensor = Convolution.apply(input, weight, padding_of(self), self.halves)
        if bias is not None:
            output = output + bias[:, None, None]
        return output


def padding_of(module: nn.Conv2d) -> int | None:
    """The same zero padding on all sides, 0–2; None for any other."""
    if module.padding_mode != "zeros":
        return None
    if isinstance(module.padding, str):
        return {"same": 1, "valid": 0}[module.padding]
    down, across = module.padding
    return down if down == across and down <= 2 else None


def suits(module: nn.Module) -> bool:
    """Whether the kernels compute this module: a plain nn.Conv2d 3×3 of stride 1, channels in multiples of 8."""
    return (
        isinstance(module, nn.Conv2d)
        and type(module) in (nn.Conv2d, WinogradConv2d)
        and module.kernel_size == (3, 3)
        and module.stride == module.dilation == (1, 1)
        and module.groups == 1
        and module.in_channels % CHANNELS == module.out_channels % CHANNELS == 0
        and padding_of(module) is not None
    )
