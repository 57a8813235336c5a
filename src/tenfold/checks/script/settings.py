"""Rules about how optimisers are set and used: clipping too late or too tight, memories and eps far off."""

from collections.abc import Iterator
from statistics import median

import torch

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.origins import origin
from tenfold.checks.script.parameters import name_of
from tenfold.checks.script.seen import Held, Seen
from tenfold.checks.script.source import line, shown_code
from tenfold.errors import Finding

FEW = 3
"""A habit shows in so many steps."""
LEAST_EPS, DWARFED, MOVES = 1e-4, 10.0, 3e-4
"""An eps worth a look, how much larger than the gradients' root mean square it must be, and the share of a weight's
size that a step usually moves it by."""


def clipping_late(seen: Seen) -> Iterator[Finding]:
    """Gradients are clipped, but only once the step has used them, or before there are any."""
    for held in seen.helds:
        if held.clipped_late < FEW or held.clipped or held.clipped_at is None:
            continue
        yield finding(
            "clipping-late",
            "Gradients are clipped when no step will use them",
            f"{shown_code(held.clipped_at)} ran {held.clipped_late} times, never between a backward and its step.",
            f"Move it between `backward()`{line(seen.backward_at)} and `{name_of(held)}.step()`"
            f"{line(held.stepped_at)}.",
            **where(held.clipped_at),
        )
        return


TIGHT = 1e-3
"""A share of the gradients' norm that no clipping against single large steps leaves, step after step."""


def clipping_tight(seen: Seen) -> Iterator[Finding]:
    """Clipping leaves next to nothing of each gradient, and the optimiser does not scale it up again."""
    for held in seen.helds:
        scales_itself = any(word in held.optimizer.param_groups[0] for word in ("betas", "eps", "rho"))
        if len(held.clip_shares) < FEW or scales_itself or median(held.clip_shares) > TIGHT:
            continue
        yield finding(
            "learning-rate-low",
            "Clipping leaves next to nothing of the gradients",
            f"Half of {len(held.clip_shares)} clippings left less than {median(held.clip_shares):.2g} of their norm; "
            f"with the rate {max(held.rates, default=0.0):g} the steps are as much smaller.",
            f"Clip at about the usual norm, as with max_norm=1.0{line(held.clipped_at)}.",
            **where(held.clipped_at),
        )
        return


LONG = 0.995
"""Momentum above which no schedule of some hundred steps ends what a gradient began."""


def memory(seen: Seen) -> Iterator[Finding]:
    """A momentum that never forgets, or Adam's two averages the wrong way round."""
    for held in (held for held in seen.helds if held.steps >= FEW):
        group = held.optimizer.param_groups[0]
        momentum, (first, second) = group.get("momentum", 0.0), group.get("betas", (0.0, 1.0))[:2]
        if momentum >= 1:
            what, why = f"Momentum {momentum:g} never forgets", "Every gradient stays in the step for good"
            remedy, argument = "momentum=0.9", "momentum"
        elif momentum > LONG and not group.get("dampening"):
            what, why = f"Momentum {momentum:g}", f"Every gradient counts {1 / (1 - momentum):,.0f} times its rate"
            remedy, argument = "momentum=0.9", "momentum"
        elif first > second >= 0.5:
            what, why = f"betas=({first:g}, {second:g})", f"Adam's direction lasts {1 / (1 - first):.0f} steps"
            why += f", its scale {1 / (1 - second):.0f}: usual is ten against a thousand"
            remedy, argument = f"betas=({second:g}, {first:g})", "betas"
        else:
            continue
        place = origin(held.stack, argument) or held.place
        yield finding(
            "momentum-high", what, f"{why}; {held.steps} steps were seen.", f"Write {remedy}{line(place)}.",
            **where(place),
        )  # fmt: skip
        return


def eps(seen: Seen) -> Iterator[Finding]:
    """An eps beside which the gradients vanish, so that Adam's step is no longer about the rate."""
    for held in seen.helds:
        size = held.optimizer.param_groups[0].get("eps", 0.0)
        moved = [median(step.ratios.values()) for step in seen.steps if step.held is held and step.ratios]
        if not size >= LEAST_EPS or len(moved) < 5 or median(moved) > MOVES:
            continue
        root = typical(held)
        if not 0 < root * DWARFED < size:
            continue
        place = origin(held.stack, "eps") or held.place
        yield finding(
            "learning-rate-low",
            f"eps={size:g} makes the steps about {size / root:,.0f} times smaller",
            f"The gradients' root mean square is about {root:.2g}; a step moves the weights by "
            f"{100 * median(moved):.2g} % of their size.",
            f"Leave eps at 1e-8{line(place)}.",
            **where(place),
        )
        return


def typical(held: Held) -> float:
    """The median root of an optimiser's second moments; 0 where it keeps none."""
    states = held.optimizer.state.values()
    kept = [s[key] for s in states for key in ("exp_avg_sq", "square_avg") if isinstance(s.get(key), torch.Tensor)]
    return float(torch.cat([k.flatten() for k in kept]).median().sqrt()) if kept else 0.0


RULES = (clipping_late, clipping_tight, memory, eps)
