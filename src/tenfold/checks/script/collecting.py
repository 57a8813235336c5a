"""Predictions that are collected in a drawn order, and held against labels in the order in which they are kept."""

import ast
from collections.abc import Iterator

from torch.utils.data import RandomSampler

from tenfold.checks.rules import finding
from tenfold.checks.script.copies import named
from tenfold.checks.script.modes import where
from tenfold.checks.script.parting import TRAINED
from tenfold.checks.script.seen import Call, Seen
from tenfold.checks.script.source import line, tree, trees
from tenfold.checks.script.splits import trained_and_judged
from tenfold.errors import Finding

KEPT = ("targets", "labels")
"""What datasets call the labels that they keep."""


def order_lost(seen: Seen) -> Iterator[Finding]:
    """A shuffled loader's predictions are kept without its labels, which are read from the dataset instead."""
    _, judged = trained_and_judged(seen)
    kept = labels_kept(seen) if judged else ""
    for fact in judged if kept else ():
        calls = [call for call in seen.calls if call.batch and call.batch.loader is fact and not call.trained]
        shuffled = isinstance(getattr(fact.loader, "sampler", None), RandomSampler)
        if not shuffled or not calls or not all(map(labels_dropped, calls)):
            continue
        yield finding(
            "accuracy-count",
            f"Predictions of {named(fact)} come in a drawn order, and are held against labels in the stored one",
            f"Its sampler is random, the loop over it drops the labels of its batches, and `{kept}` is read for them.",
            f"Write shuffle=False for that loader{line(fact.place)}, or collect the labels in the same loop.",
            **where(fact.place),
        )
        return


def labels_dropped(call: Call) -> bool:
    """Whether the loop around a call gives the labels of its batches to a name that means nothing: `for x, _ in …`."""
    if call.labels is not None or call.loss is not None:
        return False
    for place in call.places:
        for node in ast.walk(tree(place.file)):
            inside = isinstance(node, ast.For) and node.lineno <= place.line <= (node.end_lineno or node.lineno)
            if inside and isinstance(node, ast.For) and isinstance(node.target, ast.Tuple):
                return any(isinstance(part, ast.Name) and part.id.startswith("_") for part in node.target.elts)
    return False


def labels_kept(seen: Seen) -> str:
    """The code that reads the labels of a dataset, not of training, from outside of it; "" where there is none."""
    for _, module in trees(seen):
        for node in ast.walk(module):
            read = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and node.attr in KEPT
            owner = ast.unparse(node.value) if read and isinstance(node, ast.Attribute) else "self"
            if owner not in ("self", "args", "cfg") and not TRAINED.search(owner):
                return ast.unparse(node)
    return ""


COLLECTING = (order_lost,)
