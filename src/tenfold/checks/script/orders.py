"""Labels that would fit their images in another order: moved by one, or sorted as text where numbers were meant."""

import ast
import re
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import PurePath
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from tenfold.checks.rules import finding
from tenfold.checks.script.chance import same_chance
from tenfold.checks.script.guess import fit, small
from tenfold.checks.script.modes import where
from tenfold.checks.script.samples import SECONDS
from tenfold.checks.script.seen import Place, Seen, whole
from tenfold.checks.script.source import called, line, shown_code, trees
from tenfold.checks.script.splits import labels_of, trained_and_judged
from tenfold.checks.script.tags import LABELLED
from tenfold.checks.script.told import excess
from tenfold.errors import Finding

ENOUGH = 500


def labels_out_of_order(seen: Seen) -> Iterator[Finding]:
    """The labels that a dataset keeps cannot be told from its images, but could be in another order."""
    training, _ = trained_and_judged(seen)
    for fact in training:
        dataset = whole(fact.loader.dataset)
        labels = torch.tensor(labels_of(dataset))
        if len(labels) < 150 or isinstance(dataset, IterableDataset) or not 1 < len(labels.unique()) <= 30:
            continue
        images, index = some(dataset, len(labels))
        if images is None:
            continue
        classes = int(labels.max()) + 1
        if int(labels.min()) < 0 or told(images, labels[index], classes) > 0.15:
            continue
        for name, order in other_orders(len(labels)):
            gain = told(images, labels[order[index]], classes)
            if gain > 0.35:
                yield misplaced(seen, name, gain)
                return


def opened_as_text(seen: Seen) -> Iterator[Finding]:
    """Files are opened in the order of their names as text, and their labels come line by line from elsewhere."""
    folders: dict[str, list[PurePath]] = {}
    for name in dict.fromkeys(seen.opened):
        folders.setdefault(str(PurePath(name).parent), []).append(PurePath(name))
    swapped = next(filter(None, map(as_text, folders.values())), None)
    if swapped is None:
        return
    code, place = "\n".join(ast.unparse(parsed) for _, parsed in trees(seen)), sorting(seen)
    if FROM_NAME.search(code) or not BY_LINE.search(code):
        return
    yield finding(
        "wrong-labels",
        "Files are opened in the order of text, and their labels come in that of numbers",
        f"`{swapped[0].name}` is opened right before `{swapped[1].name}`; no label is taken from a file's name."
        + (f" {shown_code(place)} sets the order." if place else ""),
        f"Sort by the number: `sorted(files, key=lambda f: int(re.findall(r'\\d+', f.stem)[-1]))`{line(place)}.",
        severity="error",
        **where(place),
    )


FROM_NAME = re.compile(r"\.stem\b|\.name\b|\.parent\b|basename|dirname|\.parts\b|os\.path\.split")
BY_LINE = re.compile(r"read_text\(|readlines\(|loadtxt|genfromtxt|np\.load\(|json\.load|csv|torch\.load\(|\.read\(\)")


def as_text(files: list[PurePath]) -> tuple[PurePath, PurePath] | None:
    """The first two neighbours that stand in the order of text, not of their numbers, where all files do."""
    found = [re.fullmatch(r"(.*?)(\d+)", file.stem) for file in files]
    kinds = {match[1] for match in found if match}
    if len(files) < 10 or None in found or len(kinds) > 1 or [f.name for f in files] != sorted(f.name for f in files):
        return None
    numbers = [int(match[2]) for match in found if match]
    return next((pair for pair, (a, b) in zip(pairwise(files), pairwise(numbers)) if a > b), None)


def some(dataset: Any, size: int) -> tuple[Tensor | None, Tensor]:
    """Some of its images, made small, and their indices."""
    index = torch.randperm(size, generator=torch.Generator().manual_seed(6))[:ENOUGH]
    until, found = time.monotonic() + SECONDS, []
    with same_chance():
        for i in index.tolist():
            got = dataset[i]
            image = got[0] if isinstance(got, tuple | list) and got else None
            if not isinstance(image, Tensor) or image.dim() not in (2, 3) or time.monotonic() > until:
                break
            found.append(image.float())
    if len(found) < 150 or any(image.shape != found[0].shape for image in found) or min(found[0].shape[-2:]) < 5:
        return None, index
    images = torch.stack(found)
    return small(images if images.dim() == 4 else images[:, None]), index[: len(found)]


def told(images: Tensor, labels: Tensor, classes: int) -> float:
    """How many labels can be told from the images beyond chance."""
    _, scores = fit(images, labels, classes)
    return excess(scores.argmax(1), labels, classes)


def other_orders(size: int) -> Iterator[tuple[str, Tensor]]:
    """Names, and for each image where its label may lie."""
    yield "moved by one", (torch.arange(size) + 1) % size
    yield "moved by one back", (torch.arange(size) - 1) % size
    for width in (1, 2, 3, 4):  # digits that names were filled up to
        if size > 10**width:
            as_text = torch.tensor(sorted(range(size), key=lambda number: f"{number:0{width}d}"))
            yield "in the order of numbers, not of text", as_text
            yield "in the order of text, not of numbers", as_text.argsort()
    yield "turned round", torch.arange(size).flip(0)


def misplaced(seen: Seen, name: str, gain: float) -> Finding:
    """The finding."""
    place = sorting(seen) if "text" in name else moving(seen)
    remedy = (
        "Sort both by the number in the name: `sorted(files, key=lambda f: int(re.findall(r'\\d+', f)[0]))`"
        if "text" in name
        else "Take image and label by the same index"
    )
    return finding(
        "wrong-labels",
        f"The labels would fit the images if they were {name}",
        f"As they are they cannot be told from the images; {name}, a quick classifier tells {gain:.0%} of them beyond "
        "chance." + (f" {shown_code(place)} sets the order." if place else ""),
        f"{remedy}{line(place)}.",
        severity="error",
        **where(place),
    )


def sorting(seen: Seen) -> Place | None:
    """A sort without a key, or else the function by which something is sorted."""
    keys = []
    for file, tree in trees(seen):
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or called(node) not in ("sorted", "sort"):
                continue
            if not node.keywords:
                return Place(file, node.lineno)
            by = {ast.unparse(k.value) for k in node.keywords if k.arg == "key"}
            made = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name in by]
            keys += [Place(file, n.lineno) for one in made for n in ast.walk(one) if isinstance(n, ast.Return)]
            keys.append(Place(file, node.lineno))
    return keys[0] if keys else None


def moving(seen: Seen) -> Place | None:
    """Where labels are moved against their images."""
    for file, tree in trees(seen):
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign | ast.Return):
                code = ast.unparse(node)
                if re.search(r"roll\(|\[1:\]|\[:-1\]|\[\w+ [+-] 1\]|::-1|next\(", code) and LABELLED.search(code):
                    return Place(file, node.lineno)
    return None


ORDERS = (labels_out_of_order, opened_as_text)
