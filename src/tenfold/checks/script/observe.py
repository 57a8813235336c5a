"""The observer: sees every torch function that the program calls, and keeps the facts that rules need.

It changes nothing that the program could see. Where there is no GPU, what is meant for one stays on the CPU.
"""

import os
import time
import traceback
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from tenfold.checks.script.seen import Call, Failure, Lesson, LossCall, Made, Pick, Seen, here
from tenfold.checks.script.tags import (
    ACTIVATING,
    ACTIVATIONS,
    ADDS,
    AFTER_SECONDS,
    CUTS,
    DATA,
    DROPOUTS,
    FACTORIES,
    KEPT,
    LOOSE,
    LOSSES,
    MOST_NUMBERS,
    MOVES,
    NOTHING,
    SAME,
    SHAPES,
    SWALLOWED,
    WEIGHT,
    WRITES,
    Finished,
    Tag,
    all_finite,
    is_whole,
    label,
    moves_device,
    right_answers,
    row_sums,
    tensors,
    weights_of,
)


class Observer(TorchFunctionMode):
    """Watches one program; `seen` are the facts."""

    def __init__(self, script: str, steps: int, seconds: float) -> None:
        super().__init__()
        self.seen, self.limit, self.deadline = Seen(script), steps, time.monotonic() + seconds
        self.tags: WeakIdKeyDictionary = WeakIdKeyDictionary()
        self.stack: list[nn.Module] = []
        self.paused = 0
        self.data = 0
        """Inside a loader: what happens there is not the training loop's."""
        self.moved_in_data = False
        self.give_up: Callable[[], None] = lambda: None
        self.taken: list[Tensor] = []
        """Parts of larger tensors, since the last call of a net."""
        self.outside_of_nets: Callable[..., None] = lambda *_: None
        """Keeps what happens to the data."""
        self.pid = os.getpid()
        self.enough: float | None = None
        """When enough steps were seen."""
        self.enough_worked = 0.0
        """How long this thread had worked then: another program's load must not end this one earlier."""
        self.last_loss: float | None = None
        self.last_map: tuple[int, ...] = ()
        self.criterion: nn.Module | None = None
        """The loss module that is running."""
        self.given: Tensor | None = None
        """The only thing that the net got in its running call, if it is a tensor."""
        self.ran: set[int] = set()
        """Layers with weights that ran in the running call of the net."""
        self.last_layer = ""
        """The layer with weights that ran last."""
        self.ended = 0
        self.names: dict[int, dict[int, str]] = {}
        self.loss_refs: list[Any] = []
        self.bases: dict[int, tuple[Callable[[], Any], int]] = {}
        """What the parts that are changed in place belong to, and the call at which that was first seen."""
        self.strangers: list[Tensor] = []
        """Parameters of layers that ran but are not among the net's modules."""
        self.before: list[tuple[str, Tensor, Tensor, float]] = []
        """Name, weight, its copy and its gradient's length before a step."""
        self.versions: dict[int, tuple[int, int]] = {}
        """Of the gradients before a backward."""
        self.cuda = torch.cuda.is_available()

    # --- torch's functions

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call it, and note what rules need to know."""
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if self.paused or os.getpid() != self.pid:
            return func(*args, **kwargs)
        if self.data:
            self.moved_in_data |= name in MOVES and moves_device(args, kwargs)
            result = func(*args, **kwargs)
            self.quietly(lambda: self.outside_of_nets(self, name, args, kwargs, result), None)
            return result
        if not self.cuda and (name in MOVES or "device" in kwargs):
            args, kwargs, name, func = self.on_cpu(name, func, args, kwargs)
        try:
            result = func(*args, **kwargs)
        except Exception as error:
            self.failed(error, name, args, kwargs)
            raise
        if name != "__get__":
            result = self.quietly(lambda: self.note(name, args, kwargs, result), result)
        elif getattr(func, "__self__", None) is DATA:
            self.quietly(lambda: self.cuts("data", args), None)
            if isinstance(args[0], nn.Parameter):
                self.tags[result] = WEIGHT
            self.quietly(lambda: self.pass_on(args, result), None)
        return result

    @property
    def elsewhere(self) -> bool:
        """Whether this is not the program's own doing: a probe, or a forked worker."""
        return bool(self.paused) or os.getpid() != self.pid

    def quietly(self, look: Callable[[], Any], otherwise: Any) -> Any:
        """Look; an error of the observer's own is recorded and changes nothing."""
        self.paused += 1
        try:
            found = look()
            return otherwise if found is None else found
        except Exception:
            self.seen.faults.append(traceback.format_exc())
            return otherwise
        finally:
            self.paused -= 1

    def on_cpu(self, name: str, func: Any, args: Any, kwargs: Any) -> tuple[Any, Any, str, Any]:
        """What is meant for a GPU that is not here, on the CPU."""

        def here_instead(value: Any) -> Any:
            if isinstance(value, torch.device) and value.type == "cuda":
                return torch.device("cpu")
            return "cpu" if isinstance(value, str) and value.startswith("cuda") else value

        if name == "cuda" and args and isinstance(args[0], Tensor):
            return (args[0], "cpu"), {}, "to", Tensor.to
        return (
            tuple(here_instead(a) for a in args),
            {k: here_instead(v) if k == "device" else v for k, v in kwargs.items()},
            name,
            func,
        )

    def failed(self, error: BaseException, name: str, args: Any, kwargs: Any) -> None:
        """Remember the operation that raised."""
        given = [f"{list(t.shape)} {str(t.dtype).removeprefix('torch.')}" for t in tensors([args, kwargs])]
        if self.seen.failure is None or self.seen.failure.error is not error:
            module = self.stack[-1] if self.stack else None
            self.seen.failure = Failure(error, name, given, self.layer(), module, self.last_map, here())

    def layer(self) -> str:
        """The name of the layer that is running, within its net."""
        if len(self.stack) < 2:
            return ""
        net = self.stack[0]
        names = self.names.setdefault(id(net), {id(m): n for n, m in net.named_modules()})
        return names.get(id(self.stack[-1]), type(self.stack[-1]).__name__)

    def tag(self, tensor: Any) -> Tag:
        """What is known of a tensor."""
        return self.tags.get(tensor, NOTHING) if isinstance(tensor, Tensor) else NOTHING

    def note(self, name: str, args: Any, kwargs: Any, result: Any) -> Any:
        """Facts of one call; may return an alias of the result."""
        if name in LOSSES:
            self.loss(name, args, kwargs, result)
            return None
        if name in ACTIVATIONS and isinstance(result, Tensor):
            self.tags[result] = replace(self.tag(args[0]), made=Made(name, here(), self.layer()))
            self.activity(name, result)
            if name == "log_softmax" and not self.stack:
                self.seen.log_softmax = tuple(args[0].shape), here()
            if not self.stack and "softmax" in name and self.tag(args[0]).calls:
                dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
                kind = "softmax" if torch.is_grad_enabled() else "probabilities"
                self.keep(Pick(kind, here(), tuple(args[0].shape), dim))
            return None
        if self.stack:
            self.inside(name, args, kwargs, result)
            return None
        self.outside_of_nets(self, name, args, kwargs, result)
        return self.outside(name, args, kwargs, result)

    def inside(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """A function inside a net's call."""
        if name == "batch_norm" and torch.is_grad_enabled() and kwargs.get("training", len(args) > 5 and args[5]):
            self.seen.normed[len(result)] = self.seen.normed.get(len(result), 0) + 1
        if isinstance(result, Tensor) and result.dim() == 4:
            self.last_map = tuple(result.shape[1:])
        if name in SAME or name.startswith("dropout"):
            self.pass_on(args, result)
        if name in CUTS:
            self.cuts(name, args)
        self.sharpness(name, args)
        first = not self.seen.backwards and isinstance(result, Tensor) and args and isinstance(args[0], Tensor)
        if first and name in SHAPES:
            self.shape_change(name, args, result)
        functional = name.startswith("dropout") and type(self.stack[-1]).__module__ != DROPOUTS
        if functional and kwargs.get("training", True) and not self.stack[0].training and kwargs.get("p", 0.5) > 0:
            self.seen.always_dropout = here(), self.layer()

    def shape_change(self, name: str, args: Any, result: Tensor) -> None:
        """A view or permutation that takes the batch's dimension apart."""
        before, after = tuple(args[0].shape), tuple(result.shape)
        numbers = [a for a in args[1:] if isinstance(a, int)] or list(args[1] if len(args) > 1 else [])
        if name in ("permute",):
            moves = bool(numbers) and numbers[0] not in (0, -len(before))
        elif name in ("transpose", "swapaxes", "movedim", "t"):
            moves = name == "t" or 0 in [n % len(before) for n in numbers]
        else:
            moves = before[0] != after[0]
        if moves:
            self.seen.mixing.append((name, before, after, here()))

    def cuts(self, name: str, args: Any) -> None:
        """Something that takes a tensor out of the graph while the net computes."""
        if self.stack and torch.is_grad_enabled() and args and isinstance(args[0], Tensor) and args[0].grad_fn:
            self.seen.cut.append((name, here(), self.layer()))

    def activity(self, name: str, result: Tensor) -> None:
        """Which units of a ReLU are active, how many of a sigmoid are saturated."""
        if not torch.is_grad_enabled() or result.dim() < 2 or not self.stack:
            return
        layer = self.layer() if type(self.stack[-1]).__module__ in ACTIVATING else self.last_layer
        layer = layer or self.layer() or name
        if name in ("relu", "relu_", "relu6"):
            units = (result > 0).transpose(0, 1).flatten(1).any(1)
            idle = self.seen.idle.get(layer)
            counted = idle is not None and idle.shape == units.shape
            self.seen.idle[layer] = torch.where(units, 0, idle + 1 if counted and idle is not None else 1)
        elif name in ("sigmoid", "tanh", "sigmoid_", "tanh_"):
            low = 0.01 if name.startswith("sig") else -0.99
            share = ((result < low) | (result > 0.99)).float().mean().item()
            self.seen.saturated.setdefault(layer, []).append(share)
            self.seen.bent = self.seen.bent or here()

    def outside(self, name: str, args: Any, kwargs: Any, result: Any) -> Any:
        """A function in the training loop, or in the data's own code."""
        if name == "backward":
            return None
        if name in ("argmax", "max", "topk", "__eq__", "eq"):
            self.pick(name, args, kwargs, result)
        elif name in ADDS:
            self.added(args, result)
        elif name in MOVES and isinstance(result, Tensor) and moves_device(args, kwargs):
            if result is args[0] and not result.requires_grad:
                result = result.detach()  # as on a GPU: another tensor, so that a forgotten assignment shows
            self.tags[result] = replace(self.tag(args[0]), moved=True)
            return result
        elif name in FACTORIES and kwargs.get("device") is not None:
            self.tags[result] = replace(NOTHING, moved=True)
        if (name.endswith("_") and not name.endswith("__")) or name in WRITES:
            self.in_place(name, args or (kwargs.get("tensor"),))
        self.sharpness(name, args)
        self.finite(name, args, result)
        self.pass_on(args, result, name in SAME)
        return None

    def pass_on(self, args: Any, result: Any, same: bool = True) -> None:
        """A result comes from where its arguments come from."""
        outs = list(tensors(result)) if not isinstance(result, Tensor) else [result]
        known = [tag for tag in map(self.tag, tensors(args)) if tag is not NOTHING]
        if not outs or not known:
            return
        calls = tuple(dict.fromkeys(call for tag in known for call in tag.calls))
        merged = Tag(
            next((tag.batch for tag in known if tag.batch), None),
            calls,
            known[0].made if same and len(known) == 1 else None,
            any(tag.moved for tag in known),
            next((tag.loss for tag in known if tag.loss), None),
            frozenset().union(*(tag.steps for tag in known)),
        )
        for out in outs:
            old = self.tags.get(out)
            self.tags[out] = replace(merged, values=bool(old and old.values))

    def pick(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """A class chosen from logits, or predictions compared with labels."""
        of, place = args[0], here()
        if name in ("__eq__", "eq"):
            other = args[1]
            if not isinstance(other, Tensor) or not isinstance(of, Tensor):
                return
            tags = self.tag(of), self.tag(other)
            calls = [call for tag in tags for call in tag.calls]
            if calls:
                mine = of if tags[0].calls else other
                values = any(tag.values for tag in tags) or (mine.is_floating_point() and not is_whole(mine))
                self.keep(
                    Pick("compare", place, tuple(of.shape), None, tuple(other.shape), tuple(result.shape), values)
                )
                self.judge(calls)
                if len(set(calls)) == 1 and of.shape == other.shape and of.dim() == 1:
                    calls[0].right = float(result.detach().float().mean())
                labels = other if tags[0].calls else of
                label(calls, labels)
                if not labels.is_floating_point() and not torch.is_grad_enabled():
                    self.seen.judged_labels.update(labels.unique().tolist()[:200])
            return
        tag = self.tag(of)
        if not tag.calls or not isinstance(of, Tensor):
            return
        dim = kwargs.get("dim", args[1] if len(args) > 1 and isinstance(args[1], int) else None)
        if name == "topk":
            dim = kwargs.get("dim", args[2] if len(args) > 2 else -1)
        elif name == "max" and dim is None:
            return
        self.keep(Pick("choose", place, tuple(of.shape), dim))
        if not torch.is_grad_enabled():  # it may be compared with labels outside torch
            self.judge([call for call in tag.calls if not call.judged])
        if not isinstance(result, Tensor):
            for part, value in zip(result, (True, False)):
                self.tags[part] = replace(tag, values=value, made=None)

    def keep(self, pick: Pick) -> None:
        """One of each line is enough, the first with an unusual shape too."""
        self.seen.picks.setdefault((pick.kind, pick.place, pick.dim, pick.values, len(pick.result)), pick)

    def judge(self, calls: Sequence[Call]) -> None:
        """Their output is compared with labels."""
        for call in calls:
            call.judged = True
            if call.batch:
                call.batch.loader.judged += 1

    def added(self, args: Any, result: Any) -> None:
        """Losses added up with their graphs."""
        if not isinstance(result, Tensor) or not result.requires_grad or result.numel() > 1:
            return
        steps: frozenset[int] = frozenset()
        for part in tensors(args):
            tag = self.tag(part)
            steps |= tag.steps | (frozenset([tag.loss.step]) if tag.loss else frozenset())
        if len(steps) > (self.seen.kept[1] if self.seen.kept else 2):
            self.seen.kept = here(), len(steps)
        if steps:
            self.tags[result] = replace(self.tag(result), steps=steps)

    def in_place(self, name: str, args: Any) -> None:
        """Whole numbers that are changed where they lie, and before the first call what parameters begin with."""
        if not isinstance(args[0], Tensor):
            return
        if not self.seen.calls:
            place = here() if isinstance(args[0], nn.Parameter) or self.tag(args[0]) is WEIGHT else None
            if place:
                self.seen.written[args[0].untyped_storage().data_ptr()] = place
            return
        whole = args[0]._base
        if whole is None or whole.numel() < 2 * args[0].numel() or args[0].requires_grad:
            return
        labels = not args[0].is_floating_point()
        kept = self.seen.changed if labels else self.seen.scaled
        key = args[0].untyped_storage().data_ptr() if labels else args[0].data_ptr()
        _, times, _ = kept.get(key, (None, 0, ""))
        known, since = self.bases.get(id(whole), (object, 0))
        if known() is not whole:
            self.bases[id(whole)] = weakref.ref(whole), len(self.seen.calls)
        lasting = known() is whole and since < len(self.seen.calls)
        if labels or (lasting and name in ("sub_", "div_", "mul_", "add_")):
            kept[key] = here(), times + 1, name

    def sharpness(self, name: str, args: Any) -> None:
        """The root of 0 has an infinite slope."""
        of = args[0] if args else None
        if not isinstance(of, Tensor) or name not in ("sqrt", "log", "rsqrt") or not of.requires_grad:
            return
        if self.seen.sharp is None and bool((of.detach() == 0).any()):
            self.seen.sharp = name, here()

    def finite(self, name: str, args: Any, result: Any) -> None:
        """The first function of the training loop that makes infinity or NaN of numbers."""
        watched = isinstance(result, Tensor) and result.requires_grad and self.seen.bad_op is None
        if watched and not all_finite([result]) and all_finite(args):
            self.seen.bad_op = name, here(), len(self.seen.steps)

    # --- losses

    def loss(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """Facts of one call of a loss function."""
        given, target = args[0], kwargs.get("target", args[1] if len(args) > 1 else None)
        if not isinstance(given, Tensor) or not isinstance(target, Tensor) or not isinstance(result, Tensor):
            return
        tag, rows = self.tag(given), given.detach().float()
        flat = target.detach().flatten()
        fact = LossCall(
            name, here(), len(self.seen.steps), torch.is_grad_enabled(), tuple(given.shape), tuple(target.shape),
            str(target.dtype).removeprefix("torch."), float(flat.min()), float(flat.max()), is_whole(flat),
            float(result.detach().float().mean()), kwargs.get("reduction", "mean"), tag.made,
            float(rows.min()), float(rows.max()), row_sums(rows),
            tag.calls[-1] if tag.calls else None, kwargs.get("weight") is not None,
            self.tag(target).moved, distinct=int(flat.unique().numel()),
            labels=tuple(flat[:64].tolist()) if not target.is_floating_point() else (),
            target_rows=row_sums(target), criterion=self.criterion, right=right_answers(given, target),
            weights=weights_of(kwargs),
            target=target.detach().clone() if len(self.seen.losses) < 30 else None,
        )  # fmt: skip
        self.seen.losses.append(fact)
        self.learn(fact, target, kwargs)
        self.seen.targets.add(target.untyped_storage().data_ptr())
        label(tag.calls, target)
        for call in tag.calls:
            call.loss = fact.value
        if torch.is_grad_enabled() and self.seen.target is None and self.seen.first is not None:
            self.seen.target = target.detach().clone()
        if not torch.is_grad_enabled():
            self.judge(tag.calls)
        self.tags[result] = Tag(calls=tag.calls, loss=fact, batch=tag.batch)

    def learn(self, fact: LossCall, target: Tensor, options: dict[str, Any]) -> None:
        """Keep a training batch, so that its step can be tried again on a copy of the net."""
        seen, given = self.seen, self.given
        if given is None or fact.call is None or fact.call.module is not seen.model or not fact.grad:
            return
        if fact.shape != fact.call.output or len(seen.lessons) >= KEPT:
            return
        if sum(lesson.inputs.numel() for lesson in seen.lessons) + given.numel() <= MOST_NUMBERS:
            rest = {name: value for name, value in options.items() if name not in ("input", "target")}
            seen.lessons.append(Lesson(given.detach().clone(), target.detach().clone(), fact.kind, rest))

    # --- the end

    def tick(self) -> None:
        """Stop the program if enough was seen, or the time is over."""
        now = time.monotonic()
        unstepped = not self.seen.steps and self.seen.backwards >= 4 * self.limit
        if self.enough is None and (len(self.seen.steps) >= self.limit or unstepped):
            self.enough, self.enough_worked = now, time.thread_time()
            for held in self.seen.helds:
                held.whole = held.steps
        after = self.enough is not None and time.thread_time() - self.enough_worked > AFTER_SECONDS
        if after or now > self.deadline or (self.enough and len(self.seen.steps) > LOOSE * self.limit):
            self.finish("steps" if self.enough else "timeout")

    def finish(self, why: str) -> None:
        """End the program here."""
        self.seen.ended = self.seen.ended or why
        self.ended += 1
        if self.ended > SWALLOWED:
            self.give_up()
        raise Finished
