"""Rules about the net itself: its graph, its start, its last batch, its device."""

import ast
import inspect
import re
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tenfold.checks.rules import finding
from tenfold.checks.script.chance import same_chance
from tenfold.checks.script.mixing import MIXING
from tenfold.checks.script.modes import where
from tenfold.checks.script.places import birth, builtin, given_at, layer_of, layer_place, lines_of, written
from tenfold.checks.script.seen import Place, Seen, length
from tenfold.checks.script.source import around, line, name_at, shown_code, statement
from tenfold.checks.script.units import at, units
from tenfold.checks.structure import examine
from tenfold.checks.structure.layers import HEAVY, drops_much
from tenfold.checks.structure.starts import fading
from tenfold.checks.trace import RECTIFYING, Graph, trace
from tenfold.errors import Finding
from tenfold.models.usercode import is_users

ELSEWHERE = {"softmax-before-loss", "activation-on-logits", "parameters-forgotten"}
"""Rules of the graph that the run itself tells better."""


def probed(seen: Seen) -> tuple[nn.Module, Tensor] | None:
    """The net's copy and a few images as it got them; None where there is no such thing."""
    if seen.first is None or len(seen.inputs) != 1 or not isinstance(seen.inputs[0], Tensor):
        return None
    images = seen.inputs[0]
    pixels = images.is_floating_point() or images.dtype == torch.uint8
    return (seen.first, images[:8]) if pixels and images.dim() > 1 and len(images) > 1 else None


def graph_rules(seen: Seen) -> Iterator[Finding]:
    """What is wrong with the net before any number is learned."""
    case = probed(seen)
    if case is None or (seen.error is not None and not seen.backwards):
        return
    with same_chance():
        graph = trace(*case)
    seen.reads_norm = bool(graph.input.read_by) and all(op.kind in ("norm", "scale") for op in graph.input.read_by)
    if graph.output is not None and graph.output.file and graph.output.line:
        seen.last_line = Place(graph.output.file, graph.output.line)
    seen.affine = graph.output is not None and graph.output.kind in ("linear", "conv")
    seen.entering = graph.layers[0].entering if graph.layers else None
    for found in examine(graph):
        fine = found.rule == "bad-initialisation" and (seen.loaded or zeros_learned(seen, found))
        if found.rule not in ELSEWHERE and not fine:
            yield replaced(seen, found)
    own_start = seen.written or hand_made(graph)
    if own_start and not seen.loaded and not any(op.kind == "norm" for op in graph.ops):
        faded = fading(graph)
        if faded is not None:
            yield replaced(seen, faded)
    for op in graph.ops:
        before = op.reads[0] if op.reads else None
        if op.function == "sigmoid" and op is not graph.output and before and before.function in RECTIFYING:
            yield finding(
                "activation-doubled",
                f"sigmoid is applied to the output of {before.function}",
                f"{before.named}, then {op.named}: what comes out is never below 0.5.",
                "Leave one of both out.",
                **at(seen, op.layer, Place(op.file, op.line or 0) if op.file else None),
            )
            return


def hand_made(graph: Graph) -> bool:
    """Whether all layers are the program's own: its start is too, and none has torch's."""
    modules = dict(graph.model.named_modules())
    return bool(graph.layers) and not any(builtin(modules.get(op.layer)) for op in graph.layers)


def dropout_called(seen: Seen) -> Iterator[Finding]:
    """A function drops nearly all units, in training only: the net's graph is read in evaluation mode."""
    share, place = seen.dropped
    if share >= HEAVY:
        yield drops_much(shown_code(place), share, line(place), where(place))


def zeros_learned(seen: Seen, found: Finding) -> bool:
    """Whether a layer began as 0 and moved, as a gate or a correction does; equal weights that are not 0 stay alike."""
    begun, now = seen.first.get_submodule(found.layer or "") if seen.first else None, layer_of(seen, found.layer)
    weights = getattr(begun, "weight", None), getattr(now, "weight", None)
    return isinstance(weights[0], Tensor) and not bool(weights[0].any()) and id(weights[1]) in seen.moved()


MADE = {"bias-before-norm", "pooled-away", "norm-momentum", "input-ignored"}
"""What is wrong in how a layer is made, not in where it stands."""


def replaced(seen: Seen, found: Finding) -> Finding:
    """With the line at which it is mended."""
    used = Place(found.file, found.line) if found.file and found.line else None
    if found.rule == "bad-initialisation":
        used = written(seen, found.layer) or used
    elif found.rule == "dropout-high":
        lines = lines_of(seen, layer_of(seen, found.layer))
        used = next(filter(None, map(kept_share, lines)), birth(seen, found.layer)) or used
    elif found.rule in MADE:
        used = (birth(seen, found.layer) if builtin(layer_of(seen, found.layer)) else None) or used
    else:
        used = layer_place(seen, found.layer, used)
    return Finding(**{**vars(found), "file": None, "line": None, **where(used)})


def kept_share(place: Place) -> Place | None:
    """Where the share to keep becomes the one to drop, in the function of a line."""
    made = statement(place)
    scope = next((n for n in around(made) if isinstance(n, ast.FunctionDef)), None) if made is not None else None
    given = [node for node in ast.walk(scope) if isinstance(node, ast.Assign)] if scope is not None else []
    kept = [node.lineno for node in given if KEPT.search(ast.unparse(node.value))]
    return Place(place.file, kept[0]) if kept else None


KEPT = re.compile(r"^(?!.*\b1(\.0?)? -).*(keep|retain)", re.S)


def last_batch(seen: Seen) -> Iterator[Finding]:
    """The last batch is too small for batch norm."""
    if seen.model is None or not any(isinstance(m, _BatchNorm) for m in seen.model.modules()):
        return
    for fact in seen.loaders:
        size = fact.loader.batch_size
        if not fact.steps or not size or fact.loader.drop_last or size < 8:
            continue
        images = length(fact.loader.sampler)
        rest = images % size
        if 0 < rest <= (1 if size < 32 else 2):
            name = name_at(fact.place, "the training loader")
            yield finding(
                "last-batch-small",
                f"The last batch of `{name}` has {rest} image{'s' if rest > 1 else ''}",
                f"{images:,} images in batches of {size}, and the net has batch norm.",
                f"Write `drop_last=True` in the DataLoader{line(fact.place)}.",
                **where(fact.place),
            )
            return


def parts_small(seen: Seen) -> Iterator[Finding]:
    """Batches are split for batch norm, and one part is far smaller than the others."""
    calls = [call.shape[0] for call in seen.training_calls() if call.shape]
    sizes = sorted(size for size, times in seen.normed.items() if times >= 3)
    if not calls or len(sizes) < 2 or sizes[0] > 2 or sizes[-1] < 8 * sizes[0] or min(calls) <= sizes[0]:
        return
    layer = next((m for m in seen.model.modules() if isinstance(m, _BatchNorm)), None) if seen.model else None
    place = next(iter(lines_of(seen, layer)), None) if layer is not None else None
    yield finding(
        "last-batch-small",
        f"Batch norm gets a part of {sizes[0]} image{'s' * (sizes[0] > 1)} in every step",
        f"Batches of {max(calls)} images are split into parts of {sizes[-1]}, and {max(calls) % sizes[-1]} "
        f"{'are' if max(calls) % sizes[-1] != 1 else 'is'} left over: its mean and deviation are noise, and go into "
        "the running averages too.",
        f"Choose a size that divides {max(calls)}, such as {part_of(max(calls), sizes[-1])}.",
        **where(place),
    )


def part_of(batch: int, size: int) -> int:
    """The divisor of the batch that is nearest to a size."""
    return min((n for n in range(1, batch + 1) if batch % n == 0), key=lambda n: abs(n - size))


def plain_tensors(seen: Seen) -> Iterator[Finding]:
    """Tensors that a layer holds as plain attributes stay where they were made when the net is moved."""
    for kind, name, shape in seen.plain if seen.model_moved else ():
        if not shape or not is_users(kind.forward.__code__.co_filename if hasattr(kind.forward, "__code__") else ""):
            continue
        used = re.search(rf"self\.{name}\b", inspect.getsource(kind.forward))
        moved = re.search(rf"self\.{name}(\[[^\]]*\])?\.(to|cuda|type_as)\(", inspect.getsource(kind))
        if used and not moved:
            place = given_at(seen, kind.__name__, f"self.{name}")
            yield finding(
                "device-mismatch",
                f"self.{name} is a plain tensor: moving the net leaves it where it is",
                f"{list(shape)} in {kind.__name__}, neither parameter nor buffer. On a GPU this fails.",
                f'Write `self.register_buffer("{name}", …)`{line(place)}.',
                **where(place),
            )
            return


def device_mismatch(seen: Seen) -> Iterator[Finding]:
    """The net goes to the device, and what it is given does not."""
    if not seen.cuda:
        return
    yield from plain_tensors(seen)
    calls = [call for call in seen.training_calls() if call.shape]
    losses = [loss for loss in seen.training_losses() if loss.call is not None]
    if seen.moves == 1:  # a net that was moved twice may be judged elsewhere
        calls += [call for call in seen.judging_calls() if call.shape]
    stays = next((call for call in calls if not call.moved), None)
    if seen.model_moved and stays:
        told = "The net is moved to the device, its images are not", stays.place, "the images"
    elif calls and not seen.model_moved and all(call.moved for call in calls):
        told = "The images are moved to the device, the net is not", calls[0].place, "the net"
    elif seen.model_moved and losses and not losses[0].moved:
        told = "The outputs are on the device, the labels are not", losses[0].place, "the labels"
    else:
        return
    what, place, missing = told
    yield finding(
        "device-mismatch",
        what,
        f"{shown_code(seen.model_moved or place)}{line(seen.model_moved or place)} moves, and {shown_code(place)} uses "
        f"{missing} as they were made. There is no GPU here; on one this fails.",
        f"Move {missing} too, keeping the result: `x = x.to(device)`{line(place)}.",
        **where(place),
    )


RULES = (graph_rules, dropout_called, *MIXING, last_batch, parts_small, device_mismatch)
SYMPTOMS = (units,)
