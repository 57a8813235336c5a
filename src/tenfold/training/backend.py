"""How the arithmetic is done: device, precision, memory layout, kernels, threads; decided once, recorded in the recipe.

`training/tuning.py` measures which choice is fastest; here is what a choice means.
"""

import contextlib
import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tenfold.cores import usable_cores
from tenfold.errors import RecipeError
from tenfold.recipe import BackendOptions
from tenfold.training.kernels import unavailable
from tenfold.training.kernels.install import install
from tenfold.training.kernels.winograd import has_halves

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # <malloc.h>

NATIVE = ("fp32", "bf16_grad", "bf16_all")
"""Precisions that the native kernels know. In bf16_all they compute norms and pooling, torch the convolutions."""

LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


@dataclass(frozen=True)
class Backend:
    """One choice of how to compute."""

    device: torch.device
    precision: str
    layout: torch.memory_format
    threads: int
    kernels: str = "torch"
    compile: bool = False

    def autocast(self) -> AbstractContextManager[object]:
        """The context in which the net computes."""
        if self.precision != "bf16":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def logits(self, model: nn.Module, pixels: Tensor) -> Tensor:
        """The net's output float32 [N, classes] for pixels float32 [N, C, H, W], computed as chosen."""
        if self.precision == "bf16_all":
            with halved(model):
                return model(pixels.bfloat16()).float()  # type: ignore[no-any-return]
        with self.autocast():
            return model(pixels).float()  # type: ignore[no-any-return]

    def place(self, model: nn.Module) -> nn.Module:
        """The model on the device, in the layout, with the chosen kernels."""
        model = model.to(self.device, memory_format=self.layout)  # type: ignore[call-overload]
        if self.kernels == "native":
            install(model, self.precision == "bf16_grad")
        if self.compile:
            model.compile()
        return model

    def activate(self) -> None:
        """Switch on what holds for the whole process: threads, memory, rounding, determinism."""
        torch.set_num_threads(self.threads)
        set_rounding(self.precision)
        torch.set_flush_denormal(True)  # numbers below 1e-38 cost a hundred times as much as others
        keep_freed_memory()
        if self.device.type == "cuda":
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.backends.cudnn.benchmark = False
            torch.backends.cudnn.allow_tf32 = False  # by default fp32 convolutions round their factors to 10 bits
            torch.use_deterministic_algorithms(True)


def products() -> list[Any]:
    """oneDNN's settings for convolutions and matrix products; torch does not declare them."""
    onednn: Any = torch.backends.mkldnn
    return [onednn.conv, onednn.matmul]


def set_rounding(precision: str) -> None:
    """Whether oneDNN may round the factors of fp32 products to bf16, in this process."""
    for kind in products():
        kind.fp32_precision = "bf16" if precision == "bf16_onednn" else "none"


@contextlib.contextmanager
def rounding(precision: str) -> Iterator[None]:
    """`set_rounding` inside this block only."""
    before = [(kind, kind.fp32_precision) for kind in products()]
    set_rounding(precision)
    try:
        yield
    finally:
        for kind, value in before:
            kind.fp32_precision = value


@contextlib.contextmanager
def halved(model: nn.Module) -> Iterator[None]:
    """Inside this block weights are bf16, except those of batch norms; gradients reach the float32 masters.

    What torch.func.functional_call does, without its names: they took 1 of the 60 ms of a step of ResNet-20.
    """
    places = [
        (module._parameters, name, master)
        for module in model.modules()
        if not isinstance(module, _BatchNorm)
        for name, master in module._parameters.items()
        if master is not None
    ]
    made = {master: master.bfloat16() for _, _, master in places}  # one for each, tied weights stay tied
    try:
        for parameters, name, master in places:
            parameters[name] = made[master]  # type: ignore[assignment]
        yield
    finally:
        for parameters, name, master in places:
            parameters[name] = master


def choose_device(name: str) -> torch.device:
    """The torch device for auto, cpu, cuda or cuda:N; RecipeError where it is not there."""
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise RecipeError(f"There is no device '{name}'.", "Known: auto, cpu, cuda, cuda:N.") from None
    if device.type == "cuda":
        if (device.index or 0) >= torch.cuda.device_count():
            raise RecipeError(
                f"Device {name} is not there: this machine shows {torch.cuda.device_count()} CUDA devices.",
                "Leave --device out, or give --device cpu; `tenfold info` shows what there is.",
            )
        return torch.device("cuda", device.index or 0)
    if device.type != "cpu":
        raise RecipeError(f"Device '{name}' is not supported.", "Known: auto, cpu, cuda, cuda:N.")
    return device


def open_backend(device: str, options: BackendOptions) -> Backend:
    """The backend of a resolved recipe, switched on. What is still open is plain fp32 on all cores."""
    chosen = Backend(
        choose_device(device),
        "fp32" if options.precision == "auto" else options.precision,
        LAYOUTS["channels_last" if options.layout == "auto" else options.layout],
        options.threads or usable_cores(),
        "torch" if options.kernels == "auto" else options.kernels,
        bool(options.compile),
    )
    require(chosen)
    chosen.activate()
    return chosen


def require(chosen: Backend) -> None:
    """RecipeError where this machine, or another option, rules the choice out."""
    if chosen.kernels != "native":
        if chosen.precision == "bf16_grad":
            raise RecipeError(
                "backend.precision = bf16_grad needs the native kernels.", "Give --backend.kernels native."
            )
        return
    remedy = "Leave --backend.kernels out, or give --backend.kernels torch."
    if chosen.device.type != "cpu" or chosen.precision not in NATIVE:
        raise RecipeError("backend.kernels = native needs the CPU, and fp32, bf16_grad or bf16_all.", remedy)
    reason = unavailable()
    if reason:
        raise RecipeError(f"backend.kernels = native is not possible here: {reason}.", remedy)
    if chosen.precision == "bf16_grad" and not has_halves():
        remedy = "Leave --backend.precision out, or give --backend.precision fp32."
        raise RecipeError("backend.precision = bf16_grad is not possible here: neither AVX-512 BF16 nor AMX.", remedy)


def keep_freed_memory() -> None:
    """Let glibc keep the memory of freed batches, so that a step does not fault the same pages in again.

    Measured: 8 % more images/s for SimpleNN on 2 cores. Blocks of 32 MiB and more would be mapped anew each time,
    whatever the threshold, so none may be (sprint in slices of 250: 29,000 page faults a step). Only glibc does this.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 512 * 2**20)
