"""Programs of this package that read lines and answer them, each on cores of its own."""

import os
import subprocess
import sys
from typing import IO


def begin(module: str, share: set[int], said: IO[str], *arguments: str) -> subprocess.Popen[str]:
    """The program `python -m MODULE ARGUMENTS` on these cores, with its complaints going to `said`."""
    process = start(module, said, *arguments)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process.pid, share)
    return process


def start(module: str, said: IO[str], *arguments: str) -> subprocess.Popen[str]:
    """The program, on any cores."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True)
