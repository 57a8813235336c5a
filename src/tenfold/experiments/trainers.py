"""Processes that train one run after another: each imports torch once, then forks for every run.

trainer = Trainer({0})
trainer.train(["simplenn", "--epochs", "1"])                  # None, or why it failed

Importing takes 3 of the 6 seconds that a short training costs beside its steps. Every run still is a `tenfold train`
in a process of its own. If the process that made the trainer is killed, its pipe closes: the run that is under way
saves its state and ends, so that the next call finds it alone.
"""

import json
import os
import select
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import FrameType

from tenfold.datasets import SOURCES
from tenfold.datasets.dataset import silent
from tenfold.errors import TrainingError
from tenfold.experiments.programs import begin
from tenfold.recipe import load

PRELOADED = ("tenfold.cli", "tenfold.commands", "tenfold.api", "tenfold.reports.page")
"""By name, because what stands above experiments must not be needed here: a run is started as a user would."""
DRAWING = "tenfold.reports.pictures"
DRAWN = ("shapes", "arrows")
"""Data that tenfold draws itself, half a second's work."""
GLANCE = 0.02
"""Seconds between two looks at the run and the pipe."""


class Trainer:
    """A process on cores of its own, waiting for runs to train."""

    def __init__(self, share: set[int]) -> None:
        if not hasattr(os, "fork"):
            raise TrainingError("Several runs cannot be trained here: this system has no fork.", "Use Linux or macOS.")
        self.share, self.stopped = share, False
        self.said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 (as long as this)
        self.start()

    def start(self) -> None:
        """The process, which imports what runs need."""
        self.process = begin("tenfold.experiments.trainers", self.share, self.said)

    def train(self, arguments: Sequence[str]) -> str | None:
        """Run `tenfold train ARGUMENTS`; what it said on standard error, if it failed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(list(arguments)) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except OSError:
            answer = ""
        if not answer:
            return self.ended()
        code, said = json.loads(answer)
        return None if code == 0 else said.strip() or f"exit code {code}"

    def ended(self) -> str:
        """How the process ended, which should have trained; the next run gets a new one."""
        told = f"its process ended: exit code {self.process.wait()}"
        self.said.seek(0)
        if last := self.said.read().strip().splitlines()[-1:]:
            told = f"{told}, {last[0]}"
        if not self.stopped:
            self.close_pipes()
            self.start()
        return told

    def stop(self) -> None:
        """Let a run that is under way save its state, and end."""
        self.stopped = True
        self.process.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """End when nothing is under way."""
        self.close_pipes()
        self.process.wait()
        self.said.close()

    def close_pipes(self) -> None:
        """What tells a process that nothing more comes."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):  # it has ended before
                pipe.close()


def serve() -> None:
    """Read a run's arguments a line, train it in a fork, answer its exit code and standard error; to the pipe's end."""
    for module in (*PRELOADED, DRAWING):
        import_module(module)
    stopped: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        stopped.append(number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the runs, and the process that made this one
    while not stopped and (line := next_line(stopped)):
        arguments = json.loads(line)
        draw_before(arguments)
        with tempfile.TemporaryDirectory() as place:
            said = Path(place) / "said"
            code = train_apart(arguments, said, stopped)
            answer = json.dumps([code, said.read_text(encoding="utf-8", errors="replace")])
        try:
            print(answer, flush=True)  # noqa: T201 (the answer)
        except BrokenPipeError:
            return


def draw_before(arguments: Sequence[str]) -> None:
    """Built-in pictures are drawn here, once, for all forks that need them."""
    if "--recipe" not in arguments:
        return
    recipe = load(Path(arguments[arguments.index("--recipe") + 1])).recipe
    if recipe.data in DRAWN:
        SOURCES[recipe.data](None, recipe.image_size, False, silent)


def next_line(stopped: list[int]) -> str:
    """A line from the pipe; empty where it ended or a signal came."""
    while not stopped:
        if select.select([sys.stdin], [], [], 0.2)[0]:
            return sys.stdin.readline()
    return ""


def train_apart(arguments: list[str], said: Path, stopped: list[int]) -> int:
    """The exit code of a run in a fork; told to stop where this process is, or where its maker is gone."""
    said.touch()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        train_here(arguments, said)
    told = False
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if not told and (stopped or closed()):
            os.kill(child, signal.SIGTERM)
            told = True
        time.sleep(GLANCE)


def closed() -> bool:
    """Whether the pipe's other end is gone; nothing else is to be read while a run is under way."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def train_here(arguments: list[str], said: Path) -> None:
    """In the fork: the training, its words into a file, and out without what the parent would do at its end."""
    code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler)
        nowhere, file = os.open(os.devnull, os.O_RDWR), os.open(said, os.O_WRONLY)
        for descriptor, target in ((nowhere, 0), (nowhere, 1), (file, 2)):
            os.dup2(descriptor, target)
        code = import_module("tenfold.cli").main(["train", *arguments])
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
