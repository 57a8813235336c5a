"""Rules about the learning rate, and nets that cannot learn: where the loss stays, other rates are tried on a copy."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from tenfold.checks.rules import finding
from tenfold.checks.script.fit import decay_too_strong
from tenfold.checks.script.modes import where
from tenfold.checks.script.places import birth, rate_place
from tenfold.checks.script.replay import by_heart, finite_median, gain, replay
from tenfold.checks.script.seen import Held, Seen, Step, length
from tenfold.checks.script.source import line, shown_code
from tenfold.errors import Finding

STAYS, HELPS = 0.08, 0.15
"""A loss that lost less than the first share of itself stays; another rate that saves the second share helps."""
JOLT, FORGETS = 0.3, 3.0
"""A later phase's steps that change weights by the first share and multiply the loss it began with by the second."""
SLOW = 0.03
"""Weights that move by less than this share of their size in an epoch."""


@dataclass(frozen=True)
class Pace:
    """What the steps of the first optimiser show."""

    held: Held
    rate: float
    losses: list[float]
    early: float
    """The change of the weights in a step, as a share of their size: the largest of the first five medians."""
    usual: float
    largest: float
    saved: float
    """The share of the first loss that the last steps have saved."""

    @property
    def told(self) -> str:
        """The evidence in words."""
        told = f"Learning rate {self.rate:g}: a step changes the weights by {100 * self.usual:.2g} % of their size"
        if not self.losses:
            return f"{told}."
        return f"{told}; the loss went from {self.losses[0]:.3g} to {self.losses[-1]:.3g} in {len(self.losses)} steps."

    @property
    def rose(self) -> bool:
        """Whether the loss is above its start, or is no number any more."""
        return len(self.losses) >= 8 and finite_median(self.losses[-5:]) > 1.3 * max(self.losses[0], 0.1)

    @property
    def jumped(self) -> bool:
        """Whether the loss rose to a multiple of its start in between."""
        return len(self.losses) >= 8 and max(self.losses) > 2 * max(self.losses[0], 0.1)


def pace(seen: Seen) -> Pace | None:
    """The facts; None where too few steps were seen."""
    steps = [step for step in seen.steps if step.ratios]
    if len(steps) < 5:
        return None
    held = steps[0].held
    medians = [known for step in steps if not step.held.later and (known := typical(step)) is not None]
    losses = [step.loss for step in steps if step.held is held and step.loss is not None]
    early = max((r for r in medians[:5] if math.isfinite(r)), default=math.inf)
    usual = finite_median(medians) if medians else math.inf
    saved = gain(losses, losses[0]) if losses else 0.0
    return Pace(held, max(held.rates, default=0.0), losses, early, usual, largest(at_full_rate(seen, held)), saved)


def typical(step: Step) -> float | None:
    """The median change of the weights in a step, but for weights that were zero; None where there are no others."""
    known = [ratio for ratio in step.ratios.values() if ratio < 1e6]
    return median(known) if known else None


def largest(steps: list[Step]) -> float:
    """The change of the layer that moves most, in the middle of the last steps."""
    return median(max(step.ratios.values()) for step in steps[-20:])


def at_full_rate(seen: Seen, held: Held) -> list[Step]:
    """An optimiser's steps at half of its highest rate and more: what a schedule lowered later says nothing."""
    own = [step for step in seen.steps if step.held is held]
    peak = max(held.rates, default=0.0)
    full = [step for step, rate in zip(own, held.rates) if step.ratios and rate >= 0.5 * peak]
    return full or [step for step in own if step.ratios]


def rate_rules(seen: Seen) -> Iterator[Finding]:
    """Too high, too low, or no rate helps."""
    seen_so = pace(seen)
    if seen_so is None or seen.loaded:
        return
    found = too_high(seen, seen_so) or too_low(seen, seen_so) or unlearnable(seen, seen_so)
    if found:
        yield found


def too_high(seen: Seen, p: Pace) -> Finding | None:
    """Steps that jump over what they should descend into."""
    lost = bool(p.losses) and not all(map(math.isfinite, p.losses))
    if lost and (seen.bad_op or seen.sharp or seen.bad_input):
        return None  # a NaN that has another cause
    if any(decay_too_strong(seen)):
        return None
    stayed = len(p.losses) >= 10 and p.saved < STAYS
    plain = (p.early > 1.0 and (p.rose or stayed or p.usual > 0.3)) or (p.rose and p.usual > 0.1)
    plain = plain or (not math.isfinite(p.early) and (p.rose or p.usual > 0.3))
    if not plain and (p.early < 0.02 or p.saved > STAYS or len(p.losses) < 10):
        return None
    told, better = tried(seen, p, (0.1, 0.01))
    if better is None and (not plain or lost):
        return None
    sure = plain or lost or p.rose or p.jumped or p.early > 0.3
    return finding(
        "learning-rate-high",
        f"The learning rate {p.rate:g} is far too high",
        p.told + told,
        f"Try {p.rate * (better or 0.01):g} in {shown_code(p.held.place)}{line(p.held.place)}.",
        severity=None if sure else "warning",
        **where(rate_place(p.held)),
    )


def later_rules(seen: Seen) -> Iterator[Finding]:
    """A later phase of the training, with an optimiser of its own, whose rate destroys what was learned."""
    for held in (held for held in seen.helds if held.later):
        steps = [step for step in seen.steps if step.held is held][:8]
        losses = [step.loss for step in steps if step.loss is not None]
        moves = [known for step in steps if (known := typical(step)) is not None]
        if len(moves) < 5 or len(losses) < 5 or max(moves) < JOLT:
            continue
        after = finite_median(losses[1:])
        if after < FORGETS * max(losses[0], 0.3):
            continue
        rate = max(held.rates)
        yield finding(
            "learning-rate-high",
            f"The learning rate {rate:g} of a later phase is far too high",
            f"Learning rate {rate:g}: a step changes the weights by up to {100 * max(moves):.2g} % of their size; the "
            f"loss was {losses[0]:.3g} and is {after:.3g} in the phase's next {len(losses) - 1} steps.",
            f"Try {rate * 0.01:g} in {shown_code(held.place)}{line(held.place)}.",
            **where(rate_place(held)),
        )


def tried(seen: Seen, p: Pace, factors: tuple[float, ...]) -> tuple[str, float | None]:
    """What the same steps at other rates gave, in words, and the first factor that helps."""
    for factor in factors:
        losses = replay(seen, p.held, factor)
        if losses is None or not p.losses:
            return "", None
        if gain(losses, losses[0]) > max(HELPS, p.saved + HELPS):
            told = f" A copy at rate {p.rate * factor:g} went from {losses[0]:.3g} to {finite_median(losses[-5:]):.3g}"
            return f"{told} in {len(losses)} steps on the same batches.", factor
    return "", None


def too_low(seen: Seen, p: Pace) -> Finding | None:
    """Weights that hardly move in an epoch, and a loss that stays."""
    rising = len(p.held.rates) > 1 and p.held.rates[-1] == p.rate > p.held.rates[0]
    epoch = max([len(p.losses), *(length(fact.loader) for fact in seen.loaders if fact.steps)])
    if not p.rate or rising or p.largest * epoch > SLOW or len(p.losses) < 5:
        return None
    moved = p.largest * epoch > 1e-3  # else a loss that falls does so by chance
    if moved and gain(p.losses, finite_median(p.losses[:5])) > 0.03:
        return None
    told, better = tried(seen, p, (10, 100, 1000))
    if better is None and p.largest > 5e-5:
        return None
    return finding(
        "learning-rate-low",
        f"The learning rate {p.rate:g} is far too low",
        p.told + told,
        f"Try {p.rate * (better or 1000):g} in {shown_code(p.held.place)}{line(p.held.place)}.",
        **where(rate_place(p.held)),
    )


def unlearnable(seen: Seen, p: Pace) -> Finding | None:
    """A net that cannot learn one batch by heart at any usual rate."""
    layer, numbers = narrowest(seen)
    classes = seen.losses[0].shape[-1] if seen.losses and seen.losses[0].shape else 0
    if numbers == 1 and classes > 3 and p.saved < 2 * HELPS:
        return too_narrow(seen, p, layer, classes)
    if len(p.losses) < 20 or p.saved > 2 * HELPS or not seen.lessons or seen.lessons[0].kind != "cross_entropy":
        return None
    tries = list[list[float]]()
    for rate in (1e-2, 1e-1, 1e-3):
        losses = by_heart(seen, rate, 150)
        if losses is None or gain(losses, losses[0]) > 0.4:
            return None
        tries.append(losses)
    best = min(finite_median(losses[-5:]) for losses in tries)
    images = len(seen.lessons[0].target)
    return finding(
        "cannot-overfit",
        f"The net cannot learn even {images} images by heart",
        f"{min(map(len, tries))} steps of Adam on the first batch alone, at three rates: the loss began at "
        f"{p.losses[0]:.3g} and is {best:.3g}.",
        "Look at the other findings first; then at how the net joins its parts, and at the labels.",
        **where(p.held.place),
    )


def too_narrow(seen: Seen, p: Pace, layer: str, classes: int) -> Finding:
    """All that is known of an image goes through one number."""
    return finding(
        "underfitting",
        f"One number an image reaches {layer}, for {classes} classes",
        f"The loss went from {p.losses[0]:.3g} to {finite_median(p.losses[-5:]):.3g} in {len(p.losses)} steps.",
        f"Give the layers before {layer} more channels: 16 or more.",
        severity="warning",
        layer=layer or None,
        **where(birth(seen, layer)),
    )


def narrowest(seen: Seen) -> tuple[str, int]:
    """The layer that gets the fewest numbers an image, and how many; ("", 0) where none is known."""
    known = (
        [(m.in_features, n) for n, m in seen.model.named_modules() if hasattr(m, "in_features")] if seen.model else []
    )
    numbers, name = min(known, default=(0, ""))
    return name, int(numbers)


RULES = (rate_rules, later_rules)
