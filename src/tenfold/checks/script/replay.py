"""The first training steps once more, on a copy of the net as it began: at other rates, or on one batch alone."""

import math
import time
from copy import deepcopy
from statistics import median
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.dropout import _DropoutNd
from torch.optim import Optimizer

from tenfold.checks.script.chance import same_chance, seeded
from tenfold.checks.script.seen import Held, Lesson, Seen

SECONDS, LONGER, LEAST = 5.0, 10.0, 60
"""Time for one replay, as its thread works, as another program's load must not end it earlier; for one batch that is
learned by heart, which is asked only where the loss stays, and so many steps of that at least.
"""


def finite_median(values: list[float]) -> float:
    """The median; infinite where any value is not finite."""
    return median(values) if all(map(math.isfinite, values)) else math.inf


def gain(losses: list[float], first: float) -> float:
    """The share of the first loss that the last five steps have saved; below 0 where they cost more."""
    return 1 - finite_median(losses[-5:]) / first if losses and first > 0 else 0.0


def replay(seen: Seen, held: Held, factor: float) -> list[float] | None:
    """Losses of the first steps at a multiple of the rate; None where they cannot be taken again."""
    if seen.first is None or len(seen.lessons) < 10:
        return None
    net = deepcopy(seen.first)
    optimizer = rebuilt(seen, held, net, factor)
    return None if optimizer is None else steps(net, optimizer, seen.lessons, len(seen.lessons))


def rebuilt(seen: Seen, held: Held, net: nn.Module, factor: float) -> Optimizer | None:
    """The program's optimiser over the copy's parameters; None for one that is not torch's, or holds others."""
    kind = type(held.optimizer)
    if not kind.__module__.startswith("torch.optim") or kind.__name__ == "LBFGS" or seen.model is None:
        return None
    names = {id(p): name for name, p in seen.model.named_parameters()}
    mine, groups = dict(net.named_parameters()), list[dict[str, Any]]()
    for group in held.optimizer.param_groups:
        found = [mine.get(names.get(id(p), "")) for p in group["params"]]
        if not all(isinstance(p, nn.Parameter) for p in found):
            return None
        rate = group.get("initial_lr", group["lr"]) * factor
        groups.append({**{k: v for k, v in group.items() if k != "initial_lr"}, "params": found, "lr": rate})
    return kind(groups)  # type: ignore[call-arg]


def by_heart(seen: Seen, rate: float, count: int) -> list[float] | None:
    """Losses of so many Adam steps on the first batch alone; of fewer on a slow machine, None if of too few."""
    if seen.first is None or not seen.lessons:
        return None
    net = deepcopy(seen.first)
    for module in net.modules():
        if isinstance(module, _DropoutNd):
            module.p = 0.0
    wanted = [p for p in net.parameters() if p.requires_grad]
    losses = steps(net, torch.optim.Adam(wanted, lr=rate), seen.lessons[:1], count, 0.5, LONGER)
    return losses if len(losses) >= LEAST or losses[-1] <= 0.5 * losses[0] else None


def steps(
    net: nn.Module,
    optimizer: Optimizer,
    lessons: list[Lesson],
    count: int,
    enough: float = 0.0,
    seconds: float = SECONDS,
) -> list[float]:
    """Losses of so many steps through these batches.

    Fewer where the time is over, a loss is no number, or the last five lie below `enough` of the first.
    """
    losses, began = list[float](), time.thread_time()
    with same_chance(), torch.enable_grad():
        seeded(0)
        while len(losses) < count and time.thread_time() - began < seconds:
            lesson = lessons[len(losses) % len(lessons)]
            loss = getattr(functional, lesson.kind)(net(lesson.inputs), lesson.target, **lesson.options)
            optimizer.zero_grad()
            loss.mean().backward()
            optimizer.step()
            losses.append(float(loss.detach().mean()))
            if not math.isfinite(losses[-1]) or (len(losses) > 5 and max(losses[-5:]) < enough * losses[0]):
                break
    return losses
