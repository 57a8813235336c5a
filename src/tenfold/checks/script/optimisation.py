"""Rules about gradients, steps and what the optimiser holds."""

import ast
import math
from collections.abc import Iterator

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.parameters import (
    decay_on_norms,
    frozen_in_name,
    listed,
    name_of,
    parameters_forgotten,
    parameters_frozen,
    rate_of_nought,
    single,
    trained_before,
)
from tenfold.checks.script.places import birth, called_at, layer_place, written
from tenfold.checks.script.replay import finite_median
from tenfold.checks.script.seen import Held, Place, Seen
from tenfold.checks.script.source import line, receiver, shown_code, trees
from tenfold.errors import Finding


def zero_grad_missing(seen: Seen) -> Iterator[Finding]:
    """An optimiser steps again and again without its gradients ever being cleared."""
    for held in seen.helds:
        if held.steps < 3 or held.uncleared < 0.5 * (held.steps - 1):
            continue
        name = name_of(held)
        loss = receiver(seen.backward_at, "backward", "loss")
        seldom = f"; line {held.cleared_at.line} clears them too seldom" if held.cleared_at else ""
        yield finding(
            "zero-grad-missing",
            f"The gradients of `{name}` are not cleared",
            f"Before {held.uncleared} of {held.steps - 1} steps they still held those of the step before{seldom}.",
            f"Write `{name}.zero_grad()` before `{loss}.backward()`{line(seen.backward_at)}.",
            **where(seen.backward_at),
        )
        return
    yield from partly_cleared(seen)


def partly_cleared(seen: Seen) -> Iterator[Finding]:
    """An optimiser holds more than what is cleared: a loss with weights of its own, or a second net."""
    for held in seen.helds:
        if held.steps < 3 or held.partly < 0.5 * (held.steps - 1):
            continue
        name, clears = name_of(held), receiver(held.cleared_at, "zero_grad", "the net")
        yield finding(
            "zero-grad-missing",
            f"`{name}` holds {len(held.left)} parameter{'s' * (len(held.left) > 1)} whose gradients are never cleared",
            f"Before {held.partly} of {held.steps - 1} steps those of the step before were still there (shapes "
            f"{listed([str(list(p.shape)) for p in held.left])}); `{clears}` clears only its own.",
            f"Write `{name}.zero_grad()` in place of `{clears}.zero_grad()`{line(held.cleared_at)}.",
            **where(held.cleared_at),
        )
        return


def step_missing(seen: Seen) -> Iterator[Finding]:
    """Nothing moves: no step, or steps without gradients."""
    for held in seen.helds:
        name = name_of(held)
        if not held.steps and seen.backwards >= 10 and sum(other.steps for other in seen.helds) == 0:
            yield finding(
                "step-missing",
                f"`{name}` never steps",
                f"{seen.backwards} times a loss went backward, and no optimiser stepped.",
                f"Write `{name}.step()` after `{receiver(seen.backward_at, 'backward', 'loss')}.backward()`"
                f"{line(seen.backward_at)}.",
                **where(seen.backward_at),
            )
            return
        if held.steps >= 3 and held.empty > 0.8 * held.steps:
            if id(held.optimizer) in seen.got:
                yield finding(
                    "step-missing",
                    f"`{name}` steps without gradients",
                    f"{held.empty} of {held.steps} steps: they were cleared{line(held.cleared_at)} after backward.",
                    f"Clear them before `{receiver(seen.backward_at, 'backward', 'loss')}.backward()`"
                    f"{line(seen.backward_at)}, not between it and `{name}.step()`{line(held.stepped_at)}.",
                    **where(held.cleared_at or held.stepped_at),
                )
                return
            if not seen.backwards:
                yield finding(
                    "step-missing",
                    f"`{name}` steps, but no loss ever goes backward",
                    f"{held.steps} steps without a gradient.",
                    f"Write `loss.backward()` before `{name}.step()`{line(held.stepped_at)}.",
                    **where(held.stepped_at),
                )
                return


def gradients_wasted(seen: Seen) -> Iterator[Finding]:
    """Several backwards to a step, and gradients cleared before each: only the last one's are used."""
    held = next((one for one in seen.helds if one.steps >= 3 and one.wasted >= one.steps / 2), None)
    if held is None or held.closed or not in_one_go(seen, held):
        return
    name = name_of(held)
    yield finding(
        "step-missing",
        f"Gradients are cleared before `{name}` has used them",
        f"Those of {held.wasted} backward passes in {held.steps} steps were cleared{line(held.cleared_at)} unused.",
        f"To add up gradients of several batches, clear them right after `{name}.step()`{line(held.stepped_at)} only.",
        severity="warning",
        **where(held.cleared_at),
    )


def in_one_go(seen: Seen, held: Held) -> bool:
    """Whether no other optimiser stepped between this one's first step and its last."""
    mine = [index for index, step in enumerate(seen.steps) if step.held is held]
    return bool(mine) and all(step.held is held for step in seen.steps[mine[0] : mine[-1] + 1])


def graph_broken(seen: Seen) -> Iterator[Finding]:
    """The loss does not reach the parameters."""
    if seen.graph_leaf:
        yield finding(
            "graph-broken",
            "The loss that goes backward was made anew, without the net's graph",
            f"It has no grad_fn in {shown_code(seen.graph_leaf)}.",
            "Call backward() on what the loss function gave: no `.data`, `.item()`, `torch.tensor(…)` or `Variable(…)` "
            "in between.",
            **where(seen.graph_leaf),
        )
        return
    held = {id(p) for one in seen.helds for group in one.optimizer.param_groups for p in group["params"]}
    moved = seen.moved()  # averaged weights need no gradients
    lost = [name for key, name in seen.used.items() if key in held and key not in seen.reached and key not in moved]
    if not lost or not seen.steps or trained_before(seen):
        return
    if seen.cut:
        how, place, layer = seen.cut[0]
        yield finding(
            "graph-broken",
            f"{len(lost)} parameters get no gradient",
            f"{listed(lost)}: the graph is cut by {shown_code(place)} ({how})"
            + (f" in layer {layer}." if layer else "."),
            f"Take {'`with torch.no_grad():`' if how == 'no_grad' else f'`.{how}`'} out{line(place)}; if these layers "
            "are meant to stay as they are, leave them out of the optimiser.",
            **where(place),
        )
    elif not seen.reached and seen.backwards >= 3:
        at = seen.cut_after or seen.backward_at
        yield finding(
            "graph-broken",
            "The loss goes backward, and no parameter of the net gets a gradient",
            f"{seen.backwards} times; {shown_code(at)} takes the logits out of the graph."
            if seen.cut_after
            else f"{seen.backwards} times, at {shown_code(at)}.",
            f"Give the loss what the net returned{line(at)}: no `.detach()`, `.data` or `torch.tensor(…)` in between.",
            **where(at),
        )
    elif seen.backwards >= 3:
        yield from unread(seen, lost)


def unread(seen: Seen, lost: list[str]) -> Iterator[Finding]:
    """Layers whose results lead to no loss, of a net that gives one tensor."""
    calls = seen.training_calls()
    if any(call.outputs != 1 for call in calls) or len({id(call.module) for call in calls}) > 1:
        return
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in lost))
    place = called_at(seen, layers[0]) or birth(seen, layers[0])
    yield finding(
        "graph-broken",
        f"What {listed(layers)} give{'' if len(layers) > 1 else 's'} leads to no loss",
        f"In {seen.backwards} backward passes {len(lost)} of their parameters got no gradient, though they ran.",
        f"Go on with the result{line(place)}, or take the layer{'s' if len(layers) > 1 else ''} out of the net.",
        severity="warning",
        layer=layers[0] or None,
        **where(place),
    )


def graph_kept(seen: Seen) -> Iterator[Finding]:
    """Losses are kept with their graphs."""
    if seen.kept is None and seen.most_kept < 8:
        return
    place, steps = seen.kept if seen.kept else (kept_at(seen), seen.most_kept)
    added = (
        f"{shown_code(place)} adds up" if seen.kept else f"{shown_code(place)} keeps" if place else "The program keeps"
    )
    yield finding(
        "graph-kept",
        "Losses are kept together with their graphs",
        f"{added} the losses of {steps} steps as tensors that can still go backward.",
        f"Write `loss.item()` in place of `loss` there{line(place)}.",
        **where(place),
    )


def kept_at(seen: Seen) -> Place | None:
    """Where a loss is appended to a list."""
    for file, tree in trees(seen):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".append") and node.args:
                given = ast.unparse(node.args[0])
                if "loss" in given and "item" not in given and "detach" not in given and "float" not in given:
                    return Place(file, node.lineno)
    return None


def gradients(seen: Seen) -> Iterator[Finding]:
    """Gradients that vanish or explode, and losses that are not finite."""
    steps = [step for step in seen.steps if len(step.gradients) > 1]
    yield from not_finite(seen)
    if len(steps) < 5:
        return
    rows = [list(step.gradients.values()) for step in steps]
    names = list(steps[0].gradients)
    at = next((i for i, name in enumerate(names) if not single(seen, name)), 0)
    firsts, lasts = [row[min(at, len(row) - 1)] for row in rows], [row[-1] for row in rows]
    first, last, largest = finite_median(firsts), finite_median(lasts), finite_median([max(row) for row in rows])
    if last > 0 and first < 1e-3 * last and len(names) > 3:
        yield finding(
            "gradient-vanishing",
            f"The gradient has vanished before it reaches {names[at]}",
            f"Its length there is {first:.2g}, at {names[-1]} {last:.2g} (medians of {len(steps)} steps).",
            "Use ReLU in place of sigmoid or tanh inside the net, batch norm, or shortcuts.",
            layer=names[at].rpartition(".")[0] or None,
            **where(bending_place(seen) or birth(seen, names[at].rpartition(".")[0])),
        )
    yield from spikes(seen)
    loss = finite_median([abs(step.loss) for step in steps if step.loss is not None] or [0.0])
    if largest > 1e3 * max(1.0, loss) and math.isfinite(largest):  # a loss that is summed has larger gradients
        worst = max(names, key=lambda n: steps[-1].gradients.get(n, 0.0))
        yield finding(
            "gradient-exploding",
            "Gradients explode",
            f"The longest has a median length of {largest:.3g} (at {worst}), where the loss is about {loss:.3g}.",
            "Look at the scale of the images and of the first weights; clip with nn.utils.clip_grad_norm_(…, 1.0).",
            layer=worst.rpartition(".")[0] or None,
            **where(written(seen, worst.rpartition(".")[0])),
        )


def spikes(seen: Seen) -> Iterator[Finding]:
    """Gradients of a recurrent net that jump, which clipping would have cut."""
    lengths = [max(step.gradients.values()) for step in seen.steps if step.gradients]
    losses = [step.loss for step in seen.steps if step.loss is not None]
    if not seen.recurrent or len(lengths) < 30 or not losses or finite_median(losses[-10:]) < 0.7 * losses[0]:
        return
    usual, place = finite_median(lengths), seen.steps[-1].held.stepped_at
    if 0 < 20 * usual < max(lengths):
        yield finding(
            "gradient-exploding",
            "Gradients of the recurrent net jump",
            f"The longest of {len(lengths)} steps is {max(lengths) / usual:.0f} times the median ({usual:.3g}).",
            f"Write `nn.utils.clip_grad_norm_(model.parameters(), 1.0)` before `{receiver(place, 'step', 'optimizer')}"
            f".step()`{line(place)}.",
            **where(place),
        )


def bending_place(seen: Seen) -> Place | None:
    """Where the first sigmoid or tanh of the net stands, if it has any."""
    first = next(iter(seen.saturated), None)
    return layer_place(seen, first, seen.bent) if first else None


def not_finite(seen: Seen) -> Iterator[Finding]:
    """NaN or infinity in the loss, and where it began."""
    bad = next((loss for loss in seen.losses if loss.grad and not math.isfinite(loss.value)), None)
    lost = next((s for s in seen.steps if s.loss is not None and not math.isfinite(s.loss)), None)
    spoilt = next((s for s in seen.steps if any(not math.isfinite(g) for g in s.gradients.values())), None)
    if bad is None and lost is None and spoilt is None:
        return
    step = min(s.number for s in (lost, spoilt) if s is not None) if lost or spoilt else bad.step if bad else 0
    place: Place | None = bad.place if bad else seen.backward_at
    cause, remedy = "", "Lower the learning rate, and look for divisions, logarithms and roots of numbers near 0."
    if seen.bad_op and (lost is None or seen.bad_op[2] <= lost.number):
        place, cause = seen.bad_op[1], f" {shown_code(seen.bad_op[1])} ({seen.bad_op[0]}) made it first."
        remedy = "Use what is built for it: F.cross_entropy or torch.logsumexp in place of exp and log"
        remedy += f"; add a small number inside a logarithm, root or division{line(place)}."
    elif seen.sharp:
        name, place = seen.sharp
        cause = f" {shown_code(place)}: the slope of {name} at 0 is infinite, which makes NaN gradients."
        remedy = f"Add a small number inside, as `torch.{name}(x + 1e-8)`{line(place)}."
    elif seen.bad:
        cause = f" The first layer to give it was '{seen.bad[0]}', in step {seen.bad[1] + 1}."
        place = birth(seen, seen.bad[0]) or place
    what = "The loss" if bad or lost else "A gradient"
    yield finding(
        "not-finite", f"{what} is NaN or infinite from step {step + 1} on", cause.strip(), remedy, **where(place)
    )


RULES = (
    zero_grad_missing, step_missing, gradients_wasted, graph_broken, parameters_forgotten, parameters_frozen,
    frozen_in_name, rate_of_nought, graph_kept, gradients, decay_on_norms,
)  # fmt: skip
