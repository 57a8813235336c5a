"""Labels and images that are put in an order apart from each other: shuffled, repeated or filtered."""

import ast
import itertools
import re
from collections.abc import Iterator

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.seen import Place, Seen
from tenfold.checks.script.source import called, given, line, scope_of, shown_code, trees
from tenfold.checks.script.tags import LABELLED
from tenfold.errors import Finding


def repeated_apart(seen: Seen) -> Iterator[Finding]:
    """Copies of images come block after block, and their labels one by one, or the other way round."""
    for file, tree in trees(seen):
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
        blocks, singly = ({key: n for n in calls if (key := way(n)) is not None} for way in (in_blocks, one_by_one))
        for key, node in singly.items():
            other, place = blocks.get(key), Place(file, node.lineno)
            if other is None or bool(labelled(node)) == bool(labelled(other)):
                continue
            yield finding(
                "wrong-labels",
                "Copies of images and their labels come in different orders",
                f"{shown_code(place)} repeats each one {key[1]} times before the next; line {other.lineno} repeats all "
                f"of them, {key[1]} times.",
                "Use np.tile (torch: .repeat) in place of np.repeat (repeat_interleave), or the other way round"
                f"{line(place)}.",
                severity="error",
                **where(place),
            )
            return


def labelled(call: ast.Call) -> bool:
    """Whether what a call repeats is named as labels are."""
    return LABELLED.search(ast.unparse(call)) is not None


def in_blocks(call: ast.Call) -> tuple[ast.AST, str] | None:
    """The scope and the count of `concatenate([f(x) for _ in range(count)])` and `np.tile(x, count)`."""
    several, count = call.args[0], None
    if called(call) in ("concatenate", "cat", "vstack", "concat") and isinstance(several, ast.ListComp):
        over, number = several.generators[0].iter, ast.unparse(several.generators[0].target)
        if number not in {ast.unparse(n) for n in ast.walk(several.elt)}:  # else each part is another
            counted = isinstance(over, ast.Call) and called(over) == "range" and len(over.args) == 1
            count = over.args[0] if counted and isinstance(over, ast.Call) else None
    elif called(call) == "tile" and len(call.args) == 2:
        count = call.args[1].elts[0] if isinstance(call.args[1], ast.Tuple) else call.args[1]
    return (scope_of(call), ast.unparse(count)) if count is not None else None


def one_by_one(call: ast.Call) -> tuple[ast.AST, str] | None:
    """The scope and the count of `np.repeat(y, count)` and `y.repeat_interleave(count)`."""
    if called(call) == "repeat" and ast.unparse(call.func).startswith(("np.", "numpy.")) and len(call.args) > 1:
        return scope_of(call), ast.unparse(call.args[1])
    return (scope_of(call), ast.unparse(call.args[-1])) if called(call) == "repeat_interleave" else None


def filtered_apart(seen: Seen) -> Iterator[Finding]:
    """Images are left out, and their labels are not: from then on each image has another's label."""
    for file, tree in trees(seen):
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or called(node) != "zip" or len(node.args) != 2:
                continue
            if sieves(node.args[0]) != sieves(node.args[1]):
                place = Place(file, node.lineno)
                yield finding(
                    "wrong-labels",
                    "Images are left out, and their labels are not",
                    f"{shown_code(place)} pairs what a filter leaves of one with all of the other.",
                    f"Pair them first: `[(x, y) for x, y in zip(images, labels) if usable(x)]`{line(place)}.",
                    severity="error",
                    **where(place),
                )
                return


def sieves(node: ast.expr) -> bool:
    """Whether an expression leaves something out of what it goes through."""
    return any(
        (isinstance(n, ast.Call) and called(n) in ("filter", "compress", "takewhile", "dropwhile"))
        or (isinstance(n, ast.comprehension) and bool(n.ifs))
        for n in ast.walk(node)
    )


def shuffled_apart(seen: Seen) -> Iterator[Finding]:
    """Images and labels are put into two different random orders."""
    for place in (*at_once(seen), *in_turn(seen)):
        yield finding(
            "wrong-labels",
            "Images and labels are shuffled apart",
            f"{shown_code(place)} draws a new order for each.",
            f"Use one order for both: `order = torch.randperm(len(x)); x, y = x[order], y[order]`{line(place)}.",
            severity="error",
            **where(place),
        )
        return


def shuffles(seen: Seen) -> Iterator[Place]:
    """Lines that may have parted images and labels, the likeliest first."""
    yield from at_once(seen)
    yield from in_turn(seen)
    yield from (place for places in drawn_orders(seen).values() if len(places) == 1 for place in places)
    for pattern in (r"roll\(|\[1:\]|\[:-1\]", r"shuffle\(|permutation|randperm|sample\(|sorted\(|argsort"):
        for file, tree in trees(seen):
            for node in ast.walk(tree):
                if (
                    isinstance(node, ast.Assign | ast.Expr | ast.Return)
                    and re.search(pattern, code := ast.unparse(node))
                    and LABELLED.search(code)
                ):
                    yield Place(file, node.lineno)


def at_once(seen: Seen) -> Iterator[Place]:
    """Statements that draw one order for the images and one for the labels."""
    for file, tree in trees(seen):
        for node in ast.walk(tree):
            if not isinstance(node, ast.Return | ast.Assign) or node.value is None:
                continue
            drawn = [
                n
                for n in ast.walk(node.value)
                if isinstance(n, ast.Subscript)
                and any(isinstance(c, ast.Call) and permutes(c) for c in ast.walk(n.slice))
            ]
            names = {given_for(tree, node, ast.unparse(n.value)) for n in drawn}
            if len({bool(LABELLED.search(name)) for name in names}) > 1:
                yield Place(file, node.lineno)


def given_for(module: ast.Module, node: ast.AST, name: str) -> str:
    """What the first call of the function around a node gives for a parameter of that name; else the name."""
    scope = scope_of(node)
    passed = given(module, scope, name) if isinstance(scope, ast.FunctionDef) else iter(())
    return next((ast.unparse(value) for value in passed), name)


def in_turn(seen: Seen) -> Iterator[Place]:
    """Statements that shuffle the labels, right after others that shuffled the images, or the other way round."""
    for file, tree in trees(seen):
        for block in (getattr(n, "body", None) for n in ast.walk(tree)):
            if not isinstance(block, list):
                continue
            for first, second in itertools.pairwise(block):
                one, two = shuffled(first), shuffled(second)
                if one and two and one != two and bool(LABELLED.search(one)) != bool(LABELLED.search(two)):
                    yield Place(file, second.lineno)


def shuffled(node: ast.stmt) -> str:
    """What a statement puts into a random order that it draws itself."""
    for call in (n for n in ast.walk(node) if isinstance(n, ast.Call)):
        if called(call) == "shuffle" and isinstance(node, ast.Expr) and call.args:
            return ast.unparse(call.args[0])
        if permutes(call) and isinstance(node, ast.Assign):
            target = ast.unparse(node.targets[0])
            if isinstance(node.value, ast.Subscript) and ast.unparse(node.value.value) == target:
                return target
            if call.args and ast.unparse(call.args[0]) == target:
                return target
    return ""


def drawn_orders(seen: Seen) -> dict[str, list[Place]]:
    """For each name that a random order was given, the lines where something is put into that order."""
    found: dict[str, list[Place]] = {}
    for file, tree in trees(seen):
        nodes = list(ast.walk(tree))
        names = {
            ast.unparse(n.targets[0])
            for n in nodes
            if isinstance(n, ast.Assign) and any(isinstance(c, ast.Call) and permutes(c) for c in ast.walk(n.value))
        }
        for node in nodes:
            if isinstance(node, ast.Subscript) and ast.unparse(node.slice) in names:
                found.setdefault(ast.unparse(node.slice), []).append(Place(file, node.lineno))
    return found


def permutes(call: ast.Call) -> bool:
    """Whether a call draws a random order."""
    return called(call) in ("permutation", "randperm", "permuted")
