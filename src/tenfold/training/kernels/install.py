"""Putting the native kernels into a net that is already there: its modules keep their parameters, names and meaning."""

from torch import nn

from tenfold.training.kernels import block, library, norm, pool, winograd

KERNELS = (
    (winograd.suits, winograd.WinogradConv2d),
    (norm.suits, norm.NativeActivatedBatchNorm),
    (norm.suits_plain, norm.NativeBatchNorm2d),
    (pool.suits, pool.NativeMaxPool2d),
    (block.suits, block.NativeBlock),
)
"""Which modules a kernel computes, and the class that lets it."""


def suited(model: nn.Module) -> list[tuple[nn.Module, type[nn.Module]]]:
    """The modules that native kernels compute, and the class of each that does."""
    return [(module, native) for module in model.modules() for suits, native in KERNELS if suits(module)]


def install(model: nn.Module, halves: bool = False) -> None:
    """Let native kernels compute whatever they can; halves: convolutions' gradients from bf16 products."""
    library()
    for module, native in suited(model):
        module.__class__ = native
        if isinstance(module, winograd.WinogradConv2d):
            module.halves = halves
