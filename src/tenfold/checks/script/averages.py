"""Rules about a net that is judged in place of the one that is trained, such as a moving average of its weights."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.schedule import planned_batches
from tenfold.checks.script.seen import Call, Seen
from tenfold.checks.script.source import shown_code
from tenfold.errors import Finding, Severity

MOVED, APART, BEHIND, FAR_BEHIND = 1e-3, 0.2, 0.2, 0.05
"""The trained net moved by this share of its size; the other's weights have a cosine below this with both its first and
its last ones; or at the end of the training it will have gone less than this share of the way (the last where a state
was loaded into it, which may be its own of an earlier epoch)."""


def judged_apart(seen: Seen) -> Iterator[Finding]:
    """The net that is judged never moves, hardly moves, or has nothing to do with the one that is trained."""
    call = other_net(seen)
    if call is None or seen.model is None or seen.first is None or seen.ended != "script":
        return
    start, trained, judged = flat(seen.first), flat(seen.model), flat(call.module)
    way, gone = trained - start, judged - start
    size, length = float(start.norm()), float(way.norm())
    if length < MOVED * size or not bool(torch.isfinite(trained).all() and torch.isfinite(judged).all()):
        return
    share = float(gone @ way) / length**2
    beside = float((gone - share * way).norm())
    planned, steps = planned_batches(seen), len(seen.steps)
    at_end = share * max(1.0, planned / max(1, steps))
    loaded = any(net is call.module for net in seen.refilled)
    severity: Severity = "error"
    if not bool(gone.any()):
        what, told = "never moves", "the judged one still has the weights of the start"
        remedy = "Let its weights follow the trained net's after every step; look at which of the two is written into."
    elif fresh_norms(call.module) and not fresh_norms(seen.model):
        what = "has batch norms that have seen no batch"
        told = "the judged one follows, but its running means are still 0 and its variances 1"
        remedy = "Copy the trained net's buffers too, at every step; its parameters are not all of its state."
    elif not loaded and unlike(call.module, seen.model) and unlike(call.module, seen.first):
        what, told = "is not the one that is trained", "the judged one has other weights altogether"
        remedy = "Judge the net that was trained, or load its weights first."
    elif beside < 0.1 * size and planned and at_end < (FAR_BEHIND if loaded else BEHIND):
        what, severity = "follows the trained one too slowly", "warning"
        told = f"the judged one has gone {share:.1%} of that way, and about {at_end:.0%} at the end"
        remedy = "Average over a tenth of the training at most: a decay of 1 - 10 / steps, or less at its beginning."
    else:
        return
    yield finding(
        "judged-net-differs",
        f"The net that is judged {what}",
        f"In {steps} steps the trained net moved by {length / size:.2g} of its size; {told}. It is judged in "
        f"{shown_code(call.place)}.",
        remedy,
        severity=severity,
        **where(call.place),
    )


def other_net(seen: Seen) -> Call | None:
    """The last call that judges a net of the trained one's shape which is never trained itself."""
    trained = {id(call.module) for call in seen.training_calls()}
    judged = [call for call in seen.judging_calls() if call.module is not seen.model]
    if seen.model is None or not judged:
        return None
    known = id(judged[-1].module) in trained
    return None if known or shapes(judged[-1].module) != shapes(seen.model) else judged[-1]


def unlike(one: nn.Module, other: nn.Module) -> bool:
    """Whether the weights of two nets have no more to do with each other than by chance."""
    return float(F.cosine_similarity(filters(one), filters(other), dim=0)) < APART


def fresh_norms(net: nn.Module) -> bool:
    """Whether all batch norms that keep averages still have those of their start."""
    averages = [(m.running_mean, m.running_var) for m in net.modules() if isinstance(m, _BatchNorm)]
    kept = [(mean, spread) for mean, spread in averages if mean is not None and spread is not None]
    return bool(kept) and all(not mean.any() and bool(spread.eq(1).all()) for mean, spread in kept)


def filters(net: nn.Module) -> Tensor:
    """All weights in a row, without biases and norms, which begin alike in all nets."""
    return torch.cat([p.detach().float().flatten() for p in net.parameters() if p.dim() > 1])


def shapes(net: nn.Module) -> list[torch.Size]:
    """Of its parameters."""
    return [p.shape for p in net.parameters()]


def flat(net: nn.Module) -> Tensor:
    """All parameters in a row."""
    return torch.cat([p.detach().float().flatten() for p in net.parameters()])


RULES = (judged_apart,)
