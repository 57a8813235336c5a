"""Rules about how right answers are chosen, compared, counted and divided."""

import ast
import re
from collections.abc import Iterator
from typing import Any

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.seen import Place, Seen, length
from tenfold.checks.script.source import around, line, name_at, shown_code, trees
from tenfold.errors import Finding


def accuracy_axis(seen: Seen) -> Iterator[Finding]:
    """The class is chosen along the batch."""
    for pick in seen.picks.values():
        if len(pick.shape) != 2 or pick.shape[1] < 2 or pick.kind == "compare":
            continue
        flat = pick.kind == "choose" and pick.dim is None
        if flat and pick.shape[0] == 1:
            continue  # one image at a time: no axis is needed
        if not flat and (pick.dim is None or pick.dim % 2 == 1):
            continue
        if pick.kind == "softmax":
            rule, what = "samples-mixed", "Softmax along the batch"
        else:
            rule, what = "accuracy-axis", "The class is chosen along the batch, not along the classes"
        found = f"dim={pick.dim}" if not flat else "no dim"
        yield finding(
            rule,
            what,
            f"The output is [{pick.shape[0]} images, {pick.shape[1]} classes]; {shown_code(pick.place)} has {found}.",
            f"Write dim=1 there{line(pick.place)}.",
            **where(pick.place),
        )
        return


def accuracy_count(seen: Seen) -> Iterator[Finding]:
    """What is compared, or counted, is something else."""
    for pick in seen.picks.values():
        if pick.kind != "compare":
            continue
        if len(pick.result) == 2 and pick.result[0] == pick.result[1] > 1 and pick.shape != pick.other:
            yield finding(
                "accuracy-count",
                "Every prediction is compared with every label",
                f"{shown_code(pick.place)} compares {list(pick.shape)} with {list(pick.other)}: {list(pick.result)}.",
                f"Bring both to [N], as with `.squeeze(1)` or `.view(-1)`{line(pick.place)}.",
                **where(pick.place),
            )
            return
        if pick.values:
            yield finding(
                "accuracy-count",
                "Values, not classes, are compared with the labels",
                f"{shown_code(pick.place)} compares numbers that are not whole.",
                f"Compare `outputs.argmax(dim=1)` with the labels{line(pick.place)}; max(…) returns (values, classes).",
                **where(pick.place),
            )
            return
    yield from counted_wrongly(seen)


def counted_wrongly(seen: Seen) -> Iterator[Finding]:
    """Right answers that are not added up, or are divided by something else than the images."""
    loaders = {name_at(fact.place, ""): fact for fact in seen.loaders}
    for file, tree in trees(seen):
        for loop in (n for n in ast.walk(tree) if isinstance(n, ast.For)):
            for node in ast.walk(loop):
                if isinstance(node, ast.Assign) and counts(node.value) and isinstance(node.targets[0], ast.Name):
                    name = node.targets[0].id
                    if lost(loop, node, name):
                        yield finding(
                            "accuracy-count",
                            f"Only the last batch's right answers are in `{name}`",
                            f"`{ast.unparse(node)}` overwrites it in every round of the loop.",
                            f"Write `{name} += {ast.unparse(node.value)}` (line {node.lineno}), after `{name} = 0`.",
                            **Place(file, node.lineno).where,
                        )
                        return
        added = {
            n.target.id
            for n in ast.walk(tree)
            if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name) and counts(n.value)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Div):
                continue
            if not added & {n.id for n in ast.walk(node.left) if isinstance(n, ast.Name)}:
                continue
            told = wrong_count(node.right, loaders, seen)
            if told:
                yield finding(
                    "accuracy-count",
                    "The right answers are divided by something else than the number of images",
                    told,
                    f"Divide by the number of images judged, as len(loader.dataset) (line {node.lineno}).",
                    **Place(file, node.lineno).where,
                )
                return


def counts(node: ast.expr) -> bool:
    """Whether an expression counts right answers: (a == b).sum()."""
    text = ast.unparse(node)
    return (" == " in text or ".eq(" in text) and ".sum(" in text and "/" not in text and ".mean(" not in text


def lost(loop: ast.For, at: ast.Assign, name: str) -> bool:
    """Whether a count made in a loop is used only after it."""
    inside = [n for n in ast.walk(loop) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load)]
    added = [n for n in ast.walk(loop) if isinstance(n, ast.AugAssign) and ast.unparse(n.target) == name]
    scope = next((n for n in around(loop) if isinstance(n, ast.FunctionDef | ast.Module)), None)
    later = [
        n
        for n in (ast.walk(scope) if scope else [])
        if isinstance(n, ast.Name)
        and n.id == name
        and isinstance(n.ctx, ast.Load)
        and n.lineno > (loop.end_lineno or 0)
    ]
    first = next((n for n in around(at) if isinstance(n, ast.For)), None)
    epochs = re.fullmatch(r"range\([^,]*\)", ast.unparse(loop.iter))  # each of all images at once
    return first is loop and not inside and not added and bool(later) and not epochs


def wrong_count(node: ast.expr, loaders: dict[str, Any], seen: Seen) -> str | None:
    """Why a divisor is not the number of images; None if it may be."""
    text = ast.unparse(node)
    names = [
        ast.unparse(n.args[0])
        for n in ast.walk(node)
        if isinstance(n, ast.Call) and ast.unparse(n.func) == "len" and n.args
    ]
    if len(names) != 1 or "." in names[0]:
        return None
    known = loaders.get(names[0])
    judged = [known] if known else [fact for fact in seen.loaders if fact.judged and not fact.steps]
    iterated = known or names[0].endswith(("loader", "dl", "batches"))
    if not iterated or not judged:
        return None
    loader = judged[0].loader
    images, batches, size = length(loader.dataset), length(loader), loader.batch_size
    if not images or not batches:
        return None
    if text == f"len({names[0]})" and images != batches:
        return f"`len({names[0]})` is the number of batches ({batches}), not of images ({images})."
    if "*" in text and size and images != batches * size:
        return f"`{text}` = {batches * size}, but there are {images} images: the last batch is smaller."
    return None


RULES = (accuracy_axis, accuracy_count)
