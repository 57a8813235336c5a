"""Rules about gradients, steps, rates and schedulers."""

from collections.abc import Iterator

from tenfold.checks.rules import finding
from tenfold.checks.script.seen import Seen
from tenfold.checks.script.source import line, name_at, receiver
from tenfold.errors import Finding


def zero_grad_missing(seen: Seen) -> Iterator[Finding]:
    """An optimiser steps again and again without its gradients ever being cleared."""
    for held in seen.helds:
        if held.steps < 3 or held.uncleared < 0.5 * (held.steps - 1):
            continue
        name = receiver(held.stepped_at, "step", name_at(held.place, "optimizer"))
        loss = receiver(seen.backward_at, "backward", "loss")
        seldom = (
            f"; it is only cleared in line {held.cleared_at.line}, outside the loop over batches"
            if held.cleared_at and held.uncleared < held.steps
            else ""
        )
        yield finding(
            "zero-grad-missing",
            f"The gradients of `{name}` are not cleared",
            f"Before {held.uncleared} of {held.steps - 1} steps they still held those of the step before{seldom}.",
            f"Write `{name}.zero_grad()` before `{loss}.backward()`{line(seen.backward_at)}.",
            **(seen.backward_at.where if seen.backward_at else {}),
        )
        return


RULES = (zero_grad_missing,)
