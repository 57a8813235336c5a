"""Rules about train(), eval() and how the net is judged."""

import ast
import inspect
import re
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tenfold.checks.rules import finding
from tenfold.checks.script.seen import Call, Place, Seen, length
from tenfold.checks.script.source import around, line, model_name, name_at, receiver, shown_code, statement, trees
from tenfold.errors import Finding
from tenfold.models.usercode import is_users


def where(place: Place | None) -> dict[str, Any]:
    """File and line for a finding."""
    return place.where if place else {}


def eval_missing(seen: Seen) -> Iterator[Finding]:
    """The net is judged while batch norm or dropout act as in training."""
    if seen.always_dropout:
        place, _ = seen.always_dropout
        yield finding(
            "eval-missing",
            "Dropout stays on while the net is judged",
            f"The net is in eval mode, and {shown_code(place)} drops units all the same.",
            "Write `F.dropout(x, p, training=self.training)`, or use an nn.Dropout layer.",
            **where(place),
        )
    calls = [call for call in seen.judging_calls() if call.noisy and (call.mode or norms_noisy(call))]
    if calls:
        call = calls[0]
        name = model_name(call.place, "model")
        swallowed = next((place for m in call.module.modules() if (place := own_train(m))), None)
        if swallowed is not None and deaf(call.module):
            yield finding(
                "eval-missing",
                f"`{name}.eval()` does not reach {named(call.noisy)}",
                f"{len(calls)} batches were judged while they acted as in training: eval() calls the program's own "
                "train(), which does not hand the mode on.",
                f"Write `super().train(mode)` there{line(swallowed)}.",
                **where(swallowed),
            )
            return
        name = receiver(call.roused, "train", name)
        roused = f" {shown_code(call.roused)} set it so, after the last step." if call.roused else ""
        yield finding(
            "eval-missing",
            f"`{name}` is judged in training mode",
            f"{len(calls)} batches were judged while {named(call.noisy)} acted as in training.{roused}",
            f"Write `{name}.eval()` before the evaluation{line(call.roused or call.place)}; `{name}.train()` before "
            "training on.",
            **where(call.roused or call.place),
        )


def teacher_noisy(seen: Seen) -> Iterator[Finding]:
    """A net that stays as it is, and that another learns from, is in training mode."""
    trained = {call.step for call in seen.training_calls()}
    for drift in seen.drifting.values():
        weight, steps = drift.layer.weight, drift.steps & trained
        if len(steps) < 3 or not isinstance(weight, Tensor) or not weight.equal(drift.weights):
            continue
        name = model_name(drift.place, "teacher")
        yield finding(
            "eval-missing",
            f"`{name}`, which others learn from, is in training mode",
            f"In {len(steps)} training steps its batch norms acted as in training and moved their means, while its "
            "weights stayed as they are.",
            f"Write `{name}.eval()` before the loop, and after every `train()` that reaches it{line(drift.place)}.",
            severity="warning",
            **where(drift.place),
        )
        return


def norms_noisy(call: Call) -> bool:
    """Whether batch norms act as in training though the net is in evaluation mode; dropout may be meant to."""
    return any(isinstance(m, _BatchNorm) for n, m in call.module.named_modules() if n in call.noisy)


def named(layers: tuple[str, ...]) -> str:
    """The first layers by name."""
    return ", ".join(layers[:3]) + (" …" if len(layers) > 3 else "")


def deaf(net: nn.Module) -> bool:
    """Whether eval() does not reach a batch norm: some module's train() does not hand the mode on."""
    modes = [(module, module.training) for module in net.modules()]
    try:
        net.eval()
        return any(isinstance(m, _BatchNorm) and m.training for m in net.modules())
    finally:
        for module, mode in modes:
            module.training = mode


def own_train(module: nn.Module) -> Place | None:
    """Where a module's class writes its own train(): the call of super's, or the method."""
    method = type(module).train
    if method is nn.Module.train or not is_users(method.__code__.co_filename):
        return None
    lines, first = inspect.getsourcelines(method)
    at = next((number for number, text in enumerate(lines) if "super()" in text), 0)
    return Place(method.__code__.co_filename, first + at)


def train_missing(seen: Seen) -> Iterator[Finding]:
    """Training goes on in evaluation mode."""
    calls = [call for call in seen.training_calls() if not call.mode and call.calm and not meant(call)]
    if not calls:
        return
    call, every = calls[0], sum(1 for _ in seen.training_calls())
    name = model_name(call.place, "model")
    place = epoch_loop(call.place)
    since = "from the first step on" if call.step == 0 else f"from step {call.step + 1} on, after an evaluation"
    yield finding(
        "train-missing",
        f"`{name}` is trained in evaluation mode",
        f"{len(calls)} of {every} training batches, {since}: {named(call.calm)} acted as in evaluation.",
        f"Write `{name}.train()` at the start of every epoch, before the loop over batches{line(place)}.",
        **where(place),
    )


def epoch_loop(place: Place | None) -> Place | None:
    """The loop over epochs around a line of the loop over batches, where both are in one function."""
    found = statement(place)
    loops = [node for node in around(found) if isinstance(node, ast.For | ast.While)] if found is not None else []
    return Place(place.file, loops[1].lineno) if place and len(loops) > 1 else place


def meant(call: Call) -> bool:
    """Whether only layers that are frozen anyway are in evaluation mode."""
    layers = [module for name, module in call.module.named_modules() if name in call.calm]
    norms = [module for module in layers if any(True for _ in module.parameters())]
    return bool(norms) and len(norms) == len(layers) and not any(p.requires_grad for m in norms for p in m.parameters())


def gradients_in_evaluation(seen: Seen) -> Iterator[Finding]:
    """The graph is recorded although nothing goes backward."""
    calls = [
        call for call in seen.judging_calls() if call.grad and any(p.requires_grad for p in call.module.parameters())
    ]
    if len(calls) < 2:
        return
    yield finding(
        "gradients-in-evaluation",
        "The evaluation records gradients",
        f"{len(calls)} batches were judged with gradients on.",
        f"Put the evaluation{line(calls[0].place)} under `with torch.no_grad():`.",
        **where(calls[0].place),
    )


def accuracy_axis(seen: Seen) -> Iterator[Finding]:
    """The class is chosen along the batch."""
    for pick in seen.picks.values():
        if len(pick.shape) != 2 or pick.shape[1] < 2 or pick.kind == "compare":
            continue
        flat = pick.kind == "choose" and pick.dim is None
        if flat and pick.shape[0] == 1:
            continue  # one image at a time: no axis is needed
        if not flat and (pick.dim is None or pick.dim % 2 == 1):
            continue
        if pick.kind == "softmax":
            rule, what = "samples-mixed", "Softmax along the batch"
        else:
            rule, what = "accuracy-axis", "The class is chosen along the batch, not along the classes"
        found = f"dim={pick.dim}" if not flat else "no dim"
        yield finding(
            rule,
            what,
            f"The output is [{pick.shape[0]} images, {pick.shape[1]} classes]; {shown_code(pick.place)} has {found}.",
            f"Write dim=1 there{line(pick.place)}.",
            **where(pick.place),
        )
        return


def accuracy_count(seen: Seen) -> Iterator[Finding]:
    """What is compared, or counted, is something else."""
    for pick in seen.picks.values():
        if pick.kind != "compare":
            continue
        if len(pick.result) == 2 and pick.result[0] == pick.result[1] > 1 and pick.shape != pick.other:
            yield finding(
                "accuracy-count",
                "Every prediction is compared with every label",
                f"{shown_code(pick.place)} compares {list(pick.shape)} with {list(pick.other)}: {list(pick.result)}.",
                f"Bring both to [N], as with `.squeeze(1)` or `.view(-1)`{line(pick.place)}.",
                **where(pick.place),
            )
            return
        if pick.values:
            yield finding(
                "accuracy-count",
                "Values, not classes, are compared with the labels",
                f"{shown_code(pick.place)} compares numbers that are not whole.",
                f"Compare `outputs.argmax(dim=1)` with the labels{line(pick.place)}; max(…) returns (values, classes).",
                **where(pick.place),
            )
            return
    yield from counted_wrongly(seen)


def counted_wrongly(seen: Seen) -> Iterator[Finding]:
    """Right answers that are not added up, or are divided by something else than the images."""
    loaders = {name_at(fact.place, ""): fact for fact in seen.loaders}
    for file, tree in trees(seen):
        for loop in (n for n in ast.walk(tree) if isinstance(n, ast.For)):
            for node in ast.walk(loop):
                if isinstance(node, ast.Assign) and counts(node.value) and isinstance(node.targets[0], ast.Name):
                    name = node.targets[0].id
                    if lost(loop, node, name):
                        yield finding(
                            "accuracy-count",
                            f"Only the last batch's right answers are in `{name}`",
                            f"`{ast.unparse(node)}` overwrites it in every round of the loop.",
                            f"Write `{name} += {ast.unparse(node.value)}` (line {node.lineno}), after `{name} = 0`.",
                            **Place(file, node.lineno).where,
                        )
                        return
        added = {
            n.target.id
            for n in ast.walk(tree)
            if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name) and counts(n.value)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Div):
                continue
            if not added & {n.id for n in ast.walk(node.left) if isinstance(n, ast.Name)}:
                continue
            told = wrong_count(node.right, loaders, seen)
            if told:
                yield finding(
                    "accuracy-count",
                    "The right answers are divided by something else than the number of images",
                    told,
                    f"Divide by the number of images judged, as len(loader.dataset) (line {node.lineno}).",
                    **Place(file, node.lineno).where,
                )
                return


def counts(node: ast.expr) -> bool:
    """Whether an expression counts right answers: (a == b).sum()."""
    text = ast.unparse(node)
    return (" == " in text or ".eq(" in text) and ".sum(" in text and "/" not in text and ".mean(" not in text


def lost(loop: ast.For, at: ast.Assign, name: str) -> bool:
    """Whether a count made in a loop is used only after it."""
    inside = [n for n in ast.walk(loop) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load)]
    added = [n for n in ast.walk(loop) if isinstance(n, ast.AugAssign) and ast.unparse(n.target) == name]
    scope = next((n for n in around(loop) if isinstance(n, ast.FunctionDef | ast.Module)), None)
    later = [
        n
        for n in (ast.walk(scope) if scope else [])
        if isinstance(n, ast.Name)
        and n.id == name
        and isinstance(n.ctx, ast.Load)
        and n.lineno > (loop.end_lineno or 0)
    ]
    first = next((n for n in around(at) if isinstance(n, ast.For)), None)
    epochs = re.fullmatch(r"range\([^,]*\)", ast.unparse(loop.iter))  # each of all images at once
    return first is loop and not inside and not added and bool(later) and not epochs


def wrong_count(node: ast.expr, loaders: dict[str, Any], seen: Seen) -> str | None:
    """Why a divisor is not the number of images; None if it may be."""
    text = ast.unparse(node)
    names = [
        ast.unparse(n.args[0])
        for n in ast.walk(node)
        if isinstance(n, ast.Call) and ast.unparse(n.func) == "len" and n.args
    ]
    if len(names) != 1 or "." in names[0]:
        return None
    known = loaders.get(names[0])
    judged = [known] if known else [fact for fact in seen.loaders if fact.judged and not fact.steps]
    iterated = known or names[0].endswith(("loader", "dl", "batches"))
    if not iterated or not judged:
        return None
    loader = judged[0].loader
    images, batches, size = length(loader.dataset), length(loader), loader.batch_size
    if not images or not batches:
        return None
    if text == f"len({names[0]})" and images != batches:
        return f"`len({names[0]})` is the number of batches ({batches}), not of images ({images})."
    if "*" in text and size and images != batches * size:
        return f"`{text}` = {batches * size}, but there are {images} images: the last batch is smaller."
    return None


RULES = (eval_missing, teacher_noisy, train_missing, gradients_in_evaluation, accuracy_axis, accuracy_count)
