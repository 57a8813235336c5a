"""Datasets that scale, in place, the images that they keep: each time one is fetched it is scaled once more."""

import ast
import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from tenfold.checks.rules import finding
from tenfold.checks.script.augmentation import in_pairs
from tenfold.checks.script.modes import where
from tenfold.checks.script.seen import Place, Seen, own, whole
from tenfold.checks.script.source import line, shown_code, tree
from tenfold.errors import Finding

IN_PLACE = re.compile(r"\.(sub|div|mul|add)_\(|inplace=True|out=")
"""What scales numbers where they lie."""
LINEAR = 0.9999
"""The correlation of a plane of pixels with itself, scaled and shifted."""


def stored_again(seen: Seen) -> Iterator[Finding]:
    """A dataset scales the images that it keeps, in place, whenever it gives one."""
    for fact in seen.loaders:
        known = fact.batches and hasattr(fact.loader.dataset, "__getitem__") and hasattr(fact.loader.dataset, "__len__")
        place = (seen.stored or changing_line(whole(fact.loader.dataset))) if known else None
        if place is None or not scaled_each_time(fact.loader.dataset):
            continue
        yield finding(
            "normalisation-doubled",
            "Fetching an image normalises it again, where it is kept",
            f"{shown_code(place)} changes the dataset's own numbers: an image that is fetched twice is scaled and "
            "shifted once more.",
            f"Write it so that a new array is made, as `(image - mean) / std`, without underscore or `-=`"
            f"{line(place)}.",
            **where(place),
        )
        return


def changing_line(
    dataset: Any, operators: tuple[type[ast.operator], ...] = (ast.Sub, ast.Div, ast.Mult)
) -> Place | None:
    """The line of a dataset's __getitem__ that may change numbers where they lie, by such an operator or a call."""
    try:
        method = type(dataset).__getitem__
        first, file = method.__code__.co_firstlineno, method.__code__.co_filename
    except AttributeError:
        return None
    body = next((n for n in ast.walk(tree(file)) if isinstance(n, ast.FunctionDef) and n.lineno == first), None)
    for node in ast.walk(body) if body and own(file) else ():
        adjusts = isinstance(node, ast.AugAssign) and isinstance(node.op, operators)
        calls = isinstance(node, ast.Call) and IN_PLACE.search(ast.unparse(node))
        if isinstance(node, ast.AugAssign | ast.Call) and (adjusts or calls):
            return Place(file, node.lineno)
    return None


def scaled_each_time(dataset: Any) -> bool:
    """Whether an image that is fetched again, by the same random numbers, is another one but for scale and shift."""
    pairs = in_pairs(dataset, 0)
    return bool(pairs) and all(scaled(one, other) for one, other in pairs)


def scaled(one: Tensor | None, other: Tensor | None) -> bool:
    """Whether each plane of pixels of an image is, in another one, the same but for scale and shift."""
    if one is None or other is None or one.shape != other.shape or torch.equal(one, other) or one.dim() < 2:
        return False
    planes = zip(one.double().reshape(-1, *one.shape[-2:]), other.double().reshape(-1, *one.shape[-2:]))
    return all(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1] >= LINEAR for a, b in planes)


STORING = (stored_again,)
