"""The program's own exception, explained where a rule knows it."""

import re
import traceback
from collections.abc import Iterator
from typing import Any

from torch import nn

from tenfold.checks.rules import finding
from tenfold.checks.script.places import builtin, lines_of
from tenfold.checks.script.seen import Failure, Place, Seen, own
from tenfold.checks.script.source import line, shown_code
from tenfold.errors import Finding

OURS = (ZeroDivisionError, AssertionError, StopIteration, IndexError, KeyError, ValueError, UnboundLocalError)
"""What a loader that ended early may lead to; not told of a program that had enough steps."""


def crash(seen: Seen) -> Iterator[Finding]:
    """What ended the program."""
    error = seen.error
    if error is None or isinstance(error, SystemExit) or cut_short(error, seen):
        return
    failure = seen.failure if seen.failure and seen.failure.error is error else None
    place = raised_at(error)
    told = explained(str(error), error, failure, place, seen)
    if told is None:
        if isinstance(error, OURS) and len(seen.steps) >= 20:
            return
        told = "crash", f"{type(error).__name__}: {first_line(error)}", "", hint(error)
    rule, what, evidence, remedy = told
    at = [f"{shown_code(place)}{line(place)} raised {type(error).__name__}."] if place and rule != "crash" else []
    given = [f"It got {', '.join(failure.given)}."] if failure and failure.given else []
    if rule == "shape-mismatch" and failure and builtin(failure.module):
        place = next(iter(lines_of(seen, failure.module)), place)
    yield finding(
        rule,
        what,
        " ".join([evidence, *at, *given]).strip() or f"It was raised by {shown_code(place)}.",
        remedy,
        severity="error",
        layer=failure.layer or None if failure else None,
        **(place.where if place else {}),
    )


def cut_short(error: BaseException, seen: Seen) -> bool:
    """Whether it speaks of as many images as came of an evaluation that the observer ended early."""
    given = {str(images) for fact in seen.loaders for images in fact.given}
    return bool(given & set(re.findall(r"\d+", str(error))))


def first_line(error: BaseException) -> str:
    """What the exception says."""
    return (str(error).strip().splitlines() or [""])[0]


def raised_at(error: BaseException) -> Place | None:
    """The user's innermost line."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if own(f.filename)]
    return Place(frames[-1].filename, frames[-1].lineno or 0, frames[-1].name) if frames else None


def hint(error: BaseException) -> str:
    """What to do about an exception that no rule knows."""
    said = str(error)
    if "before Module.__init__() call" in said:
        return "Write `super().__init__()` as the first line of the net's __init__."
    if isinstance(error, FileNotFoundError):
        return "Check the path; the script runs in the folder you are in."
    return "Mend this line first; what comes after it was not seen."


Told = tuple[str, str, str, str]


def explained(said: str, error: BaseException, failure: Failure | None, place: Place | None, seen: Seen) -> Told | None:
    """Rule, what, evidence, remedy of an exception that a rule knows."""
    for pattern, explain in EXPLANATIONS:
        match = re.search(pattern, said)
        if match:
            found: Told | None = explain(match, failure, seen)
            return found
    return None


def features(match: re.Match[str], failure: Failure | None, seen: Seen) -> Told:
    """A linear layer that gets another number of features."""
    made = int(match[2])
    module = failure.module if failure else None
    expected = module.in_features if isinstance(module, nn.Linear) else int(match[3])
    name = failure.layer if failure and failure.layer else "the layer"
    shape = failure.last_map if failure else ()
    if len(shape) == 3 and shape[0] * shape[1] * shape[2] == made:
        c, h, w = shape
        what = f"{c}×{h}×{w} = {made} features reach {name}, which expects {expected}"
        pool = (
            f"put nn.AdaptiveAvgPool2d(({side(expected, c)}, {side(expected, c)})) before the flattening, "
            if side(expected, c)
            else ""
        )
    else:
        what, pool = f"{made} features reach {name}, which expects {expected}", ""
    got = next((call.shape for call in seen.calls if call.shape), ())
    evidence = f"The images are {'×'.join(map(str, got[1:]))}." if got else ""
    return (
        "shape-mismatch",
        what,
        evidence,
        f"Write in_features={made} where {name} is made, {pool}or give the images the size it was built for"
        + (", and check that only x.flatten(1) stands before it." if not pool else "."),
    )


def side(features: int, channels: int) -> int:
    """The side of a square map of so many features; 0 if there is none."""
    root = round((features / channels) ** 0.5) if channels and features % channels == 0 else 0
    return root if root * root * channels == features else 0


def channels(match: re.Match[str], failure: Failure | None, seen: Seen) -> Told:
    """A convolution that gets another number of channels."""
    expected, given = int(match[2]), int(match[3])
    shape = [int(n) for n in match[1].split(",")]
    last = len(shape) == 4 and shape[3] == expected
    way = (
        "Images lie [N, H, W, C]: write `x = x.permute(0, 3, 1, 2)` before the net."
        if last
        else (f"Give the convolution in_channels={given}, or make images of {expected} channels.")
    )
    return "shape-mismatch", f"A convolution for {expected} channels gets {given}", f"Its input is {shape}.", way


def told(rule: str, what: str, remedy: str) -> Any:
    """An explanation in fixed words."""
    return lambda match, failure, seen: (rule, what.format(*match.groups()), "", remedy.format(*match.groups()))


EXPLANATIONS: tuple[tuple[str, Any], ...] = (
    (r"mat1 and mat2 shapes cannot be multiplied \((\d+)x(\d+) and (\d+)x(\d+)\)", features),
    (r"expected input\[([\d, ]+)\] to have (\d+) channels, but got (\d+) channels", channels),
    (
        r"shape '(\[.*?\])' is invalid for input of size (\d+)",
        told("shape-mismatch", "A view to {0} does not fit {1} numbers", "Write `x = x.flatten(1)` in its place."),
    ),
    (
        r"Expected input batch_size \((\d+)\) to match target batch_size \((\d+)\)",
        told(
            "shape-mismatch",
            "{0} outputs for {1} labels: a view took the batch apart",
            "Write `x = x.flatten(1)` in the net, and give the next layer the features that it then gets.",
        ),
    ),
    (
        r"(?:Target|target) (-?\d+) is out of bounds",
        lambda match, failure, seen: label_range(match, failure),
    ),
    (
        r"(?:Expected all tensors to be on the same device|Input type \(torch\.cuda)",
        told("device-mismatch", "Model and data are on different devices", "Move both: `x = x.to(device)`."),
    ),
    (
        r"Torch not compiled with CUDA|No CUDA GPUs are available|Found no NVIDIA driver",
        told("device-mismatch", "The program wants a GPU, and there is none here",
             "Write `device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')` and use it throughout."),
    ),
    (
        r"element 0 of tensors does not require grad",
        told("graph-broken", "The loss has no graph that leads to a parameter",
             "Take `.detach()`, `.data`, `.item()`, `torch.no_grad()` or argmax out from between net and loss, "
             "and check that its parameters are not all frozen."),
    ),
    (
        r"Trying to backward through the graph a second time",
        told("graph-kept", "A graph is used again that backward has freed",
             "Compute the loss anew in every step; carry only `loss.item()` or `state.detach()` over."),
    ),
    (
        r"optimizer got an empty parameter list",
        told("parameters-forgotten", "The optimiser gets no parameters",
             "Keep layers as attributes, or in nn.ModuleList / nn.Sequential, not in a plain list."),
    ),
    (
        r"Expected more than 1 value per channel when training",
        told("last-batch-small", "Batch norm gets a single value per channel",
             "Write `drop_last=True` in the training DataLoader, or choose a batch size that leaves no single image."),
    ),
    (
        r"modified by an inplace operation|leaf Variable that requires grad is being used in an in-place",
        told("crash", "Something in the graph is changed in place",
             "Write x = x + y in place of x += y, and inplace=False in activations."),
    ),
    (
        r"stack expects each tensor to be equal size, but got (\[.*?\]) at entry 0 and (\[.*?\])",
        told("shape-mismatch", "Images of one batch differ in size: {0} and {1}",
             "Bring all to one size where they are read: `Resize((height, width))`, or a resize and a center crop."),
    ),
    (
        r"default_collate: batch must contain .* found <class '(?:\w+\.)*(\w+)'>",
        told("dtype-mismatch", "The dataset gives {0} objects, of which no batch can be made",
             "Return a tensor from its __getitem__, as by ToTensor() at the end of its transform, or "
             "`torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255`."),
    ),
    (
        r"(?:cross_entropy|nll|loss|binary_cross).*argument 'input' .* must be Tensor, not NoneType",
        told("crash", "The net returns nothing", "Write `return` before what the net's forward computes last."),
    ),
    (
        r"(?:cross_entropy|nll|loss|binary_cross).*argument 'input' .* must be Tensor, not (tuple|list|dict|\w+Output)",
        told("crash", "The net returns a {0}, and the loss takes a tensor",
             "Give the loss the logits only, as `outputs[0]` or `outputs.logits`."),
    ),
    (
        r"(?:cross_entropy|nll|loss|binary_cross).*argument 'target' .* must be Tensor, not (tuple|list)",
        told("wrong-labels-shape", "The labels are a {0}, as of words, not numbers",
             "Give each class a number: `index = {{name: i for i, name in enumerate(sorted(set(names)))}}`, and return "
             "`index[name]` from the dataset's __getitem__."),
    ),
    (r"(?:index (\d+) )?(?:is )?out of (?:bounds|range)", lambda match, failure, seen: too_long(seen)),
    (
        r"before Module.__init__\(\) call",
        told("crash", "The net's __init__ does not call super().__init__()",
             "Write `super().__init__()` as the first line of the net's __init__."),
    ),
    (
        r"(?:expected scalar type|expected m1 and m2|must have the same dtype|should be the same|not implemented for '"
        r"(?:Long|Byte|Int|Char|Float|Double)'|Input type \(|Found dtype|result type Float can't be cast"
        r"|destination dtypes match|Target should be|expected target dtype|expected floating point type)",
        lambda match, failure, seen: types(match, failure),
    ),
    (
        r"0D or 1D target tensor expected|(?:Using a target size|The size of tensor|Target size)",
        lambda match, failure, seen: sizes(match, failure),
    ),
)  # fmt: skip


def too_long(seen: Seen) -> Told | None:
    """A dataset is asked for an item that it does not hold."""
    place = raised_at(seen.error) if seen.error is not None else None
    if place is None or place.function != "__getitem__":
        return None
    return (
        "crash",
        "The dataset is asked for an item that it does not have",
        f"{str(seen.error).strip().capitalize()}.",
        "Let its __len__ say how many items it holds: the length of the list or array that __getitem__ reads.",
    )


def label_range(match: re.Match[str], failure: Failure | None) -> Told:
    """A label for which there is no output."""
    outputs = re.match(r"\[\d+, (\d+)\]", failure.given[0]) if failure and failure.given else None
    count = outputs[1] if outputs else "?"
    return (
        "label-out-of-range",
        f"Label {match[1]} for a net of {count} outputs",
        f"Labels must be 0 … {int(count) - 1 if count.isdigit() else 'classes − 1'}.",
        f"Subtract the smallest label where labels are read (`labels - 1`), or give the last layer {int(match[1]) + 1} "
        "outputs if there are so many classes.",
    )


def types(match: re.Match[str], failure: Failure | None) -> Told:
    """Data of a type that a layer or loss does not take."""
    given = failure.given if failure else []
    loss = failure is not None and ("loss" in failure.function or "entropy" in failure.function)
    if loss:
        return (
            "dtype-mismatch",
            f"{failure.function if failure else 'The loss'} does not take labels of this type",
            "",
            "For class numbers write `labels.long()`; for probabilities or BCE `labels.float()`.",
        )
    if "destination" in match[0]:
        return (
            "dtype-mismatch",
            "What is written into a tensor is of another type than the tensor",
            "",
            "Make the tensor of that type: `x.new_zeros(shape)`, or `torch.zeros(shape, dtype=x.dtype)`.",
        )
    kind = given[0].split()[-1] if given else "this"
    return (
        "dtype-mismatch",
        f"A layer of float32 weights gets {kind}",
        "",
        "Write `images = images.float()` before the net.",
    )


def sizes(match: re.Match[str], failure: Failure | None) -> Told | None:
    """Labels of another shape than the loss reads."""
    if failure is None or not ("loss" in failure.function or "entropy" in failure.function):
        if failure is None or len(failure.given) < 2:
            return None
        return (
            "shape-mismatch",
            f"{failure.function} gets {failure.given[0].rpartition(' ')[0]} and {failure.given[1].rpartition(' ')[0]}",
            "",
            "Bring both to one shape; in a shortcut, give it a convolution with the same stride and channels.",
        )
    return (
        "wrong-labels-shape",
        f"{failure.function} gets labels {failure.given[1].rpartition(' ')[0]}",
        "",
        "Class numbers are [N] and int64: write `labels.squeeze(1)`, or `labels.argmax(1)` if they are one-hot.",
    )


RULES = (crash,)
