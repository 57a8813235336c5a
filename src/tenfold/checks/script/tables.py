"""Confusion tables [truth, prediction] whose diagonal is divided by the sums of the other axis than it should be."""

import ast
import re
from collections.abc import Iterator

from tenfold.checks.rules import finding
from tenfold.checks.script.seen import Place, Seen
from tenfold.checks.script.source import around, called, flat, trees
from tenfold.errors import Finding

PREDICTED = re.compile(r"pred|argmax|guess|hat\b|^p$|\.max\(|topk", re.I)
DIAGONAL = re.compile(r"diag|trace")
PRECISION, RECALL = re.compile("precis|ppv", re.I), re.compile("recall|sensitiv|tpr", re.I)


def wrong_sums(seen: Seen) -> Iterator[Finding]:
    """Shares of each class by what was predicted, told as shares of what there is, or the other way round."""
    for file, parsed in trees(seen):
        made = [n for n in ast.walk(parsed) if isinstance(n, ast.Assign)]
        values = {ast.unparse(name): ast.unparse(n.value) for n in made for name in flat(n)}
        rows = {truth_first(*(values.get(part, part) for part in pair)) for pair in entries(parsed)} - {None}
        if len(rows) != 1:
            continue
        truth_axis = 0 if rows == {True} else 1
        for node, axis in divisions(parsed):
            recall, said = axis != truth_axis, about(node)
            if recall == (not PRECISION.search(said)) or (PRECISION.search(said) and RECALL.search(said)):
                continue
            kind, there = ("recall", "precision") if recall else ("precision", "recall")
            yield finding(
                "accuracy-axis",
                f"The table's diagonal is divided by the sums that make it the {kind} of each class",
                f"`{ast.unparse(node)}`: axis {truth_axis} of the table is the truth, and it sums over axis {axis}.",
                f"Sum over axis {1 - axis} for the {there}, the share of each class that is found (line {node.lineno})."
                if not recall
                else f"Sum over axis {1 - axis} for the precision (line {node.lineno}).",
                **Place(file, node.lineno).where,
            )
            return


def entries(parsed: ast.Module) -> Iterator[tuple[str, str]]:
    """What the first and the second axis of tables are counted by."""
    for node in ast.walk(parsed):
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Subscript):
            index = node.target.slice
            if isinstance(index, ast.Tuple) and len(index.elts) == 2:
                yield ast.unparse(index.elts[0]), ast.unparse(index.elts[1])
        elif isinstance(node, ast.Call) and called(node) == "bincount" and node.args:
            text = re.sub(r"^\((.*)\)\.\w+\(.*\)$", r"\1", ast.unparse(node.args[0]))
            if found := re.fullmatch(r"(.+?) \* .+ \+ (.+)", text):
                yield found[1], found[2]


def truth_first(one: str, other: str) -> bool | None:
    """Whether the second of two is what was predicted, and the first is not; None where neither can be told."""
    predicted = bool(PREDICTED.search(one)), bool(PREDICTED.search(other))
    return predicted[1] if predicted[0] != predicted[1] else None


def divisions(parsed: ast.Module) -> Iterator[tuple[ast.BinOp, int]]:
    """Where a diagonal is divided by sums, and over which axis these go."""
    for node in ast.walk(parsed):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and DIAGONAL.search(ast.unparse(node.left)):
            found = re.search(r"sum\((?:\w+, )?(?:dim=|axis=)?(-?[012])(?:, keepdims?=\w+)?\)", ast.unparse(node.right))
            if found:
                yield node, int(found[1]) % 2


def about(node: ast.AST) -> str:
    """What a figure is called: the names it is given, its function's, and those of the calls around it."""
    outer = list(around(node))
    names = [ast.unparse(target) for n in outer if isinstance(n, ast.Assign) for target in n.targets]
    names += [n.name for n in outer if isinstance(n, ast.FunctionDef)]
    return " ".join([*names, *(ast.unparse(n) for n in outer if isinstance(n, ast.Call))])


RULES = (wrong_sums,)
