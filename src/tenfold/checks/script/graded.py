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
"""A quick classifier knows so many of the plain images; what it says of training images is off by so much of a degree,
or with fewer known ones by more."""
HALF_KNOWN, FAR = 0.4, 0.8


def degrees_moved(seen: Seen) -> Iterator[Finding]:
    """Training images look like a higher or a lower degree than their labels say, and plain ones do not."""
    place = cutting(seen)
    known = study(seen) if place is not None else None
    if known is None or known.classes < FEWEST or not graded(known):
        return
    least = SHIFT if known.right >= KNOWN else FAR
    off = by_class(known.train_told, known.training.labels) - by_class(known.judge_left_out, known.judging.labels)
    if known.right < HALF_KNOWN or abs(off) < least:
        return
    yield finding(
        "augmentation-breaks-labels",
        f"The augmentation moves images to a {'higher' if off > 0 else 'lower'} class than their labels say",
        f"The classes are degrees of one thing: of plain images a quick classifier knows {known.right:.0%}, and it "
        f"takes the others for the next class. Of training images it says {abs(off):.2f} classes too "
        f"{'much' if off > 0 else 'little'} on average. {shown_code(place)} changes their size or cuts them.",
        f"Keep the whole image in its size: shift it by a few padded pixels instead{line(place)}.",
        severity="warning",
        **where(place),
    )


def graded(known: Study) -> bool:
    """Whether a quick classifier errs to the classes next to the right one."""
    off = (known.judge_left_out - known.judging.labels).abs()
    errors = off[off > 0]
    return len(errors) >= ERRORS and float((errors == 1).float().mean()) >= NEXT


def by_class(told: Tensor, labels: Tensor) -> float:
    """How far above the labels what is told lies: the mean over the classes."""
    off = (told - labels).float()
    return float(torch.stack([off[labels == each].mean() for each in labels.unique()]).mean())


def cutting(seen: Seen) -> Place | None:
    """Where a function that draws random numbers cuts images or changes their size."""
    for file, parsed in trees(seen):
        for node in (n for n in ast.walk(parsed) if isinstance(n, ast.Assign | ast.Return)):
            scope = next((n for n in around(node) if isinstance(n, ast.FunctionDef)), None)
            code = ast.unparse(node.value) if node.value is not None else ""
            if scope is None or not scope.args.args or not CUTS.search(code):
                continue
            if DRAWS.search(ast.unparse(scope)) and not re.search("Image.new|zeros|full\\(", ast.unparse(scope)):
                return Place(file, node.lineno)
    return None


GRADED = (degrees_moved,)
