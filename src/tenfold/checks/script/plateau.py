"""Rules about ReduceLROnPlateau: told the wrong way round, or asked after every batch."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

from torch.optim.lr_scheduler import ReduceLROnPlateau

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.origins import argument_at, origin
from tenfold.checks.script.said import right_shares
from tenfold.checks.script.schedule import per_batch
from tenfold.checks.script.seen import Scheduled, Seen, length
from tenfold.checks.script.source import calls_at, line, name_at, receiver, shown_code
from tenfold.errors import Finding

FALLING = re.compile(r"loss|nll|error|\berr|_err|perplexity|\bce\b|_ce\b|cost", re.I)
"""Names of figures that are better when they are lower."""
AS_MANY, MOSTLY = 8, 0.75
"""Figures that are looked at, and the share of them that must be such."""
RISING = re.compile(r"acc|\bf1|_f1|top_?[15]|recall|precision|auc|hits|right|correct", re.I)


def plateau(seen: Seen) -> Iterator[Finding]:
    """It waits for the wrong direction, or its patience counts batches."""
    for fact in seen.schedulers:
        if isinstance(fact.scheduler, ReduceLROnPlateau) and fact.metrics:
            found = wrong_way(fact, seen) or impatient(fact, seen) or deaf(fact)
            if found:
                yield found
                return


def wrong_way(fact: Scheduled, seen: Seen) -> Finding | None:
    """mode="max" with a loss, or mode="min", the default, with an accuracy."""
    mode, told = fact.scheduler.mode, metric(fact)
    better = direction(told, fact.metrics) or ("max" if accuracies(seen, fact.metrics) else None)
    if better is None or better == mode:
        return None
    name = receiver(fact.stepped_at, "step", name_at(fact.place, "scheduler"))
    place = origin(fact.stack, "mode", 1) if fact.stack and argument_at(fact.stack[0], "mode", 1) else fact.place
    last = f" It went from {fact.metrics[0]:.3g} to {fact.metrics[-1]:.3g}" if len(fact.metrics) > 1 else ""
    cut = f", and the rate from {fact.first_rate:.3g} to {fact.rates[-1]:.3g}." if last else ""
    return finding(
        "learning-rate-dropped-early",
        f"`{name}` takes every improvement for a standstill: mode is '{mode}'",
        f"{shown_code(fact.stepped_at)} gives it a figure that is better when it is "
        f"{'lower' if better == 'min' else 'higher'}.{last}{cut}",
        f"Write mode='{better}' there{line(place)}.",
        **where(place),
    )


def metric(fact: Scheduled) -> str:
    """What is written as the figure that it is told."""
    for call in calls_at(fact.stepped_at, "step"):
        given = [*call.args, *(k.value for k in call.keywords if k.arg == "metrics")]
        if given:
            return ast.unparse(given[0])
    return ""


def direction(name: str, values: list[float]) -> str | None:
    """'min' or 'max', whichever is better for a figure of this name; else for one that falls without a break."""
    falls, rises = FALLING.search(name), RISING.search(name)
    if re.search(r"^-|^1(00)?(\.0)? -|-\s*\w*loss", name) or (falls and rises):
        return None
    if falls or rises:
        return "min" if falls else "max"
    steady = len(values) >= 5 and all(b < a for a, b in pairwise(values)) and values[-1] < 0.8 * values[0]
    return "min" if steady else None


def accuracies(seen: Seen, figures: list[float]) -> bool:
    """Whether figures, whatever they are called, are shares of right answers of what the net judged."""
    ends = (at for at, (call, later) in enumerate(pairwise(seen.calls), 1) if later.grad and not call.grad)
    shares = {round(share, 4) for at in (*ends, len(seen.calls)) for share, _ in right_shares(seen, at, 1)}
    known = [round(figure, 4) in shares or round(figure / 100, 4) in shares for figure in figures[:AS_MANY]]
    return len(set(figures)) > 2 and sum(known) >= MOSTLY * len(known)


def impatient(fact: Scheduled, seen: Seen) -> Finding | None:
    """Asked after every batch, it waits for a few batches where epochs were meant."""
    epoch = max((length(one.loader) for one in seen.loaders if one.steps), default=0)
    patience = fact.scheduler.patience
    if not per_batch(fact) or epoch <= patience or min(fact.rates) >= 0.6 * fact.first_rate:
        return None
    name = receiver(fact.stepped_at, "step", name_at(fact.place, "scheduler"))
    return finding(
        "scheduler-per-batch",
        f"`{name}` (ReduceLROnPlateau) is asked after every batch",
        f"Its patience of {patience} counts batches then, of which an epoch has {epoch}: the rate went from "
        f"{fact.first_rate:.3g} to {fact.rates[-1]:.3g} in {len(fact.rates)} of them.",
        f"Move `{name}.step(…)`{line(fact.stepped_at)} to the end of the epoch, and give it the validation loss.",
        **where(fact.stepped_at),
    )


def deaf(fact: Scheduled) -> Finding | None:
    """Its threshold is so large that improvements do not count as such."""
    known, best, counted = fact.scheduler, fact.metrics[0], fact.metrics[0]
    sign = -1.0 if known.mode == "min" else 1.0
    better = heard = 0
    for value in fact.metrics[1:]:
        if sign * (value - best) > CLEAR * abs(best):
            best, better = value, better + 1
        gain = known.threshold * (abs(counted) if known.threshold_mode == "rel" else 1.0)
        if sign * (value - counted) > gain:
            counted, heard = value, heard + 1
    if better < 2 or heard:
        return None
    return finding(
        "learning-rate-dropped-early",
        f"No improvement counts for `{name_at(fact.place, 'scheduler')}`: threshold={known.threshold:g}, "
        f"'{known.threshold_mode}'",
        f"{better} of {len(fact.metrics)} figures were clearly better than all before, {fact.metrics[0]:.3g} to "
        f"{best:.3g}, and none by the threshold: after {known.patience} of them the rate drops all the same.",
        f"Write a small one, as threshold=1e-3, there{line(fact.place)}.",
        **where(fact.place),
    )


CLEAR = 0.02
"""So much better, of the best before, is clearly better."""

PLATEAU = (plateau,)
