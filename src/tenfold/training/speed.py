"""Where the time of a training goes: steps timed whole and in parts, beside what matrix products reach on this machine.

Steps in parts and whole steps, whose time no timer inside disturbs, take turns, so that a machine that others use too
slows both alike. The net's weights are trained on the way: measure a Setup that nobody needs afterwards.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median, quantiles
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.datasets.dataset import Progress, silent
from tenfold.datasets.preprocessing import Preprocessing
from tenfold.errors import TrainingError
from tenfold.models.inspection import Memory
from tenfold.recipe import Recipe
from tenfold.training.backend import Backend
from tenfold.training.environment import environment, matrix_rate, peak_resident
from tenfold.training.loop import descend
from tenfold.training.nonfinite import lower_rate
from tenfold.training.setup import Setup, inspected
from tenfold.training.step import NotFinite
from tenfold.training.tuning import Choice, clock, described

PARTS = ("input", "normalise", "forward", "backward", "optimiser")
"""Input: images gathered, augmented, resized. Normalise: also brought into the layout. Forward: with the loss.
Backward: with counting what was right. Optimiser: with rates, and what follows its step."""

PRODUCTS = {"fp32": torch.float32, "bf16": torch.bfloat16}
"""Whose matrix products are the ceilings."""

FLOP_PER_MULTIPLY_ADD = 6
"""In training: forward, gradient of the input, gradient of the weights, each a product and a sum."""

WARM_UP = 1
"""Turns of two steps that do not count: buffers are made, kernels chosen. Medians forgive the rest."""

LEAST = 3
"""Turns that are measured, however long they take."""


@dataclass(frozen=True)
class Speed:
    """What was measured. Times in seconds, medians over `steps`; memory in bytes; rates of products in GFLOP/s."""

    recipe: Recipe
    data: str
    environment: dict[str, Any]
    backend: dict[str, Any]
    choice: Choice | None
    notes: tuple[str, ...]
    size: int
    parameters: int
    multiply_adds: int
    steps: int
    step_seconds: float
    quartiles: tuple[float, float]
    parts: dict[str, float]
    ceilings: dict[str, float]
    step_memory: Memory
    peak_resident: int | None
    peak_allocated: int | None

    @property
    def images_per_second(self) -> float:
        """Of whole steps."""
        return self.recipe.batch / self.step_seconds

    @property
    def work(self) -> float:
        """GFLOP/s that the net's direct convolutions and products would need at this pace."""
        return FLOP_PER_MULTIPLY_ADD * self.multiply_adds * self.images_per_second / 1e9

    @property
    def reached(self) -> dict[str, float]:
        """The share of each ceiling that the work is."""
        return {kind: self.work / rate for kind, rate in self.ceilings.items()}

    @property
    def own(self) -> str:
        """The ceiling of the precision in which the net computes; of two, the higher one."""
        return "fp32" if self.backend["precision"] == "fp32" else "bf16"

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, the derived ones too."""
        derived = {name: getattr(self, name) for name in ("images_per_second", "work", "reached", "own")}
        return {**asdict(self), "recipe": self.recipe.model_dump(), **derived}


def measure(setup: Setup, steps: int, seconds: float, progress: Progress = silent) -> Speed:
    """Time that many steps whole and as many in parts, or as many as fit `seconds`, after a warm-up."""
    epoch, device = full_size_epoch(setup.recipe), setup.backend.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    try:
        whole, parted = take_turns(setup, epoch, steps, seconds, progress)
    except NotFinite as error:
        told = f"The loss became {error} while its steps were timed."
        raise TrainingError(told, lower_rate(setup.recipe.optimizer.lr)) from None
    allocated = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    resident = peak_resident()  # before the net is looked at below, which needs memory of its own
    ceilings = {kind: matrix_rate(device, dtype, seconds=1.0) for kind, dtype in PRODUCTS.items()}
    size = setup.loader.batch(epoch, 0)[0].shape[-1]
    multiply_adds, memory = work_of(setup, size)
    low, _, high = quantiles(whole, n=4) if len(whole) > 1 else whole * 3
    return Speed(
        recipe=setup.recipe,
        data=setup.dataset.name,
        environment=environment(device),
        backend=described(setup.backend),
        choice=setup.choice,
        notes=(*setup.dataset.notes, *setup.notes),
        size=size,
        parameters=sum(p.numel() for p in setup.state.model.parameters()),
        multiply_adds=multiply_adds,
        steps=len(whole),
        step_seconds=median(whole),
        quartiles=(low, high),
        parts=medians(parted),
        ceilings=ceilings,
        step_memory=memory,
        peak_resident=resident,
        peak_allocated=allocated,
    )


def full_size_epoch(recipe: Recipe) -> int:
    """The first epoch after the curriculum; the last where all are of it."""
    return min(sum(epochs for _, epochs in recipe.curriculum), recipe.epochs - 1)


def take_turns(
    setup: Setup, epoch: int, steps: int, seconds: float, progress: Progress
) -> tuple[list[float], list[dict[str, float]]]:
    """Seconds of each whole step, and of each part of as many others."""
    full = len(setup.loader.images) // setup.recipe.batch  # an epoch's last batch may be smaller
    whole, parted, until = [], [], time.perf_counter() + seconds
    for turn in range(WARM_UP + steps):
        whole.append(whole_step(setup, epoch, 2 * turn % full))
        watch = Watch(setup.backend.device)
        step_in_parts(setup, epoch, (2 * turn + 1) % full, watch)
        parted.append(watch.spent)
        progress("timing steps", turn + 1, WARM_UP + steps)
        if turn >= WARM_UP + LEAST - 1 and time.perf_counter() > until:
            break
    return whole[WARM_UP:], parted[WARM_UP:]


def whole_step(setup: Setup, epoch: int, step: int) -> float:
    """Seconds of a step as training takes it."""
    began = clock(setup.backend.device)
    descend(setup, epoch, step, *setup.loader.batch(epoch, step))
    return clock(setup.backend.device) - began


class Watch:
    """Adds up the seconds of each part; waits for the device wherever one begins."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.spent = device, dict.fromkeys(PARTS, 0.0)
        self.part, self.since = PARTS[0], clock(device)

    def begin(self, part: str) -> None:
        """What went on until now ends, and `part` begins."""
        now = clock(self.device)
        self.spent[self.part] += now - self.since
        self.part, self.since = part, now


@dataclass(frozen=True)
class WatchedPreprocessing(Preprocessing):
    """Tells the watch when pixels are normalised; the optimiser's rates and gradients are made ready after that."""

    watch: Watch

    def normalize(self, images: Tensor, layout: torch.memory_format = torch.channels_last) -> Tensor:
        """As ever."""
        self.watch.begin("normalise")
        pixels = super().normalize(images, layout)
        self.watch.begin("optimiser")
        return pixels


@dataclass(frozen=True, kw_only=True)
class WatchedBackend(Backend):
    """Tells the watch when the net begins, and when the gradient has passed the loss."""

    watch: Watch

    def logits(self, model: nn.Module, pixels: Tensor) -> Tensor:
        """As ever."""
        self.watch.begin("forward")
        logits = super().logits(model, pixels)
        logits.register_hook(lambda _: self.watch.begin("backward"))
        return logits


def step_in_parts(setup: Setup, epoch: int, step: int, watch: Watch) -> tuple[float, int]:
    """The training's own step, watched from outside: its loss, and how many were right."""
    watched = replace(
        setup,
        preprocessing=WatchedPreprocessing(**vars(setup.preprocessing), watch=watch),
        backend=WatchedBackend(**vars(setup.backend), watch=watch),
    )
    hook = setup.state.optimizer.register_step_pre_hook(lambda *_: watch.begin("optimiser"))
    try:
        watch.begin("input")
        done = descend(watched, epoch, step, *setup.loader.batch(epoch, step))
        watch.begin("input")  # of the next one
    finally:
        hook.remove()
    return done


def medians(several: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each part."""
    return {part: median(one[part] for one in several) for part in PARTS}


def work_of(setup: Setup, size: int) -> tuple[int, Memory]:
    """Multiply-adds of an image, and bytes that a step holds in fp32; seen on a plain copy of the net.

    With slices, the activations of one are held at a time.
    """
    seen = inspected(setup, size, setup.recipe.micro_batch or setup.recipe.batch)
    kept = [t for buffers in setup.state.optimizer.state.values() for t in buffers.values() if torch.is_tensor(t)]
    return seen.multiply_adds, replace(seen.memory, optimizer=sum(t.numel() * t.element_size() for t in kept))
