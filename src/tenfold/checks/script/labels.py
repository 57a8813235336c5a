"""Rules about labels and classes."""

import ast
from collections import Counter
from collections.abc import Iterator
from typing import Any

from torch.utils.data import Subset, WeightedRandomSampler

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.patches import label_digest
from tenfold.checks.script.seen import Loader, Place, Seen
from tenfold.checks.script.source import line, shown_code, trees
from tenfold.checks.script.splits import dataset_place, labels_of, trained_and_judged
from tenfold.errors import Finding


def labels_changed(seen: Seen) -> Iterator[Finding]:
    """Labels change while training."""
    for storage, (place, times, how) in seen.changed.items():
        if storage in seen.targets:
            yield finding(
                "labels-changed",
                "The labels are changed where they lie",
                f"{shown_code(place)} ({how}) ran {times} times on a part of the data itself.",
                f"Change a copy: write `.clone()` where that part is taken{line(place)}.",
                **where(place),
            )
            return
    for fact in seen.loaders:
        if fact.stored_labels and fact.stored_labels != label_digest(fact.loader.dataset):
            yield finding(
                "labels-changed",
                "The labels that the dataset holds have changed",
                "They are not what they were when the loader was first gone through.",
                "Change a copy in __getitem__ or in the loop, never what the dataset keeps.",
                **where(fact.place),
            )
            return


def classes(seen: Seen) -> Iterator[Finding]:
    """Classes that a split lacks, numbers them otherwise, or has few of."""
    training, judged = trained_and_judged(seen)
    for one in training:
        for other in judged:
            maps = mapping(one.loader.dataset), mapping(other.loader.dataset)
            if maps[0] and maps[1] and any(maps[1].get(k, v) != v for k, v in maps[0].items()):
                wrong = [k for k, v in maps[0].items() if maps[1].get(k, v) != v]
                yield finding(
                    "class-index-shift",
                    "Training and evaluation number the classes differently",
                    f"'{wrong[0]}' is {maps[0][wrong[0]]} in training and {maps[1][wrong[0]]} in evaluation; "
                    f"{len(wrong)} classes differ.",
                    f"Number them once, from the training classes, and use that for both{line(dataset_place(other))}.",
                    **where(dataset_place(other)),
                )
                return
    labels = [label for one in training for label in labels_of(one.loader.dataset)]
    known = set(labels) or {
        label for loss in seen.training_losses() for label in loss.labels if len(loss.target_shape) == 1
    }
    others = {label for other in judged for label in labels_of(other.loader.dataset)} or seen.judged_labels
    images = len(labels) or sum(len(loss.labels) for loss in seen.training_losses())
    missing = sorted(others - known)
    if known and missing and images >= 20 * len(others | known):
        yield finding(
            "class-missing",
            f"Class{'es' if len(missing) > 1 else ''} {', '.join(map(str, missing[:5]))} "
            f"{'are' if len(missing) > 1 else 'is'} judged but never trained on",
            f"{images:,} training images hold the classes {', '.join(map(str, sorted(known)[:12]))}.",
            "Shuffle before splitting: `order = torch.randperm(len(x)); x, y = x[order], y[order]`.",
            **where(training[0].place if training else None),
        )
    yield from imbalance(seen, training, labels)


def mapping(dataset: Any) -> dict[str, int]:
    """A dataset's class names and their numbers."""
    while isinstance(dataset, Subset):
        dataset = dataset.dataset
    for value in getattr(dataset, "__dict__", {}).values():
        if isinstance(value, dict) and value and all(isinstance(k, str) and type(v) is int for k, v in value.items()):
            return value
    return {}


def imbalance(seen: Seen, training: list[Loader], labels: list[int]) -> Iterator[Finding]:
    """Some classes are ten times as large as others, and nothing is done about it."""
    weighted = any(loss.weighted for loss in seen.losses) or any(
        isinstance(getattr(one.loader, "sampler", None), WeightedRandomSampler) for one in training
    )
    counts = Counter(labels)
    if weighted or len(counts) < 2 or max(counts.values()) < 10 * min(counts.values()):
        return
    many, few = counts.most_common()[0], counts.most_common()[-1]
    yield finding(
        "class-imbalance",
        "Classes of very different sizes",
        f"Class {many[0]} has {many[1]:,} training images, class {few[0]} has {few[1]:,}.",
        "Report recall per class; weigh the loss (`weight=`) or draw with a WeightedRandomSampler.",
        **where(training[0].place if training else None),
    )


def shuffled_apart(seen: Seen) -> Iterator[Finding]:
    """Images and labels are put into two different random orders."""
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
            if len({ast.unparse(n.value) for n in drawn}) > 1:
                yield finding(
                    "wrong-labels",
                    "Images and labels are shuffled apart",
                    f"`{ast.unparse(node)}` draws a new order for each.",
                    f"Use one order for both: `order = {ast.unparse(drawn[0].slice)}` (line {node.lineno}).",
                    severity="error",
                    **Place(file, node.lineno).where,
                )
                return


def permutes(call: ast.Call) -> bool:
    """Whether a call draws a random order."""
    return ast.unparse(call.func).endswith(("permutation", "randperm"))


LABELS = (labels_changed, shuffled_apart)
CLASSES = (classes,)
