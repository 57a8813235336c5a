"""The line at which a fault is to be mended: where a layer, loss or rate was made, not where it is used."""

import ast
from collections.abc import Callable, Collection, Sequence

from torch import Tensor, nn

from tenfold.checks.script.origins import DEPTH, argument_at, origin, resolve
from tenfold.checks.script.seen import Held, LossCall, Made, Place, Seen
from tenfold.checks.script.source import called, flat, statement, tree, trees

LINES = (ast.expr, ast.stmt)
"""Nodes that have a line."""


def layer_of(seen: Seen, name: str | None) -> nn.Module | None:
    """A layer of the net by its name."""
    if seen.model is None or not name:
        return None
    return dict(seen.model.named_modules()).get(name)


def lines_of(seen: Seen, module: nn.Module | None) -> tuple[Place, ...]:
    """The user's lines that made a module, the innermost first."""
    known = seen.births.get(id(module))
    return known[1] if known and known[0]() is module else ()


def birth(seen: Seen, name: str | None, alone: Collection[str] = ()) -> Place | None:
    """Where a layer was made: of a helper's lines the innermost that made none of its kind but those of `alone`."""
    module = layer_of(seen, name)
    lines = lines_of(seen, module)
    named = seen.model.named_modules() if seen.model is not None and alone and len(lines) > 1 else ()
    others = {line for n, m in named if type(m) is type(module) and n not in alone for line in lines_of(seen, m)}
    if not others:
        return asked_for(lines) or lines[0] if lines else None
    return next((line for line in lines if line not in others), lines[0])


def asked_for(lines: Sequence[Place]) -> Place | None:
    """Where the name is written by which a layer was asked for from a table of layers."""
    made = statement(lines[0])
    tabled = isinstance(made, ast.Assign) and isinstance(made.value, ast.Dict)
    stack = lines[1:] if tabled else lines
    asked = statement(stack[0]) if stack else None
    for call in ast.walk(asked) if asked is not None else ():
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Subscript):
            return resolve(call.func.slice, stack, DEPTH)
    return None


def builtin(module: nn.Module | None) -> bool:
    """Whether a layer's code is torch's, not the user's."""
    return module is not None and type(module).__module__.startswith("torch.")


def contained(seen: Seen, name: str | None) -> bool:
    """Whether a layer of torch's is called by one of torch's containers: no line of the user's forward names it."""
    if not name or not builtin(layer_of(seen, name)):
        return False
    parent, _, _ = name.rpartition(".")
    return builtin(layer_of(seen, parent) if parent else seen.model)


def layer_place(seen: Seen, name: str | None, used: Place | None) -> Place | None:
    """A layer's line: that in forward where the user calls it, else where it was made."""
    return (birth(seen, name) or used) if used is None or contained(seen, name) else used


def activation_place(seen: Seen, made: Made) -> Place | None:
    """The line of one activation: its own layer's, where it has one."""
    return birth(seen, made.layer, [made.layer]) or made.place if contained(seen, made.layer) else made.place


def written(seen: Seen, name: str | None, kinds: Collection[str] = ("weight", "bias")) -> Place | None:
    """Where a layer's first weights were written, or where it was made."""
    module = layer_of(seen, name)
    for kind in kinds:
        parameter = getattr(module, kind, None)
        if isinstance(parameter, Tensor) and (place := seen.written.get(parameter.untyped_storage().data_ptr())):
            return place
        if isinstance(parameter, Tensor) and not builtin(module):
            return given_at(seen, type(module).__name__, f"self.{kind}") or birth(seen, name)
    return birth(seen, name)


def loss_place(seen: Seen, loss: LossCall) -> Place | None:
    """Where a loss was made, or is called if it is a function."""
    lines = lines_of(seen, loss.criterion)
    return lines[0] if lines else loss.place


def rate_place(held: Held) -> Place | None:
    """Where the learning rate is written."""
    return origin(held.stack, "lr", 1)


def start_place(seen: Seen) -> Place | None:
    """Where the user wrote the last layer's first weights, if not torch did."""
    layers = [name for name, m in seen.model.named_modules() if hasattr(m, "weight")] if seen.model is not None else []
    for name in reversed(layers):
        place = written(seen, name)
        if place and place != birth(seen, name):
            return place
    return None


def groups_place(held: Held) -> Place | None:
    """Where the groups of an optimiser's parameters are sorted, or the optimiser is made."""
    given = argument_at(held.stack[0], "params", 0) if held.stack else None
    if held.place and isinstance(given, ast.Call | ast.Name):
        sorting = sorter(held.place, called(given) if isinstance(given, ast.Call) else given.id)
        return sorting or held.place
    return held.place


def sorter(place: Place, name: str) -> Place | None:
    """The first condition of a function of the user's by its name."""
    for node in ast.walk(tree(place.file)):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            tests = [
                n.lineno
                for n in ast.walk(node)
                if isinstance(n, ast.If | ast.IfExp | ast.comprehension)
                if hasattr(n, "lineno")
            ]
            return Place(place.file, min(tests, default=node.lineno))
    return None


def called_at(seen: Seen, name: str) -> Place | None:
    """The line of its owner's class that calls a layer."""
    parent, _, attribute = name.rpartition(".")
    owner = layer_of(seen, parent) if parent else seen.model
    return first_in_class(seen, type(owner).__name__, lambda node: calls(node, f"self.{attribute}"))


def given_at(seen: Seen, owner: str, name: str) -> Place | None:
    """The line of a class that first gives an attribute its value."""
    return first_in_class(seen, owner, lambda node: gives(node, name))


def calls(node: ast.AST, name: str) -> bool:
    """Whether this is a call of that name."""
    return isinstance(node, ast.Call) and ast.unparse(node.func) == name


def gives(node: ast.AST, name: str) -> bool:
    """Whether this gives that name a value."""
    return isinstance(node, ast.Assign) and any(ast.unparse(target) == name for target in flat(node))


def first_in_class(seen: Seen, owner: str, wanted: Callable[[ast.AST], bool]) -> Place | None:
    """The first line of the class of that name where a node is wanted."""
    for file, module in trees(seen):
        for scope in ast.walk(module):
            if isinstance(scope, ast.ClassDef) and scope.name == owner:
                found = [node.lineno for node in ast.walk(scope) if isinstance(node, LINES) and wanted(node)]
                return Place(file, min(found)) if found else None
    return None
