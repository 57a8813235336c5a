"""The loop: epochs of steps, validation, best weights, rows, checkpoints."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from torch import Tensor

from tenfold.errors import Interrupted, TrainingError, counted
from tenfold.models.blocks import seed_dropout
from tenfold.randomness import generator
from tenfold.runs import Epoch, Run, best_of, is_whole, write_epochs
from tenfold.training.checkpoint import load_newest, save_checkpoint
from tenfold.training.curriculum import size_at
from tenfold.training.memory import memory_explained
from tenfold.training.nonfinite import explain, first_bad_layer
from tenfold.training.optimisers import set_rates
from tenfold.training.setup import Setup, start_from_weights
from tenfold.training.step import NotFinite, evaluate, train_step
from tenfold.training.stopping import Stop, StopRequested, stopping
from tenfold.training.weights import Weights


class Observer(Protocol):
    """Watches a run; the loop does not depend on what it does."""

    def step(self, setup: Setup) -> None:
        """After each training step; setup.state.progress says where the run is."""

    def epoch(self, setup: Setup, row: Epoch, best: bool) -> None:
        """After each epoch's validation."""


def resume(setup: Setup, run: Run) -> list[str]:
    """Restore the newest good checkpoint into `setup`; lines on what was found. Without one the run starts anew."""
    found = load_newest(run.path / "checkpoints")
    if found is None:
        start_from_weights(setup)
        return ["No checkpoint yet; starting from the first step."]
    tensors, progress, problems = found
    setup.state.restore(tensors, progress)
    write_epochs(run.path / "results.csv", setup.state.progress.rows)
    at = setup.state.progress
    if complete(setup):
        trained = f"All {at.epoch} epochs are trained" if at.epoch == setup.recipe.epochs else "It stopped early"
        return [*problems, f"{trained} already; only pictures and report are made anew."]
    return [*problems, f"Resuming at epoch {at.epoch + 1}, step {at.step + 1} of {setup.loader.steps}."]


def complete(setup: Setup) -> bool:
    """Whether nothing is left to train."""
    return is_whole(setup.state.progress.rows, setup.recipe)


def fit(setup: Setup, run: Run, observer: Observer, until: int | None = None) -> None:
    """Train to the last epoch from wherever `setup.state` is; Ctrl-C and SIGTERM save and raise Interrupted.

    until: stop after so many epochs in all, the state saved as after every epoch; schedules keep their whole length.
    """
    otherwise = f", or free memory and continue: {resume_command(run)}"
    with stopping() as stop, memory_explained(setup.recipe.batch, setup.preprocessing.size, otherwise):
        try:
            while not complete(setup) and (until is None or setup.state.progress.epoch < until):
                train_epoch(setup, run, observer, stop)
                finish_epoch(setup, run, observer, stop)
        except StopRequested:
            save(setup, run)
            at = setup.state.progress
            raise Interrupted(
                f"Stopped in epoch {at.epoch + 1} after step {at.step}; the state is saved.",
                f"To continue: {resume_command(run)}",
                stop.signal_number,
            ) from None


def train_epoch(setup: Setup, run: Run, observer: Observer, stop: Stop) -> None:
    """The steps that the epoch still lacks."""
    every, at = setup.recipe.checkpoint_every, setup.state.progress
    started = time.perf_counter()
    while at.step < setup.loader.steps:
        stop.check()
        images, labels = setup.loader.batch(at.epoch, at.step)
        take_step(setup, run, images, labels)
        if at.epoch == 0:
            at.stream = stream_hash(at.stream, images, labels)
        now = time.perf_counter()
        at.seconds, started = at.seconds + now - started, now
        observer.step(setup)
        if every and (at.epoch * setup.loader.steps + at.step) % every == 0:
            save(setup, run)


def take_step(setup: Setup, run: Run, images: Tensor, labels: Tensor) -> None:
    """Descend on one batch and add it to the epoch's sums; a loss that is not finite stops the run before the step."""
    state, at = setup.state, setup.state.progress
    try:
        loss, correct = descend(setup, at.epoch, at.step, images, labels)
    except NotFinite as error:
        save(setup, run)
        pixels = setup.preprocessing.normalize(images, setup.backend.layout)
        slices = pixels.split(setup.recipe.micro_batch or len(pixels))
        layer = first_bad_layer(state.model, lambda: [setup.backend.logits(state.model, part) for part in slices])
        rows = setup.loader.images.rows[setup.loader.positions(at.epoch, at.step).numpy()]
        ids = [setup.dataset.ids[row] for row in rows]
        lr = rate(setup, at.epoch, at.step)
        raise explain(str(error), layer, at.epoch, at.step, ids, lr, resume_command(run)) from None
    at.loss_sum += loss * len(labels)
    at.correct += correct
    at.seen += len(labels)
    at.step += 1


def descend(setup: Setup, epoch: int, step: int, images: Tensor, labels: Tensor) -> tuple[float, int]:
    """One optimiser step on a batch, at its position's rates: its loss and how many were right. NotFinite: no step."""
    position = epoch + step / setup.loader.steps
    set_rates(setup.state.optimizer, setup.schedule(position), position)
    model, device = setup.state.model.train(), str(setup.backend.device)
    seed_dropout(model, generator(setup.recipe.seed, "dropout", epoch, step, device=device))
    pixels = setup.preprocessing.normalize(images, setup.backend.layout)
    smoothing, slices = setup.recipe.label_smoothing, setup.recipe.micro_batch
    with lone_explained(step, len(labels), slices):
        return train_step(model, setup.state.optimizer, pixels, labels, setup.backend, smoothing, slices)


@contextmanager
def lone_explained(step: int, images: int, slices: int | None) -> Iterator[None]:
    """Turn a batch norm's complaint about a single number a channel into a TrainingError."""
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        parts = f", in slices of {slices}" if slices else ""
        raise TrainingError(
            f"A batch norm got one number a channel, which has no deviation: step {step + 1} of the epoch has "
            f"{counted(images, 'image')}{parts}.",
            "Choose another --batch (or --micro-batch), one that leaves no single image.",
        ) from None


def finish_epoch(setup: Setup, run: Run, observer: Observer, stop: Stop) -> None:
    """Validate, keep the best weights, write the row and the checkpoint."""
    at = setup.state.progress
    started = time.perf_counter()
    val_loss = val_correct = val_total = None
    if setup.validation is not None:
        with setup.state.judged() as model:
            val_loss, val_correct = evaluate(model, setup.validation, setup.preprocessing, setup.backend, stop.check)
        val_total = len(setup.validation)
    row = Epoch(
        epoch=at.epoch + 1,
        step=(at.epoch + 1) * setup.loader.steps,
        lr=rate(setup, at.epoch, setup.loader.steps - 1),
        train_loss=at.loss_sum / at.seen,
        train_accuracy=at.correct / at.seen,
        train_correct=at.correct,
        train_total=at.seen,
        val_loss=val_loss,
        val_accuracy=val_correct / val_total if val_correct is not None and val_total else None,
        val_correct=val_correct,
        val_total=val_total,
        seconds=round(at.seconds + time.perf_counter() - started, 3),
        images_per_second=round(at.seen / at.seconds, 1),
    )
    at.rows.append(row)
    best = best_of(at.rows) is row
    save_weights(setup, run, best)
    write_epochs(run.path / "results.csv", at.rows)
    at.epoch, at.step, at.loss_sum, at.correct, at.seen, at.seconds = at.epoch + 1, 0, 0.0, 0, 0, 0.0
    save(setup, run)
    observer.epoch(setup, row, best)


def rate(setup: Setup, epoch: int, step: int) -> float:
    """The learning rate of a step."""
    return setup.recipe.optimizer.lr * setup.schedule(epoch + step / setup.loader.steps)


def save(setup: Setup, run: Run) -> None:
    """Checkpoint the state as it is."""
    at = setup.state.progress
    step = at.epoch * setup.loader.steps + at.step
    save_checkpoint(run.path / "checkpoints", step, setup.state.tensors(), at.to_dict())


def save_weights(setup: Setup, run: Run, best: bool) -> None:
    """weights/last, and weights/best if they are: the averaged ones, where the recipe averages."""
    recipe, epoch = setup.recipe, setup.state.progress.epoch + 1
    with setup.state.judged() as model:
        weights = Weights(model.state_dict(), recipe.model, setup.dataset.classes, setup.preprocessing, epoch)
        weights.save(run.weights("last"))
        if best:
            weights.save(run.weights("best"))


def stream_hash(before: str, images: Tensor, labels: Tensor) -> str:
    """The hash of the data stream so far, with one more batch: equal seeds give equal streams."""
    rows = images.permute(0, 2, 3, 1).contiguous()
    content = rows.cpu().numpy().tobytes() + labels.cpu().numpy().tobytes()
    return hashlib.sha256(before.encode() + content).hexdigest()


def resume_command(run: Run) -> str:
    """What to type to continue."""
    return f"tenfold train --resume {run.path}"


def seconds_left(setup: Setup) -> float | None:
    """Estimated from the time that is spent and the pixels that are left; None before there is a pace."""
    at, steps, whole = setup.state.progress, setup.loader.steps, setup.preprocessing.size
    work = [(size_at(setup.recipe.curriculum, epoch) or whole) ** 2 for epoch in range(setup.recipe.epochs)]
    done = float(sum(work[: at.epoch]))
    if at.step:
        done += work[at.epoch] * at.step / steps
    spent = sum(row.seconds for row in at.rows) + at.seconds
    return spent / done * (sum(work) - done) if done else None
