"""The program's syntax tree: names for remedies, and what a run cannot show."""

import ast
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from tenfold.checks.script.seen import Place


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
