"""Classes chosen from logits, and predictions compared with labels."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from tenfold.checks.script.observe import Observer
from tenfold.checks.script.seen import Call, Pick, here
from tenfold.checks.script.tags import is_whole, label


def pick(observer: Observer, name: str, args: Any, kwargs: Any, result: Any) -> None:
    """A class chosen from logits, or predictions compared with labels."""
    if name in ("__eq__", "eq"):
        if isinstance(args[0], Tensor) and isinstance(args[1], Tensor):
            compared(observer, args[0], args[1], result)
    elif isinstance(args[0], Tensor) and observer.tag(args[0]).calls:
        chosen(observer, name, args, kwargs, result)


def compared(observer: Observer, of: Tensor, other: Tensor, result: Tensor) -> None:
    """Predictions and labels, in either order."""
    tags = observer.tag(of), observer.tag(other)
    calls = [call for tag in tags for call in tag.calls]
    if not calls:
        return
    mine, labels = (of, other) if tags[0].calls else (other, of)
    values = any(tag.values for tag in tags) or (mine.is_floating_point() and not is_whole(mine))
    keep(observer, Pick("compare", here(), tuple(of.shape), None, tuple(other.shape), tuple(result.shape), values))
    judge(calls)
    once = list(dict.fromkeys(calls))
    sizes = [call.shape[0] if call.shape else 0 for call in once]
    if of.shape == other.shape and of.dim() == 1 and sum(sizes) == len(of):  # of one batch, or of several put together
        for call, right, part in zip(once, result.split(sizes), labels.split(sizes)):
            call.right = float(right.detach().float().mean())
            label([call], part)
    label(calls, labels)
    if not labels.is_floating_point() and not any(call.grad for call in calls):
        observer.seen.judged_labels.update(labels.unique().tolist()[:200])


def chosen(observer: Observer, name: str, args: Any, kwargs: Any, result: Any) -> None:
    """argmax, max along an axis, or topk of logits."""
    tag = observer.tag(args[0])
    dim = kwargs.get("dim", args[1] if len(args) > 1 and isinstance(args[1], int) else None)
    if name == "topk":
        dim = kwargs.get("dim", args[2] if len(args) > 2 else -1)
    elif name == "max" and dim is None:
        return
    keep(observer, Pick("choose", here(), tuple(args[0].shape), dim))
    if not any(call.grad for call in tag.calls):  # it may be compared with labels outside torch
        judge([call for call in tag.calls if not call.judged])
    if not isinstance(result, Tensor):
        for part, value in zip(result, (True, False)):
            observer.tags[part] = replace(tag, values=value, made=None)


def keep(observer: Observer, pick: Pick) -> None:
    """One of each line is enough, the first with an unusual shape too."""
    observer.seen.picks.setdefault((pick.kind, pick.place, pick.dim, pick.values, len(pick.result)), pick)


def judge(calls: Sequence[Call]) -> None:
    """Their output is compared with labels."""
    for call in calls:
        for part in call.chain():
            part.judged = True
        if call.batch:
            call.batch.loader.judged += 1
