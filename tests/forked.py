"""Children of checks, studies and trials, forked from a process that has imported what they need: seconds less each.

They are processes of their own all the same, and run what the programs run; starts as users' have tests of their own.
"""

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from multiprocessing import reduction
from pathlib import Path
from typing import IO, Any

from tenfold.checks.script import child, parent
from tenfold.experiments import rates, trainers

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tenfold.checks.script.child", *trainers.PRELOADED, trainers.DRAWING])
PROGRAMS = {trainers.__name__: trainers.serve, rates.__name__: rates.main}


class Forked:
    """What this package asks of a Popen: `target(*told)` in a fork with this folder and environment."""

    def __init__(self, target: Callable[..., object], *told: object, environment: dict[str, str] | None = None) -> None:
        place = (str(Path.cwd()), dict(os.environ) if environment is None else environment)
        self.process = FORKS.Process(target=live, args=(*place, target, *told))
        self.process.start()
        self.pid = self.process.pid

    def wait(self, timeout: float | None = None) -> int | None:
        """Its exit code."""
        self.process.join(timeout)
        if self.process.exitcode is None:
            raise subprocess.TimeoutExpired("child", timeout or 0)
        return self.process.exitcode

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()

    def send_signal(self, number: int) -> None:
        """Unless it has ended."""
        if self.process.is_alive():
            os.kill(self.process.pid, number)


class Piped(Forked):
    """One that reads lines and answers them, and complains into a file."""

    def __init__(self, target: Callable[..., object], said: IO[str], *told: object) -> None:
        (reads, write), (read, writes) = os.pipe(), os.pipe()
        self.stdin, self.stdout = os.fdopen(write, "w"), os.fdopen(read)
        super().__init__(talk, Passed(reads), Passed(writes), Passed(said.fileno()), target, *told)
        os.close(reads)
        os.close(writes)

    def communicate(self) -> None:
        """Close the pipes and wait for its end."""
        self.stdout.close()
        try:
            self.stdin.close()
        finally:
            self.process.join()


class Passed:
    """A file descriptor that a fork gets too."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __reduce__(self) -> tuple[Callable[[Any], int], tuple[Any]]:
        return detach, (reduction.DupFd(self.descriptor),)


def detach(passed: Any) -> int:
    """The descriptor in the fork."""
    return int(passed.detach())


def live(folder: str, environment: dict[str, str], target: Callable[..., object], *told: object) -> None:
    """The fork, as if it had just been started here."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    target(*told)


def talk(reads: int, writes: int, said: int, target: Callable[..., object], *told: object) -> None:
    """The fork of a program that reads its standard input."""
    for descriptor, number in ((reads, 0), (writes, 1), (said, 2)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = os.fdopen(0)
    target(*told)


def check(wanted: str, quiet: bool) -> None:
    """What `python -m tenfold.checks.script.child` does once it has imported."""
    os.setsid()
    if quiet:
        os.dup2(2, 1)
    sys.argv = [child.__file__, wanted]
    child.run()


def begin_check(wanted: dict[str, Any], quiet: bool) -> Forked:
    """In place of `parent.begin`."""
    return Forked(check, json.dumps(wanted), quiet, environment=parent.environment())


def start_program(module: str, said: IO[str], *arguments: str) -> Piped:
    """In place of `programs.start`."""
    return Piped(PROGRAMS[module], said, *arguments)
