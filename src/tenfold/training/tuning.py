"""Choosing the backend by measurement: candidates are timed on this net, batch and machine, their numbers checked.

Plain fp32 is measured first. A candidate that is faster is taken only if its outputs and gradients agree with it. The
measuring may cost 2 % of the expected run (`search`: any time), so the likeliest candidates come first, and of a short
run only a part of the batch is computed; the result is kept in the user's cache and, with the rejected ones, in the run
folder as backend.json.
"""

import copy
import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tenfold.cache import cache_folder
from tenfold.cores import usable_cores
from tenfold.errors import RecipeError, RunError
from tenfold.models.blocks import seed_dropout
from tenfold.randomness import generator
from tenfold.recipe import BackendOptions, Plan
from tenfold.runs import write_atomic
from tenfold.training import kernels
from tenfold.training.backend import LAYOUTS, Backend, require, rounding
from tenfold.training.kernels.install import suited
from tenfold.training.kernels.winograd import has_halves

SHARE = 0.02
"""Of the expected run, for measuring."""

TOLERANCE = {"fp32": 1e-3, "bf16_grad": 1e-3, "bf16_onednn": 0.02, "bf16": 0.02, "bf16_all": 0.02}
"""Largest difference of an output, as a share of the largest output. bf16 has 8 bits of mantissa."""

GRADIENT_TOLERANCE = 0.15
"""Length of the difference of all gradients, as a share of their length. The gradient of a weight before a batch
norm is a small difference of large sums: two orders of summation in fp32 differ by up to 1 % there, bf16 by 5–15 %."""

STEPS = 3
"""Timed steps of a candidate, after one that is not; their least counts."""

PASSES = 2 * STEPS + 3
"""What plain fp32 and the likeliest candidate are allowed at least, in passes; a batch of which that is too much for a
short run is measured in part."""

LEAST = 4
"""Images of such a part: a batch norm needs several."""

SLOWER = "slower"
TOO_SHORT = "no time: the run is short"

HELD = 0.75
"""Share of the passes' time, at least, in which this thread had a core. A process with cores of its own has 0.92 and
more; beside others of equal priority 0.3 to 0.6 was seen, and which candidate was the fastest was chance."""

STEADY = (1 / 1.3, 1.3)
"""A drift outside this range makes a choice too doubtful to be remembered."""


@dataclass(frozen=True)
class Numbers:
    """What a candidate computed for one batch, and how fast."""

    logits: Tensor
    gradient: Tensor
    seconds: float
    held: float
    """Share of the time in which this thread had a core; 1 where a device computes."""


@dataclass(frozen=True)
class Trial:
    """One candidate's line in backend.json. `images_per_second` None: it was not timed, or failed."""

    backend: dict[str, Any]
    images_per_second: float | None
    output_error: float | None = None
    gradient_error: float | None = None
    rejected: str | None = None
    held: float | None = None
    """Share of the time in which this thread had a core."""


@dataclass
class Choice:
    """What was measured and chosen."""

    options: dict[str, Any]
    gain: float = 1.0
    seconds: float = 0.0
    cached: bool = False
    drift: float = 1.0
    """Time of plain fp32 measured at the end over that at the beginning; far from 1 on a machine that others use."""
    part: float = 1.0
    """Of the batch that was measured: of a short run, less than 1."""
    trials: list[Trial] = field(default_factory=list)

    @property
    def crowded(self) -> bool:
        """Whether other programs had the cores meanwhile."""
        return crowded(self.trials)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Choice":
        """The inverse of `to_dict`."""
        return cls(**{**values, "trials": [Trial(**trial) for trial in values["trials"]]})


def settle_backend(plan: Plan, model: nn.Module, pixels: Tensor, labels: Tensor, steps: int) -> tuple[Plan, Choice]:
    """The plan with every open backend option decided for this net and batch, float32 [N, C, H, W].

    steps: how often the run sends such a batch through the net.
    """
    options, device = plan.recipe.backend, pixels.device
    reference = Backend(device, "fp32", LAYOUTS["contiguous"], options.threads or usable_cores())
    if options.choice == "reference" or not options.open:
        choice = Choice(described(first_of(options, reference)))
    else:
        choice = recall(plan, pixels) or measure(options, reference, model, pixels, labels, steps)
        remember(plan, pixels, choice)
    decided = {f"backend.{name}": choice.options[name] for name in options.open}
    return plan.override(decided, "measured"), choice


def first_of(options: BackendOptions, reference: Backend) -> Backend:
    """The reference, with what the user fixed."""
    return replace(
        reference,
        precision=reference.precision if options.precision == "auto" else options.precision,
        layout=reference.layout if options.layout == "auto" else LAYOUTS[options.layout],
        kernels=reference.kernels if options.kernels == "auto" else options.kernels,
        compile=bool(options.compile),
    )


def described(backend: Backend) -> dict[str, Any]:
    """A backend as the recipe's option values."""
    layout = next(name for name, layout in LAYOUTS.items() if layout is backend.layout)
    names = ("precision", "kernels", "compile", "threads")
    return {"layout": layout, **{name: getattr(backend, name) for name in names}}


def candidates(options: BackendOptions, start: Backend, native: bool) -> Iterator[Backend]:
    """What the options leave open, the likeliest first. `native`: the native kernels compute some of the net."""
    last = LAYOUTS["channels_last"]
    own = native and start.device.type == "cpu" and kernels.unavailable() is None
    tried = [start]
    for precision, layout, kernels_ in (
        *((("fp32", last, "native"), ("bf16_grad", last, "native")) if own else ()),
        *((("bf16_all", last, "native"),) if own and has_halves() else ()),
        ("fp32", last, "torch"),
        ("bf16", last, "torch"),
        ("bf16_all", last, "torch"),
        *((("bf16_onednn", last, "torch"),) if start.device.type == "cpu" else ()),
        ("bf16", LAYOUTS["contiguous"], "torch"),
    ):
        found = replace(start, precision=precision, layout=layout, kernels=kernels_)
        if allowed(options, found) and found not in tried:
            tried.append(found)
            yield found


def fewer_threads(options: BackendOptions, best: Backend) -> Iterator[Backend]:
    """The best so far with half the threads, a quarter, … one: of 64 a small net uses few."""
    threads = best.threads if options.threads is None and best.device.type == "cpu" else 1
    while threads := threads // 2:
        yield replace(best, threads=threads)


def compiled(options: BackendOptions, best: Backend) -> Iterator[Backend]:
    """The best so far compiled, if everything is searched."""
    if options.choice == "search" and options.compile is None:
        yield replace(best, compile=True)


def allowed(options: BackendOptions, backend: Backend) -> bool:
    """Whether the candidate keeps to what the user fixed."""
    wanted = options.model_dump()
    return all(wanted[name] in (None, "auto", value) for name, value in described(backend).items())


def measure(
    options: BackendOptions, reference: Backend, model: nn.Module, pixels: Tensor, labels: Tensor, steps: int
) -> Choice:
    """Time the candidates and check their numbers; the fastest that agrees with plain fp32.

    While other programs have the cores the times are chance, and the run may outlast them: then the likeliest that
    agrees is taken, whatever its time.
    """
    reference.activate()
    search, start = options.choice == "search", first_of(options, reference)
    images = len(pixels) if search else measured_part(len(pixels), steps)
    whole = images == len(pixels)
    room = float("inf") if search else SHARE * steps * len(pixels) / images
    tried = Trials(reference, start, (model, pixels[:images], labels[:images]), room, options.tolerance)
    tried.try_all(candidates(options, start, bool(suited(model))))
    if crowded(tried.told) and tried.likeliest:
        tried.best, tried.fastest = tried.likeliest
    if whole:  # a small part of a batch leaves less to several threads than the batch would
        tried.try_all(fewer_threads(options, tried.best))
    tried.try_all(compiled(options, tried.best))
    drift = tried.drift()
    torch.set_num_threads(tried.best.threads)
    gain = tried.exact.seconds / tried.fastest
    return Choice(described(tried.best), gain, tried.spent(), drift=drift, part=images / len(pixels), trials=tried.told)


def measured_part(images: int, steps: int) -> int:
    """Images of the batch that may be computed PASSES times in SHARE of the run."""
    room = SHARE * steps * images / PASSES
    return min(images, max(LEAST, int(room + 1e-9)))  # 6.999… is 7, which 0.02 cannot say


def crowded(trials: list[Trial]) -> bool:
    """Whether other programs had the cores while the trials were timed."""
    return any(trial.held is not None and trial.held < HELD for trial in trials)


class Trials:
    """Candidates timed one after another on a batch, as long as there is time."""

    def __init__(
        self,
        reference: Backend,
        start: Backend,
        batch: tuple[nn.Module, Tensor, Tensor],
        room: float,
        tolerance: float = 1.0,
    ) -> None:
        """Measure plain fp32 and, where the user fixed something, what follows from that.

        batch: net, images, labels; room: passes, in all; tolerance: times the usual limits of a difference.
        """
        self.began = time.perf_counter()
        self.reference, self.batch, self.tolerance = reference, batch, tolerance
        self.exact = compute(reference, *self.batch)
        self.limit = room * self.exact.seconds
        self.best, self.fastest = start, self.exact.seconds
        self.likeliest: tuple[Backend, float] | None = None
        self.told = [Trial(described(reference), len(batch[1]) / self.exact.seconds, held=self.exact.held)]
        if start != reference:
            own = compute(start, *self.batch)
            self.fastest = own.seconds
            self.told.append(Trial(described(start), len(batch[1]) / own.seconds, held=own.held))

    def spent(self) -> float:
        """Seconds so far."""
        return time.perf_counter() - self.began

    def try_all(self, several: Iterator[Backend]) -> None:
        """Time them; keep the fastest that agrees with plain fp32, and the first that does."""
        for candidate in several:
            if self.spent() + (STEPS + 2) * self.fastest > self.limit:
                self.told.append(Trial(described(candidate), None, rejected=TOO_SHORT))
                continue
            trial, seconds = attempt(candidate, *self.batch, self.exact, self.fastest, self.tolerance)
            self.told.append(trial)
            if trial.rejected in (None, SLOWER):
                self.likeliest = self.likeliest or (candidate, seconds)
            if trial.rejected is None:
                self.best, self.fastest = candidate, seconds

    def drift(self) -> float:
        """How much longer plain fp32 takes now than at the beginning; 1 where there is no time to see."""
        if self.spent() + (STEPS + 2) * self.exact.seconds >= self.limit:
            return 1.0
        return compute(self.reference, *self.batch).seconds / self.exact.seconds


def attempt(
    candidate: Backend,
    model: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    exact: Numbers,
    fastest: float,
    tolerance: float = 1.0,
) -> tuple[Trial, float]:
    """Measure one candidate; why it is rejected, if it is."""
    try:
        require(candidate)
        found = compute(candidate, model, pixels, labels, patience=1.5 * fastest)
    except (RuntimeError, NotImplementedError, RecipeError) as error:  # torch says so where a device lacks an operation
        return Trial(described(candidate), None, rejected=f"it failed: {str(error).splitlines()[0]}"), 0.0
    output = largest(found.logits - exact.logits) / max(largest(exact.logits), 1e-30)
    gradient = float((found.gradient - exact.gradient).norm() / exact.gradient.norm().clamp_min(1e-30))
    rejected = None
    limits = TOLERANCE[candidate.precision] * tolerance, GRADIENT_TOLERANCE * tolerance
    if not output <= limits[0] or not gradient <= limits[1]:
        rejected = "its numbers differ from fp32's"
    elif found.seconds >= fastest:
        rejected = SLOWER
    rate = len(pixels) / found.seconds
    return Trial(described(candidate), rate, output, gradient, rejected, found.held), found.seconds


def largest(tensor: Tensor) -> float:
    """The largest absolute value."""
    return float(tensor.abs().max())


def compute(
    backend: Backend, model: nn.Module, pixels: Tensor, labels: Tensor, patience: float = float("inf")
) -> Numbers:
    """Outputs, gradient and least time of forward and backward passes of a copy; one pass if it exceeds `patience`."""
    torch.set_num_threads(backend.threads)
    with rounding(backend.precision):
        return timed_passes(backend, model, pixels, labels, patience)


def timed_passes(backend: Backend, model: nn.Module, pixels: Tensor, labels: Tensor, patience: float) -> Numbers:
    """`compute`, with what holds for the whole process switched on."""
    model = backend.place(copy.deepcopy(model)).train()
    pixels = pixels.contiguous(memory_format=backend.layout)
    times, logits, gradient = [], torch.empty(0), torch.empty(0)
    start, core_start = clock(backend.device), time.thread_time()
    for turn in range(1 + STEPS):
        seed_dropout(model, generator(0, "probe", device=str(backend.device)))
        model.zero_grad(set_to_none=True)
        began = clock(backend.device)
        output = backend.logits(model, pixels)
        cross_entropy(output, labels).backward()
        times.append(clock(backend.device) - began)
        if turn == 0:
            logits = output.detach()
            gradient = torch.cat([p.grad.float().flatten() for p in model.parameters() if p.grad is not None])
        elif times[-1] > patience:
            break
    held = (time.thread_time() - core_start) / (clock(backend.device) - start) if backend.device.type == "cpu" else 1.0
    return Numbers(logits, gradient, min(times[1:]), held)


def clock(device: torch.device) -> float:
    """Seconds, once the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def place_in_cache(plan: Plan, pixels: Tensor) -> Path:
    """The file that holds the choice for this machine, net, batch and these versions."""
    recipe = plan.recipe
    parts = {
        "model": recipe.model.model_dump(),
        "pixels": list(pixels.shape),
        "device": torch.cuda.get_device_name(pixels.device) if pixels.device.type == "cuda" else "cpu",
        "backend": recipe.backend.model_dump(),
    }
    return cached_measurement("backends", parts)


def cached_measurement(folder: str, parts: dict[str, Any]) -> Path:
    """The file in the user's cache for what was measured of `parts`, with this machine and these versions."""
    here = {
        "processor": kernels.processor(),
        "cores": usable_cores(),
        "versions": [torch.__version__, version("tenfold"), kernels.unavailable() or kernels.identity()],
    }
    name = hashlib.sha256(json.dumps({**parts, **here}, sort_keys=True).encode()).hexdigest()[:32]
    return cache_folder(folder) / f"{name}.json"


def recall(plan: Plan, pixels: Tensor) -> Choice | None:
    """The choice that was measured before, if there is one that can be read. A search is always made anew."""
    if plan.recipe.backend.choice == "search":
        return None
    try:
        values = json.loads(place_in_cache(plan, pixels).read_text(encoding="utf-8"))
        return replace(Choice.from_dict(values), cached=True, seconds=0.0)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def remember(plan: Plan, pixels: Tensor, choice: Choice) -> None:
    """Keep the choice for the next run; a cache that cannot be written is no harm."""
    doubtful = choice.crowded or choice.part < 1 or not STEADY[0] <= choice.drift <= STEADY[1]
    if choice.cached or doubtful or any(trial.rejected == TOO_SHORT for trial in choice.trials):
        return
    with suppress(RunError):
        write_atomic(place_in_cache(plan, pixels), json.dumps(choice.to_dict(), indent=2))
