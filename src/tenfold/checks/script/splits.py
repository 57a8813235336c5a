"""Rules about splits and their loaders."""

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import ConcatDataset, SequentialSampler, Subset, TensorDataset

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.seen import Loader, Place, Seen
from tenfold.checks.script.source import argument, assignment, line, name_at
from tenfold.errors import Finding, Severity


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
            or len(loader) < 2
            or isinstance(loader.dataset, torch.utils.data.IterableDataset)
        ):
            continue
        per, all_ = mixture(fact.first_labels)
        labels = labels_of(loader.dataset)
        all_ = max(all_, len(set(labels)))
        sorted_ = bool(per) and all_ > 1 and per <= max(1.0, 0.6 * all_)
        name = name_at(fact.place, "the training loader")
        yield finding(
            "shuffle-off",
            f"`{name}` gives the images in a fixed order" + (", sorted by class" if sorted_ else ""),
            f"A batch holds {per:.1f} of {all_} classes on average." if per else "Its sampler is sequential.",
            f"Write `shuffle=True` in the DataLoader{line(fact.place)}.",
            severity=None if sorted_ else "note",
            **where(fact.place),
        )
        return
    losses = [loss for loss in seen.training_losses() if loss.labels and len(loss.target_shape) == 1]
    per, all_ = mixture([list(loss.labels) for loss in losses])
    if not any(fact.steps for fact in seen.loaders) and len(losses) > 5 and all_ > 2 and per <= all_ / 3:
        yield finding(
            "shuffle-off",
            "Training batches are sorted by class",
            f"A batch holds {per:.1f} of {all_} classes on average.",
            "Draw a new order in every epoch: `order = torch.randperm(len(x))`.",
            **where(losses[0].place),
        )


def mixture(batches: list[list[int]]) -> tuple[float, int]:
    """Classes in a batch, on average, and in all."""
    if not batches:
        return 0.0, 0
    return sum(len(set(batch)) for batch in batches) / len(batches), len(
        {label for batch in batches for label in batch}
    )


def labels_of(dataset: Any, most: int = 100_000) -> list[int]:
    """All labels of a dataset, where they can be had without loading images; else none."""
    if isinstance(dataset, Subset):
        whole = labels_of(dataset.dataset, most)
        return [whole[i] for i in dataset.indices] if whole else []
    if isinstance(dataset, ConcatDataset):
        parts = [labels_of(part, most) for part in dataset.datasets]
        return [label for part in parts for label in part] if all(parts) else []
    held = list(dataset.tensors) if isinstance(dataset, TensorDataset) else []
    held += [getattr(dataset, name) for name in ("targets", "labels", "y", "ys") if hasattr(dataset, name)]
    for value in reversed(held):
        listed = value.tolist() if hasattr(value, "tolist") else value
        if isinstance(listed, list | tuple) and 0 < len(listed) <= most and all(isinstance(v, int) for v in listed):
            return list(listed) if len(listed) == len(dataset) else []
    return []


def items(dataset: Any) -> list[tuple[int, int]]:
    """What a dataset is made of: (base dataset, index)."""
    if isinstance(dataset, Subset):
        inner = items(dataset.dataset)
        return [inner[i] for i in dataset.indices] if inner else []
    if isinstance(dataset, ConcatDataset):
        return [item for part in dataset.datasets for item in items(part)]
    try:
        return [(id(dataset), i) for i in range(len(dataset))]
    except TypeError:
        return []


def validation_in_training(seen: Seen) -> Iterator[Finding]:
    """Images are judged on that are trained on."""
    training, judged = trained_and_judged(seen)
    for one in training:
        name = name_at(one.place, "")
        if len(training) > 1 and any(word in name.lower() for word in ("val", "test")):
            yield finding(
                "validation-in-training",
                f"The net is trained on `{name}`",
                f"{one.steps} optimiser steps were taken on its batches.",
                "Judge under `with torch.no_grad():`, without backward and step.",
                **where(one.place),
            )
            return
        for other in judged:
            mine, theirs = set(items(one.loader.dataset)), items(other.loader.dataset)
            shared = sum(item in mine for item in theirs)
            if shared and theirs and shared < len(theirs) + (one.loader.dataset is not other.loader.dataset):
                yield overlap(other, one, f"{shared:,} of its {len(theirs):,} images are also trained on")
                return
    trained = {h for c in seen.training_calls() for h in c.hashes if not c.same}
    for other in judged:
        calls = [c for c in seen.judging_calls() if c.batch and c.batch.loader is other and not c.same]
        hashes = [h for c in calls for h in c.hashes]
        shared = sum(h in trained for h in hashes)
        if (
            training
            and not any(one.loader.dataset is other.loader.dataset for one in training)
            and shared > 0.1 * len(hashes)
        ):
            few = shared < 0.5 * len(hashes) or repeats(seen, training[0])  # drawings may be alike by chance
            told = f"{shared} of {len(hashes)} images seen are, pixel by pixel, also trained on"
            yield overlap(other, training[0], told, "note" if few else None)
            return


def repeats(seen: Seen, one: Loader) -> bool:
    """Whether many training images of the first pass are the same: there are few different ones at all."""
    calls = [c for c in seen.training_calls() if c.batch and c.batch.loader is one][: len(one.loader)]
    hashes = [h for c in calls for h in c.hashes]
    return len(set(hashes)) < 0.7 * len(hashes)


def overlap(other: Loader, one: Loader, evidence: str, severity: Severity | None = None) -> Finding:
    """The finding."""
    name, trained = name_at(other.place, "the evaluation's loader"), name_at(one.place, "the training loader")
    return finding(
        "validation-in-training",
        f"`{name}` holds images of `{trained}`",
        f"{evidence}.",
        f"Split once, before anything is repeated, so that no index is in both{line(dataset_place(one))}.",
        severity=severity,
        **where(dataset_place(one)),
    )


def dataset_place(fact: Loader) -> Place | None:
    """Where the dataset of a loader got its name; else where the loader was made."""
    name = argument(fact.place, "DataLoader")
    return (assignment(fact.place.file, name) if fact.place and name else None) or fact.place


OVERLAP = (validation_in_training,)
ORDER = (shuffle_off,)
