"""Rules about weights that are kept and loaded again: the net's own, those of another net, those of the worst epoch."""

import ast
import re
from collections.abc import Iterator

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.seen import Place, Seen
from tenfold.checks.script.source import line, shown_code, trees
from tenfold.errors import Finding

LOW = re.compile(r"loss|err(or)?s?\b|cost|nll|perplexity", re.I)
HIGH = re.compile(r"acc|score|f1|auc|correct|right|recall|precision", re.I)
"""Names of figures of which the lowest, or the highest, is the best."""
BEST = re.compile(r"best|highest|lowest|min_loss|max_acc|top_acc|record", re.I)
"""Names of the best so far."""
WORST = re.compile(r"worst|hard|max_?(loss|err)|high|min_?(acc|score)|low", re.I)
"""Names of what is meant to be the worst."""


def changed_since(seen: Seen) -> Iterator[Finding]:
    """The best weights are kept as a reference to the net's own, which training changes."""
    if seen.unkept is None:
        return
    place = next((Place(file, node.lineno) for file, tree in trees(seen) for node in references(tree)), seen.unkept)
    yield finding(
        "weights-not-kept",
        "The weights that are loaded are the net's own: they were not copied",
        f"state_dict() gives the tensors that training goes on changing; {shown_code(seen.unkept)}"
        f"{line(seen.unkept)} changes nothing.",
        f"Write `copy.deepcopy(….state_dict())`{line(place)}.",
        **where(place),
    )


def references(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements that keep a state_dict without copying it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.Return):
            text = ast.unparse(node)
            if "state_dict()" in text and not re.search(r"deepcopy|clone|copy\(|torch\.save|load_", text):
                yield node


def nothing_loaded(seen: Seen) -> Iterator[Finding]:
    """strict=False, and no entry of what is loaded has a name that the net knows."""
    if seen.unfit is None:
        return
    place, wanted, given = seen.unfit
    yield finding(
        "weights-not-kept",
        "Nothing is loaded: no entry fits the net",
        f"{shown_code(place)} ignores that the net has '{wanted}' … and the file '{given}' …: strict=False.",
        f"Load the state itself (`state['model']`, say), or take the prefix off its names{line(place)}; then "
        "leave strict=False out.",
        severity="error",
        **where(place),
    )


def worst_kept(seen: Seen) -> Iterator[Finding]:
    """What is kept as the best has the highest loss, or the lowest accuracy."""
    for file, tree in trees(seen):
        for node in (one for one in ast.walk(tree) if isinstance(one, ast.If)):
            for body, others in ((node.body, False), (node.orelse, True)):
                for best, new in assigned(body):
                    above = higher(node.test, best, new)
                    if above is not None and is_worst(best, new, above != others):
                        yield worst(file, node, new, above != others)
                        return


def assigned(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    """(target, value) of assignments, several at once too: best, waited = loss, 0."""
    for node in (one for one in body if isinstance(one, ast.Assign)):
        target, value = node.targets[0], node.value
        both = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
        pairs = zip(target.elts, value.elts) if both else [(target, value)]  # type: ignore[attr-defined]
        yield from ((ast.unparse(one), ast.unparse(other)) for one, other in pairs)


def higher(test: ast.expr, best: str, new: str) -> bool | None:
    """Whether a test is true of a new figure above the best, rather than below it; None of another test."""
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return None
    left, right, known = ast.unparse(test.left), ast.unparse(test.comparators[0]), rf"(?<![\w.]){re.escape(best)}\b"
    above, below = (isinstance(test.ops[0], kinds) for kinds in ((ast.Gt, ast.GtE), (ast.Lt, ast.LtE)))
    if left == new and re.search(known, right) and (above or below):
        return above
    return below if right == new and re.search(known, left) and (above or below) else None


def is_worst(best: str, new: str, highest: bool) -> bool:
    """Whether the highest, or lowest, figure of this name is the worst one."""
    low, high = bool(LOW.search(new)), bool(HIGH.search(new))
    meant = bool(BEST.search(best)) and not WORST.search(best)  # not the figure of the epoch before, say
    return meant and ((low and not high) if highest else (high and not low))


def worst(file: str, node: ast.If, new: str, highest: bool) -> Finding:
    """The finding."""
    return finding(
        "weights-not-kept",
        f"What has the {'highest' if highest else 'lowest'} `{new}` is kept as the best",
        f"`if {ast.unparse(node.test)}` keeps it.",
        f"Turn the comparison round (line {node.lineno}), and begin with {'' if highest else 'minus '}infinity.",
        severity="error",
        **Place(file, node.lineno).where,
    )


KEEPING = (changed_since, nothing_loaded, worst_kept)
