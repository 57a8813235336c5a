"""How fast several trainings are side by side: real steps in processes of their own, all at the same time."""

import multiprocessing
import os
import time
from collections.abc import Sequence
from multiprocessing.synchronize import Barrier
from typing import Any

from tenfold.errors import TrainingError
from tenfold.models.own import choose, is_own
from tenfold.recipe import Plan
from tenfold.training.loop import descend
from tenfold.training.setup import prepare

SECONDS = 3.0
"""Time in which steps are counted."""

CALM = 1e-6
"""Every learning rate of a trial, which measures speed: the recipe's own, the first of a sweep, say, may diverge."""

PATIENCE = 300.0
"""Seconds that a process may take to read its data and choose its backend."""


def rate_side_by_side(plan: Plan, shares: Sequence[set[int]]) -> float:
    """Images/s of all trainings together, one on each share of the cores."""
    spawn = multiprocessing.get_context("spawn")
    barrier, answers = spawn.Barrier(len(shares)), spawn.SimpleQueue()
    processes = [spawn.Process(target=train_some, args=(plan, share, barrier, answers)) for share in shares]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise TrainingError("A trial training failed.", "Train one run alone to see why.")
    return float(sum(answers.get() for _ in processes))


def train_some(plan: Plan, share: set[int], barrier: Barrier, answers: Any) -> None:
    """Train for SECONDS on these cores once all are ready; puts the images/s into `answers`."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, share)
    if is_own(plan.recipe.model.name):  # the user named it in the process that started this one
        choose(plan.recipe.model.name)
    rates = [name for name in ("lr", "bias_lr", "head_lr") if getattr(plan.recipe.optimizer, name) is not None]
    calm = plan.override({f"optimizer.{name}": CALM for name in rates})
    setup = prepare(calm if plan.recipe.backend.threads else calm.override({"backend.threads": len(share)}, "measured"))

    def train_step(step: int) -> int:
        images, labels = setup.loader.batch(0, step % setup.loader.steps)
        descend(setup, 0, step % setup.loader.steps, images, labels)
        return len(labels)

    train_step(0)
    barrier.wait(PATIENCE)
    seen, step, began = 0, 1, time.perf_counter()
    while time.perf_counter() - began < SECONDS or not seen:
        seen, step = seen + train_step(step), step + 1
    answers.put(seen / (time.perf_counter() - began))
