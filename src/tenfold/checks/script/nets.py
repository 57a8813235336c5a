"""Hung into nets: where layers are made, what a net is called with and gives, and where it is moved."""

import copy
import inspect
import math
import weakref
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.loss import _Loss
from torch.nn.parameter import UninitializedParameter

from tenfold.checks.script.chance import chance
from tenfold.checks.script.observe import Observer
from tenfold.checks.script.seen import Call, Drift, LossCall, frames, here, spans
from tenfold.checks.script.tags import Original, Tag, is_whole, tensors

MOST = 30_000_000
"""A net of more numbers is not copied."""
TO_JUDGE = 12_000_000
"""So much of the room for images is kept for those of evaluations."""


def born(observer: Observer, original: Original) -> Original:
    """A layer, a net or a loss is made."""

    def __init__(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if not observer.elsewhere:
            observer.seen.births[id(self)] = weakref.ref(self), frames(self)

    return __init__


def called(observer: Observer, original: Original) -> Original:
    """A net or a layer is called."""

    def __call__(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if observer.elsewhere:
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
        call.sought = given.requires_grad and given.is_leaf
        if call.batch and call.batch.randomness is not None:
            call.drawn = call.batch.randomness != chance()
        describe(call, given)
        room = seen.room - TO_JUDGE * call.grad
        if given.dim() > 2 and given.is_floating_point() and given.numel() <= room:
            call.images, seen.room = given.detach().clone(), seen.room - given.numel()
    call.places, call.spans, call.losses = frames(), spans(3), len(seen.losses)
    beside = list(tensors([args, kwargs]))[1:]
    call.told = any(not t.is_floating_point() and t.dim() == 1 and t.shape == call.shape[:1] for t in beside)
    before = dict.fromkeys(c for t in tensors([args, kwargs]) for c in observer.tag(t).calls)
    call.fed = tuple(c for c in before if c.module is not net)
    call.moved = call.moved or any(part.moved for part in call.fed)
    loud = next((m for _, m in switches if m.training), None)
    place, backwards = seen.switched.get(id(loud), (None, 0))
    call.roused = place if seen.backwards and backwards == seen.backwards else None
    call.taken, observer.taken = tuple(observer.taken) if len(seen.calls) < 12 else (), []
    seen.calls.append(call)
    observer.ran.clear()
    inputs = in_order(net, args, kwargs)
    alone = len(args) + len(kwargs) == len(inputs) == 1 and given is inputs[0]
    observer.given = given if call.grad and alone else None
    ready = not any(isinstance(p, UninitializedParameter) for p in net.parameters())
    if call.grad and seen.model is None and given is not None and ready:
        seen.model, seen.inputs = net, tuple(copied(a) for a in inputs)
        held = ((type(module), *one) for module in net.modules() for one in vars(module).items())
        seen.plain = [(kind, name, tuple(value.shape)) for kind, name, value in held if isinstance(value, Tensor)]
        if sum(p.numel() for p in net.parameters()) <= MOST:
            seen.first = observer.quietly(lambda: twin(net), None)
    return call


def in_order(net: nn.Module, args: Any, kwargs: Any) -> tuple[Any, ...]:
    """What a net is given, as it can be given by position; none of it where it cannot.

    Of what is given by name only, labels and options after the images are left out where forward does without.
    """
    if args or not kwargs:
        return tuple(args)
    try:
        signature = inspect.signature(net.forward)
        given = dict(signature.bind(**kwargs).arguments)
    except (TypeError, ValueError):
        return ()
    while len(given) > 1 and optional(*list(given.items())[-1], signature):
        given.popitem()
    return tuple(given.values()) if list(given) == list(signature.parameters)[: len(given)] else ()


def optional(name: str, value: Any, signature: inspect.Signature) -> bool:
    """Whether an argument is an option with a default, or class numbers that need not be given."""
    images = isinstance(value, Tensor) and (value.is_floating_point() or value.dim() > 1)
    return not images and signature.parameters[name].default is not inspect.Parameter.empty


def twin(net: nn.Module) -> nn.Module:
    """A copy; what its modules keep of an earlier graph, as weight_norm its weight, is copied without the graph."""
    held = [value for module in net.modules() for value in vars(module).values() if isinstance(value, Tensor)]
    return copy.deepcopy(net, {id(value): value.detach().clone() for value in held if not value.is_leaf})


def inner(observer: Observer, layer: nn.Module) -> None:
    """Facts before a layer's call inside a net's."""
    root = observer.seen.calls[-1]
    if isinstance(layer, _BatchNorm) and layer.training and not torch.is_grad_enabled():
        drifts(observer, layer)
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


def drifts(observer: Observer, norm: _BatchNorm) -> None:
    """A batch norm that learned before changes its means though its net learns nothing now."""
    known = observer.seen.drifting
    if id(norm) not in known:
        learned = norm.num_batches_tracked is not None and int(norm.num_batches_tracked) > 0
        if not learned or not isinstance(norm.weight, Tensor):
            return
        known[id(norm)] = Drift(norm, here(), norm.weight.detach().clone())
    known[id(norm)].steps.add(len(observer.seen.steps))


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
    call.std, call.whole = float(values.std()) if values.numel() > 1 else 0.0, is_whole(values)
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
        call.output, call.outputs = tuple(outputs[0].shape), len(outputs)
        call.lowest = float(outputs[0].detach().min()) if outputs[0].numel() else 0.0
        call.memory = outputs[0].data_ptr()
        if not call.grad and outputs[0].dim() == 2 and outputs[0].shape[1] > 1:
            call.highest = outputs[0].detach().topk(min(5, outputs[0].shape[1])).indices
        for output in outputs:
            old = observer.tag(output)
            observer.tags[output] = Tag(call.batch, (call,), old.made, call.moved, loss=loss_of(observer, call, output))


def loss_of(observer: Observer, call: Call, output: Tensor) -> LossCall | None:
    """The loss that a criterion with weights of its own, whose call looks like a net's, computed of a net's output."""
    inside = observer.seen.losses[call.losses :] if output.numel() == 1 else []
    return next((loss for loss in inside if loss.call is not None), None)


def mode_set(observer: Observer, original: Original) -> Original:
    """A module is set to training mode, or to evaluation; it hands the mode on to its parts."""

    def train(self: nn.Module, mode: bool = True) -> nn.Module:
        if mode and not observer.elsewhere:
            observer.seen.switched[id(self)] = here(), observer.seen.backwards
        return original(self, mode)  # type: ignore[no-any-return]

    return train


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
        if named and not observer.elsewhere and any(True for _ in self.parameters()):
            observer.seen.model_moved = here()
            observer.seen.moves += 1
        if not observer.cuda:
            if original.__name__ == "cuda":
                return self
            args, kwargs, _, _ = observer.on_cpu("to", None, args, kwargs)
        return original(self, *args, **kwargs)  # type: ignore[no-any-return]

    return to
