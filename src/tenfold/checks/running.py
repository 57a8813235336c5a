"""Rules over a training that runs: losses and rates of its steps, facts of its layers, rows of its epochs.

`judge(history)` gives what the steps so far show. Every rule waits until it has seen enough: a start is noisy, a
warm-up is slow, a high rate may raise the loss for some steps before it falls.
"""

import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tenfold.checks.rules import finding
from tenfold.errors import Finding
from tenfold.runs import Epoch

PATIENCE = 30
"""Steps before anything is said about loss and rate."""

TINY = 0.05
"""A loss that is nearly 0, or a difference of losses that is."""

SAMPLES = 4
"""So many samples in a row must agree before anything is said about a layer."""


@dataclass(frozen=True)
class LayerFacts:
    """One layer at one step. Slopes and updates are lengths relative to the weights'; None where there are none."""

    name: str
    slope: float | None = None
    update: float | None = None
    active: tuple[bool, ...] | None = None
    """For each channel that the layer reads, whether any of it was not 0 in the batch; None for the first layer."""
    saturated: float = 0.0
    """Share of what the layer reads that lies at the ends of a tanh or sigmoid."""


@dataclass(frozen=True)
class Sample:
    """What was seen at one step, the layers in the order in which they ran."""

    step: int
    layers: tuple[LayerFacts, ...]

    @property
    def updates(self) -> list[float]:
        """The layers' relative updates."""
        return [layer.update for layer in self.layers if layer.update is not None]

    @property
    def slopes(self) -> list[float]:
        """The layers' relative gradients, the first layer's first."""
        return [layer.slope for layer in self.layers if layer.slope is not None]


@dataclass
class History:
    """The steps so far: loss and learning rate of each, and the samples. Steps are counted from 0."""

    losses: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    full_rate: float = 0.0
    """The rate that the optimiser was made with."""
    began: float | None = None
    """The loss with which the training began, where it was resumed and these steps are not its first."""

    @property
    def first(self) -> float:
        """The loss at the start, the median of three steps."""
        return statistics.median(self.losses[:3]) if self.began is None else self.began

    @property
    def now(self) -> float:
        """The loss now, the median of ten steps."""
        return statistics.median(self.losses[-10:])

    @property
    def falls(self) -> bool:
        """Whether the loss is well below its start."""
        return self.now < 0.95 * self.first

    @property
    def last(self) -> list[Sample]:
        """The samples that must agree; none as long as there are too few of them."""
        return self.samples[-SAMPLES:] if len(self.samples) >= SAMPLES else []

    @property
    def warmed_up(self) -> bool:
        """Whether the rate has been near its full value for some steps."""
        full = max(self.full_rate, max(self.rates, default=0.0))
        return len([rate for rate in self.rates if rate > 0.5 * full]) >= PATIENCE


def judge(history: History) -> list[Finding]:
    """Every rule over the steps so far; those about the loss only where one was seen."""
    known = len(history.losses) >= 3 and history.first > 0 and math.isfinite(history.now)
    rules = (*LAYER_RULES, *LOSS_RULES) if known else LAYER_RULES
    return [found for rule in rules for found in rule(history)]


def rate_too_high(h: History) -> Iterator[Finding]:
    """The loss is far above its start and does not come down."""
    if len(h.losses) < PATIENCE or not h.samples:
        return
    before, now = statistics.median(h.losses[-20:-10]), h.now
    if now > 1.5 * h.first and now > 0.9 * before:
        update = statistics.median(u for sample in h.samples[-SAMPLES:] for u in sample.updates or [0.0])
        yield finding(
            "learning-rate-high",
            f"the loss rose from {h.first:.3g} to {now:.3g} and stays there",
            f"After {len(h.losses)} steps; a step at rate {h.rates[-1]:g} moves a layer by {update:.2g} of its length "
            "(0.001 is usual).",
            f"Try a tenth of it: lr={h.rates[-1] / 10:g}.",
            severity="error" if now > 3 * h.first else "warning",
        )


def rate_too_low(h: History) -> Iterator[Finding]:
    """Weights that move by less than a hundred thousandth of their length, and a loss that stays."""
    if not h.warmed_up or not h.last or abs(h.now - h.first) > 0.005 * h.first:
        return
    largest = [max(sample.updates, default=0.0) for sample in h.last]
    slopes = [max(sample.slopes, default=0.0) for sample in h.last]
    if 0 < max(largest) < 1e-5 and min(slopes) > 1e-4:
        yield finding(
            "learning-rate-low",
            f"a step moves no layer by more than {max(largest):.1g} of its length",
            f"Rate {h.rates[-1]:g}; the loss began at {h.first:.4f} and is {h.now:.4f}, {len(h.losses)} steps on.",
            f"Try a hundred times as much: lr={100 * h.rates[-1]:g}. 0.001 of a layer's length a step is usual.",
        )


def gradient_vanishes(h: History) -> Iterator[Finding]:
    """The first layer's gradient is a ten-thousandth of the last one's, and the loss does not fall."""
    if len(h.losses) < PATIENCE or not h.last or h.falls:
        return
    shares = [s.slopes[0] / s.slopes[-1] for s in h.last if len(s.slopes) > 2 and s.slopes[-1] > 0]
    if len(shares) == SAMPLES and max(shares) < 1e-4:
        names = [layer.name for layer in h.last[-1].layers if layer.slope is not None]
        yield finding(
            "gradient-vanishing",
            f"the gradient of {names[0]} is {max(shares):.1g} of that of {names[-1]}",
            "Each as a share of its weights' length, in "
            f"{SAMPLES} steps; the loss is {h.now:.4f} and began at {h.first:.4f}.",
            "Use ReLU in place of sigmoid or tanh, batch norm after each convolution, or sums around deep blocks.",
            layer=names[0],
        )


def gradient_explodes(h: History) -> Iterator[Finding]:
    """Gradients as long as the weights many times over, in most layers."""
    if not h.last or h.falls:
        return
    middle = [statistics.median(sample.slopes) for sample in h.last if sample.slopes]
    if len(middle) == SAMPLES and min(middle) > 30:
        layer = max((f for f in h.last[-1].layers if f.slope is not None), key=lambda facts: facts.slope or 0.0)
        yield finding(
            "gradient-exploding",
            f"gradients are {statistics.median(middle):.3g} times as long as the weights",
            f"The median over the layers, in {SAMPLES} steps; {layer.name}'s is {layer.slope:.3g} times.",
            "Start from standard weights, add batch norm, or call nn.utils.clip_grad_norm_(model.parameters(), 1).",
            layer=layer.name,
        )


def dead_units(h: History) -> Iterator[Finding]:
    """Channels that were 0 in every sampled batch: most of a layer's."""
    if len(h.rates) < PATIENCE:
        return
    for facts, active in layers_over(h.last):
        dead = sum(not any(channel) for channel in zip(*active))
        total = len(active[0])
        if dead > 0.75 * total and total > 4:
            yield finding(
                "dead-units",
                f"{dead} of {total} units before {facts.name} are never active",
                f"They were 0 for every image of {SAMPLES} sampled batches, up to step {h.last[-1].step + 1}.",
                "Lower the learning rate, start from standard weights, or use LeakyReLU.",
                severity="error" if dead == total else None,
                layer=facts.name,
            )


def layers_over(samples: Sequence[Sample]) -> Iterator[tuple[LayerFacts, list[tuple[bool, ...]]]]:
    """Each layer of the last sample, with its channels' activity in all of them."""
    if not samples:
        return
    seen = [{layer.name: layer.active for layer in sample.layers} for sample in samples]
    for facts in samples[-1].layers:
        masks = [one.get(facts.name) for one in seen]
        kept = [mask for mask in masks if mask is not None and len(mask) == len(facts.active or ())]
        if len(kept) == len(samples):
            yield facts, kept


def saturated_units(h: History) -> Iterator[Finding]:
    """Most of what a layer reads lies at the ends of a tanh or sigmoid."""
    for at, facts in enumerate(h.last[-1].layers if h.last else ()):
        shares = [s.layers[at].saturated for s in h.last if at < len(s.layers) and s.layers[at].name == facts.name]
        if len(shares) == SAMPLES and min(shares) > 0.8:
            yield finding(
                "saturated-units",
                f"{min(shares):.0%} of what {facts.name} reads is at the ends of tanh or sigmoid",
                f"In each of {SAMPLES} sampled batches, up to step {h.last[-1].step + 1}.",
                "Use ReLU, smaller initial weights, or batch norm before the activation.",
                layer=facts.name,
            )


def flat_loss(h: History, patience: int = 500) -> Iterator[Finding]:
    """After hundreds of steps at full rate the loss is where it began."""
    if len(h.losses) < patience or not h.warmed_up:
        return
    lately = statistics.fmean(h.losses[-100:])
    if 0.99 * h.first < lately and max(h.losses[-100:]) < 1.5 * h.first:
        yield finding(
            "loss-flat",
            f"the loss has not fallen in {len(h.losses)} steps",
            f"It began at {h.first:.4f}; the mean of the last 100 steps is {lately:.4f}.",
            "Run `tenfold check`; then try learning rates a factor of 10 up and down.",
        )


def dropped_early(h: History) -> Iterator[Finding]:
    """The rate drops at once, from a level that it had for long, to half or less while the loss was falling fast."""
    for at in range(max(100, len(h.rates) - 200), min(len(h.rates), len(h.losses))):
        if h.rates[at] > 0.5 * h.rates[at - 1] or h.rates[at - 1] != h.rates[at - 50]:
            continue
        half = at // 2
        earlier, later = (
            statistics.fmean(h.losses[half - half // 2 : half]),
            statistics.fmean(h.losses[at - half // 2 : at]),
        )
        middle = statistics.fmean(h.losses[half : at - half // 2])
        if later < 0.9 * middle and middle < 0.95 * earlier:
            yield early_drop(f"step {at + 1}", h.rates[at - 1], h.rates[at], middle, later)


def early_drop(when: str, before: float, after: float, then: float, now: float) -> Finding:
    """The finding of a rate that drops too early."""
    return finding(
        "learning-rate-dropped-early",
        f"the rate drops from {before:g} to {after:g} at {when} while the loss still falls",
        f"It fell from {then:.3f} to {now:.3f} in the last stretch before it.",
        "Drop it later, or train longer: at a smaller rate the same descent takes as many times more steps.",
    )


LAYER_RULES: tuple[Callable[[History], Iterable[Finding]], ...] = (dead_units, saturated_units)
LOSS_RULES: tuple[Callable[[History], Iterable[Finding]], ...] = (
    rate_too_high,
    rate_too_low,
    gradient_vanishes,
    gradient_explodes,
    flat_loss,
    dropped_early,
)


def judge_epochs(rows: Sequence[Epoch], classes: int, over: bool) -> list[Finding]:
    """What the rows of the epochs show; `over`: the run is at its end."""
    if not rows:
        return []
    found = [*epochs_dropped(rows), *overfitting(rows)]
    return [*found, *underfitting(rows, classes)] if over else found


def epochs_dropped(rows: Sequence[Epoch]) -> Iterator[Finding]:
    """The rate of this epoch is half of the last one's or less, and the loss was falling fast until then."""
    if len(rows) < 5 or rows[-1].lr > 0.5 * rows[-2].lr or rows[-2].lr != rows[-4].lr:
        return
    losses = [row.train_loss for row in rows[-5:-1]]
    if losses[-1] > TINY and all(after < 0.97 * before for before, after in itertools.pairwise(losses)):
        yield early_drop(f"epoch {rows[-1].epoch}", rows[-2].lr, rows[-1].lr, losses[0], losses[-1])


def overfitting(rows: Sequence[Epoch]) -> Iterator[Finding]:
    """The validation loss is well above its lowest, epochs ago, while the training loss went on falling."""
    judged = [row for row in rows if row.val_loss is not None]
    if len(judged) < 5:
        return
    low, last = min(judged, key=lambda row: row.val_loss or 0.0), judged[-1]
    if (
        last.epoch - low.epoch >= 3
        and (last.val_loss or 0) > max(1.15 * (low.val_loss or 0), (low.val_loss or 0) + TINY)
        and last.train_loss < low.train_loss
    ):
        yield finding(
            "overfitting",
            f"the validation loss rises since epoch {low.epoch}",
            f"{low.val_loss:.3f} then, {last.val_loss:.3f} in epoch {last.epoch}; the training loss fell from "
            f"{low.train_loss:.3f} to {last.train_loss:.3f}.",
            "Augment more (--augment.crop 4, --augment.randaugment 2), decay weights more, or stop at the best epoch.",
        )


def underfitting(rows: Sequence[Epoch], classes: int) -> Iterator[Finding]:
    """At the end even the training images are mostly called wrong."""
    last, chance = rows[-1], 1 / classes
    if last.train_accuracy > chance + 0.4 * (1 - chance):
        return
    falling = len(rows) > 2 and last.train_loss < 0.97 * rows[-3].train_loss
    yield finding(
        "underfitting",
        f"at the end {last.train_accuracy:.1%} of the training images are right",
        f"Guessing gives {chance:.1%}. The training loss is {last.train_loss:.3f}"
        f"{' and still falls' if falling else ''}.",
        f"Train longer: --epochs {3 * len(rows)}." if falling else "Try a larger net, or `tenfold find-lr`.",
    )
