"""Where tensors come from, and small facts about them: what the observer keeps beside them."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.checks.script.seen import Batch, Call, LossCall, Made

Original = Callable[..., Any]
"""What a wrapper calls."""
LOSSES = {
    "cross_entropy", "nll_loss", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div",
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "multi_margin_loss", "multilabel_soft_margin_loss",
}  # fmt: skip
ACTIVATIONS = {
    "softmax", "log_softmax", "sigmoid", "logsigmoid", "tanh", "relu", "relu6", "leaky_relu", "gelu", "silu", "elu",
    "hardtanh", "hardswish", "softplus", "selu", "mish", "prelu", "relu_", "sigmoid_", "tanh_", "clamp", "clamp_min",
}  # fmt: skip
SAME = {
    "view", "reshape", "flatten", "squeeze", "unsqueeze", "contiguous", "float", "to", "double", "clone", "long",
    "half", "bfloat16", "type", "view_as", "detach", "cpu", "cuda", "__get__", "__getitem__", "requires_grad_",
}  # fmt: skip
SHAPES = {"view", "reshape", "permute", "transpose", "flatten", "t", "swapaxes", "movedim", "unflatten"}
ADDS = {"add", "__add__", "__radd__", "__iadd__", "add_"}
CHOOSES = {"gather", "__getitem__", "take_along_dim"}
TIMES = {"mul", "__mul__", "__rmul__"}
PAIRS = TIMES | {"sub", "__sub__", "__rsub__", "rsub"}
COMPARES = {"gt", "ge", "lt", "le", "__gt__", "__ge__", "__lt__", "__le__"}
FILLS = {"zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "fill_"}
LABELLED = re.compile(r"label|target|class|\bys?\b|\by_|_y\b|\btags?\b|\blabs?\b|\bY\b", re.I)
"""Names of labels."""
CUTS = {"detach", "item", "numpy", "tolist", "detach_"}
MOVES = {"to", "cuda"}
AFTER = 5
"""Batches of an evaluation that are looked at."""


class Finished(BaseException):
    """Ends the program when enough was seen."""


@dataclass(frozen=True)
class Tag:
    """Where a tensor comes from."""

    batch: Batch | None = None
    calls: tuple[Call, ...] = ()
    made: Made | None = None
    moved: bool = False
    loss: LossCall | None = None
    steps: frozenset[int] = frozenset()
    """Steps whose losses were added up in it."""
    values: bool = False
    """The values, not the places, of a maximum."""
    filled: bool = False
    """Whether the program filled it with one number."""


NOTHING = Tag()
WEIGHT = Tag()
"""Of a parameter's .data."""
WRITES = ("__setitem__", "__iadd__", "__isub__", "__imul__", "__itruediv__")


def tensors(values: Any) -> Iterator[Tensor]:
    """All tensors in nested lists, tuples and dictionaries."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, list | tuple):
        for value in values:
            yield from tensors(value)
    elif isinstance(values, dict):
        yield from tensors(list(values.values()))


AFTER_SECONDS = 15.0
"""How long a program may go on after enough training steps, for its evaluation."""
SWALLOWED = 5
"""A program that catches its end so many times is ended with its process."""
KEPT, MOST_NUMBERS = 40, 40_000_000
"""So many training batches are kept, and so many numbers in all."""
FEW_IMAGES = 1000
"""A loader of no more training images than this is gone through until the time after enough steps is over."""
LOOSE = 50
"""A loop without a loader may do so many times the steps, so that its evaluation is seen."""
ACTIVATING = (nn.ReLU.__module__,)
DROPOUTS = nn.Dropout.__module__
DATA, GRAD = Tensor.data, Tensor.grad
TURNED = (Tensor.T, Tensor.mT, Tensor.H, Tensor.mH)


def label(calls: Sequence[Call], labels: Tensor) -> None:
    """The classes that the images of a call are said to be."""
    if labels.dim() == 2 and labels.shape[1] > 1 and row_sums(labels) == (1.0, 1.0) and is_whole(labels):
        labels = labels.argmax(1)
    numbers = class_numbers(labels)
    for call in calls if numbers is not None else ():
        if call.labels is None and call.shape and labels.numel() == call.shape[0]:
            call.labels = numbers


def class_numbers(labels: Tensor) -> Tensor | None:
    """Labels as whole numbers [N], a copy; also those of two classes, written as 0.0 and 1.0. None of others."""
    flat = labels.detach().flatten().clone()
    if not labels.is_floating_point() and labels.dtype != torch.bool:
        return flat
    return flat.long() if bool(((flat == 0) | (flat == 1)).all()) else None


def yes_or_no(part: Tensor) -> bool:
    """Whether numbers [N] or [N, 1] are nothing but 0.0 and 1.0, of both some: labels of two classes."""
    column = part.is_floating_point() and (part.dim() == 1 or (part.dim() == 2 and part.shape[1] == 1))
    return column and part.unique().tolist() == [0.0, 1.0]


def weights_of(kwargs: Any) -> tuple[float, ...]:
    """The weights of the classes that a loss was given."""
    given = kwargs.get("weight")
    return tuple(given.detach().flatten()[:1000].tolist()) if isinstance(given, Tensor) else ()


def number_of(value: Any) -> float | None:
    """The number in a tensor of one."""
    return float(value.detach()) if isinstance(value, Tensor) and value.numel() == 1 else None


def is_whole(values: Tensor) -> bool:
    """Whether all values are whole numbers."""
    return not values.is_floating_point() or bool((values == values.round()).all())


def all_finite(values: Any) -> bool:
    """Whether no tensor among the values holds NaN or infinity."""
    return all(bool(torch.isfinite(t.detach()).all()) for t in tensors(values) if t.is_floating_point())


def right_answers(name: str, given: Tensor, target: Tensor) -> float | None:
    """The share of rows [N, C] whose highest value is that of the class number [N], or of single logits [N] on the
    right side of 0; None of other shapes.
    """
    column = given.dim() > 0 and given.shape == target.shape and given.numel() == len(given)
    if name == "binary_cross_entropy_with_logits" and column:
        return float(((given.detach() > 0) == (target > 0.5)).float().mean()) if is_whole(target) else None
    if given.dim() != 2 or target.dim() != 1 or target.is_floating_point() or given.shape[1] < 2:
        return None
    return float((given.detach().argmax(1) == target).float().mean())


def row_sums(values: Tensor) -> tuple[float, float]:
    """The lowest and highest sum of a row [N, C]."""
    sums = values.detach().float().sum(1) if values.dim() > 1 else values.detach().float().sum().unsqueeze(0)
    return round(float(sums.min()), 5), round(float(sums.max()), 5)


def moves_device(args: Any, kwargs: Any) -> bool:
    """Whether a call of .to or .cuda names a device, not only a type."""
    given = [*args[1:], kwargs.get("device")]
    return any(isinstance(value, str | torch.device | Tensor) for value in given)
