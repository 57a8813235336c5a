"""Nets and optimisers that are made anew while a net is trained, and one of several optimisers that never steps."""

import ast
import re
from collections.abc import Iterator

from torch import nn

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.parameters import held_parameters
from tenfold.checks.script.places import lines_of
from tenfold.checks.script.seen import Held, Place, Seen
from tenfold.checks.script.source import around, line, loop_of, name_at, shown_code, statement, tree
from tenfold.errors import Finding

FEW, OFTEN = 2, 5
"""An optimiser of so few steps is made for these only, and if there are so many of one line, for every one."""


def net_anew(seen: Seen) -> Iterator[Finding]:
    """Every epoch trains a net of its own."""
    nets: dict[int, nn.Module] = {id(call.module): call.module for call in seen.training_calls()}
    lines = [lines_of(seen, net) for net in nets.values()]
    if len(lines) < 2 or not lines[0] or any(other != lines[0] for other in lines):
        return
    place = next((place for place in lines[0] if in_epochs(place)), None)
    if place is not None:
        yield finding(
            "training-restarted",
            "A new net is made in every epoch",
            f"{len(nets)} nets were trained, all made in {shown_code(place)}: each begins with fresh weights.",
            f"Make the net and its optimiser once, before the loop over epochs{line(place)}.",
            **where(place),
        )


def in_epochs(place: Place) -> bool:
    """Whether a line is in a loop over epochs, and in no loop within it."""
    found = statement(place)
    loop = loop_of(found) if found is not None else None
    return loop is not None and bool(re.search("epoch", ast.unparse(loop.target) + ast.unparse(loop.iter), re.I))


def optimiser_anew(seen: Seen) -> Iterator[Finding]:
    """A new optimiser for every step: what it gathers for the next ones is lost."""
    groups: dict[Place, list[Held]] = {}
    for held in seen.helds:
        if held.place is not None and held.steps:
            groups.setdefault(held.place, []).append(held)
    for place, several in groups.items():
        same = held_by(several[0]) & held_by(several[-1])
        gathers = any(several[0].optimizer.state.values())
        if len(several) >= OFTEN and max(held.steps for held in several) <= FEW and same and gathers:
            yield finding(
                "training-restarted",
                "A new optimiser is made for every step",
                f"{len(several)} were made in {shown_code(place)}; none took more than {FEW} steps.",
                f"Make it once, before the loops{line(place)}: its momentum and averages are of many steps.",
                severity="warning",
                **where(place),
            )
            return


def left_out(seen: Seen) -> Iterator[Finding]:
    """One of several optimisers never steps, though its parameters get gradients: the program forgot it."""
    stepped = [held for held in seen.helds if held.steps]
    if sum(held.steps for held in stepped) < 10:
        return
    others = {key for held in stepped for key in held_by(held)}
    for held in seen.helds:
        mine = held_by(held)
        if held.steps or held.place is None or mine & others or not mine <= set(seen.reached):
            continue
        name = name_at(held.place, "")
        if name and not stepped_somewhere(held.place, name):
            yield finding(
                "step-missing",
                f"`{name}` never steps",
                f"Its {len(mine)} parameters got gradients in {seen.backwards} backward passes; only others stepped.",
                f"Write `{name}.step()` beside the other's{line(stepped[0].stepped_at)}, and clear its gradients too.",
                **where(held.place),
            )
            return


def held_by(held: Held) -> set[int]:
    """The parameters of an optimiser."""
    return set(map(id, held_parameters(held)))


def stepped_somewhere(place: Place, name: str) -> bool:
    """Whether a program steps what has that name, or hands it on to something that may: all but its other methods."""
    for node in ast.walk(tree(place.file)):
        if not isinstance(node, ast.Name | ast.Attribute) or not isinstance(node.ctx, ast.Load):
            continue
        if ast.unparse(node) != name:
            continue
        parent = next(around(node), None)
        if not isinstance(parent, ast.Attribute) or parent.attr not in ("zero_grad", "param_groups", "state_dict"):
            return True
    return False


RULES = (net_anew, optimiser_anew, left_out)
