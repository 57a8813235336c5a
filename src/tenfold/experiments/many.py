"""Many runs on one machine: each a `tenfold train` in a process with cores of its own, several side by side.

    split = fastest_split(plan)                                   # measured once, remembered
    outcomes = train_many({Path("runs/a"): plan, …}, split.best)

What is finished is not trained again, what was stopped continues to the bit; a run that fails is told, and the others
go on. Small nets train faster in two processes of one thread than in one of two (SimpleNN: about 1.3 times).
"""

import json
import queue
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from types import FrameType

from tenfold.cores import core_numbers
from tenfold.datasets import SOURCES, load
from tenfold.errors import Interrupted, RecipeError, RunError, TenfoldError, TrainingError
from tenfold.experiments.rates import rate_side_by_side
from tenfold.experiments.trainers import Trainer
from tenfold.models.own import find_own, is_own
from tenfold.recipe import Plan, leaves
from tenfold.reports.words import duration
from tenfold.runs import Run, write_atomic
from tenfold.training.backend import choose_device
from tenfold.training.setup import prepare
from tenfold.training.tuning import cached_measurement

SHORT = 300.0
"""Runs that take so many seconds together are not worth the 10 to 20 that measuring takes."""

KIND = ("data", "image_size", "preprocess", "model", "batch", "micro_batch", "device", "backend")
"""Options that decide which backend is fastest."""


@dataclass(frozen=True)
class Split:
    """So many processes side by side, so many threads in each."""

    processes: int
    threads: int

    def text(self) -> str:
        """In words: 2 processes of 1 thread."""
        many, each = "es" * (self.processes > 1), "s" * (self.threads > 1)
        return f"{self.processes} process{many} of {self.threads} thread{each}"


@dataclass(frozen=True)
class Splits:
    """Images/s of all processes together, for each way to share the cores; 0 where nothing was measured."""

    rates: tuple[tuple[Split, float], ...]

    @property
    def best(self) -> Split:
        """The fastest."""
        return max(self.rates, key=lambda entry: entry[1])[0]

    def text(self) -> str:
        """The fastest in words, and whether it is known to be."""
        return self.best.text() + (" (measured fastest)" if any(rate for _, rate in self.rates) else "")


@dataclass(frozen=True)
class Outcome:
    """A run that was wanted; `failure` says why it did not finish."""

    run: Run
    failure: str | None = None


def possible(count: int) -> list[Split]:
    """One process of all cores, two of half, … one of each."""
    return [Split(count // threads, threads) for threads in range(count, 0, -1) if count % threads == 0]


def fastest_split(plan: Plan, seconds: float = inf) -> Splits:
    """Train the plan's net for some seconds in each way to share the cores; remembered for machine, net and versions.

    seconds: what all runs take, roughly; where it is not worth measuring each run gets a core. On a GPU the runs go one
    after the other: a run fills it.
    """
    refuse_unseen(plan)
    own = core_numbers()
    if choose_device(plan.recipe.device).type != "cpu" or len(own) == 1:
        return Splits(((one_thread_each(plan), 0.0),))
    kept = cached_measurement("splits", plan.recipe.model_dump(include=set(KIND)))
    try:
        return Splits(tuple((Split(**split), rate) for split, rate in json.loads(kept.read_text(encoding="utf-8"))))
    except (OSError, ValueError, TypeError):
        pass
    if seconds < SHORT:
        return Splits(((one_thread_each(plan), 0.0),))
    found = Splits(tuple((split, rate_of(plan, shares(own, split.threads))) for split in possible(len(own))))
    with suppress(RunError):  # a cache that cannot be written is no harm
        write_atomic(kept, json.dumps([(asdict(split), rate) for split, rate in found.rates]))
    return found


def rate_of(plan: Plan, among: list[set[int]]) -> float:
    """Images/s of so many runs side by side; 0 where they do not fit the machine together, in its memory, say."""
    try:
        return rate_side_by_side(plan, among)
    except TrainingError:
        if len(among) == 1:
            raise
        return 0.0


def one_thread_each(plan: Plan) -> Split:
    """As many processes as there are cores, unmeasured; on a GPU one, which fills it."""
    cores = len(core_numbers())
    return Split(cores, 1) if choose_device(plan.recipe.device).type == "cpu" else Split(1, cores)


def shares(own: list[int], threads: int) -> list[set[int]]:
    """The cores of each process."""
    return [set(own[at : at + threads]) for at in range(0, len(own) - threads + 1, threads)]


def settled(plans: Mapping[Path, Plan], threads: int) -> dict[Path, Plan]:
    """The plans with their backends decided: runs of one kind compute alike, whichever comes first."""
    known: dict[str, dict[str, object]] = {}
    made = dict(plans)
    for folder, plan in plans.items():
        if not plan.recipe.backend.open:
            continue
        kind = json.dumps(plan.recipe.model_dump(include=set(KIND)))
        if kind not in known:
            known[kind] = backend_of(plan, threads)
        made[folder] = plan.override(known[kind], "measured")
    return made


def backend_of(plan: Plan, threads: int) -> dict[str, object]:
    """The backend that this plan would choose; nothing where it cannot run: its own process will say why."""
    try:
        alone = plan if plan.recipe.backend.threads else plan.override({"backend.threads": threads}, "measured")
        return {f"backend.{name}": value for name, value in prepare(alone).recipe.backend.model_dump().items()}
    except TenfoldError:
        return {}


def train_many(
    plans: Mapping[Path, Plan],
    split: Split,
    tell: Callable[[str], None] = lambda line: None,
    names: Mapping[Path, str] | None = None,
    until: int | None = None,
    page: bool = True,
) -> dict[Path, Outcome]:
    """Train the plans, each into its run folder; `tell` hears a line whenever one ends, with its name.

    Ctrl-C and SIGTERM stop the runs, which save their states, and raise Interrupted: the same call continues them.
    names: what to call the runs; unset: as their folders. until: pause them after so many epochs. page: draw each run's
    pictures and page. A run that is there but damaged has failed, as one that stops has.
    """
    for plan in plans.values():
        refuse_unseen(plan)
    waiting: dict[Path, Plan] = {}
    damaged: dict[Path, Outcome] = {}
    for folder, plan in plans.items():
        try:
            if not is_done(folder, plan, until, page):
                waiting[folder] = plan
        except RunError as error:
            damaged[folder] = Outcome(Run(folder), f"damaged: {error}")
    outcomes = {folder: damaged.get(folder, Outcome(Run(folder))) for folder in plans}
    there = len(plans) - len(waiting) - len(damaged)
    if there:
        tell(f"{there} of {len(plans)} runs are there already.")
    ready = settled(waiting, split.threads)
    began = time.perf_counter()
    with trainers(split, len(ready)) as (free, made), ThreadPoolExecutor(split.processes) as pool, interrupts():
        more = [*([] if until is None else ["--until", str(until)]), *([] if page else ["--no-page"])]
        futures = {pool.submit(train_one, folder, plan, free, more): folder for folder, plan in ready.items()}
        try:
            for number, future in enumerate(as_completed(futures), 1):
                folder = futures[future]
                outcomes[folder] = Outcome(Run(folder), future.result())
                left = (time.perf_counter() - began) / number * (len(futures) - number)
                ahead = f", about {duration(left)} left" if left else ""
                name = (names or {}).get(folder, folder.name)
                tell(f"{number}/{len(futures)} {name}: {summary(outcomes[folder]).rstrip('.')}{ahead}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for trainer in made:
                trainer.stop()
            raise
    return outcomes


@contextmanager
def interrupts() -> Iterator[None]:
    """Inside this block Ctrl-C and SIGTERM raise Interrupted; outside the main thread nothing can be caught."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        raise Interrupted("Stopped; what is trained so far is saved.", "The same command continues.", number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: it was not set from Python


def is_done(folder: Path, plan: Plan, until: int | None = None, page: bool = True) -> bool:
    """Whether the run is there as far as wanted; RecipeError where the folder holds a run of another recipe."""
    if not folder.exists():
        return False
    run = Run.open(folder)
    there, origin = dict(leaves(run.recipe.model_dump())), run.plan.origin
    fixed = {k: v for k, v in leaves(plan.recipe.model_dump()) if v not in (None, "auto") and origin[k] != "measured"}
    if there["data"] != fixed["data"] and fixed["data"] not in SOURCES:  # a run keeps where its data were found
        fixed["data"] = load(fixed["data"], there["image_size"]).where
    other = [name for name, value in fixed.items() if there[name] != value]
    if other:
        raise RecipeError(f"{folder} holds another run: {', '.join(other)} differ.", "Choose another folder.")
    if until is not None and until < plan.recipe.epochs and len(run.epochs) >= until:
        return True
    return run.finished and (folder / ("report.html" if page else "evaluation_val.json")).exists()


@contextmanager
def trainers(split: Split, most: int) -> Iterator[tuple["queue.SimpleQueue[Trainer]", list[Trainer]]]:
    """A trainer for each share of the cores, at most so many; in a queue, those without a run."""
    free: queue.SimpleQueue[Trainer] = queue.SimpleQueue()
    made = [Trainer(share) for share in shares(core_numbers(), split.threads)[: min(split.processes, most)]]
    for trainer in made:
        free.put(trainer)
    try:
        yield free, made
    finally:
        for trainer in made:
            trainer.close()


def train_one(folder: Path, plan: Plan, free: "queue.SimpleQueue[Trainer]", more: list[str]) -> str | None:
    """Train one plan with a trainer that is free, with more arguments; why it did not finish, if so."""
    trainer = free.get()
    try:
        with tempfile.TemporaryDirectory() as place:
            recipe = Path(place) / "recipe.json"
            recipe.write_text(plan.to_json(), encoding="utf-8")
            new = ["--recipe", str(recipe), "--out", str(folder.parent), "--name", folder.name]
            how = ["--resume", str(folder)] if folder.exists() else new
            return trainer.train([*how, *own_net(plan), *more])
    finally:
        free.put(trainer)


def refuse_unseen(plan: Plan) -> None:
    """A net given from Python as a class cannot be seen by other processes; RecipeError."""
    name = plan.recipe.model.name
    if is_own(name) and not Path(name.rpartition(":")[0]).is_file():
        told = f"The processes of several runs cannot see the net {name}, which was given from Python as a class."
        raise RecipeError(told, "Give model='FILE.py:CLASS', with a path from the current folder.")


def own_net(plan: Plan) -> list[str]:
    """The arguments that name a net of the user's own, who named it in this process; none for tenfold's."""
    model = plan.recipe.model
    if not is_own(model.name):
        return []
    find_own(model)
    return ["--model", model.name]


def summary(outcome: Outcome) -> str:
    """One line on how a run ended."""
    if outcome.failure is not None:
        return f"failed: {outcome.failure.splitlines()[0]}"
    try:
        best = outcome.run.best
    except RunError as error:
        return f"damaged: {error.what}"
    if best is None or best.val_accuracy is None:
        return "done"
    return f"best validation accuracy {best.val_accuracy:.2%}, last {outcome.run.epochs[-1].val_accuracy:.2%}"
