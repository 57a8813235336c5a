"""Where a run happens: versions, processor, device; for environment.json and `tenfold info`."""

import platform
import shlex
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import torch

from tenfold.cores import usable_cores


def environment(device: torch.device) -> dict[str, Any]:
    """Versions, processor and device, as JSON values."""
    gpu = torch.cuda.get_device_properties(device) if device.type == "cuda" else None
    return {
        "tenfold": version("tenfold"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "pillow": version("pillow"),
        "platform": platform.platform(),
        "processor": processor(),
        "cores": usable_cores(),
        "memory": memory(),
        "device": str(device),
        "device_name": gpu.name if gpu else processor(),
        "device_memory": gpu.total_memory if gpu else memory(),
        "driver": driver() if gpu else None,
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }


def processor() -> str:
    """The processor's name and its vector unit as torch uses it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"


def memory() -> int | None:
    """The machine's memory in bytes; None where the system does not tell."""
    try:
        line = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    except (OSError, StopIteration):
        return None
    return int(line.split()[1]) * 1024


def peak_resident() -> int | None:
    """The most bytes of memory that this process ever had; None where the system does not tell."""
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def driver() -> str | None:
    """The NVIDIA driver's version; None where it cannot be asked."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.split("\n")[0].strip() or None


def matrix_rate(device: torch.device, dtype: torch.dtype, seconds: float = 0.5) -> float:
    """Measured rate of a matrix product in GFLOP/s, median of several: 2048³, or smaller where that takes too long."""
    size = affordable(device, dtype, seconds)
    a = torch.randn(size, size, device=device).to(dtype)
    product(a)  # warm-up: the first call chooses its kernel
    return 2 * size**3 / median(products(a, seconds)) / 1e9


def affordable(device: torch.device, dtype: torch.dtype, seconds: float) -> int:
    """The side of a matrix whose product takes less, 2048 at most; tried on one thread, which waits for no other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for size in (128, 512):
            a = torch.randn(size, size, device=device).to(dtype)
            if 4**3 * min(products(a, seconds / 8)) > seconds * threads:
                return size
    finally:
        torch.set_num_threads(threads)
    return 2048


def products(a: torch.Tensor, seconds: float) -> list[float]:
    """Seconds of each product in this time; several, because a busy machine delays any single one."""
    spent, until = [product(a)], time.perf_counter() + seconds
    while time.perf_counter() < until:
        spent.append(product(a))
    return spent


def product(a: torch.Tensor) -> float:
    """Seconds that a @ a takes."""
    before = time.perf_counter()
    (a @ a)[0, 0].item()  # waits for the device
    return time.perf_counter() - before
