"""Rules about splits and their loaders."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, SequentialSampler, Subset, TensorDataset

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.seen import Loader, LossCall, Place, Seen, length
from tenfold.checks.script.source import argument, assignment, line, name_at, statement, tree, trees
from tenfold.checks.script.tags import yes_or_no
from tenfold.errors import Finding


def trained_and_judged(seen: Seen) -> tuple[list[Loader], list[Loader]]:
    """Loaders of training, and those only judged on."""
    training = [fact for fact in seen.loaders if fact.steps]
    return training, [fact for fact in seen.loaders if not fact.steps and fact.batches]


def shuffle_off(seen: Seen) -> Iterator[Finding]:
    """Training images come in a fixed order."""
    for fact in seen.loaders:
        loader = fact.loader
        fixed = isinstance(getattr(loader, "sampler", None), SequentialSampler)
        if (
            not fact.steps
            or not fixed
            or length(loader) < 2
            or isinstance(loader.dataset, torch.utils.data.IterableDataset)
        ):
            continue
        labels = labels_of(loader.dataset)
        per, all_, mixed = mixture(fact.first_labels, labels)
        sorted_ = bool(per) and all_ > 1 and per <= max(1.0, 0.6 * mixed)
        name = name_at(fact.place, "the training loader")
        yield finding(
            "shuffle-off",
            f"`{name}` gives the images in a fixed order" + (", sorted by class" if sorted_ else ""),
            told(per, all_, mixed) if per else "Its sampler is sequential.",
            f"Write `shuffle=True` in the DataLoader{line(fact.place)}.",
            severity=None if sorted_ else "note",
            **where(fact.place),
        )
        return
    losses = [loss for loss in seen.training_losses() if loss.labels and len(loss.target_shape) == 1]
    losses = [loss for loss in losses if not pairs_within(loss)]
    per, all_, mixed = mixture([list(loss.labels) for loss in losses])
    if not any(fact.steps for fact in seen.loaders) and len(losses) > 5 and all_ > 2 and per <= mixed / 3:
        yield finding(
            "shuffle-off",
            "Training batches are sorted by class",
            told(per, all_, mixed),
            "Draw a new order in every epoch: `order = torch.randperm(len(x))`.",
            **where(losses[0].place),
        )


def same_batch(seen: Seen) -> Iterator[Finding]:
    """The net is trained on one batch of a loader again and again, and not to see whether that can be learned."""
    calls = [c for c in seen.training_calls() if c.hashes and c.batch and length(c.batch.loader.loader) > 1]
    again = [call for one, call in pairwise(calls) if call.hashes == one.hashes and not call.same]
    if len(calls) < 10 or len(again) < AGAIN * len(calls) or any(held.closed for held in seen.helds):
        return
    fact, place = calls[0].batch, calls[0].place
    if fact is None or HEART.search(" ".join(at.code + at.function for at in calls[0].places)):
        return
    images, name = length(fact.loader.loader.dataset), name_at(fact.loader.place, "the loader")
    if place is not None and learns_elsewhere(seen, name, place):  # from all images, after a try with a few
        return
    yield finding(
        "shuffle-off",
        "The net is trained on the same batch again and again",
        f"{len(again)} of {len(calls)} training batches were the one before; `{name}` has {images:,} images.",
        f"Go through it: `for images, labels in {name}`; `next(iter({name}))` begins at its first batch each time.",
        severity="error",
        **where(place),
    )


def learns_elsewhere(seen: Seen, name: str, place: Place) -> bool:
    """Whether a loop over that loader trains, other than the one around a line."""
    for _, parsed in trees(seen):
        for loop in (n for n in ast.walk(parsed) if isinstance(n, ast.For)):
            over = re.search(rf"\b{re.escape(name)}\b", ast.unparse(loop.iter))
            around_it = loop.lineno <= place.line <= (loop.end_lineno or loop.lineno)
            if over and not around_it and "backward(" in ast.unparse(loop):
                return True
    return False


AGAIN = 0.85
HEART = re.compile(r"overfit|sanity|debug|by_heart|memori[sz]e|smoke", re.I)


def pairs_within(loss: LossCall) -> bool:
    """Whether images are told from the others of their batch (contrastive learning): no label of a class."""
    return loss.shape == (loss.target_shape[0],) * 2 and loss.distinct == loss.target_shape[0]


def mixture(batches: list[list[int]], labels: list[int] | None = None) -> tuple[float, int, float]:
    """Classes in a batch, on average; in all labels, or those of the batches; and in a batch of these if shuffled."""
    counts = Counter(labels or [label for batch in batches for label in batch])
    if not batches or not counts:
        return 0.0, len(counts), 0.0
    shares = [count / counts.total() for count in counts.values()]
    mixed = [sum(1 - (1 - share) ** len(batch) for share in shares) for batch in batches]
    return sum(len(set(batch)) for batch in batches) / len(batches), len(counts), sum(mixed) / len(batches)


def told(per: float, all_: int, mixed: float) -> str:
    """The evidence in words."""
    return f"A batch holds {per:.1f} of {all_} classes on average; shuffled, it would hold {mixed:.1f}."


def labels_of(dataset: Any, most: int = 100_000) -> list[int]:
    """All labels of a dataset, where they can be had without loading images; else none."""
    if isinstance(dataset, Subset):
        whole = labels_of(dataset.dataset, most)
        return [whole[i] for i in dataset.indices] if whole else []
    if isinstance(dataset, ConcatDataset):
        parts = [labels_of(part, most) for part in dataset.datasets]
        return [label for part in parts for label in part] if all(parts) else []
    held: list[Any] = list(dataset.tensors) if isinstance(dataset, TensorDataset) else []
    if len(label_columns(dataset)) > 1:  # fine and coarse classes, say: nobody knows which is judged
        return []
    held += [getattr(dataset, name) for name in ("targets", "labels", "y", "ys") if hasattr(dataset, name)]
    for value in reversed(held):
        listed = value.tolist() if hasattr(value, "tolist") else value
        fractions = isinstance(value, Tensor) or (isinstance(value, np.ndarray) and value.dtype.kind == "f")
        if fractions and yes_or_no(torch.as_tensor(value)):
            listed = torch.as_tensor(value).flatten().long().tolist()
        if isinstance(listed, list | tuple) and 0 < len(listed) <= most and all(isinstance(v, int) for v in listed):
            return list(listed) if len(listed) == length(dataset) else []
    return []


def label_columns(dataset: Any) -> list[Tensor]:
    """The whole numbers, one an item, that a dataset of tensors holds."""
    held = dataset.tensors if isinstance(dataset, TensorDataset) else ()
    return [one for one in held if one.dim() == 1 and not one.is_floating_point()]


def items(dataset: Any) -> list[tuple[Any, ...]]:
    """What a dataset is made of: its files, else (base dataset, index)."""
    if isinstance(dataset, Subset):
        inner = items(dataset.dataset)
        return [inner[i] for i in dataset.indices] if inner else []
    if isinstance(dataset, ConcatDataset):
        return [item for part in dataset.datasets for item in items(part)]
    return [(path,) for path in files_of(dataset)] or [(id(dataset), i) for i in range(length(dataset))]


def files_of(dataset: Any) -> list[str]:
    """The image files of a dataset, one an item, where it keeps their paths; else none."""
    for value in vars(dataset).values() if hasattr(dataset, "__dict__") else ():
        if isinstance(value, list) and value and len(value) == length(dataset):
            first = [one[0] if isinstance(one, tuple) and one else one for one in value]
            if all(isinstance(one, str | PurePath) for one in first) and len(set(first)) == len(first):
                paths = [str(one) for one in first]
                return paths if all(PICTURE.search(path) for path in paths) else []
    return []


PICTURE = re.compile(r"[/\\].*\.(png|jpe?g|bmp|gif|tiff?|webp|ppm|pgm|npy|pt)$", re.I)
"""A path with a folder: names alone may be those of two folders."""


def dataset_place(fact: Loader) -> Place | None:
    """Where the dataset of a loader got its name; else where the loader was made."""
    name = argument(fact.place, "DataLoader")
    return (assignment(fact.place.file, name) if fact.place and name else None) or fact.place


def transform_place(fact: Loader) -> Place | None:
    """Where the transform of a loader's dataset was made, if it was given to it by name."""
    name = argument(fact.place, "DataLoader")
    made = assignment(fact.place.file, name) if fact.place and name else None
    for place in filter(None, (made, fact.place)):
        found = statement(place)
        for node in ast.walk(found) if found is not None and not hasattr(found, "body") else ():
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and TRANSFORM.search(node.id):
                at = assignment(place.file, node.id) or defined(place.file, node.id)
                if at is not None:
                    return at
    return None


def defined(file: str, name: str) -> Place | None:
    """The last statement of a function."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return Place(file, node.body[-1].lineno)
    return None


TRANSFORM = re.compile(r"tf|transform|prep|norm|pipeline|tfm", re.I)


ORDER = (shuffle_off, same_batch)
