"""Watching a training while it runs: hooks that gather facts at some of its steps, and take themselves away.

    with tenfold.watch(model, optimizer) as watch:
        …any PyTorch loop…
    watch.findings

Hooks only read: the training computes the same bits. They are on at sampled steps, so many that their time stays
within a share of the whole.
"""

import math
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.optim import Optimizer

from tenfold.checks.rules import check_names, finding
from tenfold.checks.running import History, LayerFacts, Sample, judge
from tenfold.checks.trace import still
from tenfold.errors import Finding
from tenfold.randomness import devices_of
from tenfold.training.nonfinite import first_bad_layer

SHARE = 0.02
"""Of the training's time, at most so much is spent in hooks."""

EARLY = (1, 10, 20, 30, 40)
"""Steps that are sampled whatever it costs, so that a short loop is seen too."""

LOOKED_AT = 32
"""So many images of a batch tell whether a unit is active."""

Tell = Callable[[Finding], None]


class Watcher:
    """Follows an optimiser's steps; `tell` hears each finding when it first appears.

    every: sample each so many steps; None: some early ones, then as often as `share` of the time allows.
    """

    def __init__(
        self, model: nn.Module, optimizer: Optimizer, tell: Tell, every: int | None = None, share: float = SHARE
    ) -> None:
        self.model, self.optimizer, self.tell, self.every, self.share = model, optimizer, tell, every, share
        self.history = History(full_rate=rate_of(optimizer))
        self.layers = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear | _ConvNd)]
        self.findings: list[Finding] = []
        self.step, self.sampling, self.own_seconds, self.began = 0, False, 0.0, time.perf_counter()
        self.given: tuple[tuple[Any, ...], dict[str, Any]] | None = None
        self.waiting: list[Tensor | float] = []  # losses of steps since the last sample, not read yet
        self.this_step: list[Tensor | float] = []
        self.reads: dict[str, tuple[tuple[bool, ...], float]] = {}
        self.slopes: dict[str, float] = {}
        self.before: dict[str, Tensor] = {}
        self.always: list[Any] = []
        self.sampled: list[Any] = []

    def attach(self) -> "Watcher":
        """Begin to watch."""
        self.began = time.perf_counter()
        self.always = [
            self.optimizer.register_step_pre_hook(self.before_step),
            self.optimizer.register_step_post_hook(self.after_step),
            self.model.register_forward_pre_hook(self.enter, with_kwargs=True),
        ]
        return self

    def remove(self) -> None:
        """Take all hooks away; what is not judged yet is."""
        for hook in (*self.always, *self.sampled):
            hook.remove()
        self.always, self.sampled, self.given = [], [], None
        self.end_of_step()
        self.read_losses()
        self.judge()

    @property
    def spent(self) -> float:
        """The share of the time since the beginning that was spent in hooks."""
        return self.own_seconds / max(time.perf_counter() - self.began, 1e-9)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """What happens in this block is the watcher's own time."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.own_seconds += time.perf_counter() - began

    def enter(self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Remember what the net was given, so that a bad layer can be named afterwards."""
        if self.model.training:
            self.given = args, kwargs

    def loss(self, value: Tensor | float) -> None:
        """Note a loss of this step, before the optimiser's step or after it; several before one step are summed."""
        self.this_step.append(value.detach() if isinstance(value, Tensor) else value)

    def end_of_step(self) -> None:
        """What was noted since the last step is one step's loss."""
        if self.this_step:
            self.waiting.append(sum(self.this_step[1:], start=self.this_step[0]))
            self.this_step = []

    def before_step(self, *_: Any) -> None:
        """The gradients are there, the weights still as they were."""
        with self.timed():
            self.end_of_step()
            self.history.rates.append(rate_of(self.optimizer))
            if not finite_gradient(self.optimizer, self.sampling):
                self.report(not_finite(self.model, self.given, self.step))
            if self.sampling:
                self.measure_slopes()

    def after_step(self, *_: Any) -> None:
        """The weights have moved: complete the sample, judge, and decide whether the next step is sampled."""
        with self.timed():
            if self.sampling:
                self.complete()
                self.judge()
            self.step += 1
            wanted = self.is_due()
            if wanted and not self.sampling:
                self.sampled = [m.register_forward_pre_hook(self.reader(n)) for n, m in self.layers]
            if not wanted:
                for hook in self.sampled:
                    hook.remove()
                self.sampled = []
            self.sampling = wanted

    def is_due(self) -> bool:
        """Whether the next step is to be sampled."""
        if self.every is not None:
            return self.step % self.every == 0
        return self.step in EARLY or self.spent < self.share / 2

    def reader(self, name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        """The hook that looks at what a layer reads, once in a step."""

        def hook(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            if name in self.reads or not self.model.training or not inputs or not isinstance(inputs[0], Tensor):
                return
            with self.timed(), torch.no_grad():
                x = inputs[0].detach()[:LOOKED_AT]
                axes = [axis for axis in range(x.dim()) if axis != (1 if isinstance(module, _ConvNd) else x.dim() - 1)]
                active = (x != 0).any(dim=axes) if axes else x != 0
                self.reads[name] = tuple(active.tolist()), saturation(x)

        hook.only_looks = True  # type: ignore[attr-defined]  # blocks that compute their parts as one need not stop for it
        return hook

    def measure_slopes(self) -> None:
        """Gradients relative to weights, and a copy of the weights."""
        weights = {n: w for n, m in self.layers if isinstance(w := m.weight, nn.Parameter) and w.grad is not None}
        lengths = lengths_of([w.detach() for w in weights.values()])
        slopes = lengths_of([w.grad for w in weights.values() if w.grad is not None])
        self.slopes = {n: s / length for n, s, length in zip(weights, slopes, lengths) if length > 0}
        self.before = {n: w.detach().clone() for n, w in weights.items()}

    def complete(self) -> None:
        """One more sample."""
        names, now = list(self.before), {n: m.weight.detach() for n, m in self.layers if n in self.before}
        moved = lengths_of([now[n] - self.before[n] for n in names])
        lengths = lengths_of([self.before[n] for n in names])
        updates = {n: m / length for n, m, length in zip(names, moved, lengths) if length > 0}
        order = [*self.reads, *(n for n in names if n not in self.reads)]
        facts = tuple(
            LayerFacts(
                name,
                self.slopes.get(name),
                updates.get(name),
                self.reads[name][0] if at > 0 and name in self.reads else None,
                self.reads[name][1] if at > 0 and name in self.reads else 0.0,
            )
            for at, name in enumerate(order)
        )
        self.read_losses()
        self.history.samples.append(Sample(self.step, facts))
        self.reads, self.slopes, self.before = {}, {}, {}

    def read_losses(self) -> None:
        """Losses that a GPU may still be computing are only waited for here."""
        self.history.losses += [float(value) for value in self.waiting]
        self.waiting = []

    def judge(self) -> None:
        """Tell what is new."""
        for found in judge(self.history):
            self.report(found)

    def report(self, found: Finding) -> None:
        """Tell a finding unless it, or its like in another layer, was told before."""
        if all(found.rule != other.rule for other in self.findings):
            self.findings.append(found)
            self.tell(found)


def rate_of(optimizer: Optimizer) -> float:
    """The learning rate of the first group that has one."""
    return float(next((group["lr"] for group in optimizer.param_groups if "lr" in group), 0.0))


def lengths_of(tensors: list[Tensor]) -> list[float]:
    """The Euclidean lengths, read at once."""
    if not tensors:
        return []
    return torch.stack(torch._foreach_norm(tensors)).float().tolist()


def saturation(x: Tensor) -> float:
    """The share of numbers at the ends of a tanh (±1) or sigmoid (0, 1), if all lie between them; 0 otherwise."""
    low, high = (float(value) for value in x.aminmax())
    if high > 1 or low < -1 or low == 0:  # rectified units are often exactly 0
        return 0.0
    if low < 0:
        return float((x.abs() > 0.97).float().mean())
    return float(((x < 0.03) | (x > 0.97)).float().mean()) if high > 0.97 else 0.0


def finite_gradient(optimizer: Optimizer, sampling: bool) -> bool:
    """Whether the last parameter's gradient is finite, by its first number: a loss that is NaN reaches all of it.

    On a GPU only at sampled steps, since reading a number would make it wait.
    """
    last = next((p for group in optimizer.param_groups for p in reversed(group["params"]) if p.grad is not None), None)
    scaled = getattr(optimizer, "found_inf", None) is not None  # torch.amp skips such a step by itself
    if last is None or last.grad is None or scaled or (last.device.type != "cpu" and not sampling):
        return True
    return math.isfinite(last.grad[(0,) * last.grad.dim()].item())


def not_finite(model: nn.Module, given: tuple[tuple[Any, ...], dict[str, Any]] | None, step: int) -> Finding:
    """The finding of a NaN, with the first layer where it shows."""
    layer = None
    if given:
        with still(model), torch.random.fork_rng(devices=devices_of(model)):
            layer = first_bad_layer(model, lambda: model(*given[0], **given[1]))
    return finding(
        "not-finite",
        f"the loss or its gradient is NaN or infinite at step {step + 1}",
        f"The first layer where it shows: {layer.text()}." if layer else "It is in no layer's output for this batch.",
        "Lower the learning rate; look for log(0), a division by 0, or images that are not finite.",
        layer=layer.name if layer else None,
    )


class Watch:
    """A loop under observation: a context manager that `tenfold.watch` makes; `findings` grows as it runs."""

    def __init__(
        self, model: nn.Module, optimizer: Optimizer, every: int | None, quiet: bool, ignore: Collection[str]
    ) -> None:
        check_names(ignore)
        self.ignore, self.quiet = frozenset(ignore), quiet
        self.shown: list[Finding] = []
        self.watcher = Watcher(model, optimizer, self.hear, every)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found so far, in the order of appearance."""
        return tuple(self.shown)

    def hear(self, found: Finding) -> None:
        """Print a finding once, unless it is silenced."""
        if found.rule in self.ignore:
            return
        self.shown.append(found)
        if not self.quiet:
            from rich.console import Console

            where = f" ({found.where})" if found.where else ""
            Console(highlight=False, soft_wrap=True).print(f"{found.severity}{where}: {found.text()}", markup=False)

    def __enter__(self) -> "Watch":
        """Attach the hooks; Tensor.backward is wrapped, since only it is given the loss."""
        self.backward, watcher = Tensor.backward, self.watcher.attach()

        def backward(loss: Tensor, *args: Any, **kwargs: Any) -> None:
            if loss.numel() == 1:
                watcher.loss(loss)
            self.backward(loss, *args, **kwargs)

        Tensor.backward = backward  # type: ignore[method-assign, assignment]
        return self

    def __exit__(self, *_: object) -> None:
        """Take everything away again."""
        Tensor.backward = self.backward  # type: ignore[method-assign]
        self.watcher.remove()


def watch(
    model: nn.Module,
    optimizer: Optimizer,
    *,
    every: int | None = None,
    quiet: bool = False,
    ignore: Collection[str] = (),
) -> Watch:
    """Watch any PyTorch loop: dead units, rates too high or low, gradients that vanish or explode, NaN, a flat loss.

    every: look at each so many steps; None: as often as 2 % of the time allows. quiet: only collect `.findings`.
    ignore: names of rules. The training's bits stay the same, and nothing is left behind.
    """
    return Watch(model, optimizer, every, quiet, ignore)
