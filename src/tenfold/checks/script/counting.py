"""Rules about how right answers are chosen, compared, counted and divided."""

import ast
import re
from collections.abc import Iterator

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.seen import Place, Seen, length
from tenfold.checks.script.source import (
    argument,
    around,
    line,
    loop_of,
    name_at,
    scope_of,
    shown_code,
    statement,
    trees,
)
from tenfold.errors import Finding

WORSE = 0.7
"""So many times chance: a net of distances, whose least is the answer, has more."""


def accuracy_axis(seen: Seen) -> Iterator[Finding]:
    """The class is chosen along the batch."""
    for pick in seen.picks.values():
        if len(pick.shape) != 2 or pick.shape[1] < 2 or pick.kind in ("compare", "least"):
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


def other_axis(seen: Seen) -> Iterator[Finding]:
    """Of outputs with several axes, the class is chosen along another one than the loss takes for the classes."""
    losses = [loss for loss in seen.training_losses() if loss.kind in ("cross_entropy", "nll_loss")]
    along = losses[0].along if losses else None
    if along is None or any(loss.along != along for loss in losses):
        return
    for pick in seen.picks.values():
        if pick.kind == "choose" and len(pick.shape) > 2 and pick.along not in (None, along):
            yield finding(
                "accuracy-axis",
                "The class is chosen along another axis than that of the classes",
                f"{shown_code(pick.place)} chooses along axis {pick.dim} of {list(pick.shape)}; the loss got "
                f"{list(losses[0].shape)} of the same output, and takes other numbers for the {along[0]} classes.",
                f"Choose along the axis that becomes the second one of the loss's input{line(pick.place)}.",
                **where(pick.place),
            )
            return


def accuracy_count(seen: Seen) -> Iterator[Finding]:
    """What is compared, or counted, is something else."""
    for pick in seen.picks.values():
        if pick.kind == "least" and right(seen) < WORSE / pick.shape[1]:
            yield finding(
                "accuracy-count",
                "The class with the lowest score is counted as the answer",
                f"{shown_code(pick.place)} chooses the least of {pick.shape[1]}; {right(seen):.1%} were right, by "
                f"guessing {1 / pick.shape[1]:.1%}.",
                f"Write argmax there{line(pick.place)}.",
                **where(pick.place),
            )
            return
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
    yield from best_of_rows(seen)
    yield from counted_wrongly(seen)


def best_of_rows(seen: Seen) -> Iterator[Finding]:
    """Of [N images, k best] the first rows are taken for the best k."""
    for pick in seen.picks.values():
        if pick.kind != "compare" or len(pick.result) != 2 or not pick.result[0] > pick.result[1] > 1:
            continue
        made = statement(pick.place)
        if pick.place is None or not isinstance(made, ast.Assign) or not isinstance(made.targets[0], ast.Name):
            continue
        name = made.targets[0].id
        for node in (n for n in ast.walk(scope_of(made)) if isinstance(n, ast.Subscript)):
            if isinstance(node.slice, ast.Slice) and ast.unparse(node.value) == name:
                place = Place(pick.place.file, node.lineno)
                yield finding(
                    "accuracy-axis",
                    "The first images are counted, not the best classes",
                    f"`{name}` is [{pick.result[0]} images, {pick.result[1]} classes]: "
                    f"`{ast.unparse(node)}` takes rows.",
                    f"Write `{name}[:, {ast.unparse(node.slice)}]`{line(place)}.",
                    **where(place),
                )
                return


def right(seen: Seen) -> float:
    """The share of right answers that the program counted; 1 where it is not known."""
    known = [call.right for call in seen.calls if call.judged and call.right is not None]
    return sum(known) / len(known) if known else 1.0


def counted_wrongly(seen: Seen) -> Iterator[Finding]:
    """Right answers that are not added up, or are divided by something else than what they were counted over."""
    for file, parsed in trees(seen):
        for node, what, told, remedy in (*overwritten(parsed), *divided(parsed, seen)):
            yield finding("accuracy-count", what, told, remedy, **Place(file, node.lineno).where)
            return


Wrong = tuple[ast.stmt | ast.expr, str, str, str]
"""Where, what, evidence, remedy."""


def overwritten(parsed: ast.Module) -> Iterator[Wrong]:
    """Counts, or shares, that each round of a loop writes over, and that are used after it only."""
    for loop in (n for n in ast.walk(parsed) if isinstance(n, ast.For)):
        for node in ast.walk(loop):
            if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
                continue
            name, value = node.targets[0].id, ast.unparse(node.value)
            if not (counts(node.value) or shares(node.value)) or not lost(loop, node, name):
                continue
            add = f"Write `{name} += {value}` (line {node.lineno}), after `{name} = 0`"
            yield (
                node,
                f"Only the last batch's right answers are in `{name}`",
                f"`{ast.unparse(node)}` overwrites it in every round of the loop.",
                f"{add}." if counts(node.value) else f"{add}, and divide it by the number of batches after the loop.",
            )


def divided(parsed: ast.Module, seen: Seen) -> Iterator[Wrong]:
    """Counts that are divided by something else than the images, or lose their fractions."""
    adding = [n for n in ast.walk(parsed) if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name)]
    counted = {ast.unparse(n.target): n for n in adding if counts(n.value)}
    averaged = {ast.unparse(n.target): n for n in adding if shares(n.value)}
    for node in (n for n in ast.walk(parsed) if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Div | ast.FloorDiv)):
        names = [n.id for n in ast.walk(node.left) if isinstance(n, ast.Name)]
        count = next((counted[name] for name in names if name in counted), None)
        share = next((averaged[name] for name in names if name in averaged), None)
        if count is not None and isinstance(node.op, ast.FloorDiv) and isinstance(node.left, ast.Name):
            yield (
                node,
                "The share of right answers loses its fraction",
                f"`{ast.unparse(node)}` is 0 or 1: // leaves whole numbers.",
                f"Write / in place of // (line {node.lineno}).",
            )
        elif count is not None and (told := wrong_count(node.right, seen) or rounds(node.right, count, adding, seen)):
            yield (
                node,
                "The right answers are divided by something else than the number of images",
                told,
                f"Divide by the number of images judged (line {node.lineno}): add up len(labels) beside them.",
            )
        elif share is not None and (told := images_of(node.right, share, adding, seen)):
            yield (
                node,
                "Shares of batches are divided by the number of images",
                f"`{ast.unparse(share)}` adds one share for each batch; {told}.",
                f"Divide by the number of batches, as len(loader) (line {node.lineno}), or add up right answers.",
            )


def counts(node: ast.expr) -> bool:
    """Whether an expression counts right answers: (a == b).sum()."""
    text = ast.unparse(node)
    return (" == " in text or ".eq(" in text) and ".sum(" in text and "/" not in text and ".mean(" not in text


def shares(node: ast.expr) -> bool:
    """Whether an expression is the share of right answers in a batch: (a == b).float().mean()."""
    text = ast.unparse(node)
    return (" == " in text or ".eq(" in text) and ".mean(" in text and not re.search(r"[*/]", text)


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


def wrong_count(node: ast.expr, seen: Seen) -> str | None:
    """Why a divisor is not the number of images; None if it may be."""
    text = ast.unparse(node)
    names = lengths(node)
    if len(names) != 1:
        return None
    name = names[0].removesuffix(".dataset")
    if "." in name:
        return None
    loaders = {name_at(fact.place, ""): fact for fact in seen.loaders}
    known = loaders.get(name)
    judged = [known] if known else [fact for fact in seen.loaders if fact.judged and not fact.steps]
    iterated = known or name.endswith(("loader", "dl", "batches"))
    if not iterated or not judged:
        return None
    loader = judged[0].loader
    images, batches, size = length(loader.dataset), length(loader), loader.batch_size
    drawn = length(getattr(loader, "sampler", None)) or images
    if not images or not batches:
        return None
    if text == f"len({name}.dataset)" and drawn < images:
        return f"`{text}` is {images}, of which the loader's sampler takes {drawn}."
    if text == f"len({name})" and images != batches:
        return f"`len({name})` is the number of batches ({batches}), not of images ({images})."
    if "*" in text and size and images != batches * size and names[0] == name:
        return f"`{text}` = {batches * size}, but there are {images} images: the last batch is smaller."
    return None


def lengths(node: ast.expr) -> list[str]:
    """What an expression takes the length of."""
    calls = (n for n in ast.walk(node) if isinstance(n, ast.Call) and ast.unparse(n.func) == "len" and n.args)
    return [ast.unparse(n.args[0]) for n in calls]


def rounds(divisor: ast.expr, count: ast.AugAssign, adding: list[ast.AugAssign], seen: Seen) -> str | None:
    """That a divisor counts the rounds of the loop over a loader that adds up the right answers of batches."""
    loop = loop_of(count)
    single = any(fact.loader.batch_size == 1 for fact in seen.loaders)
    if loop is None or single or not re.search(r"loader|_dl\b|\bdl\b|batches", ast.unparse(loop.iter)):
        return None
    one = next((n for n in adding if loop_of(n) is loop and ast.unparse(n) == f"{ast.unparse(divisor)} += 1"), None)
    return f"`{ast.unparse(one)}` counts batches." if one is not None else None


def images_of(divisor: ast.expr, share: ast.AugAssign, adding: list[ast.AugAssign], seen: Seen) -> str | None:
    """That a divisor is the number of images, not of batches."""
    text = ast.unparse(divisor)
    datasets = {argument(fact.place, "DataLoader") for fact in seen.loaders if length(fact.loader) > 1}
    if any(name.endswith(".dataset") or name in datasets for name in lengths(divisor)):
        return f"`{text}` counts images" if "/" not in text else None
    for other in adding:
        same = loop_of(other) is loop_of(share) is not None and ast.unparse(other.target) == text
        if same and re.search(r"len\(|\.size\(0\)|\.shape\[0\]|numel", ast.unparse(other.value)):
            return f"`{ast.unparse(other)}` counts images"
    return None


RULES = (accuracy_axis, other_axis, accuracy_count)
