"""A net as the graph of what it computes: one batch is sent through it, and every torch function on its way noted.

Functions are seen as well as layers, so `F.relu(x)` and `nn.ReLU()` look the same, and so do sums and concatenations.
What cannot be seen (a function compiled elsewhere) becomes an "other" operation, about which no rule says anything.
"""

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from tenfold.models.blocks import batch_statistics
from tenfold.models.usercode import is_users

SQUASHING = ("softmax", "log_softmax", "sigmoid", "logsigmoid", "hardsigmoid")
RECTIFYING = ("relu", "relu6", "leaky_relu", "gelu", "silu", "mish", "elu", "selu", "celu", "prelu", "rrelu")
BENDING = ("tanh", "hardtanh", "hardswish", "softplus", "softsign", "threshold", "tanhshrink", "hardshrink")

KINDS = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), "conv"),
    **dict.fromkeys(("linear",), "linear"),
    **dict.fromkeys(("batch_norm", "group_norm", "layer_norm", "instance_norm"), "norm"),
    **dict.fromkeys((*SQUASHING, *RECTIFYING, *BENDING), "activation"),
    **dict.fromkeys(("max_pool1d", "max_pool2d", "max_pool3d", "max_pool2d_with_indices"), "pool"),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d", "avg_pool3d", "mean", "amax"), "pool"),
    **dict.fromkeys(("adaptive_avg_pool2d", "adaptive_max_pool2d", "adaptive_max_pool2d_with_indices"), "pool"),
    **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout"), "dropout"),
    **dict.fromkeys(
        ("flatten", "view", "reshape", "permute", "transpose", "squeeze", "unsqueeze", "contiguous"), "shape"
    ),
    **dict.fromkeys(("to", "float", "half", "bfloat16", "clone", "__getitem__", "movedim"), "shape"),
    **dict.fromkeys(("mul", "div", "true_divide", "__mul__", "__truediv__", "__rmul__", "__imul__"), "scale"),
    **dict.fromkeys(("__add__", "__radd__", "__iadd__", "__sub__", "add", "sub", "__itruediv__"), "scale"),
}
"""torch's functions by what they do to a map; "scale" is for a number, with another map it becomes "join"."""


@dataclass(eq=False)
class Op:
    """One call of one function: its kind and name, the layer and the user's line it is in, and what it reads."""

    kind: str
    function: str
    shape: tuple[int, ...]
    layer: str = ""
    file: str | None = None
    line: int | None = None
    reads: list["Op"] = field(default_factory=list)
    read_by: list["Op"] = field(default_factory=list)
    weight: Tensor | None = None
    bias: bool = False
    groups: int = 1
    window: int = 0
    """The longer side of a pooling's window that moves over the map; 0 for anything else."""
    probability: float = 0.0
    entering: tuple[float, float] = (0.0, 1.0)
    """Mean and deviation of what the layer reads."""
    spread: float = math.nan
    """How much that differs from image to image: the root mean square, over its numbers, of their deviation."""

    @property
    def where(self) -> dict[str, Any]:
        """Layer, file and line, as a finding takes them."""
        return {"layer": self.layer or None, "file": self.file, "line": self.line}

    @property
    def named(self) -> str:
        """How to call it: the layer's name, or the function's."""
        return self.layer or self.function

    @property
    def side(self) -> int:
        """The shorter side of a map [N, C, H, W] in pixels; 0 for anything else."""
        return min(self.shape[2:]) if len(self.shape) == 4 else 0

    @property
    def kernel(self) -> int:
        """The longer side of a convolution's kernel; 1 for a linear layer."""
        return max(self.weight.shape[2:], default=1) if self.weight is not None else 1

    @property
    def downstream(self) -> set["Op"]:
        """All operations that read what comes of this one."""
        found: set[Op] = set()
        fresh = list(self.read_by)
        while fresh:
            op = fresh.pop()
            if op not in found:
                found.add(op)
                fresh += op.read_by
        return found

    @property
    def multiply_adds(self) -> int:
        """Of one image, for a convolution or linear layer."""
        return self.weight.numel() * math.prod(self.shape[2:]) if self.weight is not None else 0


@dataclass(frozen=True)
class Graph:
    """What a net did with one batch."""

    model: nn.Module
    ops: list[Op]
    input: Op
    output: Op | None
    returned: frozenset[Op] = frozenset()
    """All operations whose results the net gives, where it gives several."""

    @property
    def layers(self) -> list[Op]:
        """The convolutions and linear layers, in the order in which they ran."""
        return [op for op in self.ops if op.kind in ("conv", "linear")]


class Recorder(TorchFunctionMode):
    """Notes every torch function that reads what came of the images."""

    def __init__(self, model: nn.Module, pixels: Tensor) -> None:
        super().__init__()
        self.own = {id(t) for t in (*model.parameters(), *model.buffers())}
        self.entered: list[str] = []
        self.input = Op("input", "images", tuple(pixels.shape))
        self.made: dict[int, tuple[Tensor, Op]] = {id(pixels): (pixels, self.input)}  # kept, so that no id returns
        self.ops: list[Op] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call it, and note it where it gives a tensor."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        results = [t for t in (result if isinstance(result, tuple | list) else (result,)) if isinstance(t, Tensor)]
        given = [t for t in flat([*args, *kwargs.values()]) if isinstance(t, Tensor)]
        if results and any(id(t) in self.made for t in given):
            self.note(getattr(func, "__name__", "other"), args, kwargs, given, results)
        return result

    def note(
        self, name: str, args: Sequence[Any], kwargs: dict[str, Any], given: list[Tensor], results: list[Tensor]
    ) -> None:
        """One more operation."""
        reads = [self.made[id(t)][1] for t in given if id(t) in self.made]
        bare = name if name.startswith("__") else name.rstrip("_")
        kind = KINDS.get(bare, "other")
        if kind == "scale" and len(reads) > 1:
            kind = "join"
        op = Op(kind, bare, tuple(results[0].shape), self.entered[-1] if self.entered else "", *users_line(), reads)
        if kind in ("conv", "linear"):
            describe(op, args, kwargs)
        if bare.startswith(("max_pool2d", "avg_pool2d")):
            window = kwargs.get("kernel_size", args[1] if len(args) > 1 else 0)
            op.window = max(window) if isinstance(window, tuple | list) else int(window)
        if kind == "dropout":
            op.probability = float(kwargs.get("p", args[1] if len(args) > 1 else 0.5))
        self.add(op, results)

    def add(self, op: Op, results: Sequence[Tensor]) -> None:
        """Enter it into the graph; a function in place makes its tensor its own."""
        for read in op.reads:
            read.read_by.append(op)
        self.ops.append(op)
        for tensor in results:
            self.made[id(tensor)] = tensor, op


def describe(op: Op, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    """Weight, bias, groups and input of a convolution or linear layer."""
    named = dict(zip(("input", "weight", "bias", "stride", "padding", "dilation", "groups"), args)) | kwargs
    op.weight, op.bias, op.groups = named["weight"], named.get("bias") is not None, named.get("groups", 1)
    read = named["input"].float()
    op.entering = float(read.mean()), float(read.std())
    op.spread = float(read.float().std(0).square().mean().sqrt()) if len(read) > 1 else math.nan


def flat(values: Sequence[Any]) -> Iterator[Any]:
    """The values, those of lists and tuples too."""
    for value in values:
        if isinstance(value, list | tuple):
            yield from value
        else:
            yield value


def users_line() -> tuple[str | None, int | None]:
    """File and line of the user's code that is running, if any is."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not trace.__code__:  # who asked for the trace is not meant
        if is_users(frame.f_code.co_filename):
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    return None, None


def trace(model: nn.Module, pixels: Tensor) -> Graph:
    """The graph of what the net does with these images [N, C, H, W], judged by their own batch statistics.

    The net is left as it was. Whatever the net raises is passed on.
    """
    recorder = Recorder(model, pixels)
    with hooked(model, recorder), still(model), torch.no_grad(), recorder:
        output = logits(model(pixels))
    found = recorder.made.get(id(output))
    given = list(output.values()) if isinstance(output, dict) else [output]
    returned = frozenset(recorder.made[id(one)][1] for one in flat(given) if id(one) in recorder.made)
    return Graph(model, recorder.ops, recorder.input, found[1] if found else None, returned)


def logits(output: Any) -> Any:
    """The logits among a net's named outputs; its output as it is where none has that name."""
    return output.get("logits", output) if isinstance(output, dict) else output


@contextmanager
def still(model: nn.Module) -> Iterator[None]:
    """Inside this block the net is in evaluation mode but for its batch norms; afterwards it is as before."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with batch_statistics(model):
            yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def hooked(model: nn.Module, recorder: Recorder) -> Iterator[None]:
    """Inside this block the recorder knows which layer is running, and sees dropout layers that do nothing."""

    def before(name: str) -> Any:
        return lambda _module, _inputs: recorder.entered.append(name)

    def after(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        layer = recorder.entered.pop()
        if "Dropout" in type(module).__name__ and inputs and output is inputs[0] and id(output) in recorder.made:
            _, read = recorder.made[id(output)]
            rate = float(getattr(module, "p", getattr(module, "probability", 0.5)))
            op = Op("dropout", "dropout", tuple(output.shape), layer, *users_line(), [read], probability=rate)
            recorder.add(op, [output])

    hooks = [m.register_forward_pre_hook(before(name)) for name, m in model.named_modules()]
    hooks += [m.register_forward_hook(after) for m in model.modules()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
