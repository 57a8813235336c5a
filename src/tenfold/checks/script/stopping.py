"""Epochs chosen by what tells nothing of new images: the training loss, or the figures of a fold that is reported."""

import ast
import re
from collections.abc import Iterator

from tenfold.checks.rules import finding
from tenfold.checks.script.parting import TEST
from tenfold.checks.script.seen import Place, Seen
from tenfold.checks.script.selection import scores
from tenfold.checks.script.source import around, called, line, trees
from tenfold.errors import Finding

OF_TRAINING = re.compile(r"(train(ing)?|fit)_?(loss|err\w*|acc\w*)", re.I)
MONITORED = re.compile(r"(?:train(?:ing)?_)?(loss|acc|accuracy)")
"""Figures of the training images, as a variable and as what a callback monitors."""
OF_VALIDATION = re.compile(r"(val(id(ation)?)?|dev)_?(loss|err\w*|acc\w*|score)", re.I)
KEEPS = re.compile(r"state_dict|deepcopy|save|patience|wait|break|stop", re.I)
"""What a program does with its best epoch: keep its weights, or wait for the next."""
FOLDS = re.compile(r"folds?\b|kfold", re.I)


def stops_by_training(seen: Seen) -> Iterator[Finding]:
    """The epoch with the best training figure is kept, where the program computes validation figures."""
    for file, tree in trees(seen):
        if not OF_VALIDATION.search(ast.unparse(tree)):
            continue
        for node, figure in [*monitors(tree), *compared(tree)]:
            place = Place(file, node.lineno)
            yield finding(
                "overfitting",
                f"The best epoch is chosen by `{figure}`, a figure of the training images",
                "It goes on improving while the net learns these by heart, so that the last epochs are the best. "
                "The program computes figures of validation images too.",
                f"Choose by the figure of the validation images{line(place)}.",
                severity="warning",
                **place.where,
            )
            return


def monitors(tree: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    """Callbacks that are told to monitor a figure of the training images, where one of the validation has its name."""
    text = ast.unparse(tree)
    for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call)):
        for told in (k.value for k in call.keywords if k.arg == "monitor"):
            name = told.value if isinstance(told, ast.Constant) else None
            figure = MONITORED.fullmatch(name) if isinstance(name, str) else None
            if figure and re.search(rf"['\"]val(id(ation)?)?_{figure[1]}['\"]", text):
                yield told, figure[0]


def compared(tree: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    """Training figures that a test compares with the best so far, to keep weights or to stop."""
    for score, _ in scores(tree):
        test = next((n for n in around(score) if isinstance(n, ast.If)), None)
        figure = ast.unparse(score)
        of_both = OF_VALIDATION.search(figure)  # the figures of an epoch, of which a callback takes its own
        if test is None or of_both or not OF_TRAINING.search(figure):
            continue
        if KEEPS.search("".join(map(ast.unparse, test.body))):
            yield score, figure


def best_of_each_fold(seen: Seen) -> Iterator[Finding]:
    """Of each fold the best epoch is reported, by the images that it is reported of; nothing is kept for a test."""
    for file, tree in trees(seen):
        if re.search(TEST, " ".join(n.id for n in ast.walk(tree) if isinstance(n, ast.Name)), re.I):
            continue
        for node in (n for n in ast.walk(tree) if isinstance(n, ast.Call) and called(n) in ("max", "amax", "nanmax")):
            loop = next((n for n in around(node) if isinstance(n, ast.For)), None)
            given = node.args[0] if len(node.args) == 1 and not node.keywords else None
            if loop is None or not isinstance(given, ast.Name) or not added_up(node):
                continue
            if not FOLDS.search(f"{ast.unparse(loop.target)} {ast.unparse(loop.iter)}"):
                continue
            place = Place(file, node.lineno)
            yield finding(
                "selected-on-test",
                "Of each fold the best epoch is reported",
                f"`{ast.unparse(node)}` is the best of `{given.id}`, by the very images that it is the score of.",
                f"Report the last epoch, or choose the epoch on images of the other folds{line(place)}.",
                **place.where,
            )
            return


def added_up(node: ast.Call) -> bool:
    """Whether a figure joins those of the other rounds of a loop."""
    parent = getattr(node, "parent", None)
    if isinstance(parent, ast.Call):
        return called(parent) == "append"
    to = parent.targets[0] if isinstance(parent, ast.Assign) else None
    return isinstance(parent, ast.AugAssign) or isinstance(to, ast.Subscript)


STOPPING = (stops_by_training, best_of_each_fold)
