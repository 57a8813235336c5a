"""Classes chosen from logits, and predictions compared with labels."""

import itertools
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from tenfold.checks.script.observe import Observer
from tenfold.checks.script.seen import Call, Judging, Pick, here, own
from tenfold.checks.script.tags import is_whole, label
from tenfold.checks.script.tallies import tally

MANY = 50
"""So many images are judged at once at least, where their labels are looked for by their number."""

MOST = 500
"""So many comparisons are kept."""

LONGEST = 100_000
"""So many predictions are put together at most, until there are as many as labels."""


def pick(observer: Observer, name: str, args: Any, kwargs: Any, result: Any) -> None:
    """A class chosen from logits, or predictions compared with labels."""
    if name in ("__eq__", "eq"):
        if isinstance(args[0], Tensor) and isinstance(args[1], Tensor):
            compared(observer, args[0], args[1], result)
    elif isinstance(args[0], Tensor) and observer.tag(args[0]).calls:
        chosen(observer, name, args, kwargs, result)


def threshold(observer: Observer, name: str, args: Any) -> None:
    """Scores of two classes compared with a number between 0 and 1, or rounded, though they are no probabilities."""
    of, level = args[0], 0.5 if name == "round" else args[1] if len(args) > 1 else None
    if isinstance(level, Tensor) and level.numel() == 1:
        level = float(level)
    if not isinstance(of, Tensor) or not isinstance(level, float) or not 0 < level < 1 or of.numel() < 2:
        return
    calls = observer.tag(of).calls
    if not calls or any(call.grad for call in calls) or not of.is_floating_point() or math.prod(of.shape[1:]) != 1:
        return
    low, high = of.detach().aminmax()
    if low < 0 or high > 1:
        keep(observer, Pick("threshold", here(), tuple(of.shape), None))


def compared(observer: Observer, of: Tensor, other: Tensor, result: Tensor) -> None:
    """Predictions and labels, in either order."""
    tags = observer.tag(of), observer.tag(other)
    calls = answering([call for tag in tags for call in tag.calls], len(of) if of.dim() else 1)
    if not calls:
        return
    mine, labels = (of, other) if tags[0].calls else (other, of)
    values = any(tag.values for tag in tags) or (mine.is_floating_point() and not is_whole(mine))
    keep(observer, Pick("compare", here(), tuple(of.shape), None, tuple(other.shape), tuple(result.shape), values))
    judge(calls)
    latest, batch = observer.seen.latest, calls[0].batch
    if batch and latest and not calls[0].grad and len(observer.seen.judgings) < MOST:
        observer.seen.judgings.append(Judging(here(), batch, latest))
    if of.shape == other.shape and of.dim() == 1:
        shared_out(calls, result, labels)
    label(calls, labels)
    tally(observer, calls, result)
    if not labels.is_floating_point() and not any(call.grad for call in calls):
        observer.seen.judged_labels.update(labels.unique().tolist()[:200])


def shared_out(calls: Sequence[Call], right: Tensor, labels: Tensor) -> None:
    """What of [N] belongs to which call: of one batch, or of several put together in order."""
    once = list(dict.fromkeys(calls))
    sizes = [call.shape[0] if call.shape else 0 for call in once]
    if sum(sizes) == len(labels):
        for call, good, part in zip(once, right.split(sizes), labels.split(sizes)):
            call.right = float(good.detach().float().mean())
            label([call], part)


def leaves(observer: Observer, given: Tensor) -> None:
    """Scores or classes that go on as numpy's, all at once or part after part of a line: they are compared with labels
    where torch does not see it.
    """
    calls, now = tuple(observer.tag(given).calls), (here(), observer.seen.backwards)
    if not calls or any(call.grad for call in calls) or given.dim() not in (1, 2) or given.numel() == 0:
        return
    classes = given.argmax(1) if given.dim() == 2 else given
    if classes.is_floating_point():
        return
    since, before, part = observer.leaving
    several = since == now and len(before) < LONGEST
    if several:
        calls, classes = (*part, *calls), torch.cat([before, classes])
    most = given.shape[1] if given.dim() == 2 else 100  # classes
    labels = near(len(classes), most, several) if len(classes) >= MANY else None
    if labels is None:
        observer.leaving = now, classes, calls
        return
    observer.leaving = None, classes[:0], ()
    judge(calls)
    shared_out(calls, classes == labels, labels)


def near(count: int, classes: int, nearest: bool = False) -> Tensor | None:
    """The only class numbers [count] that the running functions of the user's know by name; None of several.

    nearest: only those of the innermost function.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        mine = own(frame.f_code.co_filename)
        for known in ((frame.f_locals,) if nearest else (frame.f_locals, frame.f_globals)) if mine else ():
            found = {id(v): v for n, v in known.items() if not n.startswith("_") and numbers(v, count, classes)}
            if found:
                return torch.as_tensor(next(iter(found.values()))).long() if len(found) == 1 else None
        if mine and nearest and frame.f_code.co_name not in ("<listcomp>", "<genexpr>"):
            return None
        frame = frame.f_back
    return None


def numbers(value: Any, count: int, classes: int) -> bool:
    """Whether a value is an array or tensor [count] of class numbers."""
    kind = getattr(getattr(value, "dtype", None), "kind", "") or ("i" if is_whole_tensor(value) else "")
    if kind not in ("i", "u") or tuple(value.shape) != (count,):
        return False
    return int(value.min()) >= 0 and 1 <= int(value.max()) < classes


def is_whole_tensor(value: Any) -> bool:
    """Whether it is a tensor of whole numbers."""
    return isinstance(value, Tensor) and not value.is_floating_point() and value.dtype != torch.bool


def chosen(observer: Observer, name: str, args: Any, kwargs: Any, result: Any) -> None:
    """argmax, max along an axis, or topk of logits; argmin."""
    tag, shape = observer.tag(args[0]), tuple(args[0].shape)
    dim = kwargs.get("dim", args[1] if len(args) > 1 and isinstance(args[1], int) else None)
    if name == "argmin":
        if len(shape) == 2 and dim in (1, -1) and not torch.is_grad_enabled():
            keep(observer, Pick("least", here(), shape, dim))
        return
    if name == "topk":
        dim = kwargs.get("dim", args[2] if len(args) > 2 else -1)
    elif name == "max" and dim is None:
        return
    if not compares(tag.calls, shape):
        along = tag.calls[-1].along(args[0], dim) if dim is not None else None
        keep(observer, Pick("choose", here(), shape, dim, along=along))
    if not any(call.grad for call in tag.calls):  # it may be compared with labels outside torch
        turned = len(shape) == 2 and dim in (0, -2)
        asked = answering(tag.calls[::-1], shape[1]) if turned else answering(tag.calls, shape[0] if shape else 1)
        judge([call for call in asked if not call.judged])
    if not isinstance(result, Tensor):
        for part, value in zip(result, (True, False)):
            observer.tags[part] = replace(tag, values=value, made=None)


def answering(calls: Sequence[Call], count: int) -> Sequence[Call]:
    """The first calls in a row that gave so many answers, one for each image, and others of their batches; all, where
    none did. What is left gave the bank of features that the answers are compared with.
    """
    for start in range(len(calls)):
        sizes = itertools.accumulate(call.shape[0] if call.shape else 0 for call in calls[start:])
        full = next(((end, size) for end, size in enumerate(sizes, start + 1) if size >= count), None)
        if full is not None and full[1] == count:
            batches = {id(call.batch) for call in calls[start : full[0]]}
            return [call for call in calls if id(call.batch) in batches]
    return calls


def compares(calls: Sequence[Call], shape: tuple[int, ...]) -> bool:
    """Whether rows are compared with other images, or texts, as columns: these are no classes."""
    sizes = [call.shape[0] if call.shape else 0 for call in calls]
    several = len({id(call.module) for call in calls}) > 1
    return len(shape) == 2 and shape[1] in (*sizes, sum(sizes)) and (several or calls[-1].output[-1:] != shape[1:])


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
