"""Rules about what the optimiser holds: parameters forgotten, frozen or without a rate, and decayed norms."""

import ast
import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.places import builtin, given_at, groups_place, lines_of
from tenfold.checks.script.seen import Held, Place, Seen
from tenfold.checks.script.source import line, name_at, receiver, shown_code, trees
from tenfold.errors import Finding


def name_of(held: Held) -> str:
    """What the program calls an optimiser."""
    return receiver(held.stepped_at, "step", name_at(held.place, "optimizer"))


def trained_before(seen: Seen) -> bool:
    """Whether the net began with weights that were loaded."""
    return bool(seen.loaded)


def listed(names: list[str]) -> str:
    """The first few names."""
    return ", ".join(names[:4]) + (", …" if len(names) > 4 else "")


def parameters_forgotten(seen: Seen) -> Iterator[Finding]:
    """Parameters get gradients that no optimiser uses."""
    if not seen.helds or not seen.reached:
        return
    held = {id(p) for one in seen.helds for group in one.optimizer.param_groups for p in group["params"]}
    lost = [(name, hidden) for key, (name, _, hidden) in seen.reached.items() if key not in held]
    if not lost:
        yield from thawed(seen)
        return
    hidden = [name for name, known in lost if not known]
    names = [name for name, _ in lost]
    maker = holder(seen).place
    if hidden:
        place = list_of_layers(seen)
        yield finding(
            "parameters-forgotten",
            "Layers in a plain list are unknown to the net",
            f"{len(hidden)} parameters of layers that ran are not in model.parameters().",
            f"Write nn.ModuleList([…]) in place of the list{line(place)}.",
            **where(place or maker),
        )
        return
    yield finding(
        "parameters-forgotten",
        f"{len(names)} parameters that get gradients are in no optimiser",
        f"{listed(names)}: they stay as they began.",
        f"Make the optimiser of all of the net's parameters{line(maker)}, after the last layer was put in its place; "
        "freeze with requires_grad_(False) what is meant to stay.",
        severity="note" if trained_before(seen) else None,
        layer=names[0].rpartition(".")[0] or None,
        **where(maker),
    )


def thawed(seen: Seen) -> Iterator[Finding]:
    """Parameters that are unfrozen, while the optimiser that steps was made without them."""
    now = [held for held in seen.helds if held.steps and held.last >= seen.backwards - 10]
    held = {id(p) for one in now for p in held_parameters(one)}
    lost = [name for key, (name, last) in seen.thawed.items() if last and key not in held]
    if now and lost:
        yield finding(
            "parameters-forgotten",
            f"{len(lost)} parameters are unfrozen, and the optimiser was made without them",
            f"{listed(lost)} get gradients again, and `{name_of(now[-1])}` does not hold them.",
            f"Make it of all parameters: it skips those that are frozen{line(now[-1].place)}.",
            layer=lost[0].rpartition(".")[0] or None,
            **where(now[-1].place),
        )


def holder(seen: Seen) -> Held:
    """The optimiser that should hold what is in none: the last made of those for the same nets."""
    nets = {id(call.module): call.module for call in seen.training_calls()}
    own = {id(p) for net in nets.values() for p in net.parameters()}
    near = [held for held in seen.helds if any(id(p) in own for p in held_parameters(held))]
    return (near or seen.helds)[-1]


def held_parameters(held: Held) -> Iterator[Any]:
    """All parameters of an optimiser."""
    return (p for group in held.optimizer.param_groups for p in group["params"])


def list_of_layers(seen: Seen) -> Place | None:
    """Where layers that ran are put into a plain list or dictionary of the net's; else where the first was made."""
    for net in {id(call.module): call.module for call in seen.training_calls()}.values():
        for owner in net.modules():
            for name, value in vars(owner).items():
                if not name.startswith("_") and any(part is layer for part in inside(value) for layer in seen.hidden):
                    place = given_at(seen, type(owner).__name__, f"self.{name}")
                    if place:
                        return place
    return next((lines[0] for module in seen.hidden if (lines := lines_of(seen, module))), None)


def inside(value: Any) -> Iterator[nn.Module]:
    """Layers in nested lists, tuples and dictionaries, and those within them."""
    if isinstance(value, nn.Module):
        yield from value.modules()
    elif isinstance(value, list | tuple | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from inside(part)


def frozen_in_name(seen: Seen) -> Iterator[Finding]:
    """A layer is given an attribute requires_grad, which no parameter hears of."""
    named = [(name, m) for name, m in (seen.model.named_modules() if seen.model else ()) if "requires_grad" in vars(m)]
    if not named:
        return
    name, layer = named[0]
    wanted = bool(vars(layer)["requires_grad"])
    if all(p.requires_grad == wanted for p in layer.parameters()):
        return
    place = next(written_to(seen, "requires_grad", wanted), None)
    yield finding(
        "parameters-frozen",
        f"`requires_grad = {wanted}` is written to a layer, and its parameters do not hear of it",
        f"{name or type(layer).__name__} has an attribute of that name now; its parameters still have "
        f"requires_grad={not wanted}." + (f" {shown_code(place)}." if place else ""),
        f"Call the layer's method: `.requires_grad_({wanted})`{line(place)}.",
        layer=name or None,
        severity="error" if wanted else "warning",
        **where(place),
    )


def written_to(seen: Seen, attribute: str, value: object) -> Iterator[Place]:
    """Where an attribute of this name gets this value."""
    for file, parsed in trees(seen):
        for node in (n for n in ast.walk(parsed) if isinstance(n, ast.Assign)):
            named = any(isinstance(t, ast.Attribute) and t.attr == attribute for t in node.targets)
            if named and ast.unparse(node.value) == str(value):
                yield Place(file, node.lineno)


def parameters_frozen(seen: Seen) -> Iterator[Finding]:
    """Layers that begin at random are frozen."""
    if seen.first is None or trained_before(seen):
        return
    now = dict(seen.model.named_parameters()) if seen.model is not None else {}
    frozen = [
        name
        for name, p in at_random(seen.first)
        if not p.requires_grad
        and name in now
        and not now[name].requires_grad
        and p.shape == now[name].shape
        and torch.equal(p, now[name])  # averaged weights move without gradients
    ]
    if frozen:
        place = frozen_at(seen)
        yield finding(
            "parameters-frozen",
            f"{len(frozen)} layers stay at their random start",
            f"{listed(frozen)} have requires_grad=False, and no saved weights were loaded.",
            f"Load trained weights before freezing, or set requires_grad to True{line(place)}.",
            layer=frozen[0].rpartition(".")[0] or None,
            **where(place),
        )


def at_random(net: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Weights of torch's own layers that look drawn: hardly any size is there twice, as in kernels made by hand."""
    for name, layer in net.named_modules():
        for key, p in layer.named_parameters(recurse=False) if builtin(layer) else ():
            sizes = p.detach().flatten()[:1000].abs()
            if p.dim() > 1 and sizes.unique().numel() > 0.9 * sizes.numel():
                yield f"{name}.{key}".lstrip("."), p


def rate_of_nought(seen: Seen) -> Iterator[Finding]:
    """Parameters that an optimiser holds at a learning rate of 0, and that never moved."""
    if seen.first is None or seen.model is None or trained_before(seen) or not seen.steps:
        return
    names = {id(p): name for name, p in seen.model.named_parameters()}
    began = dict(seen.first.named_parameters())
    for held in seen.helds:
        for number, group in enumerate(held.optimizer.param_groups):
            resting = [(names[id(p)], p) for p in group["params"] if id(p) in names and p.requires_grad]
            still = [name for name, p in resting if name in began and torch.equal(p, began[name])]
            if still and group["lr"] == 0 and not group.get("initial_lr") and not (number == 0 and any(held.rates)):
                yield finding(
                    "parameters-frozen",
                    f"{len(still)} parameters are trained at a learning rate of 0",
                    f"{listed(still)}: group {number} of `{name_of(held)}` has lr=0, and none of them has moved.",
                    f"Give that group a rate of its own, wherever rates are set{line(held.place)}.",
                    severity="error" if any(began[name].dim() > 1 for name in still) else "warning",
                    **where(held.place),
                )
                return


def frozen_at(seen: Seen) -> Place | None:
    """The last line that freezes something."""
    found = None
    for file, tree in trees(seen):
        for node in ast.walk(tree):
            code = ast.unparse(node) if isinstance(node, ast.Expr | ast.Assign) else ""
            if "False" in code and ("requires_grad" in code or "trainable" in code or "freeze" in code):
                found = Place(file, node.lineno) if isinstance(node, ast.stmt) else found
    return found


def decay_on_norms(seen: Seen) -> Iterator[Finding]:
    """Weight decay acts on biases and norms too."""
    for held in seen.helds:
        decayed = [p for g in held.optimizer.param_groups if g.get("weight_decay") for p in g["params"] if p.dim() <= 1]
        if decayed:
            place = groups_place(held)
            slipped = spares_norms(held, place)
            yield finding(
                "decay-on-norms",
                f"Weight decay acts on {len(decayed)} biases and norms" + ", past the line that spares them" * slipped,
                f"{sum(p.numel() for p in decayed):,} numbers of {shown_code(held.place)}."
                + f" {shown_code(place)} does not know them by name." * slipped,
                "Give parameters of one dimension a group of their own with weight_decay=0"
                + f": `if p.ndim <= 1`{line(place)}." * slipped
                + "." * (not slipped),
                severity="warning" if slipped else None,
                **where(place),
            )
            return


def spares_norms(held: Held, place: Place | None) -> bool:
    """Whether parameters are sorted into groups, one without decay, by a line that means the norms too."""
    code = place.code if place else ""
    spared = any(not group.get("weight_decay") for group in held.optimizer.param_groups)
    return spared and place != held.place and bool(re.search(r"['\"][\w.]*(bn|norm)", code, re.I))


def single(seen: Seen, name: str) -> bool:
    """Whether a weight has one number a unit, which a batch norm after it makes of no account: so is its gradient."""
    weight = dict(seen.model.named_parameters()).get(name) if seen.model is not None else None
    return weight is not None and weight.dim() > 1 and weight.numel() == len(weight)
