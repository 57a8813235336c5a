"""Rules about train(), eval() and how the net is judged."""

import ast
import inspect
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tenfold.checks.rules import finding
from tenfold.checks.script.seen import Call, Place, Seen
from tenfold.checks.script.source import around, line, model_name, receiver, shown_code, statement
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


RULES = (eval_missing, teacher_noisy, train_missing, gradients_in_evaluation)
