"""Where the observer is hung in: calls of nets, backward, optimisers, schedulers, loaders, loading of weights."""

import copy
import hashlib
import math
import os
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.loss import _Loss
from torch.nn.parameter import UninitializedParameter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.data import DataLoader

from tenfold.checks.script.journal import fetching, listening, noted
from tenfold.checks.script.observe import AFTER, FEW_IMAGES, Observer, Tag, randomness, tensors
from tenfold.checks.script.seen import Batch, Call, Held, Loader, Scheduled, Step, frames, here

LONGER = 10.0
"""Seconds for which a loader of few images goes on, so that over- and underfitting show."""
Original = Callable[..., Any]
MOST = 30_000_000
"""A net of more numbers is not copied."""


@contextmanager
def watching(observer: Observer) -> Iterator[None]:
    """Inside this block the observer sees everything."""
    with ExitStack() as stack:
        for owner, name, wrap in (
            (nn.Module, "__init__", born),
            (nn.Module, "__call__", called),
            (nn.Module, "to", module_moved),
            (nn.Module, "cuda", module_moved),
            (nn.Module, "cpu", module_back),
            (nn.Module, "zero_grad", cleared),
            (nn.Module, "load_state_dict", loaded),
            (torch.autograd, "backward", backward),
            (Optimizer, "__init__", optimizer_made),
            (Optimizer, "zero_grad", cleared),
            (Optimizer, "load_state_dict", loaded),
            (LRScheduler, "__init__", scheduler_made),
            (DataLoader, "__init__", loader_made),
            (DataLoader, "__iter__", iterated),
        ):
            original = getattr(owner, name)
            setattr(owner, name, wrap(observer, original))
            stack.callback(setattr, owner, name, original)
        for handle in (
            register_optimizer_step_pre_hook(lambda o, a, k: None if closure(a, k) else before_step(observer, o)),
            register_optimizer_step_post_hook(lambda o, a, k: after_step(observer, o, closure(a, k))),
        ):
            stack.callback(handle.remove)
        stack.enter_context(listening(observer))
        observer.outside_of_nets = noted
        stack.enter_context(observer)
        yield


def elsewhere(observer: Observer) -> bool:
    """Whether this is not the program's own doing: a probe, or a forked worker."""
    return bool(observer.paused) or os.getpid() != observer.pid


def born(observer: Observer, original: Original) -> Original:
    """A layer, a net or a loss is made."""

    def __init__(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if not elsewhere(observer):
            observer.seen.births[id(self)] = weakref.ref(self), frames(self)

    return __init__


def called(observer: Observer, original: Original) -> Original:
    """A net or a layer is called."""

    def __call__(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if elsewhere(observer):
            return original(self, *args, **kwargs)
        root = not observer.stack and not isinstance(self, _Loss) and any(True for _ in self.parameters())
        if root:
            observer.tick()
        if isinstance(self, _Loss) or not (root or observer.stack):
            observer.criterion = self
            try:
                return original(self, *args, **kwargs)
            finally:
                observer.criterion = None
        call = observer.quietly(lambda: entered(observer, self, args, kwargs), None) if root else None
        observer.stack.append(self)
        if not root:
            observer.quietly(lambda: inner(observer, self), None)
        try:
            result = original(self, *args, **kwargs)
            observer.quietly(lambda: left(observer, self, call, result), None)
        except Exception as error:
            if observer.seen.failure is None or observer.seen.failure.error is not error:
                observer.failed(error, type(self).__name__, args, kwargs)
            raise
        finally:
            observer.stack.pop()
        return result

    return __call__


def entered(observer: Observer, net: nn.Module, args: Any, kwargs: Any) -> Call:
    """Facts before a net's call."""
    seen, given = observer.seen, next(tensors([args, kwargs]), None)
    switches = [(n, m) for n, m in net.named_modules() if switches_mode(m)]
    call = Call(
        len(seen.calls), net, here(), len(seen.steps), torch.is_grad_enabled(),
        tuple(n or type(m).__name__ for n, m in switches if m.training),
        tuple(n or type(m).__name__ for n, m in switches if not m.training), mode=net.training,
    )  # fmt: skip
    if given is not None:
        tag = observer.tag(given)
        call.batch, call.moved, call.shape = tag.batch, tag.moved, tuple(given.shape)
        if call.batch and call.batch.randomness is not None:
            call.drawn = call.batch.randomness != randomness()
        describe(call, given)
        if given.dim() > 2 and given.is_floating_point() and given.numel() <= seen.room:
            call.images, seen.room = given.detach().clone(), seen.room - given.numel()
    call.places = frames()
    call.taken, observer.taken = tuple(observer.taken) if len(seen.calls) < 12 else (), []
    seen.calls.append(call)
    observer.ran.clear()
    observer.given = given if call.grad and len(args) == 1 and given is args[0] and not kwargs else None
    ready = not any(isinstance(p, UninitializedParameter) for p in net.parameters())
    if call.grad and seen.first is None and given is not None and ready:
        seen.model, seen.inputs = net, tuple(copied(a) for a in args)
        if sum(p.numel() for p in net.parameters()) <= MOST:
            seen.first = copy.deepcopy(net)
    return call


def inner(observer: Observer, layer: nn.Module) -> None:
    """Facts before a layer's call inside a net's."""
    root = observer.seen.calls[-1]
    if not root.grad or len(observer.seen.steps) > 2:
        return
    name = observer.layer()
    if any(True for _ in layer.parameters(recurse=False)):
        observer.seen.recurrent |= isinstance(layer, nn.RNNBase) or id(layer) in observer.ran
        observer.ran.add(id(layer))
    if torch.is_grad_enabled():
        for key, parameter in layer.named_parameters(recurse=False):
            if parameter.requires_grad:
                observer.seen.used[id(parameter)] = f"{name}.{key}"
                if not any(module is layer for module in root.module.modules()):
                    observer.strangers.append(parameter)
                    observer.seen.hidden.append(layer)
    elif any(p.requires_grad for p in layer.parameters(recurse=False)):
        observer.seen.cut.append(("no_grad", here(), name))
        for key, parameter in layer.named_parameters(recurse=False):
            observer.seen.used[id(parameter)] = f"{name}.{key}"


def copied(value: Any) -> Any:
    """A tensor's copy; other values as they are."""
    return value.detach().clone() if isinstance(value, Tensor) else value


def switches_mode(module: nn.Module) -> bool:
    """Whether a layer acts differently in training and in evaluation."""
    if isinstance(module, _DropoutNd):
        return module.p > 0
    return isinstance(module, _BatchNorm) and module.track_running_stats


def describe(call: Call, given: Tensor) -> None:
    """Statistics of a batch."""
    values = given.detach().float()
    if not values.numel():
        return
    call.mean, call.low, call.high = float(values.mean()), float(values.min()), float(values.max())
    call.std = float(values.std()) if values.numel() > 1 else 0.0
    rows = values.reshape(len(values), -1)[:512] if values.dim() > 1 else values[:, None]
    call.same = len(rows) > 1 and bool((rows == rows[0]).all())
    weights = torch.linspace(0.5, 1.5, rows.shape[1], dtype=torch.float64) ** 2
    call.hashes = tuple((rows.double() @ weights).tolist())


def left(observer: Observer, layer: nn.Module, call: Call | None, result: Any) -> None:
    """Facts after a call."""
    seen = observer.seen
    if any(True for _ in layer.parameters(recurse=False)):
        observer.last_layer = observer.layer()
    outputs = list(tensors(result))
    first = seen.bad is None and outputs and torch.is_grad_enabled() and not any(True for _ in layer.children())
    if first and not bool(torch.isfinite(outputs[0].detach()).all()):
        seen.bad = observer.layer(), len(seen.steps)
        if not math.isfinite(seen.calls[-1].mean):
            seen.bad_input = seen.calls[-1]
    if call is not None and outputs:
        call.output = tuple(outputs[0].shape)
        for output in outputs:
            old = observer.tag(output)
            observer.tags[output] = Tag(call.batch, (call,), old.made)


def module_back(observer: Observer, original: Original) -> Original:
    """A net goes back to the CPU."""

    def cpu(self: nn.Module) -> nn.Module:
        observer.seen.moves += 1
        return original(self)  # type: ignore[no-any-return]

    return cpu


def module_moved(observer: Observer, original: Original) -> Original:
    """A net goes to a device; where there is no GPU it stays."""

    def to(self: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
        named = original.__name__ == "cuda" or any(isinstance(a, str | torch.device) for a in (*args, *kwargs.values()))
        if named and not elsewhere(observer) and any(True for _ in self.parameters()):
            observer.seen.model_moved = here()
            observer.seen.moves += 1
        if not observer.cuda:
            if original.__name__ == "cuda":
                return self
            args, kwargs, _, _ = observer.on_cpu("to", None, args, kwargs)
        return original(self, *args, **kwargs)  # type: ignore[no-any-return]

    return to


def cleared(observer: Observer, original: Original) -> Original:
    """Gradients are cleared."""

    def zero_grad(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not elsewhere(observer):
            mine = {id(p) for p in parameters(self)}
            for held in observer.seen.helds:
                if any(id(p) in mine for p in parameters(held.optimizer)):
                    held.cleared, held.cleared_at = True, here()
        return original(self, *args, **kwargs)

    return zero_grad


def loaded(observer: Observer, original: Original) -> Original:
    """Saved weights are loaded."""

    def load_state_dict(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not elsewhere(observer) and not observer.seen.backwards:
            observer.seen.loaded.append(self)
        return original(self, *args, **kwargs)

    return load_state_dict


def parameters(owner: Any) -> list[Tensor]:
    """The parameters of a net or of an optimiser."""
    if isinstance(owner, nn.Module):
        return list(owner.parameters())
    return [p for group in getattr(owner, "param_groups", []) for p in group["params"]]


def backward(observer: Observer, original: Original) -> Original:
    """A loss goes backward."""

    def run(*args: Any, **kwargs: Any) -> None:
        if elsewhere(observer):
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
    for held in seen.helds:
        if any(p.grad is not None and bool(p.grad.any()) for p in parameters(held.optimizer)):
            seen.got.add(id(held.optimizer))
    if seen.backwards <= 3 or seen.backwards % 10 == 0:  # later ones for a second phase with other parameters
        for call in seen.calls[-8:]:
            own = {id(p): name for name, p in call.module.named_parameters()}
            for name, p in call.module.named_parameters():
                if p.grad is not None:
                    seen.reached[id(p)] = name, p, True
            for stranger in observer.strangers:
                if stranger.grad is not None and id(stranger) not in own:
                    seen.reached[id(stranger)] = seen.used.get(id(stranger), "?"), stranger, False
    if seen.backwards % 5 == 0:
        alive = [loss for ref in observer.loss_refs[:-2] if (loss := ref()) is not None and loss.grad_fn is not None]
        seen.most_kept = max(seen.most_kept, len(alive))


def before_backward(observer: Observer, args: Any, kwargs: Any) -> None:
    """Facts before a backward."""
    seen, place = observer.seen, here()
    seen.backwards, seen.backward_at = seen.backwards + 1, place
    for loss in tensors(args[0] if args else kwargs.get("tensors")):
        tag = observer.tag(loss)
        calls = tag.calls or tuple(call for call in seen.calls[-1:] if call.grad)
        for call in calls:
            call.trained = True
        if tag.loss:
            tag.loss.backward, tag.loss.went = True, float(loss.detach().float().mean())
        observer.last_loss = float(loss.detach().float().mean())
        if loss.grad_fn is None:
            seen.graph_leaf = place
        observer.loss_refs.append(weakref.ref(loss))
    for held in seen.helds:
        if all(p.grad is None or not bool(p.grad.any()) for p in parameters(held.optimizer)):
            held.cleared = True


def optimizer_made(observer: Observer, original: Original) -> Original:
    """An optimiser is made."""

    def __init__(self: Optimizer, *args: Any, **kwargs: Any) -> None:
        stack = frames(self)
        try:
            original(self, *args, **kwargs)
        except Exception as error:
            if not elsewhere(observer):
                observer.failed(error, "optimizer", (), {})
            raise
        if not elsewhere(observer):
            observer.seen.helds.append(Held(self, stack[0] if stack else None, stack=stack))

    return __init__


def held_of(observer: Observer, optimizer: Optimizer) -> Held | None:
    """What is known of an optimiser."""
    return next((held for held in observer.seen.helds if held.optimizer is optimizer), None)


def before_step(observer: Observer, optimizer: Optimizer) -> None:
    """Facts before a step: gradients, and whether they were cleared since the last one."""
    if elsewhere(observer):
        return
    observer.quietly(lambda: look_before_step(observer, optimizer), None)
    observer.paused += 1


def look_before_step(observer: Observer, optimizer: Optimizer) -> None:
    """The facts themselves."""
    held = held_of(observer, optimizer)
    if held is None:
        return
    mine = parameters(optimizer)
    held.stepped_at = held.stepped_at or here()
    held.empty += all(p.grad is None or not bool(p.grad.any()) for p in mine)
    held.uncleared += held.steps > 0 and not held.cleared
    held.rates.append(float(optimizer.param_groups[0].get("lr", 0.0)))
    names = {id(p): n for n, p in observer.seen.model.named_parameters()} if observer.seen.model is not None else {}
    observer.before = [
        (names.get(id(p), f"parameter {index}"), p, p.detach().clone(), norm(p.grad))
        for index, p in enumerate(mine)
        if p.dim() > 1 and p.numel() <= MOST // 10
    ]


def norm(tensor: Tensor | None) -> float:
    """Its length; 0 of nothing."""
    return 0.0 if tensor is None else float(tensor.detach().float().norm())


def closure(args: Any, kwargs: Any) -> bool:
    """Whether a step computes the loss itself, as often as it likes: nothing is said of its gradients."""
    return (len(args) > 1 and callable(args[1])) or callable(kwargs.get("closure"))


def after_step(observer: Observer, optimizer: Optimizer, whole: bool) -> None:
    """Facts after a step: how far the weights went."""
    if os.getpid() != observer.pid or not (observer.paused or whole):
        return
    if whole:
        observer.before = []
    observer.quietly(lambda: look_after_step(observer, optimizer), None)
    observer.paused -= not whole
    observer.tick()


def look_after_step(observer: Observer, optimizer: Optimizer) -> None:
    """The facts themselves."""
    held = held_of(observer, optimizer)
    if held is None:
        return
    held.steps += 1
    held.cleared = False
    ratios = {n: norm(p.detach() - old) / (norm(old) + 1e-12) for n, p, old, _ in observer.before}
    gradients = {n: g for n, _, _, g in observer.before}
    observer.seen.steps.append(Step(len(observer.seen.steps), held, observer.last_loss, ratios, gradients))
    recent = next((call for call in reversed(observer.seen.calls) if call.trained), None)
    if recent and recent.batch:
        recent.batch.loader.steps += 1


def scheduler_made(observer: Observer, original: Original) -> Original:
    """A scheduler is made; from then on its steps are seen."""

    def __init__(self: LRScheduler, *args: Any, **kwargs: Any) -> None:
        stack = frames(self)
        original(self, *args, **kwargs)
        if elsewhere(observer) or any(fact.scheduler is self for fact in observer.seen.schedulers):
            return
        rate = float(self.optimizer.param_groups[0]["lr"])
        fact = Scheduled(self, stack[0] if stack else None, first_rate=rate, stack=stack)
        observer.seen.schedulers.append(fact)
        step = self.step

        def stepped(*given: Any, **named: Any) -> None:
            fact.stepped_at = fact.stepped_at or here()
            held = held_of(observer, self.optimizer)
            if observer.enough is None:
                fact.at.append(held.steps if held else 0)
            step(*given, **named)
            fact.rates.append(float(self.optimizer.param_groups[0]["lr"]))

        self.step = stepped  # type: ignore[method-assign]

    return __init__


def loader_made(observer: Observer, original: Original) -> Original:
    """A loader is made; it loads in this process, where its transforms can be seen."""

    def __init__(self: DataLoader[Any], *args: Any, **kwargs: Any) -> None:
        place = here()
        original(self, *args, **kwargs)
        if elsewhere(observer):
            return
        fact = Loader(self, place, worker_init=self.worker_init_fn, workers=self.num_workers)
        observer.seen.loaders.append(fact)
        object.__setattr__(self, "num_workers", 0)
        object.__setattr__(self, "prefetch_factor", None)
        object.__setattr__(self, "persistent_workers", False)
        object.__setattr__(self, "pin_memory", False)
        object.__setattr__(self, "timeout", 0)

    return __init__


def iterated(observer: Observer, original: Original) -> Original:
    """A loader is gone through."""

    def __iter__(self: DataLoader[Any]) -> Any:
        inner = original(self)
        fact = next((fact for fact in observer.seen.loaders if fact.loader is self), None)
        if fact is None or elsewhere(observer):
            return inner
        batches = Batches(observer, fact, inner)
        fetching(observer, fact, inner)
        return batches

    return __iter__


class Batches:
    """A loader's iterator that ends as if exhausted when enough was seen."""

    def __init__(self, observer: Observer, fact: Loader, inner: Any) -> None:
        self.observer, self.fact, self.inner = observer, fact, inner
        fact.passes += 1
        if fact.passes == 1:
            observer.quietly(lambda: setattr(fact, "stored_labels", label_digest(fact.loader.dataset)), None)
        self.number, self.late = 0, observer.enough is not None
        self.calls, self.backwards = len(observer.seen.calls), observer.seen.backwards

    def __iter__(self) -> "Batches":
        return self

    def __len__(self) -> int:
        return len(self.inner)

    def __next__(self) -> Any:
        observer = self.observer
        observer.tick()
        if self.over():
            raise StopIteration
        observer.data += 1
        try:
            batch = next(self.inner)
        finally:
            observer.data -= 1
        observer.quietly(lambda: self.note(batch), None)
        self.number += 1
        return batch

    def over(self) -> bool:
        """Whether enough batches were given."""
        seen = self.observer.seen
        trains = seen.backwards > self.backwards
        judges = not trains and len(seen.calls) - self.calls >= AFTER and self.number >= AFTER
        if self.observer.enough is None or self.number == 0:
            return judges
        if self.fact.steps or trains:
            if few_images(self.fact.loader) and time.monotonic() - self.observer.enough < LONGER:
                return False
            return not self.late or self.number >= 1
        return judges

    def note(self, batch: Any) -> None:
        """Where its tensors come from."""
        self.fact.batches += 1
        fact = Batch(self.fact, self.number, randomness())
        parts = list(tensors(batch))
        if self.fact.batches <= 6:
            fact.parts = tuple(part.detach().clone() for part in parts)
        for part in parts:
            self.observer.tags[part] = Tag(fact, moved=all_moved(self.observer, self.fact))
        labels = [part for part in parts if not part.is_floating_point() and part.dim() == 1]
        if labels and len(self.fact.first_labels) < 40:
            self.fact.first_labels.append(labels[-1].tolist())


def few_images(loader: Any) -> bool:
    """Whether so few images are trained on that they may be learned by heart soon."""
    try:
        return len(loader.dataset) <= FEW_IMAGES
    except (TypeError, AttributeError):
        return False


def all_moved(observer: Observer, fact: Loader) -> bool:
    """Whether a loader's dataset holds tensors that were moved to the device before."""
    held = getattr(fact.loader.dataset, "tensors", ())
    return observer.moved_in_data or (bool(held) and all(observer.tag(tensor).moved for tensor in held))


def label_digest(dataset: Any) -> bytes:
    """Digest of the whole numbers in tensors and arrays that a dataset holds; b"" where there are none."""
    held = [
        *getattr(dataset, "tensors", ()),
        *(v for n, v in sorted(getattr(dataset, "__dict__", {}).items()) if n != "tensors"),
    ]
    digest = hashlib.sha256()
    found = False
    for value in held:
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        if getattr(getattr(array, "dtype", None), "kind", "") in "iu" and getattr(array, "ndim", 0) == 1:
            digest.update(array.tobytes())
            found = True
    return digest.digest() if found else b""
