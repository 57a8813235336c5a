"""What each of torch's functions tells: activations, shapes, cuts, sums, changes in place, moves."""

import weakref
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.checks.script.journal import ADJUSTS, noted
from tenfold.checks.script.losses import loss, own_loss
from tenfold.checks.script.observe import Observer
from tenfold.checks.script.picks import compares, keep, leaves, pick, threshold
from tenfold.checks.script.seen import LossCall, Made, Pick, here, in_layer
from tenfold.checks.script.tags import (
    ACTIVATING,
    ACTIVATIONS,
    ADDS,
    CHOOSES,
    COMPARES,
    CUTS,
    DROPOUTS,
    FILLS,
    LOSSES,
    MOVES,
    PAIRS,
    SAME,
    TIMES,
    WEIGHT,
    WRITES,
    all_finite,
    moves_device,
    row_sums,
    tensors,
)


def note(observer: Observer, name: str, args: Any, kwargs: Any, result: Any) -> Any:
    """Facts of one call; may return an alias of the result."""
    if name == "data":
        data_read(observer, args, result)
        return None
    if name in LOSSES:
        loss(observer, name, args, kwargs, result)
        return None
    if name in ACTIVATIONS and isinstance(result, Tensor):
        activated(observer, name, args, kwargs, result)
        return None
    if observer.stack:
        inside(observer, name, args, kwargs, result)
        return None
    noted(observer, name, args, kwargs, result)
    return outside(observer, name, args, kwargs, result)


def data_read(observer: Observer, args: Any, result: Tensor) -> None:
    """`tensor.data`, which is no part of the graph."""
    cuts(observer, "data", args)
    if isinstance(args[0], nn.Parameter):
        observer.tags[result] = WEIGHT
    observer.pass_on(args, result)


def activated(observer: Observer, name: str, args: Any, kwargs: Any, result: Tensor) -> None:
    """An activation or a softmax, inside a net or after it."""
    tag, place = observer.tag(args[0]), here()
    observer.tags[result] = replace(tag, made=Made(name, place, observer.layer()))
    activity(observer, name, result)
    if name == "log_softmax" and tag.made and observer.seen.squashed is None and args[0].requires_grad:
        low, high = args[0].detach().aminmax()
        observer.seen.squashed = tag.made, place, (float(low), float(high))
    shape, dim = tuple(args[0].shape), kwargs.get("dim", args[1] if len(args) > 1 else None)
    if "softmax" in name and args[0].requires_grad and len(shape) == 2 and shape[0] > 1 == shape[1] and dim in (1, -1):
        observer.seen.lone = observer.seen.lone or (Made(name, place, observer.layer()), shape)
    if observer.stack:
        return
    if name == "log_softmax":
        observer.seen.log_softmax = shape, place
    if "softmax" in name and tag.calls and not compares(tag.calls, shape):
        keep(observer, Pick("softmax" if torch.is_grad_enabled() else "probabilities", place, shape, dim))


def inside(observer: Observer, name: str, args: Any, kwargs: Any, result: Any) -> None:
    """A function inside a net's call."""
    if name == "batch_norm" and torch.is_grad_enabled() and kwargs.get("training", len(args) > 5 and args[5]):
        observer.seen.normed[len(result)] = observer.seen.normed.get(len(result), 0) + 1
    if isinstance(result, Tensor) and result.dim() == 4:
        observer.last_map = tuple(result.shape[1:])
    if name in SAME or name.startswith("dropout"):
        observer.pass_on(args, result)
    if name in CUTS:
        cuts(observer, name, args)
    sharpness(observer, name, args)
    functional = name.startswith("dropout") and type(observer.stack[-1]).__module__ != DROPOUTS
    drops = kwargs.get("p", 0.5) if functional and kwargs.get("training", True) else 0.0
    if drops > 0 and not observer.stack[0].training:
        observer.seen.always_dropout = here(), observer.layer()
    elif drops > observer.seen.dropped[0] and torch.is_grad_enabled():
        observer.seen.dropped = drops, here()


def cuts(observer: Observer, name: str, args: Any) -> None:
    """Something that takes a tensor out of the graph while the net computes."""
    if observer.stack and torch.is_grad_enabled() and args and isinstance(args[0], Tensor) and args[0].grad_fn:
        observer.seen.cut.append((name, here(), observer.layer()))


def activity(observer: Observer, name: str, result: Tensor) -> None:
    """Which units of a ReLU are active, how many of a sigmoid are saturated."""
    if not torch.is_grad_enabled() or result.dim() < 2 or not observer.stack:
        return
    layer = observer.layer() if type(observer.stack[-1]).__module__ in ACTIVATING else observer.last_layer
    layer = layer or observer.layer() or name
    if name in ("relu", "relu_", "relu6"):
        units = (result > 0).transpose(0, 1).flatten(1).any(1)
        idle = observer.seen.idle.get(layer)
        counted = idle is not None and idle.shape == units.shape
        observer.seen.idle[layer] = torch.where(units, 0, idle + 1 if counted and idle is not None else 1)
    elif name in ("sigmoid", "tanh", "sigmoid_", "tanh_"):
        low = 0.01 if name.startswith("sig") else -0.99
        share = ((result < low) | (result > 0.99)).float().mean().item()
        observer.seen.saturated.setdefault(layer, []).append(share)
        observer.seen.bent = observer.seen.bent or here()


def outside(observer: Observer, name: str, args: Any, kwargs: Any, result: Any) -> Any:
    """A function in the training loop, or in the data's own code."""
    if name == "backward":
        return None
    if name in ("argmax", "max", "argmin", "topk", "__eq__", "eq"):
        pick(observer, name, args, kwargs, result)
    elif name in COMPARES or name == "round":
        threshold(observer, name, args)
    elif name in ("numpy", "tolist") and isinstance(args[0], Tensor):
        leaves(observer, args[0])
    elif name in ("detach", "detach_") and observer.seen.cut_after is None and torch.is_grad_enabled():
        if args[0].dim() > 1 and any(call.grad for call in observer.tag(args[0]).calls):
            observer.seen.cut_after = here()
    elif name in ("sum", "mean"):
        reduced(observer, name, args, kwargs, result)
    elif name in MOVES and isinstance(result, Tensor) and moves_device(args, kwargs):
        if result is args[0] and not result.requires_grad:
            result = result.detach()  # as on a GPU: another tensor, so that a forgotten assignment shows
        observer.tags[result] = replace(observer.tag(args[0]), moved=True)
        return result
    if (name.endswith("_") and not name.endswith("__")) or name in WRITES:
        of = args[0] if args else kwargs.get("tensor")
        in_place(observer, name, (of,))
        if observer.tag(of).filled:
            observer.tags[of] = replace(observer.tag(of), filled=False)
    sharpness(observer, name, args)
    finite(observer, name, args, result)
    if name in PAIRS and observer.seen.spread is None:
        spread(observer, args, result)
    own = crossed(observer, name, args) if name in TIMES or name in CHOOSES else None
    observer.pass_on(args, result, name in SAME)
    if own is not None:
        observer.tags[result] = replace(observer.tag(result), loss=own, made=None)
    if kwargs.get("device") is not None and isinstance(result, Tensor):
        made_there(observer, result)
    if name in FILLS and observer.tag(result) is not WEIGHT:
        observer.tags[result] = replace(observer.tag(result), filled=True)
    if name in ADDS:
        added(observer, args, result)
    return None


def made_there(observer: Observer, result: Tensor) -> None:
    """A tensor is made on a device: by the program, or as a layer's parameter."""
    observer.tags[result] = replace(observer.tag(result), moved=True)
    if in_layer() and observer.seen.model_moved is None:
        observer.seen.model_moved = here()
        observer.seen.moves += 1


def added(observer: Observer, args: Any, result: Any) -> None:
    """Losses added up with their graphs."""
    if not isinstance(result, Tensor) or not result.requires_grad or result.numel() > 1:
        return
    steps: frozenset[int] = frozenset()
    for part in tensors(args):
        tag = observer.tag(part)
        steps |= tag.steps | (frozenset([tag.loss.step]) if tag.loss else frozenset())
    if len(steps) > (observer.seen.kept[1] if observer.seen.kept else 2):
        observer.seen.kept = here(), len(steps)
    if steps:
        observer.tags[result] = replace(observer.tag(result), steps=steps)


def reduced(observer: Observer, name: str, args: Any, kwargs: Any, result: Any) -> None:
    """A loss of the program's own, over all of its numbers at once."""
    logs, of = observer.seen.log_softmax, args[0] if args else None
    whole = len(args) == 1 and not {"dim", "axis"} & set(kwargs)
    if whole and logs and isinstance(of, Tensor) and tuple(of.shape) == logs[0] and of.requires_grad:
        observer.seen.own_reduced = name, abs(float(result.detach())), here()


def crossed(observer: Observer, name: str, args: Any) -> LossCall | None:
    """A cross-entropy that the program writes itself: labels choose among log-probabilities, or weigh them."""
    if name in TIMES:
        factors = [value for value in args if isinstance(value, Tensor)]
        for logs, targets in (factors, factors[::-1]) if len(factors) == 2 else ():
            if logs.dim() == 2 and logs.shape == targets.shape and not targets.requires_grad and logged(observer, logs):
                if bool((targets <= 0).all()):  # the minus comes before the labels
                    tag, targets = observer.tag(targets), -targets
                    observer.tags[targets] = tag
                sums, positive = row_sums(targets), bool((targets > 0).all())
                observer.seen.own_targets = observer.seen.own_targets or (sums, positive, here())
                shares = all(abs(end - 1) < 1e-3 for end in sums) and bool((targets >= 0).all())
                return own_loss(observer, logs, targets) if shares else None
        return None
    logs, index = args[0], args[-1]
    if name == "__getitem__":
        index = index[1] if isinstance(index, tuple) and len(index) == 2 else None
    if not isinstance(logs, Tensor) or logs.dim() != 2 or not logged(observer, logs) or not isinstance(index, Tensor):
        return None
    fits = not index.is_floating_point() and index.dtype != torch.bool and index.numel() == len(logs)
    fits = fits and int(index.min()) >= 0 and int(index.max()) < logs.shape[1]
    return own_loss(observer, logs, index.detach().flatten()) if fits else None


def spread(observer: Observer, args: Any, result: Any) -> None:
    """Outputs [N, 1] that meet numbers [N], as labels are, in [N, N]."""
    pair = [value for value in args if isinstance(value, Tensor)]
    if len(pair) != 2 or not isinstance(result, Tensor) or not result.requires_grad or result.dim() != 2:
        return
    outputs, others = pair if pair[0].dim() == 2 else pair[::-1]
    count = len(result)
    shapes = (tuple(outputs.shape), tuple(others.shape)) == ((count, 1), (count,)) and count > 1
    if shapes and not others.requires_grad and observer.tag(outputs).calls and not observer.tag(others).calls:
        observer.seen.spread = (count, 1), (count,), here()


def logged(observer: Observer, logs: Tensor) -> bool:
    """Whether these are log-probabilities as they were made."""
    made = observer.tag(logs).made
    return made is not None and made.name == "log_softmax"


def in_place(observer: Observer, name: str, args: Any) -> None:
    """Whole numbers that are changed where they lie, and before the first call what parameters begin with."""
    if not isinstance(args[0], Tensor):
        return
    if not observer.seen.calls:
        place = here() if isinstance(args[0], nn.Parameter) or observer.tag(args[0]) is WEIGHT else None
        if place:
            observer.seen.written[args[0].untyped_storage().data_ptr()] = place
        return
    whole = args[0]._base
    if whole is None or whole.numel() < 2 * args[0].numel() or args[0].requires_grad:
        return
    labels = not args[0].is_floating_point() or like_classes(args[0])
    if not labels and args[0].dim() < 2:  # no image, but a row or a cell of a table
        return
    kept = observer.seen.changed if labels else observer.seen.scaled
    key = args[0].untyped_storage().data_ptr() if labels else args[0].data_ptr()
    _, times, _ = kept.get(key, (None, 0, ""))
    known, since = observer.bases.get(id(whole), (object, 0))
    if known() is not whole:
        observer.bases[id(whole)] = weakref.ref(whole), len(observer.seen.calls)
    lasting = known() is whole and since < len(observer.seen.calls)
    if labels or (lasting and name in ADJUSTS):
        kept[key] = here(), times + 1, name


def like_classes(part: Tensor) -> bool:
    """Whether numbers [N, C] are like classes, one for each row, perhaps mixed or made smaller a little."""
    if part.dim() != 2 or not 2 <= part.shape[1] <= 1000 or bool((part < 0).any()):
        return False
    low, high = row_sums(part)
    return high - low < 1e-4 and 0 < high <= 1.0001


def sharpness(observer: Observer, name: str, args: Any) -> None:
    """The root of 0 has an infinite slope."""
    of = args[0] if args else None
    if not isinstance(of, Tensor) or name not in ("sqrt", "log", "rsqrt") or not of.requires_grad:
        return
    if observer.seen.sharp is None and bool((of.detach() == 0).any()):
        observer.seen.sharp = name, here()


def finite(observer: Observer, name: str, args: Any, result: Any) -> None:
    """The first function of the training loop that makes infinity or NaN of numbers."""
    watched = isinstance(result, Tensor) and result.requires_grad and observer.seen.bad_op is None
    if watched and not all_finite([result]) and all_finite(args):
        observer.seen.bad_op = name, here(), len(observer.seen.steps)
