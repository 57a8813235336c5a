"""Calls of loss functions, and the batches that the net learns from."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tenfold.checks.script.observe import Observer
from tenfold.checks.script.picks import judge
from tenfold.checks.script.seen import Lesson, LossCall, here
from tenfold.checks.script.tags import (
    KEPT,
    MOST_NUMBERS,
    Tag,
    class_numbers,
    is_whole,
    label,
    number_of,
    right_answers,
    row_sums,
    weights_of,
)

FIRST = 30
"""Losses whose targets are kept, and storages of labels that hold no more than one batch."""


def loss(observer: Observer, name: str, args: Any, kwargs: Any, result: Any) -> None:
    """Facts of one call of a loss function."""
    given, target = args[0], kwargs.get("target", args[1] if len(args) > 1 else None)
    if not isinstance(given, Tensor) or not isinstance(target, Tensor) or not isinstance(result, Tensor):
        return
    tag = observer.tag(given)
    fact = entered(observer, name, given, target, float(result.detach().float().mean()), kwargs)
    observer.tags[result] = Tag(calls=tag.calls, loss=fact, batch=tag.batch)


def own_loss(observer: Observer, logs: Tensor, target: Tensor) -> LossCall:
    """A cross-entropy that the program writes itself, where labels choose or weigh log-probabilities [N, C].

    target: class numbers [N], or shares of the classes [N, C].
    """
    rows = logs.detach().float()
    shares = F.one_hot(target.long(), logs.shape[1]).float() if target.dim() == 1 else target.float()
    fact = entered(observer, "cross_entropy", logs, target, -float((shares * rows).sum(1).mean()), {})
    fact.own = True
    return fact


def entered(
    observer: Observer, name: str, given: Tensor, target: Tensor, value: float, kwargs: dict[str, Any]
) -> LossCall:
    """The facts, kept."""
    tag, rows = observer.tag(given), given.detach().float()
    flat = target.detach().flatten()
    numbers = class_numbers(target) if target.dim() and target.numel() == len(target) else None
    fact = LossCall(
        name, here(), len(observer.seen.steps), torch.is_grad_enabled(), tuple(given.shape), tuple(target.shape),
        str(target.dtype).removeprefix("torch."), float(flat.min()), float(flat.max()), is_whole(flat),
        value, kwargs.get("reduction", "mean"), tag.made,
        float(rows.min()), float(rows.max()), row_sums(rows),
        tag.calls[-1] if tag.calls else None, kwargs.get("weight") is not None,
        observer.tag(target).moved, distinct=int(flat.unique().numel()),
        labels=tuple(numbers[:64].tolist()) if numbers is not None else (),
        target_rows=row_sums(target), criterion=observer.criterion, right=right_answers(name, given, target),
        weights=weights_of(kwargs), positive=number_of(kwargs.get("pos_weight")),
        smoothing=float(kwargs.get("label_smoothing") or 0.0), ignored=kwargs.get("ignore_index", -100),
        target=target.detach().clone() if len(observer.seen.losses) < FIRST else None,
        filled=observer.tag(target).filled,
        along=tag.calls[-1].along(given, 1) if tag.calls and given.dim() > 1 else None,
    )  # fmt: skip
    observer.seen.losses.append(fact)
    learn(observer, fact, target, kwargs)
    memory = target.untyped_storage()
    classes = not target.is_floating_point() or target.dim() == 2
    if classes and (memory.nbytes() >= 2 * target.nbytes or len(observer.seen.targets) < FIRST):
        observer.seen.targets[memory.data_ptr()] = memory
    label(tag.calls, target)
    for call in tag.calls:
        call.loss = fact.value
    if torch.is_grad_enabled() and observer.seen.target is None and observer.seen.first is not None:
        observer.seen.target = target.detach().clone()
    if not torch.is_grad_enabled():
        judge(tag.calls)
    return fact


def learn(observer: Observer, fact: LossCall, target: Tensor, options: dict[str, Any]) -> None:
    """Keep a training batch, so that its step can be tried again on a copy of the net."""
    seen, given = observer.seen, observer.given
    if given is None or fact.call is None or fact.call.module is not seen.model or not fact.grad:
        return
    if fact.shape != fact.call.output or len(seen.lessons) >= KEPT:
        return
    if sum(lesson.inputs.numel() for lesson in seen.lessons) + given.numel() <= MOST_NUMBERS:
        rest = {name: value for name, value in options.items() if name not in ("input", "target")}
        seen.lessons.append(Lesson(given.detach().clone(), target.detach().clone(), fact.kind, rest))
