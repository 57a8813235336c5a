"""Counts of right answers that are told for one part, or epoch, and go on into the next."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

from tenfold.checks.rules import finding
from tenfold.checks.script.counting import counts
from tenfold.checks.script.seen import Place, Seen
from tenfold.checks.script.source import around, called, flat, loop_of, scope_of, trees
from tenfold.errors import Finding

Adding = ast.AugAssign | ast.Call
COLLECTED = re.compile(r"pred|true|target|label|truth|y_hat", re.I)
METER = re.compile(r"Accuracy|Metric|Meter|Confusion|F1Score")


def carried_on(seen: Seen) -> Iterator[Finding]:
    """A count is told for one part, or epoch, and goes on into the next: nothing makes it anew between."""
    for file, parsed in trees(seen):
        for name, adding in counters(parsed):
            for told, again in (
                *into_next_loop(name, adding),
                *into_next_round(name, adding),
                *into_next_call(parsed, name),
            ):
                clearing = f"{name} = 0"
                if isinstance(adding[0], ast.Call):
                    clearing = f"{name} = []" if extended(adding[0]) else f"{name}.reset()"
                yield finding(
                    "accuracy-count",
                    f"`{name}` goes on from one evaluation into the next",
                    f"Line {told} tells it, the loop of line {again} adds to it, and nothing makes it anew between.",
                    f"Write `{clearing}` before each part is counted (line {again}), and so for what divides it.",
                    **Place(file, again).where,
                )
                return


def counters(parsed: ast.Module) -> Iterator[tuple[str, list[Adding]]]:
    """What answers are added to in loops, as written, and where: a number, a list, an object with a reset()."""
    own = {c.name for c in ast.walk(parsed) if isinstance(c, ast.ClassDef) and {"reset", "update"} <= methods(c)}
    meters = {
        ast.unparse(target)
        for n in ast.walk(parsed)
        if isinstance(n, ast.Assign) and isinstance(n.value, ast.Call)
        if METER.search(called(n.value)) or called(n.value) in own
        for target in n.targets
    }
    found: dict[str, list[Adding]] = {}
    for node in ast.walk(parsed):
        if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add) and counts(node.value):
            found.setdefault(ast.unparse(node.target), []).append(node)
        elif isinstance(node, ast.Call) and (updated(node) in meters or COLLECTED.search(extended(node))):
            found.setdefault(updated(node) or extended(node), []).append(node)
    yield from found.items()


def methods(owner: ast.ClassDef) -> set[str]:
    """The names of its methods."""
    return {n.name for n in owner.body if isinstance(n, ast.FunctionDef)}


def updated(call: ast.Call) -> str:
    """What an update() is called on, as written; empty for other calls."""
    return ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) and call.func.attr == "update" else ""


def extended(call: ast.Call) -> str:
    """What batches are appended to; empty for other calls."""
    grows = isinstance(call.func, ast.Attribute) and call.func.attr in ("extend", "append")
    return ast.unparse(call.func.value) if grows and isinstance(call.func, ast.Attribute) else ""


def into_next_loop(name: str, adding: list[Adding]) -> Iterator[tuple[int, int]]:
    """Where a count is told between two loops that add to it, and the second of these."""
    loops = sorted({id(loop): loop for node in adding if (loop := loop_of(node))}.values(), key=lambda n: n.lineno)
    for first, second in pairwise(loops):
        scope = scope_of(first)
        end = first.end_lineno or first.lineno
        if scope is not scope_of(second) or second.lineno <= end or excluded(first, second):
            continue
        told = [n.lineno for n in read(scope, name) if end < n.lineno < second.lineno]
        if told and not any(first.lineno < at < second.lineno for at in cleared(scope, name)):
            yield told[0], second.lineno


def into_next_round(name: str, adding: list[Adding]) -> Iterator[tuple[int, int]]:
    """Where a count is told in each round of an outer loop, and the inner loop that adds to it."""
    for node in adding:
        inner = loop_of(node)
        outer = loop_of(inner) if inner is not None else None
        scope = scope_of(node)
        if inner is None or outer is None or "epoch" not in ast.unparse(outer.target).lower():
            continue
        end, last = inner.end_lineno or inner.lineno, outer.end_lineno or outer.lineno
        told = [n.lineno for n in read(scope, name) if end < n.lineno <= last]
        anew = list(cleared(scope, name))
        later = [n for n in read(scope, name) if n.lineno > last and not any(last < at < n.lineno for at in anew)]
        if told and not later and not any(outer.lineno <= at <= last for at in anew):
            yield told[0], inner.lineno


def into_next_call(parsed: ast.Module, name: str) -> Iterator[tuple[int, int]]:
    """Where functions tell, one after the other, what an object counted that nobody resets between their calls."""
    last = name.rpartition(".")[2]
    tellers = {f.name: at for f in ast.walk(parsed) if isinstance(f, ast.FunctionDef) and (at := tells(f, last))}
    calls = [n for n in ast.walk(parsed) if isinstance(n, ast.Call) and called(n) in tellers]
    anew = list(cleared(parsed, last))
    for call in sorted(calls, key=lambda n: n.lineno):
        loop = loop_of(call)
        if loop is not None and not any(loop.lineno < at <= (loop.end_lineno or at) for at in anew):
            yield tellers[called(call)], loop.lineno
    for first, second in pairwise(sorted(calls, key=lambda n: n.lineno)):
        apart = scope_of(first) is not scope_of(second) or excluded(first, second)
        if not apart and not any(first.lineno <= at <= second.lineno for at in anew):
            yield tellers[called(first)], second.lineno


def tells(function: ast.FunctionDef, meter: str) -> int:
    """The line, after a loop, at which a function asks an object for what it counted and does not reset; 0 for none."""
    loops = [n.end_lineno or n.lineno for n in ast.walk(function) if isinstance(n, ast.For)]
    asked = [
        n.lineno
        for n in ast.walk(function)
        if isinstance(n, ast.Call) and re.fullmatch(rf"(.*\.)?{meter}\.(compute|result|value|avg)", ast.unparse(n.func))
    ]
    given = meter in [a.arg for a in function.args.args]
    after = [at for at in asked if loops and at > min(loops)]
    return after[0] if after and not given and not any(cleared(function, meter)) else 0


def excluded(first: ast.AST, second: ast.AST) -> bool:
    """Whether only one of both runs: they are in two branches of an `if`."""
    above = list(map(id, around(first)))
    common = next(n for n in around(second) if id(n) in above)
    return isinstance(common, ast.If)


def read(scope: ast.AST, name: str) -> list[ast.expr]:
    """Where a count is read, in the order of lines."""
    found = [n for n in ast.walk(scope) if isinstance(n, ast.Name | ast.Attribute) and isinstance(n.ctx, ast.Load)]
    return sorted((n for n in found if ast.unparse(n) == name), key=lambda n: n.lineno)


def cleared(scope: ast.AST, name: str) -> Iterator[int]:
    """Lines that set a count to something new, or call its reset(); of an attribute by its last name."""
    for node in ast.walk(scope):
        targets = map(ast.unparse, flat(node)) if isinstance(node, ast.Assign) else ()
        made = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        resets = same(made, f"{name}.reset") or same(made, f"{name}.clear")
        if isinstance(node, ast.stmt | ast.Call) and (resets or any(same(target, name) for target in targets)):
            yield node.lineno


def same(written: str, name: str) -> bool:
    """Whether an expression is that name, or an attribute of that name."""
    return written == name or written.endswith(f".{name}")


RULES = (carried_on,)
