"""How fast several trainings are side by side: real steps in processes of their own, all at the same time.

Run as a program (`python -m tenfold.experiments.rates RECIPE.json`) it is one of them: it makes ready, says so, trains
for some seconds when it hears a line, and answers its images/s.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tenfold.errors import TenfoldError, TrainingError
from tenfold.experiments.programs import begin
from tenfold.models.own import choose, is_own
from tenfold.recipe import Plan, load
from tenfold.training.loop import descend
from tenfold.training.setup import Setup, prepare

SECONDS = 3.0
"""Time in which steps are counted."""

CALM = 1e-6
"""Every learning rate of a trial, which measures speed: the recipe's own, the first of a sweep, say, may diverge."""


def rate_side_by_side(plan: Plan, shares: Sequence[set[int]], seconds: float = SECONDS) -> float:
    """Images/s of all trainings together, one on each share of the cores; TrainingError where one fails."""
    with tempfile.TemporaryDirectory() as place, trials(plan, shares, Path(place)) as processes:
        for process in processes:
            hear(process, Path(place))
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(json.dumps(seconds) + "\n")
            process.stdin.flush()
        return sum(float(hear(process, Path(place))) for process in processes)


@contextmanager
def trials(plan: Plan, shares: Sequence[set[int]], place: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """A process for each share of the cores, ended with the block; what they complain of is in `place`."""
    threads = plan.recipe.backend.threads or len(shares[0])
    (place / "recipe.json").write_text(plan.override({"backend.threads": threads}).to_json(), encoding="utf-8")
    processes: list[subprocess.Popen[str]] = []
    try:
        for share in shares:
            with (place / "said").open("a", encoding="utf-8") as said:
                processes.append(begin("tenfold.experiments.rates", share, said, str(place / "recipe.json")))
        yield processes
    finally:
        for process in processes:
            process.kill()
            with suppress(BrokenPipeError):
                process.communicate()


def hear(process: subprocess.Popen[str], place: Path) -> str:
    """The next line of a trial."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)  # its last words come after its pipe is closed
        said = (place / "said").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        told = f"A trial training failed: {said[-1] if said else 'its process was ended'}"
        raise TrainingError(told, "Train one run alone to see more.")
    return line


def serve(recipe: Path) -> None:
    """Make ready, wait for the seconds, train for so long, answer the images/s; the net's own words go nowhere."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    setup = made_ready(load(recipe))
    train_step(setup, 0)
    print("ready", file=answers, flush=True)
    if line := sys.stdin.readline():
        print(train_some(setup, json.loads(line)), file=answers, flush=True)


def made_ready(plan: Plan) -> Setup:
    """The training, at rates that change nothing."""
    if is_own(plan.recipe.model.name):  # the user named it in the process that started this one
        choose(plan.recipe.model.name)
    rates = [name for name in ("lr", "bias_lr", "head_lr") if getattr(plan.recipe.optimizer, name) is not None]
    return prepare(plan.override({f"optimizer.{name}": CALM for name in rates}))


def train_step(setup: Setup, step: int) -> int:
    """One step; how many images it saw."""
    images, labels = setup.loader.batch(0, step % setup.loader.steps)
    descend(setup, 0, step % setup.loader.steps, images, labels)
    return len(labels)


def train_some(setup: Setup, seconds: float) -> float:
    """Images/s of steps over so many seconds."""
    seen, step, began = 0, 1, time.perf_counter()
    while time.perf_counter() - began < seconds or not seen:
        seen, step = seen + train_step(setup, step), step + 1
    return seen / (time.perf_counter() - began)


def main(recipe: str) -> None:
    """The program; an error is a line."""
    try:
        serve(Path(recipe))
    except TenfoldError as error:
        sys.exit(" ".join(str(error).split()))


if __name__ == "__main__":
    main(sys.argv[1])
