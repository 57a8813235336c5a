"""Native kernels: C++ compiled once on the user's machine, for its processor, and kept in the user's cache.

They are an offer: without a C++ compiler (or with one that lacks OpenMP) everything runs on torch alone, and
`unavailable()` says why. Nothing is linked: the OpenMP functions are those of the runtime that torch has loaded, so
that there is one pool of threads.
"""

import ctypes
import hashlib
import platform
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from tenfold.cache import cache_folder
from tenfold.cores import usable_cores

SOURCES = ("winograd.cpp", "block.cpp", "norm.cpp", "pool.cpp")
HEADERS = ("vectors.h", "activations.h", "memory.h", "tiles.h")
HERE = Path(__file__).parent
COMPILERS = ("g++", "c++")
FLAGS = ("-std=c++20", "-O3", "-march=native", "-fopenmp", "-fPIC")
CHANNELS = 8
"""Channels of a layer must be a multiple of it: half a register of AVX-512, a register of AVX2."""
STORED = (torch.float32, torch.bfloat16)
"""How images may lie in memory for norms and pooling, which compute in float32."""
PATIENCE = 300
"""Seconds that the compiler may take; it takes 10 to 15 (once)."""


class Unavailable(Exception):
    """The kernels cannot be built or loaded here; the message says why."""


def library() -> ctypes.CDLL:
    """The compiled kernels, built at the first call on a machine; Unavailable where that is not possible."""
    found = opened()
    if isinstance(found, str):
        raise Unavailable(found)
    return found


def unavailable() -> str | None:
    """Why there are no native kernels; None where there are."""
    found = opened()
    return found if isinstance(found, str) else None


@cache
def opened() -> ctypes.CDLL | str:
    """The compiled kernels, or why there are none: a build that failed is not tried again in this process."""
    compiler = next((path for path in map(shutil.which, COMPILERS) if path), None)
    if compiler is None:
        return "there is no C++ compiler (g++)"
    try:
        return load(compiler)
    except Unavailable as error:
        return str(error)


def load(compiler: str) -> ctypes.CDLL:
    """The library of the cache; one that does not load, empty after a loss of power, say, is built again."""
    try:
        return ctypes.CDLL(str(cached(compiler)))
    except OSError:
        cached(compiler).unlink(missing_ok=True)
    try:
        return ctypes.CDLL(str(cached(compiler)))
    except OSError as error:
        raise Unavailable(f"the compiled kernels do not load: {error}") from None


def kind(images: Tensor) -> tuple[bool, int]:
    """What the C functions are told of images `STORED` one way or the other: whether they are bf16, and the threads."""
    return images.dtype == torch.bfloat16, torch.get_num_threads()


def identity() -> str:
    """Changes whenever the compiled code does."""
    return Path(library()._name).stem


def cached(compiler: str) -> Path:
    """The compiled library's file, compiled now if this source, compiler and processor are new."""
    folder = cache_folder("kernels")
    built = folder / f"{fingerprint(compiler)}.so"
    if not built.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as work:
                made = Path(work) / "kernels.so"
                build(compiler, made)
                made.replace(built)
        except OSError as error:
            raise Unavailable(f"the cache {folder} cannot be written: {error.strerror}") from None
    return built


def build(compiler: str, made: Path) -> None:
    """Compile the sources, side by side, to `made`; Unavailable with the compiler's first complaint."""
    parts = {HERE / name: str(made.with_name(f"{name}.o")) for name in SOURCES}
    with ThreadPoolExecutor(usable_cores()) as pool:
        each = ([compiler, *FLAGS, "-c", str(source), "-o", part] for source, part in parts.items())
        list(pool.map(compile_with, each))
    compile_with([compiler, "-shared", *parts.values(), "-o", str(made)])  # not -fopenmp: torch has it loaded


def compile_with(command: list[str]) -> None:
    """Run a compiler's command; Unavailable with its first complaint."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{command[0]} took more than {PATIENCE} s") from None
    if done.returncode:
        complaint = next((line for line in done.stderr.splitlines() if "error" in line), "no message")
        raise Unavailable(f"{command[0]} failed: {complaint}")


@cache
def fingerprint(compiler: str) -> str:
    """What the compiled code depends on: sources, flags, compiler and processor."""
    parts = [(HERE / name).read_text(encoding="utf-8") for name in (*HEADERS, *SOURCES)]
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout
    return hashlib.sha256("\0".join([*parts, *FLAGS, version, processor()]).encode()).hexdigest()[:32]


def processor() -> str:
    """The processor's model and instruction sets, which -march=native follows."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    wanted = ("model name", "flags", "Features")
    return "\n".join(sorted({line for line in lines if line.startswith(wanted)}))
