"""How the arithmetic is done: device, precision, memory layout, threads; decided once, recorded in the recipe.

The rule, measured on small convolutional nets: channels-last always; bf16 autocast on GPUs that compute in it and on
CPUs with AVX-512 bf16 or AMX, where it gains 1.2–1.6 times; elsewhere bf16 is emulated and 5–8 times slower.
"""

import contextlib
import ctypes
import os
import platform
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import nn

from tenfold.errors import RecipeError
from tenfold.recipe import BackendOptions, Plan

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # <malloc.h>

LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


@dataclass(frozen=True)
class Backend:
    """The resolved choice."""

    device: torch.device
    precision: str
    layout: torch.memory_format
    threads: int

    def autocast(self) -> AbstractContextManager[object]:
        """The context in which the net computes."""
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def place(self, model: nn.Module) -> nn.Module:
        """The model on the device, in the layout."""
        return model.to(self.device, memory_format=self.layout)  # type: ignore[call-overload, no-any-return]


def settle_backend(plan: Plan) -> Plan:
    """The plan with device, precision, layout and threads decided."""
    device = choose_device(plan.recipe.device)
    options = plan.recipe.backend
    decided = {
        "device": str(device),
        "backend.precision": choose_precision(options, device),
        "backend.layout": "channels_last" if options.layout == "auto" else options.layout,
        "backend.threads": options.threads or usable_cores(),
    }
    before = {
        "device": plan.recipe.device,
        "backend.precision": options.precision,
        "backend.layout": options.layout,
        "backend.threads": options.threads,
    }
    return plan.override({name: value for name, value in decided.items() if before[name] != value}, "measured")


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


def choose_precision(options: BackendOptions, device: torch.device) -> str:
    """bf16 where the device computes in it, unless the recipe says otherwise."""
    if options.precision != "auto":
        return options.precision
    return "bf16" if computes_bf16(device) else "fp32"


def computes_bf16(device: torch.device) -> bool:
    """Whether the device has bf16 arithmetic of its own, rather than emulating it."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def open_backend(device: str, options: BackendOptions) -> Backend:
    """The backend of a resolved recipe, its threads and determinism switched on."""
    chosen = Backend(
        choose_device(device), options.precision, LAYOUTS[options.layout], options.threads or usable_cores()
    )
    torch.set_num_threads(chosen.threads)
    keep_freed_memory()
    if chosen.device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True)
    return chosen


def keep_freed_memory() -> None:
    """Let glibc keep the memory of freed batches, so that a step does not fault the same pages in again.

    Measured: 8 % more images/s for SimpleNN on 2 cores. Elsewhere than on glibc nothing is done.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, 32 * 2**20)
        libc.mallopt(M_TRIM_THRESHOLD, 512 * 2**20)
