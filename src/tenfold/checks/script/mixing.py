"""Samples that are mixed with each other, or whose pixels are: in the net, and on the way to it."""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from tenfold.checks.rules import finding
from tenfold.checks.script.chance import same_chance, seeded
from tenfold.checks.script.modes import deaf, where
from tenfold.checks.script.seen import Place, Seen, here
from tenfold.checks.script.source import called, line, model_name, shown_code, statement, tree
from tenfold.checks.script.tags import SHAPES, tensors
from tenfold.checks.script.units import FEW, asleep
from tenfold.checks.trace import logits
from tenfold.errors import Finding

AT_ONCE = 5
"""Images that are looked at; no other size of a net is likely to be the same."""
SEES, ROUNDING = 1e-2, 1e-5
"""What is made of images differs from what is made of blank ones by the first share, or only by rounding."""
SECOND = {"MultiheadAttention", "GRU", "LSTM", "RNN", "TransformerEncoderLayer", "TransformerDecoderLayer"}
"""Layers whose batch is the second axis, unless batch_first=True."""


@dataclass(frozen=True)
class Ran:
    """One function inside the net."""

    name: str
    place: Place | None
    before: tuple[int, ...]
    result: Tensor
    moves: bool


class Recorder(TorchFunctionMode):
    """Keeps what every function inside a net's call gives."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[Ran] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call it and keep the result."""
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        value = result[0] if isinstance(result, tuple) and result else result
        if isinstance(value, Tensor) and name != "__get__" and value.numel() < 2_000_000:
            before = tuple(args[0].shape) if args and isinstance(args[0], Tensor) else ()
            moves = name in SHAPES and (not before or before[0] != value.shape[0] or moved(name, args))
            self.ran.append(Ran(name, here(), before, value.detach().clone(), moves))
        return result


def moved(name: str, args: Any) -> bool:
    """Whether a permutation puts another axis first."""
    dims = len(args[0].shape)
    numbers = [a for a in args[1:] if isinstance(a, int)] or [
        a for a in (args[1] if len(args) > 1 and isinstance(args[1], list | tuple) else []) if isinstance(a, int)
    ]
    if name == "permute":
        return bool(numbers) and numbers[0] % dims != 0
    return name in ("transpose", "swapaxes", "movedim") and 0 in [n % dims for n in numbers]


def run(net: nn.Module, images: Tensor, seed: int | None = None, training: bool = False) -> tuple[Any, list[Ran]]:
    """The output in eval or training mode, and what was called; by the next random numbers, or by a seed."""
    modes = [(module, module.training) for module in net.modules()]
    try:
        with same_chance(), torch.no_grad(), Recorder() as recorder:
            if seed is not None:
                seeded(seed)
            return together(logits(net.train(training)(images)), len(images)), recorder.ran
    finally:
        for module, mode in modes:
            module.training = mode


def together(output: Any, images: int) -> Any:
    """Several outputs of so many rows, those of two heads say, as one; any other output as it is."""
    several = [] if isinstance(output, Tensor) else list(tensors(output))
    rows = [part.flatten(1) for part in several if part.is_floating_point() and part.dim() > 1 and len(part) == images]
    return torch.cat(rows, 1) if rows else output


def samples_mixed(seen: Seen) -> Iterator[Finding]:
    """The output for one image depends on the pixels of another; and the net may be blind to its images."""
    images = seen.inputs[0] if len(seen.inputs) == 1 else None
    if seen.first is not None and deaf(seen.first):  # eval-missing tells
        return
    if seen.first is None or not isinstance(images, Tensor) or (seen.error is not None and not seen.backwards):
        return
    if not images.is_floating_point() or images.dim() < 2 or len(images) < 2:
        return
    net, images = seen.first, images[:AT_ONCE].detach()
    seen.asleep = asleep(net, images)
    output, ran = run(net, images)
    if not isinstance(output, Tensor) or output.dim() < 1 or not bool(torch.isfinite(output).all()):
        return
    yield from drawn(seen, images)
    blank, ran_blank = run(net, torch.zeros_like(images))
    alive = all(bool((idle < FEW).any()) for idle in seen.idle.values()) and seen.asleep is None
    if alive and bool(images.any()) and not zero_head(net):
        seen.blinded = blinded(ran, ran_blank)
        seen.blind = torch.equal(output, blank) or seen.blinded is not None
    norms = [m for m in (*net.modules(), *seen.hidden) if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if any(not norm.track_running_stats or norm in seen.hidden for norm in norms):
        return  # such norms are meant to mix, or eval() does not reach them: parameters-forgotten tells
    for changed in (len(images) - 1, 0):
        other = images.clone()
        other[changed] = other[changed].flip(-1) + 0.5 * images.std() + 0.1
        again, ran_again = run(net, other)
        if all(
            spread(one, two, changed) for one, two in zip(by_image(output, len(images)), by_image(again, len(images)))
        ):
            yield mixed(seen, *culprit(ran, ran_again, len(images)))
            return


def drawn(seen: Seen, images: Tensor) -> Iterator[Finding]:
    """The net draws random numbers in evaluation mode, other than a dropout's, which eval-missing tells."""
    if seen.first is None or seen.always_dropout or not any(seen.judging_calls()):
        return
    drew, place = draws(seen.first, images)
    if not drew:
        return
    yield finding(
        "validation-augmented",
        "The net changes its images at random in evaluation too",
        f"In eval mode one batch gives other outputs each time; {shown_code(place)}{line(place)} draws first.",
        f"Do it only `if self.training:`{line(place)}.",
        **where(place),
    )


def draws(net: nn.Module, images: Tensor, training: bool = False) -> tuple[bool, Place | None]:
    """Whether the output depends on random numbers, and the line that draws first."""
    (one, ran), (other, again) = (run(net, images, seed, training) for seed in (0, 1))
    if not isinstance(one, Tensor) or one.shape != other.shape or torch.equal(one, other):
        return False, None
    pairs = zip(ran, again)
    apart = (a.place for a, b in pairs if a.result.shape != b.result.shape or not a.result.equal(b.result))
    return True, next(apart, None)


def drawn_as_in_training(seen: Seen) -> Iterator[Finding]:
    """The net is judged in training mode, and in that mode draws by no layer that is known to."""
    calls = [c for c in seen.judging_calls() if c.mode and not c.noisy and c.module is seen.model]
    images = seen.inputs[0] if len(seen.inputs) == 1 else None
    if not calls or seen.first is None or not isinstance(images, Tensor) or not images.is_floating_point():
        return
    drew, place = draws(copy.deepcopy(seen.first), images[:AT_ONCE], training=True)
    if not drew or draws(seen.first, images[:AT_ONCE])[0]:  # of the latter validation-augmented tells
        return
    name, at = model_name(calls[0].place, "model"), line(calls[0].place)
    yield finding(
        "eval-missing",
        f"`{name}` is judged in training mode",
        f"{len(calls)} batches were judged in it, and then one batch gives other outputs each time: "
        f"{shown_code(place)}{line(place)} draws random numbers.",
        f"Write `{name}.eval()` before the evaluation{at}; `{name}.train()` before training on.",
        **where(calls[0].place),
    )


def blinded(ran: list[Ran], ran_blank: list[Ran]) -> Place | None:
    """The line at which all that images and blank ones differ by is lost at once, but for rounding."""
    if len(ran) < 2 or [one.name for one in ran] != [one.name for one in ran_blank]:
        return None
    apart = [difference(one.result, other.result) for one, other in zip(ran, ran_blank)]
    last = max((index for index, value in enumerate(apart) if value > ROUNDING), default=-1)
    return ran[last + 1].place if 0 <= last < len(apart) - 1 and apart[last] > SEES else None


def difference(one: Tensor, other: Tensor) -> float:
    """By how much two results differ at most, as a share of the largest number; 0 for what holds no fractions."""
    if one.shape != other.shape or not one.is_floating_point() or not one.numel():
        return 0.0
    return float((one - other).abs().max() / one.abs().max().clamp(min=1e-30))


def by_image(output: Tensor, images: int) -> list[Tensor]:
    """An output with its images first, in each way that it may hold them: along an axis, or so many rows of each."""
    if len(output) == images:
        return [output]
    found = [output.movedim(axis, 0) for axis, size in enumerate(output.shape) if size == images]
    if len(output) % images == 0:
        found += [output.reshape(images, -1), output.reshape(-1, images, *output.shape[1:]).movedim(1, 0)]
    return found


def spread(output: Tensor, again: Tensor, changed: int) -> bool:
    """Whether more than the one image's output is another."""
    differs = (output - again).abs().reshape(len(output), -1).amax(1) > 1e-4 * float(output.abs().max()) + 1e-7
    differs[changed] = False
    return bool(differs.any())


def culprit(ran: list[Ran], again: list[Ran], images: int) -> tuple[Place | None, Ran | None]:
    """The line where samples are mixed, and the change of shape that led to it."""
    shape: Ran | None = None
    for one, other in zip(ran, again):
        if one.result.shape != other.result.shape or not one.result.is_floating_point():
            continue
        differs = one.result != other.result
        if int(differs.sum()) > max(1.02 / images * differs.numel(), 1):
            return one.place, shape
        if one.moves:
            shape = one
    return None, shape


def mixed(seen: Seen, place: Place | None, shape: Ran | None) -> Finding:
    """The finding, at the change of shape, at the layer that takes the batch second, or where they meet."""
    layer = batch_second(place)
    told = ""
    if shape is not None and shape.place is not None and (layer is None or shape.place != place):
        told = f" {shown_code(shape.place)} turns {list(shape.before)} into {list(shape.result.shape)}."
        place = shape.place
        remedy = "Keep images apart: permute axes before a view or reshape, and give the layer the batch where it "
        remedy += f"expects it (`x.flatten(1)`, `x.permute(…)`, batch_first){line(place)}."
    elif layer is not None:
        told = f" {shown_code(layer)}{line(layer)} takes the batch as its second axis, and gets it as its first."
        place, remedy = layer, f"Give it batch_first=True{line(layer)}."
    else:
        told = f" They meet in {shown_code(place)}{line(place)}." if place else ""
        remedy = (
            f"Leave the first axis, that of the images, alone: softmax, mean and sum need dim=1 or more{line(place)}."
        )
    return finding(
        "samples-mixed",
        "The net mixes the images of a batch with each other",
        f"In eval mode, one image's output changes when another image does.{told}",
        remedy,
        **where(place or (seen.calls[0].place if seen.calls else None)),
    )


def batch_second(place: Place | None) -> Place | None:
    """Where the layer was made that a line calls, if it takes the batch as its second axis."""
    found = statement(place)
    if place is None or found is None:
        return None
    names = {ast.unparse(n.func) for n in ast.walk(found) if isinstance(n, ast.Call)}
    for node in ast.walk(tree(place.file)):
        if not isinstance(node, ast.Assign) or not names & {ast.unparse(t) for t in node.targets}:
            continue
        for call in (n for n in ast.walk(node.value) if isinstance(n, ast.Call) and called(n) in SECOND):
            if not any(k.arg == "batch_first" and ast.unparse(k.value) == "True" for k in call.keywords):
                return Place(place.file, call.lineno)
    return None


def zero_head(net: nn.Module) -> bool:
    """Whether some layer's weights are all 0, which is a known start."""
    return any(p.dim() > 1 and not bool(p.any()) for p in net.parameters())


MIXING = (samples_mixed, drawn_as_in_training)
