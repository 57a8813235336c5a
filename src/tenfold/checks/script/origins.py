"""Where a value was first written in the user's code: behind names, parameters, defaults, configurations, options.

`origin(held.stack, "lr")` of `SGD(net.parameters(), lr=cfg["lr"])` is the line of `"lr": 0.1` in the dictionary.
"""

import ast
from collections.abc import Iterator, Sequence

from tenfold.checks.script.seen import Place
from tenfold.checks.script.source import around, called, statement, tree

DEPTH = 8
"""Steps from name to name that are followed at most."""
MAPPINGS = ("dict", "Namespace", "SimpleNamespace", "DictConfig", "EasyDict", "Munch", "set_defaults")
Scope = ast.FunctionDef | ast.AsyncFunctionDef


def origin(stack: Sequence[Place], argument: str, position: int | None = None) -> Place | None:
    """Where the value came from that a call at the stack's first line takes as its argument; else that line."""
    if not stack:
        return None
    given = argument_at(stack[0], argument, position)
    if given is not None:
        found = resolve(given, stack, DEPTH)
    else:
        found = configured(stack[0].file, argument, stack, DEPTH) if spread(stack[0]) else None
    return found or stack[0]


def argument_at(place: Place, argument: str, position: int | None) -> ast.expr | None:
    """What is written for an argument in the calls at a line, the innermost first."""
    found = statement(place)
    calls = [n for n in ast.walk(found) if isinstance(n, ast.Call)] if found is not None else []
    calls = [n for n in calls if n.lineno <= place.line <= (n.end_lineno or n.lineno)]
    for call in reversed(calls):
        for keyword in call.keywords:
            if keyword.arg == argument:
                return keyword.value
    for call in calls:
        if position is not None and len(call.args) > position:
            return call.args[position]
    return None


def spread(place: Place) -> bool:
    """Whether a call at a line takes arguments from a dictionary: f(**options)."""
    found = statement(place)
    calls = [n for n in ast.walk(found) if isinstance(n, ast.Call)] if found is not None else []
    return any(keyword.arg is None for call in calls for keyword in call.keywords)


def resolve(node: ast.expr, stack: Sequence[Place], depth: int) -> Place | None:
    """The line in which an expression's value is written."""
    file = stack[0].file
    if depth and isinstance(node, ast.Name):
        return name_in(node, stack, depth - 1) or Place(file, node.lineno)
    if depth and (key := key_of(node)):
        return configured(file, key, stack, depth - 1) or Place(file, node.lineno)
    if depth and isinstance(node, ast.Call) and node.args and called(node) in ("float", "int", "tuple", "list"):
        return resolve(node.args[0], stack, depth - 1)
    return Place(file, node.lineno)


def key_of(node: ast.expr) -> str:
    """'lr' of cfg.lr, cfg["lr"], cfg.get("lr", …), getattr(args, "lr"); else nothing."""
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript):
        return text_of(node.slice)
    if isinstance(node, ast.Call) and called(node) in ("get", "getattr", "pop"):
        return next(filter(None, map(text_of, node.args)), "")
    return ""


def text_of(node: ast.expr) -> str:
    """A constant string."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def name_in(node: ast.Name, stack: Sequence[Place], depth: int) -> Place | None:
    """Where a name got its value: in its function, from its caller, as a default, or in the module."""
    file, module = stack[0].file, tree(stack[0].file)
    scope = next((n for n in around(node) if isinstance(n, Scope)), None)
    for within in filter(None, (scope, module)):
        values = [value for value in given_to(within, node.id) if value.lineno <= node.lineno or within is module]
        own = [value for value in values if within is not module or not in_function(value)]
        if own:
            return resolve(own[-1], stack, depth)
        if isinstance(within, Scope) and takes(within, node.id):
            return passed(within, node.id, stack, depth)
    return Place(file, node.lineno)


def in_function(node: ast.AST) -> bool:
    """Whether it stands in a function."""
    return any(isinstance(outer, Scope) for outer in around(node))


def given_to(scope: ast.AST, name: str) -> Iterator[ast.expr]:
    """Values that a name is given in a scope, in order; of `a, b = 1, 2` the right one."""
    for node in ast.walk(scope):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "iter", None) or getattr(node, "value", None)
        for target in targets:
            if not isinstance(node, ast.Assign | ast.AnnAssign | ast.For | ast.NamedExpr) or value is None:
                continue
            if isinstance(target, ast.Name) and target.id == name:
                yield value
            elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                yield from (v for t, v in zip(target.elts, value.elts) if isinstance(t, ast.Name) and t.id == name)


def takes(scope: Scope, name: str) -> bool:
    """Whether a function has a parameter of this name."""
    arguments = scope.args
    return name in [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]


def passed(scope: Scope, name: str, stack: Sequence[Place], depth: int) -> Place | None:
    """What the caller gave for a parameter, or its default."""
    positional = [a.arg for a in (*scope.args.posonlyargs, *scope.args.args)]
    outer = stack[1:]
    if outer and stack[0].function == scope.name:
        method = bool(positional) and positional[0] in ("self", "cls")
        at = positional.index(name) - method if name in positional else None
        given = argument_at(outer[0], name, at)
        if given is not None:
            return resolve(given, outer, depth)
    default = default_of(scope, name)
    return Place(stack[0].file, (default or scope).lineno)


def default_of(scope: Scope, name: str) -> ast.expr | None:
    """A parameter's default."""
    positional = [a.arg for a in (*scope.args.posonlyargs, *scope.args.args)]
    defaults = dict(zip(reversed(positional), reversed(scope.args.defaults)))
    defaults |= {a.arg: value for a, value in zip(scope.args.kwonlyargs, scope.args.kw_defaults) if value is not None}
    return defaults.get(name)


def configured(file: str, key: str, stack: Sequence[Place], depth: int) -> Place | None:
    """The line that gives a key or attribute its value: an option's default, a dictionary, a class, JSON."""
    module = tree(file)
    ranks: list[tuple[int, Place]] = []
    classes = {n.name for n in ast.walk(module) if isinstance(n, ast.ClassDef)}
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            ranks += from_call(node, key, file, classes)
        elif isinstance(node, ast.Dict):
            ranks += [(1, Place(file, k.lineno)) for k in node.keys if k is not None and text_of(k) == key]
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            ranks += assigned(node, key, stack, depth)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and f'"{key}":' in node.value:
            ranks.append((3, Place(file, node.lineno + node.value.split(f'"{key}":')[0].count("\n"))))
    return min(ranks, key=lambda pair: pair[0], default=(0, None))[1]


def from_call(node: ast.Call, key: str, file: str, classes: set[str]) -> list[tuple[int, Place]]:
    """`dict(lr=…)`, `Config(lr=…)`, `add_argument("--lr", default=…)`."""
    named = {k.arg: k.value for k in node.keywords}
    if called(node) == "add_argument":
        flags = [text_of(a).lstrip("-").replace("-", "_") for a in node.args]
        return [(1, Place(file, named.get("default", node).lineno))] if key in flags else []
    if key in named and (called(node) in MAPPINGS or called(node) in classes):
        return [(0, Place(file, named[key].lineno))]
    return []


def assigned(
    node: ast.Assign | ast.AnnAssign, key: str, stack: Sequence[Place], depth: int
) -> Iterator[tuple[int, Place]]:
    """`lr = …` in a class, `self.lr = …`, `cfg["lr"] = …`."""
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        in_class = isinstance(getattr(node, "parent", None), ast.ClassDef)
        if isinstance(target, ast.Name) and target.id == key and in_class:
            yield 2, Place(stack[0].file, node.lineno)
        elif not isinstance(target, ast.Name) and key_of(target) == key and node.value is not None and depth:
            found = resolve(node.value, stack, depth - 1)
            if found:
                yield 2, found
