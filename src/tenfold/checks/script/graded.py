"""Classes that are degrees of one thing, a count or a size, and crops or zooms that move images to the next one."""

import ast
import re
from collections.abc import Iterator

import torch
from torch import Tensor

from tenfold.checks.rules import finding
from tenfold.checks.script.augmenting import DRAWS
from tenfold.checks.script.modes import where
from tenfold.checks.script.samples import Study, study
from tenfold.checks.script.seen import Place, Seen
from tenfold.checks.script.source import around, line, shown_code, trees
from tenfold.errors import Finding

CUTS = re.compile(r"crop|interpolate\(|zoom|resize|affine|scale|\w+:\w+ \+ \w+\]", re.I)
FEWEST = 4
"""Classes of which it shows that they are degrees."""
ERRORS, NEXT = 15, 0.75
"""A quick classifier errs so often or more on plain images, and of its errors so many are to the next degree."""
KNOWN, SHIFT = 0.65, 0.3
"""A quick classifier knows so many of the plain images, and what it says of training images is off by so much of a
degree.
"""
HALF_KNOWN, FAR, WORSE = 0.4, 0.5, 1.3
"""With fewer known ones it must be off by more, and by so many times as much, whichever way, as for plain images."""
MAKES_IMAGES = re.compile(r"Image\.new|full\(|zeros\((?!.*\b2, 3\))")
"""A drawing begins with one colour; zeros of two by three are the matrix of an affine map."""


def degrees_moved(seen: Seen) -> Iterator[Finding]:
    """Training images look like a higher or a lower degree than their labels say, and plain ones do not."""
    place = cutting(seen)
    known = study(seen) if place is not None else None
    if known is None or known.classes < FEWEST or known.right < HALF_KNOWN or not graded(known):
        return
    off, usual = known.train_told - known.training.labels, known.judge_left_out - known.judging.labels
    moved = by_class(off, known.training.labels) - by_class(usual, known.judging.labels)
    wide, usually = by_class(off.abs(), known.training.labels), by_class(usual.abs(), known.judging.labels)
    if abs(moved) < SHIFT or (known.right < KNOWN and (abs(moved) < FAR or wide < WORSE * usually)):
        return
    yield finding(
        "augmentation-breaks-labels",
        f"The augmentation moves images to a {'higher' if moved > 0 else 'lower'} class than their labels say",
        f"The classes are degrees of one thing: of plain images a quick classifier knows {known.right:.0%}, and it "
        f"takes the others for the next class. Of training images it says {abs(moved):.2f} classes too "
        f"{'much' if moved > 0 else 'little'} on average. {shown_code(place)} changes their size or cuts them.",
        f"Keep the whole image in its size: shift it by a few padded pixels instead{line(place)}.",
        severity="warning",
        **where(place),
    )


def graded(known: Study) -> bool:
    """Whether a quick classifier errs to the classes next to the right one."""
    return to_the_next(known.judge_left_out, known.judging.labels)


def to_the_next(told: Tensor, labels: Tensor) -> bool:
    """Whether what is told is wrong at times, and then mostly the class next to the right one."""
    off = (told - labels).abs()
    errors = off[off > 0]
    return len(errors) >= ERRORS and float((errors == 1).float().mean()) >= NEXT


def zoomed(seen: Seen, known: Study) -> Place | None:
    """Where images are cut or zoomed at random, if classes are degrees of one thing and training images that look like
    another look like the next one, as those with any other label do not.
    """
    moved = known.classes >= FEWEST and graded(known) and to_the_next(known.train_told, known.training.labels)
    return cutting(seen) if moved else None


def by_class(off: Tensor, labels: Tensor) -> float:
    """The mean over the classes of what holds for each image."""
    return float(torch.stack([off[labels == each].float().mean() for each in labels.unique()]).mean())


def cutting(seen: Seen) -> Place | None:
    """Where a function that draws random numbers cuts images or changes their size."""
    for file, parsed in trees(seen):
        for node in (n for n in ast.walk(parsed) if isinstance(n, ast.Assign | ast.Return)):
            scope = next((n for n in around(node) if isinstance(n, ast.FunctionDef)), None)
            code = ast.unparse(node.value) if node.value is not None else ""
            does = any(isinstance(n, ast.Call | ast.Subscript) for n in ast.walk(node))
            if scope is None or not scope.args.args or not does or not CUTS.search(code):
                continue
            if DRAWS.search(ast.unparse(scope)) and not MAKES_IMAGES.search(ast.unparse(scope)):
                return Place(file, node.lineno)
    return None


GRADED = (degrees_moved,)
