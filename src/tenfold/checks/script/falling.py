"""Rates that fall too early by a schedule of the program's own, and rates that a loaded state brought."""

import ast
import math
import re
from collections.abc import Iterator

import numpy as np

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.schedule import lowering, planned_batches
from tenfold.checks.script.seen import Seen
from tenfold.checks.script.source import line, shown_code, trees
from tenfold.errors import Finding

BROUGHT = 0.02
"""So much of the rate asked for, or less, is what an earlier schedule ended with."""


def falls_early(seen: Seen) -> Iterator[Finding]:
    """A schedule of the program's own falls like a line or half a cosine that ends long before the training."""
    for held in seen.helds:
        stepped = any(fact.scheduler.optimizer is held.optimizer for fact in seen.schedulers)
        planned, rates = planned_batches(seen, held) // held.micro, held.rates[: held.whole]
        end = ends_at(rates) if held.whole and not stepped else None
        if end is None or not 4 <= end < 0.6 * planned or again(seen):
            continue
        yield finding(
            "learning-rate-dropped-early",
            f"The rate falls as if the training had {end:,} steps, of {planned:,}",
            f"It was {max(rates):.3g} at its highest, and is {rates[-1]:.3g} after {len(rates)} steps"
            + (f", each of {held.micro} batches." if held.micro > 1 else "."),
            "Count what the schedule was sized in: steps of the optimiser where it was sized in these.",
            **where(lowering(seen) or held.stepped_at),
        )
        return


def ends_at(rates: list[float]) -> int | None:
    """The step at which rates that fall like a line or half a cosine since their highest are 0; None of others."""
    peak = max(range(len(rates)), key=lambda at: rates[at], default=0)
    shares = [rate / rates[peak] for rate in rates[peak:]] if rates and rates[peak] > 0 else []
    for way in (lambda share: 1 - share, lambda share: math.acos(max(-1.0, min(1.0, 2 * share - 1))) / math.pi):
        gone = [way(share) for share in shares]
        if len(gone) < 12 or gone[-1] < 0.1 or gone[-1] >= 0.99:
            continue
        at = np.arange(3, len(gone))  # the first ones may be a step on, below a peak that was not seen
        each, first = np.polyfit(at, gone[3:], 1)
        if float(np.abs(first + each * at - gone[3:]).max()) < 0.02 * gone[-1]:
            return peak + round(float((1 - first) / each))
    return None


def again(seen: Seen) -> bool:
    """Whether the program speaks of rates that rise again."""
    return any(re.search(r"restart|cycl|snapshot", ast.unparse(parsed), re.I) for _, parsed in trees(seen))


def brought_down(seen: Seen) -> Iterator[Finding]:
    """A new schedule starts from the rate that a loaded state brought: that at which an earlier schedule ended."""
    for fact in seen.schedulers:
        optimizer = fact.scheduler.optimizer
        asked, brought = float(optimizer.defaults.get("lr", 0.0)), seen.brought.get(id(optimizer))
        if brought is None or not 0 < brought <= BROUGHT * asked or abs(fact.first_rate - brought) > 0.1 * brought:
            continue
        yield finding(
            "learning-rate-dropped-early",
            f"The schedule starts at {brought:.2g}, not at {asked:.2g}",
            f"The optimiser is made with lr={asked:g}; the state loaded into it brought {brought:.2g}, and "
            f"{shown_code(fact.place)} takes that for the rate to begin with.",
            "Set the rate after loading, before the schedule is made: `for group in optimizer.param_groups: "
            f'group["lr"] = {asked:g}`{line(fact.place)}.',
            **where(fact.place),
        )
        return


FALLING = (falls_early, brought_down)
