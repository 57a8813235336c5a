"""Hung into what makes a step: backward, optimisers, schedulers, clearing of gradients, loading of weights."""

import functools
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from tenfold.checks.script.nets import MOST
from tenfold.checks.script.observe import Observer
from tenfold.checks.script.seen import Call, Held, Scheduled, Seen, Step, frames, here
from tenfold.checks.script.tags import Original, tensors


def cleared(observer: Observer, original: Original) -> Original:
    """Gradients are cleared."""

    def zero_grad(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not observer.elsewhere:
            backwards, got = observer.seen.backwards, observer.seen.got
            mine = parameters(self)
            holding = holders(observer, mine)
            used = any(held.steps and held.last == backwards for held in holding)
            for held in holding:
                since = max(held.emptied, held.last)
                unused = not used and backwards > since >= observer.seen.grad_read and id(held.optimizer) in got
                held.wasted += unused and observer.enough is None
                held.cleared, held.cleared_at, held.emptied = True, here(), backwards
                for parameter in mine:
                    held.stale.pop(id(parameter), None)
            forget(observer, {id(parameter) for parameter in mine})
        return original(self, *args, **kwargs)

    return zero_grad


def forget(observer: Observer, freed: set[int]) -> None:
    """Calls all of whose gradients are cleared before a step teach nothing: an attack's, a saliency map's."""
    for call in list(observer.waiting):
        own = {id(p) for p in call.module.parameters() if p.requires_grad}
        if own and own <= freed:
            observer.waiting.remove(call)
            observer.unused.append(call)


def taught(observer: Observer) -> None:
    """The calls that a step learns from: those whose gradients are there, else those whose were."""
    for call in observer.waiting or observer.unused:
        call.trained = True
    observer.waiting, observer.unused = [], []


def holders(observer: Observer, given: Iterable[Tensor]) -> list[Held]:
    """The optimisers that hold any of these parameters."""
    mine = {id(p) for p in given}
    return [held for held in observer.seen.helds if any(id(p) in mine for p in parameters(held.optimizer))]


def clipped(observer: Observer, original: Original) -> Original:
    """Gradients are clipped: before the step that uses them, or not."""

    def clip(*args: Any, **kwargs: Any) -> Any:
        given = args[0] if args else kwargs.pop("parameters")
        chosen = [given] if isinstance(given, Tensor) else list(given)
        result = original(chosen, *args[1:], **kwargs)
        if not observer.elsewhere:
            for held in (held for held in holders(observer, chosen) if held.steps):
                used = observer.seen.backwards == held.last
                held.clipped, held.clipped_late = held.clipped + (not used), held.clipped_late + used
                held.clipped_at = here()
                if isinstance(result, Tensor) and not used:  # the norm before clipping; clipping of values gives None
                    limit = kwargs["max_norm"] if "max_norm" in kwargs else args[1]
                    held.clip_shares.append(min(1.0, float(limit) / max(float(result), 1e-30)))
        return result

    return clip


def loaded(observer: Observer, original: Original) -> Original:
    """Saved weights are loaded."""

    def load_state_dict(self: Any, *args: Any, **kwargs: Any) -> Any:
        if observer.elsewhere:
            return original(self, *args, **kwargs)
        state = args[0] if args else kwargs.get("state_dict")
        if isinstance(self, nn.Module) and observer.quietly(lambda: fits_nothing(self, state), False):
            observer.seen.unfit = here(), next(iter(self.state_dict())), str(next(iter(dict(state or {}))))
            return original(self, *args, **kwargs)
        observer.seen.refilled.append(self)
        if not observer.seen.backwards:
            observer.seen.loaded.append(self)
        elif isinstance(self, nn.Module) and observer.quietly(lambda: its_own(self, state), False):
            observer.seen.unkept = here()
        result = original(self, *args, **kwargs)
        if isinstance(self, Optimizer):
            observer.seen.brought[id(self)] = float(self.param_groups[0].get("lr", 0.0))
        return result

    return load_state_dict


def fits_nothing(net: nn.Module, state: Any) -> bool:
    """Whether no name of a state is one of the net's."""
    return bool(state) and bool(net.state_dict()) and not set(dict(state)) & set(net.state_dict())


def its_own(net: nn.Module, state: Any) -> bool:
    """Whether a state holds the very numbers of the net, not a copy."""
    mine = {name: p.data_ptr() for name, p in net.named_parameters() if p.numel()}
    given = dict(state)
    return bool(mine) and all(isinstance(given.get(n), Tensor) and given[n].data_ptr() == at for n, at in mine.items())


def parameters(owner: Any) -> list[Tensor]:
    """The parameters of a net or of an optimiser."""
    if isinstance(owner, nn.Module):
        return list(owner.parameters())
    return [p for group in getattr(owner, "param_groups", []) for p in group["params"]]


def backward(observer: Observer, original: Original) -> Original:
    """A loss goes backward."""

    def run(*args: Any, **kwargs: Any) -> None:
        if observer.elsewhere:
            original(*args, **kwargs)
            return
        observer.tick()
        observer.quietly(lambda: before_backward(observer, args, kwargs), None)
        observer.paused += 1
        try:
            original(*args, **kwargs)
        except Exception as error:
            observer.failed(error, "backward", args, kwargs)
            raise
        finally:
            observer.paused -= 1
        observer.quietly(lambda: after_backward(observer), None)

    return run


def after_backward(observer: Observer) -> None:
    """Which parameters got a gradient, and which losses of earlier steps are still in memory."""
    seen = observer.seen
    observer.taken.clear()
    for held in seen.helds:
        if any(p.grad is not None and bool(p.grad.any()) for p in parameters(held.optimizer)):
            seen.got.add(id(held.optimizer))
    if looked_at(observer):
        for call in seen.calls[-8:]:
            own = {id(p): name for name, p in call.module.named_parameters()}
            for name, p in call.module.named_parameters():
                if not p.requires_grad:
                    seen.thawed.setdefault(id(p), (name, 0))
                elif id(p) in seen.thawed and p.grad is not None and versions(p) != observer.versions.get(id(p)):
                    seen.thawed[id(p)] = name, seen.backwards
                if p.grad is not None:
                    seen.reached[id(p)] = name, p, True
            for stranger in observer.strangers:
                if stranger.grad is not None and id(stranger) not in own:
                    seen.reached[id(stranger)] = seen.used.get(id(stranger), "?"), stranger, False
    if seen.backwards % 5 == 0:
        alive = [loss for ref in observer.loss_refs[:-2] if (loss := ref()) is not None and loss.grad_fn is not None]
        seen.most_kept = max(seen.most_kept, len(alive))


def looked_at(observer: Observer) -> bool:
    """Whether this backward's gradients are looked at; later ones for a second phase with other parameters."""
    number = observer.seen.backwards
    return number <= 3 or number % 10 == 0 or observer.enough is not None


def versions(parameter: Tensor) -> tuple[int, int]:
    """What changes when a parameter gets another gradient, or more is added to it."""
    return (0, 0) if parameter.grad is None else (id(parameter.grad), parameter.grad._version)


def before_backward(observer: Observer, args: Any, kwargs: Any) -> None:
    """Facts before a backward."""
    seen, place = observer.seen, here()
    seen.backwards, seen.backward_at = seen.backwards + 1, place
    for loss in tensors(args[0] if args else kwargs.get("tensors")):
        tag = observer.tag(loss)
        calls = tag.calls or tuple(call for call in seen.calls[-1:] if call.grad)
        for part in (part for call in calls for part in call.chain()):
            if (part in calls or learns(part)) and (seen.helds or not part.sought):
                observer.waiting.append(part)
        if tag.loss:
            tag.loss.backward, tag.loss.went = True, float(loss.detach().float().mean())
        observer.last_loss = float(loss.detach().float().mean())
        own = tag.loss is None or tag.loss.own
        if own and seen.backwards == 1 and seen.log_softmax and seen.own_first is None:
            seen.own_first = float(loss.detach().float().mean())
        kept = seen.own_reduced
        if own and seen.backwards == 1 and kept and seen.log_softmax and observer.last_loss:
            images, parts = seen.log_softmax[0][0], kept[1] / abs(observer.last_loss)
            if abs(parts - round(parts)) < 1e-4 and 1 <= round(parts) < images / 2:  # perhaps for several backwards
                seen.own_first, seen.own_scale = kept[1], (kept[0], images, kept[2])
        if loss.grad_fn is None:
            seen.graph_leaf = place
        observer.loss_refs.append(weakref.ref(loss))
    if not seen.helds:  # the program steps itself
        taught(observer)
    if looked_at(observer):
        observer.versions = {id(p): versions(p) for call in seen.calls[-8:] for p in call.module.parameters()}
    for held in seen.helds:
        if all(p.grad is None or not bool(p.grad.any()) for p in parameters(held.optimizer)):
            held.cleared = True
        held.stale = {key: p for key, p in held.stale.items() if p.grad is not None and bool(p.grad.any())}


def learns(call: Call) -> bool:
    """Whether gradients go through a call into the net's own weights."""
    return call.grad and any(p.requires_grad for p in call.module.parameters())


def optimizer_made(observer: Observer, original: Original) -> Original:
    """An optimiser is made."""

    def __init__(self: Optimizer, *args: Any, **kwargs: Any) -> None:
        stack = frames(self)
        try:
            original(self, *args, **kwargs)
        except Exception as error:
            if not observer.elsewhere:
                observer.failed(error, "optimizer", (), {})
            raise
        if not observer.elsewhere:
            observer.seen.helds.append(Held(self, stack[0] if stack else None, stack=stack))
            in_class(observer, type(self), stepped)

    return __init__


def stepped(observer: Observer, step: Original, optimizer: Optimizer, args: Any, kwargs: Any) -> Any:
    """An optimiser steps: the facts before, and how far the weights went.

    A step within another's, as in Lookahead, is a part of that one.
    """
    if observer.stepping is not None:
        observer.quietly(lambda: join(observer.seen, observer.stepping, optimizer), None)
    if observer.elsewhere:
        return step(optimizer, *args, **kwargs)
    whole = closure(args, kwargs)
    if not whole:
        observer.quietly(lambda: look_before_step(observer, optimizer), None)
        observer.paused, observer.stepping = observer.paused + 1, optimizer
    try:
        result = step(optimizer, *args, **kwargs)
    finally:
        if not whole:
            observer.paused, observer.stepping = observer.paused - 1, None
    observer.quietly(lambda: look_after_step(observer, optimizer, whole), None)
    observer.tick()
    return result


def join(seen: Seen, outer: Optimizer, part: Optimizer) -> None:
    """From now on an optimiser is known as a part of another one."""
    held, other = seen.held_of(part), seen.held_of(outer)
    if held is not None and other is not None and held is not other:
        seen.helds.remove(held)
        other.parts.append(part)


def look_before_step(observer: Observer, optimizer: Optimizer) -> None:
    """The facts themselves."""
    held = observer.seen.held_of(optimizer)
    if held is None:
        return
    mine = parameters(optimizer)
    held.stepped_at = held.stepped_at or here()
    held.empty += all(p.grad is None or not bool(p.grad.any()) for p in mine)
    held.uncleared += held.steps > 0 and not held.cleared
    if held.cleared and held.stale:
        held.partly, held.left = held.partly + 1, list(held.stale.values())
    names = {id(p): n for n, p in observer.seen.model.named_parameters()} if observer.seen.model is not None else {}
    observer.before = [
        (names.get(id(p), f"parameter {index}"), p, p.detach().clone(), norm(p.grad))
        for index, p in enumerate(mine)
        if p.grad is not None and p.requires_grad and p.dim() > 1 and p.numel() <= MOST // 10
    ]


def norm(tensor: Tensor | None) -> float:
    """Its length; 0 of nothing."""
    return 0.0 if tensor is None else float(tensor.detach().float().norm())


def closure(args: Any, kwargs: Any) -> bool:
    """Whether a step computes the loss itself, as often as it likes: nothing is said of its gradients."""
    return (bool(args) and callable(args[0])) or callable(kwargs.get("closure"))


def look_after_step(observer: Observer, optimizer: Optimizer, whole: bool) -> None:
    """The facts themselves; whole: of a step that computed the loss itself."""
    taught(observer)
    held = counted(observer, optimizer, whole)
    if held is None:
        return
    before = [] if whole else observer.before
    held.cleared = False
    held.stale = {id(p): p for p in parameters(optimizer) if p.grad is not None and p.requires_grad}
    ratios = {n: norm(p.detach() - old) / (norm(old) + 1e-12) for n, p, old, _ in before}
    gradients = {n: g for n, _, _, g in before}
    observer.seen.steps.append(Step(len(observer.seen.steps), held, observer.last_loss, ratios, gradients))
    recent = next((call for call in reversed(observer.seen.calls) if call.trained), None)
    if recent and recent.batch:
        held.loader = recent.batch.loader
        held.loader.steps += 1


def counted(observer: Observer, optimizer: Optimizer, whole: bool) -> Held | None:
    """One more step of an optimiser, on its own or as a part of another's."""
    held = observer.seen.held_of(optimizer)
    if held is None:
        return None
    if not whole:
        held.last = observer.seen.backwards
        if observer.enough is None:
            held.micro = max(1, round(observer.seen.backwards / (held.steps + 1)))
        held.rates.append(float(optimizer.param_groups[0].get("lr", 0.0)))
    held.closed |= whole
    held.later |= held.steps == 0 and observer.enough is not None
    held.steps += 1
    return held


def number(value: Any) -> bool:
    """Whether it can be read as one."""
    return isinstance(value, int | float) or (isinstance(value, Tensor) and value.numel() == 1)


def scheduler_made(observer: Observer, original: Original) -> Original:
    """A scheduler is made; what it steps meanwhile is not the program's doing, and from then on its steps are seen."""

    def __init__(self: LRScheduler, *args: Any, **kwargs: Any) -> None:
        if observer.elsewhere:
            original(self, *args, **kwargs)
            return
        stack = frames(self)
        observer.paused += 1
        try:
            original(self, *args, **kwargs)
        finally:
            observer.paused -= 1
        if scheduled(observer, self) is None:
            rate = float(self.optimizer.param_groups[0]["lr"])
            observer.seen.schedulers.append(Scheduled(self, stack[0] if stack else None, first_rate=rate, stack=stack))
            in_class(observer, type(self), rescheduled)

    return __init__


def scheduled(observer: Observer, scheduler: LRScheduler) -> Scheduled | None:
    """What is known of a scheduler; None of a copy."""
    return next((fact for fact in observer.seen.schedulers if fact.scheduler is scheduler), None)


def rescheduled(observer: Observer, step: Original, scheduler: LRScheduler, args: Any, kwargs: Any) -> Any:
    """A scheduler steps."""
    fact = None if observer.elsewhere else scheduled(observer, scheduler)
    if fact is None:
        return step(scheduler, *args, **kwargs)
    fact.stepped_at = fact.stepped_at or here()
    held = observer.seen.held_of(scheduler.optimizer)
    if observer.enough is None:
        fact.at.append(held.steps if held else 0)
    if isinstance(scheduler, ReduceLROnPlateau):
        fact.metrics += [float(value) for value in (*args[:1], *kwargs.values()) if number(value)][:1]
    result = step(scheduler, *args, **kwargs)
    fact.rates.append(float(scheduler.optimizer.param_groups[0]["lr"]))
    return result


def in_class(observer: Observer, kind: type, seen: Callable[..., Any]) -> None:
    """Step of a class is wrapped, once: objects hold nothing of it, so that they can be copied and saved as ever."""
    owner: Any = next(one for one in kind.__mro__ if "step" in vars(one))
    if owner in observer.wrapped:
        return
    original = observer.wrapped[owner] = owner.step

    @functools.wraps(original)
    def step(self: Any, *args: Any, **kwargs: Any) -> Any:
        if type(self).step is not step:  # called by a subclass's own
            return original(self, *args, **kwargs)
        return seen(observer, original, self, args, kwargs)

    owner.step = step


def unwrapped(observer: Observer) -> None:
    """Classes get their own step back."""
    for owner, original in observer.wrapped.items():
        owner.step = original
