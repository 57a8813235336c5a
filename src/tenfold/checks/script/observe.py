"""The observer: sees every torch function that the program calls, and keeps the facts that rules need.

It changes nothing that the program could see. Where there is no GPU, what is meant for one stays on the CPU.
"""

import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from tenfold.checks.script.seen import Call, Failure, Seen, here
from tenfold.checks.script.tags import (
    AFTER_SECONDS,
    DATA,
    GRAD,
    LOOSE,
    MOVES,
    NOTHING,
    SWALLOWED,
    TURNED,
    Finished,
    Tag,
    moves_device,
    tensors,
)


def read_by_program(func: Any) -> bool:
    """Whether a gradient is read, and not by torch's own code, which clears, clips and scales them."""
    if getattr(func, "__self__", None) is not GRAD:
        return False
    return not str(sys._getframe(2).f_globals.get("__name__", "")).startswith("torch.")


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
        self.leaving: tuple[Any, Tensor, tuple[Call, ...]] = None, torch.empty(0), ()
        """Where and when predictions went on as numpy's last, those of the parts so far, their calls."""
        self.told: Callable[..., Any] = lambda *_: None
        """Notes one call of a function: (observer, name, args, kwargs, result); may return an alias of the result."""
        self.told_of_data: Callable[..., None] = lambda *_: None
        """The same inside a loader."""
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
        self.waiting: list[Call] = []
        """Calls whose gradients no step has used yet."""
        self.unused: list[Call] = []
        """Calls since the last step whose gradients were cleared unused."""
        self.leftovers: list[Callable[[], None]] = []
        """What removes the program's temporary folders, once all is judged."""
        self.ran: set[int] = set()
        """Layers with weights that ran in the running call of the net."""
        self.last_layer = ""
        """The layer with weights that ran last."""
        self.ended = 0
        self.names: dict[int, dict[int, str]] = {}
        self.loss_refs: list[Any] = []
        self.bases: dict[int, tuple[Callable[[], Any], int]] = {}
        """What the parts that are changed in place belong to, and the call at which that was first seen."""
        self.wrapped: dict[Any, Callable[..., Any]] = {}
        """Classes whose steps are seen, with the step that they had."""
        self.strangers: list[Tensor] = []
        """Parameters of layers that ran but are not among the net's modules."""
        self.stepping: Any = None
        """The optimiser whose step is running."""
        self.before: list[tuple[str, Tensor, Tensor, float]] = []
        """Name, weight, its copy and its gradient's length before a step."""
        self.versions: dict[int, tuple[int, int]] = {}
        """Of the gradients before a backward."""
        self.cuda = torch.cuda.is_available()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call it, and note what rules need to know."""
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if self.paused or os.getpid() != self.pid:
            return func(*args, **kwargs)
        if self.data:
            self.moved_in_data |= name in MOVES and moves_device(args, kwargs)
            result = func(*args, **kwargs)
            self.quietly(lambda: self.told_of_data(self, name, args, kwargs, result), None)
            return result
        if not self.cuda and (name in MOVES or "device" in kwargs):
            args, kwargs, name, func = self.on_cpu(name, func, args, kwargs)
        try:
            result = func(*args, **kwargs)
        except Exception as error:
            self.failed(error, name, args, kwargs)
            raise
        if name == "__get__":
            self.seen.grad_read = self.seen.backwards if read_by_program(func) else self.seen.grad_read
            read = getattr(func, "__self__", None)
            if read is not DATA and read not in TURNED:
                return result
            name = "data" if read is DATA else "t"
        return self.quietly(lambda: self.told(self, name, args, kwargs, result), result)

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
            filled=same and len(known) == 1 and known[0].filled,
        )
        for out in outs:
            old = self.tags.get(out)
            self.tags[out] = replace(merged, values=bool(old and old.values))

    def tick(self) -> None:
        """Stop the program if enough was seen, or the time is over."""
        now = time.monotonic()
        unstepped = not self.seen.steps and self.seen.backwards >= 4 * self.limit
        if self.enough is None and (len(self.seen.steps) >= self.limit or unstepped):
            self.enough, self.enough_worked = now, time.thread_time()
            for held in self.seen.helds:
                held.whole = held.steps
        if self.long_enough() or now > self.deadline or (self.enough and len(self.seen.steps) > LOOSE * self.limit):
            self.finish("steps" if self.enough else "timeout")

    def long_enough(self) -> bool:
        """Whether the time after enough steps is over; there is twice as much as long as nothing was judged."""
        worked = time.thread_time() - self.enough_worked if self.enough is not None else 0.0
        return worked > 2 * AFTER_SECONDS or (worked > AFTER_SECONDS and any(not c.grad for c in self.seen.calls))

    def finish(self, why: str) -> None:
        """End the program here."""
        self.seen.ended = self.seen.ended or why
        self.ended += 1
        if self.ended > SWALLOWED:
            self.give_up()
        raise Finished
