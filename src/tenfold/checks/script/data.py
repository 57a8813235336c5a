"""Rules about images, labels, splits and their loaders."""

import ast
import math
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, SequentialSampler, Subset, TensorDataset, WeightedRandomSampler

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.observe import tensors
from tenfold.checks.script.patches import label_digest
from tenfold.checks.script.seen import Call, Loader, Place, Seen
from tenfold.checks.script.source import argument, assignment, line, name_at, shown_code, trees
from tenfold.errors import Finding, Severity


def mean_of(calls: list[Call], value: Callable[[Call], float]) -> float:
    """Over the first five calls."""
    return sum(map(value, calls[:5])) / max(1, len(calls[:5]))


def normalisation(seen: Seen) -> Iterator[Finding]:
    """Images as bytes, divided or shifted twice."""
    calls = [call for call in seen.training_calls() if len(call.shape) == 4]
    if not calls or seen.reads_norm:
        return
    low, high = min(c.low for c in calls[:5]), max(c.high for c in calls[:5])
    mean, std = mean_of(calls, lambda c: c.mean), mean_of(calls, lambda c: c.std)
    seen_so = f"The net gets pixels from {low:.4g} to {high:.4g}, mean {mean:.3g}, deviation {std:.3g}."
    again = max(seen.scaled.values(), key=lambda fact: fact[1], default=(None, 0, ""))
    if again[1] > 1:
        last = calls[-1]
        yield finding(
            "normalisation-doubled",
            "The same images are normalised again and again, in place",
            f"{shown_code(again[0])} changes a part of the data itself; first mean {calls[0].mean:.3g} and deviation "
            f"{calls[0].std:.3g}, lately {last.mean:.3g} and {last.std:.3g}.",
            f"Write it without the underscore, as `.sub(…).div(…)`{line(again[0])}: that makes new tensors.",
            **where(again[0]),
        )
    elif low >= 0 and high > 20:
        yield finding(
            "normalisation-missing",
            "The images are not normalised",
            seen_so,
            "Divide them by 255 and subtract their mean, as `images = (images / 255 - 0.5) / 0.25`, in training and "
            f"evaluation alike (the net is called in line {calls[0].place.line if calls[0].place else '?'}).",
            **where(calls[0].place),
        )
    elif 0 < max(-low, high) < 0.03:
        yield finding(
            "normalisation-doubled",
            "The images are divided by 255 twice",
            seen_so,
            f"Take one of the divisions out (the net is called in {shown_code(calls[0].place)}{line(calls[0].place)}).",
            **where(calls[0].place),
        )
    elif std >= 2.5 and mean < -1 and 0.05 < -mean / std < 0.9:
        yield finding(
            "normalisation-doubled",
            "The images are normalised twice",
            f"{seen_so} Images of mean 0 and deviation 1, normalised once more by mean {-mean / std:.2f} and deviation "
            f"{1 / std:.2f}, look so.",
            "Take one of the two normalisations out.",
            **where(calls[0].place),
        )


def normalisation_differs(seen: Seen) -> Iterator[Finding]:
    """The net is judged on images of another scale than those it learns."""
    training = [c for c in seen.training_calls() if len(c.shape) == 4]
    judging = [c for c in seen.judging_calls() if len(c.shape) == 4]
    if not training or not judging or any(times > 1 for _, times, _ in seen.scaled.values()):
        return
    mean, std = mean_of(training, lambda c: c.mean), mean_of(training, lambda c: c.std)
    other, spread = mean_of(judging, lambda c: c.mean), mean_of(judging, lambda c: c.std)
    if not (std > 0 and spread > 0 and math.isfinite(mean + other)):
        return
    if abs(mean - other) > 0.5 * max(std, spread) or not 1 / 1.7 < std / spread < 1.7:
        yield finding(
            "normalisation-differs",
            "Images of the evaluation are scaled otherwise than those of training",
            f"Training: mean {mean:.3g}, deviation {std:.3g}; evaluation: mean {other:.3g}, deviation {spread:.3g}.",
            f"Give the images of the evaluation{line(judging[0].place)} the same normalisation as those of training.",
            **where(judging[0].place),
        )


def not_finite_input(seen: Seen) -> Iterator[Finding]:
    """NaN or infinity in the images."""
    call = next((c for c in seen.calls if c.shape and not math.isfinite(c.mean)), None)
    if call and (call.batch or not call.number):
        at = f", batch {call.batch.number}" if call.batch else ""
        yield finding(
            "input-not-finite",
            "The images hold NaN or infinity",
            f"In call {call.number + 1} of the net{at}. A pixel divided by a deviation of 0 gives it.",
            "Add a small number to what you divide by (`/ (std + 1e-6)`), or take the broken images out.",
            **where(call.place),
        )


def input_ignored(seen: Seen) -> Iterator[Finding]:
    """All images of a batch are the same."""
    calls = [c for c in seen.training_calls() if len(c.shape) > 1 and c.shape[0] > 1]
    same = [c for c in calls if c.same]
    if len(same) >= 2 and len(same) > 0.5 * len(calls):
        call = same[0]
        blank = f"every pixel is {call.low:g}" if call.low == call.high else "they differ in no pixel"
        yield finding(
            "input-ignored",
            "All images of a batch are alike",
            f"{len(same)} of {len(calls)} training batches: {blank}.",
            "Look at what makes the images: an integer division (`//`), a wrong index, or a cast that cuts to 0.",
            **where(call.place),
        )
    elif seen.blind:
        yield finding(
            "input-ignored",
            "The net gives the same output for blank images",
            "An untrained copy gave bit-equal outputs for a batch and for zeros.",
            "Look at what happens to the images inside forward().",
            **where(calls[0].place if calls else None),
        )


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


def trained_and_judged(seen: Seen) -> tuple[list[Loader], list[Loader]]:
    """Loaders of training, and those only judged on."""
    training = [fact for fact in seen.loaders if fact.steps]
    return training, [fact for fact in seen.loaders if not fact.steps and fact.batches]


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


@contextmanager
def same_chance() -> Iterator[None]:
    """Inside this block random numbers may be drawn; afterwards all generators are as before."""
    numpy: Any = sys.modules.get("numpy")
    states = random.getstate(), torch.get_rng_state(), numpy.random.get_state() if numpy else None
    try:
        yield
    finally:
        random.setstate(states[0])
        torch.set_rng_state(states[1])
        if numpy:
            numpy.random.set_state(states[2])


def seeded(number: int) -> None:
    """All global generators from one number."""
    random.seed(number)
    torch.manual_seed(number)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(number)


def item(dataset: Any, index: int) -> Tensor | None:
    """The image of an item."""
    found = next((t for t in tensors(dataset[index]) if t.is_floating_point() or t.dim() > 1), None)
    return None if found is None else found.detach().clone()


def validation_augmented(seen: Seen) -> Iterator[Finding]:
    """The same image of the evaluation is another one each time."""
    _, judged = trained_and_judged(seen)
    for fact in judged:
        if isinstance(fact.loader.dataset, torch.utils.data.IterableDataset) or not fact.judged:
            continue
        with same_chance():
            pairs = []
            for index in range(min(4, len(fact.loader.dataset))):
                seeded(index)
                first = item(fact.loader.dataset, index)
                seeded(index + 1000)
                pairs.append((first, item(fact.loader.dataset, index)))
        changed = [
            float((a - b).abs().max()) for a, b in pairs if a is not None and b is not None and a.shape == b.shape
        ]
        if any(change > 0 for change in changed):
            yield finding(
                "validation-augmented",
                f"`{name_at(fact.place, 'the evaluation loader')}` gives images augmented at random",
                f"Fetched twice, {sum(c > 0 for c in changed)} of {len(changed)} differ, by up to {max(changed):.3g}.",
                f"Give its dataset a transform without random parts{line(dataset_place(fact))}.",
                **where(dataset_place(fact)),
            )
            return
    drawn = [c for c in seen.judging_calls() if c.drawn and c.batch and not c.batch.loader.steps]
    if len(drawn) >= 2:
        yield finding(
            "validation-augmented",
            "Random numbers are drawn for the images of the evaluation",
            f"Before {len(drawn)} of the judged batches, between the loader and the net.",
            f"Leave the augmentation out of the evaluation{line(drawn[0].place)}.",
            **where(drawn[0].place),
        )


def augmentation_repeats(seen: Seen) -> Iterator[Finding]:
    """Fetching an item sets the random seed."""
    training, _ = trained_and_judged(seen)
    for fact in training:
        if isinstance(fact.loader.dataset, torch.utils.data.IterableDataset):
            continue
        with same_chance():
            states = []
            for seed in (1, 2):
                seeded(seed)
                before = chance()
                item(fact.loader.dataset, 0)
                states.append((before, chance()))
        reset = [i for i in range(len(states[0][1])) if states[0][1][i] == states[1][1][i] != states[0][0][i]]
        if reset:
            source = ("random", "torch", "numpy")[reset[0]]
            place = seed_line(seen)
            yield finding(
                "augmentation-repeats",
                "Fetching an image sets the random seed",
                f"After an item was fetched, {source}'s generator is in the same state whatever it was before, so each "
                "image gets the same augmentation in every epoch.",
                f"Delete that line{line(place)}; seed once, at the start of the program.",
                **where(place or fact.place),
            )
            return


def chance() -> tuple[Any, ...]:
    """The states of random, torch and numpy."""
    numpy: Any = sys.modules.get("numpy")
    state = numpy.random.get_state() if numpy else None
    drawn = (state[1].tobytes(), state[2]) if state is not None else None
    return random.getstate(), torch.get_rng_state().numpy().tobytes(), drawn


def seed_line(seen: Seen) -> Place | None:
    """The line inside __getitem__ that sets a seed."""
    for file, tree in trees(seen):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name == "__getitem__":
                for call in ast.walk(node):
                    if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(("seed", "manual_seed")):
                        return Place(file, call.lineno)
    return None


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


RULES = (
    not_finite_input, input_ignored, normalisation, normalisation_differs, labels_changed, shuffled_apart,
    validation_in_training, validation_augmented, augmentation_repeats, classes, shuffle_off,
)  # fmt: skip
