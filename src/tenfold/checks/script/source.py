"""The program's syntax tree: names for remedies, and what a run cannot show."""

import ast
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from tenfold.checks.script.seen import Place, Seen


@lru_cache
def tree(file: str) -> ast.Module:
    """The parsed file; every node knows its `parent`. A file that cannot be parsed is empty."""
    try:
        made = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])
    for node in ast.walk(made):
        for child in ast.iter_child_nodes(node):
            child.parent = node  # type: ignore[attr-defined]
    return made


def around(node: ast.AST) -> Iterator[ast.AST]:
    """What a node stands in, from the inside out."""
    while (parent := getattr(node, "parent", None)) is not None:
        yield parent
        node = parent


def scope_of(node: ast.AST) -> ast.FunctionDef | ast.Module:
    """The function, or module, that a node is in."""
    return next(n for n in around(node) if isinstance(n, ast.FunctionDef | ast.Module))


def loop_of(node: ast.AST) -> ast.For | None:
    """The innermost loop that a node is in, within its function."""
    for parent in around(node):
        if isinstance(parent, ast.For):
            return parent
        if isinstance(parent, ast.FunctionDef | ast.Module | ast.ClassDef):
            return None
    return None


def statement(place: Place | None) -> ast.stmt | None:
    """The innermost statement at a line."""
    if place is None:
        return None
    found = [
        node
        for node in ast.walk(tree(place.file))
        if isinstance(node, ast.stmt) and node.lineno <= place.line <= (node.end_lineno or node.lineno)
    ]
    return max(found, key=lambda node: (node.lineno, -(node.end_lineno or 0)), default=None)


def calls_at(place: Place | None, method: str) -> list[ast.Call]:
    """Calls of `something.method(…)` at a line."""
    found = statement(place)
    nodes = ast.walk(found) if found is not None else []
    return [n for n in nodes if isinstance(n, ast.Call) and called(n) == method]


def called(call: ast.Call) -> str:
    """The last name of what is called: nn.Linear(…) → Linear."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def given(module: ast.Module, function: ast.FunctionDef | None, name: str) -> Iterator[ast.expr]:
    """What callers pass for a parameter."""
    if function is None:
        return
    names = [a.arg for a in function.args.args]
    if name not in names:
        return
    owner = next((n for n in around(function) if isinstance(n, ast.ClassDef)), None)
    shift = 1 if owner is not None and names[:1] == ["self"] else 0
    defaults = dict(zip(reversed(names), reversed(function.args.defaults)))
    wanted = owner.name if owner is not None and function.name == "__init__" else function.name
    for call in (n for n in ast.walk(module) if isinstance(n, ast.Call) and called(n) == wanted):
        at = names.index(name) - shift
        keyword = next((k.value for k in call.keywords if k.arg == name), None)
        if keyword is not None:
            yield keyword
        elif 0 <= at < len(call.args) and not any(isinstance(a, ast.Starred) for a in call.args[: at + 1]):
            yield call.args[at]
        elif name in defaults:
            yield defaults[name]


def receiver(place: Place | None, method: str, otherwise: str) -> str:
    """What a method is called on at a line, as written."""
    for call in calls_at(place, method):
        if isinstance(call.func, ast.Attribute):
            return ast.unparse(call.func.value)
    return otherwise


def name_at(place: Place | None, otherwise: str) -> str:
    """The name to which a line's value is given."""
    found = statement(place)
    if isinstance(found, ast.Assign) and len(found.targets) == 1:
        return ast.unparse(found.targets[0])
    if isinstance(found, ast.AnnAssign):
        return ast.unparse(found.target)
    return otherwise


def text(place: Place | None) -> str:
    """The statement at a line as written, on one line."""
    found = statement(place)
    if place is None:
        return ""
    return ast.unparse(found) if found is not None and not hasattr(found, "body") else place.code


def line(place: Place | None) -> str:
    """' (line 41)', or nothing."""
    return f" (line {place.line})" if place else ""


def shown_code(place: Place | None) -> str:
    """The statement at a line, quoted."""
    return f"`{text(place)}`" if place else "the code"


def trees(seen: Seen) -> Iterator[tuple[str, ast.Module]]:
    """The script and its own modules, parsed."""
    for file in seen.sources:
        yield file, tree(file)


def model_name(place: Place | None, otherwise: str) -> str:
    """What the net is called at the line that calls it."""
    found = statement(place)
    if place is None or found is None:
        return otherwise
    nets = {
        ast.unparse(n.func.value)
        for n in ast.walk(tree(place.file))
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and n.func.attr in NET_METHODS
    }
    here = [n for n in ast.walk(found) if isinstance(n, ast.Call) and n.lineno <= place.line]
    names = [ast.unparse(n.func) for n in here]
    return next(
        (name for name in names if name in nets), otherwise if otherwise in nets else next(iter(nets), otherwise)
    )


NET_METHODS = ("parameters", "named_parameters", "train", "eval", "state_dict")


def argument(place: Place | None, call: str) -> str:
    """The first argument of a call at a line, as written."""
    for node in calls_at(place, call):
        if node.args:
            return ast.unparse(node.args[0])
    return ""


def assignment(file: str, name: str) -> Place | None:
    """The line that first gives a name its value."""
    found = [n.lineno for n in ast.walk(tree(file)) if isinstance(n, ast.Assign) and name in map(ast.unparse, flat(n))]
    return Place(file, min(found)) if found else None


def flat(node: ast.Assign) -> Iterator[ast.expr]:
    """All targets of an assignment, those of tuples too."""
    for target in node.targets:
        yield from target.elts if isinstance(target, ast.Tuple) else [target]
