"""Rules about labels and classes."""

import ast
import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from tenfold.checks.rules import finding
from tenfold.checks.script.loaders import label_digests
from tenfold.checks.script.modes import where
from tenfold.checks.script.ordering import filtered_apart, repeated_apart, shuffled_apart
from tenfold.checks.script.parting import split_place
from tenfold.checks.script.samples import labels_of_call
from tenfold.checks.script.seen import Call, Loader, Place, Seen, length, whole
from tenfold.checks.script.source import assignment, called, line, shown_code, trees
from tenfold.checks.script.splits import dataset_place, label_columns, labels_of, trained_and_judged
from tenfold.checks.script.storing import changing_line
from tenfold.checks.script.tags import LABELLED
from tenfold.checks.script.weights import WEIGHTS
from tenfold.errors import Finding


def one_buffer(seen: Seen) -> Iterator[Finding]:
    """Batches of training that hold the same images, each with other labels: one memory, filled again and again."""
    first: dict[int, tuple[Call, tuple[int, ...]]] = {}
    for loss in seen.training_losses():
        if loss.call is not None and loss.labels and loss.call.hashes and not loss.call.same:
            first.setdefault(id(loss.call), (loss.call, loss.labels))
    groups: dict[tuple[float, ...], list[tuple[Call, tuple[int, ...]]]] = {}
    for call, labels in first.values():
        groups.setdefault(call.hashes, []).append((call, labels))
    same = max(groups.values(), key=len, default=[])
    several = len({labels for _, labels in same})
    if len(same) < max(4, 0.8 * len(first)) or several < max(2, len(same) / 4):
        return
    place = next(wrapped_buffers(seen), same[0][0].place)
    yield finding(
        "wrong-labels",
        "The same images come again and again, with other labels each time",
        f"{len(same)} of {len(first)} training batches hold equal images, in equal order, and {several} different "
        "rows of labels.",
        "Keep a copy of each batch (`.copy()`, `.clone()`): a buffer that is filled again, and what from_numpy makes "
        f"of it, are one memory{line(place)}.",
        severity="error",
        **where(place),
    )


def wrapped_buffers(seen: Seen) -> Iterator[Place]:
    """Where a tensor is made of an array that was made empty, without a copy."""
    for file, parsed in trees(seen):
        for node in ast.walk(parsed):
            if isinstance(node, ast.Call) and called(node) in ("from_numpy", "as_tensor") and node.args:
                made = assignment(file, ast.unparse(node.args[0]))
                if made is not None and re.search(r"\b(empty|zeros)(_like)?\(", made.code):
                    yield Place(file, node.lineno)


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
        now = label_digests(fact.loader.dataset) if fact.stored_labels else {}
        if any(now.get(name) != digest for name, digest in fact.stored_labels.items()):
            place = changing_line(whole(fact.loader.dataset), (ast.operator,)) or fact.place
            yield finding(
                "labels-changed",
                "The labels that the dataset holds have changed",
                "They are not what they were when the loader was first gone through.",
                "Change a copy in __getitem__ or in the loop, never what the dataset keeps: `label = label + 1`, say, "
                f"in place of `label += 1`{line(place)}.",
                **where(place),
            )
            return


def one_memory(seen: Seen) -> Iterator[Finding]:
    """Two kinds of labels are one and the same memory: what changed the one changed the other."""
    for fact in seen.loaders:
        columns = [one for one in label_columns(fact.loader.dataset) if one.numel() > 1]
        if len({one.data_ptr() for one in columns}) < len(columns):
            changed = written_over(seen)
            place = changed or fact.place
            yield finding(
                "wrong-labels",
                "Two kinds of labels are the same numbers in memory",
                f"Of the {len(columns)} label tensors of {shown_code(fact.place)} two begin at one address: what was "
                "done to one of them was done to the other.",
                f"Make a copy before changing it: `.copy()` (numpy) or `.clone()`{line(place)}.",
                severity="error" if changed else "note",
                **where(place),
            )
            return


def written_over(seen: Seen) -> Place | None:
    """Where labels are passed on without a copy: `copy=False`, or else changed in place."""
    for pattern in (r"copy=False|asarray\(|ravel\(|\[:\]$", r" (//|\+|-|%|\*)= "):
        for file, tree in trees(seen):
            for node in ast.walk(tree):
                if isinstance(node, ast.Assign | ast.AugAssign):
                    code = ast.unparse(node)
                    if re.search(pattern, code) and LABELLED.search(code):
                        return Place(file, node.lineno)
    return None


def classes(seen: Seen) -> Iterator[Finding]:
    """Classes that a split lacks, numbers them otherwise, or has few of."""
    training, judged = ([one for one in some if last_task(seen, one)] for some in trained_and_judged(seen))
    training = [one for one in training if teaches(seen, one)]
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
    learned = [loss for loss in seen.losses if loss.grad and len(loss.target_shape) == 1]  # of several heads too
    learned = [loss for loss in learned if loss.call is None or asked(seen, loss.call)]
    known = set(labels) or {label for loss in learned for label in loss.labels}
    others = {label for other in judged for label in labels_of(other.loader.dataset)} or compared_with(seen)
    if other_task(seen, known, others):
        return
    images = len(labels) or sum(len(loss.labels) for loss in seen.training_losses())
    counts = Counter(labels) or met(seen, training)
    if counts and (unasked := not_judged(seen, counts, judged, training)):
        fact, lacking, size = unasked
        yield finding(
            "class-missing",
            f"The evaluation holds {len(known) - len(lacking)} of {len(known)} classes",
            f"Its {size:,} images lack {', '.join(map(str, lacking[:8]))}, of which training has "
            f"{sum(counts[label] for label in lacking):,} of {counts.total():,} images.",
            f"Shuffle before splitting, or give each class its share of the evaluation{line(dataset_place(fact))}.",
            **where(dataset_place(fact)),
        )
        return
    missing = sorted(others - known)
    if known and missing and images >= 20 * len(others | known):
        yield finding(
            "class-missing",
            f"Class{'es' if len(missing) > 1 else ''} {', '.join(map(str, missing[:5]))} "
            f"{'are' if len(missing) > 1 else 'is'} judged but never trained on",
            f"{images:,} training images hold the classes {', '.join(map(str, sorted(known)[:12]))}.",
            "Shuffle before splitting: `order = torch.randperm(len(x)); x, y = x[order], y[order]`.",
            **where(training[0].place if training else split_place(seen)),
        )


def compared_with(seen: Seen) -> set[int]:
    """The classes that outputs of the last task were compared with; where that is not known, of any task."""
    told = [c.labels for c in seen.judging_calls() if c.labels is not None and asked(seen, c)]
    return {label for labels in told for label in labels.tolist()} or seen.judged_labels


def other_task(seen: Seen, known: set[int], others: set[int]) -> bool:
    """Whether classes are judged that are all new, and that the net has no outputs for: its features are compared."""
    losses = [loss for loss in seen.training_losses() if len(loss.shape) == 2 and len(loss.target_shape) == 1]
    outputs = max((loss.shape[1] for loss in losses), default=0)
    return bool(known and others) and not known & others and max(others) >= outputs


def one_class(seen: Seen) -> Iterator[Finding]:
    """Every label that was trained on is the same."""
    losses = [loss for loss in seen.training_losses() if loss.whole and math.prod(loss.target_shape[1:]) == 1]
    losses = [loss for loss in losses if not loss.filled]
    values = {value for loss in losses for value in (loss.target_low, loss.target_high)}
    images = sum(loss.target_shape[0] for loss in losses if loss.target_shape)
    if len(values) != 1 or len(losses) < 5 or images < 100:
        return
    yield finding(
        "class-missing",
        f"Every training label is {values.pop():g}",
        f"{images:,} labels in {len(losses)} batches are the same: there is nothing to tell apart.",
        "Print the labels where they are made: a name that matches nothing, or a default, makes one class of all. "
        f"If the images come class by class, shuffle them{line(losses[0].place)}.",
        severity="error",
        **where(losses[0].place),
    )


def last_task(seen: Seen, fact: Loader) -> bool:
    """Whether a loader's images met as many outputs as the program judges at its end: it may have learned two tasks."""
    own = [call for call in seen.calls if call.batch and call.batch.loader is fact]
    return not own or any(asked(seen, call) for call in own)


def asked(seen: Seen, call: Call) -> bool:
    """Whether a call gave as many outputs as the program judges at its end."""
    last = next((one for one in reversed(seen.calls) if one.judged and not one.trained), None)
    return last is None or last.output[1:] == call.output[1:]


def teaches(seen: Seen, fact: Loader) -> bool:
    """Whether class numbers, or shares of classes, are learned from a loader's images; so if nothing is known."""
    losses = [(loss, loss.call.batch) for loss in seen.training_losses() if loss.call is not None]
    own = [loss for loss, batch in losses if batch is not None and batch.loader is fact]
    return not own or any(loss.labels or all(abs(end - 1) < 1e-3 for end in loss.target_rows) for loss in own)


def met(seen: Seen, loaders: list[Loader], once: bool = False) -> Counter[int]:
    """The classes of the images that came from some loaders, as far as they were told; `once`: each batch counted once,
    of loaders whose batches are the same in each pass.
    """
    calls = [call for call in seen.calls if call.batch and call.batch.loader in loaders]
    if once:
        calls = list({(id(c.batch.loader), c.batch.number): c for c in calls if c.batch}.values())
    found = [labels for call in calls if (labels := labels_of_call(call)) is not None]
    return Counter(label for labels in found for label in labels.tolist())


def not_judged(
    seen: Seen, counts: Counter[int], judged: list[Loader], training: Sequence[Loader] = ()
) -> tuple[Loader, list[int], int] | None:
    """The first loader whose images lack classes of which ten or more were to be expected, these, and its size.

    None of loaders for some classes each, as of tasks that are learned one after the other.
    """
    each, tasks = [held(seen, fact) for fact in judged], [set(labels_of(one.loader.dataset)) for one in training]
    for fact, there in zip(judged, each):
        if any(there and other and not there.keys() & other.keys() for other in each):
            continue
        if not there or any(task and task <= there.keys() for task in tasks):
            continue
        share = there.total() / counts.total()
        lacking = sorted(label for label, count in counts.items() if not there[label] and count * share >= 10)
        if lacking and fact.judged:
            return fact, lacking, there.total()
    return None


def held(seen: Seen, fact: Loader) -> Counter[int]:
    """How many images of each class a loader holds; nothing where its labels are not known, or not all were told."""
    there = Counter(labels_of(fact.loader.dataset))
    if not there and (size := length(fact.loader.dataset)):
        whole = met(seen, [fact], once=True)
        there = whole if whole.total() >= size else there
    return there


def swallowed(seen: Seen) -> Iterator[Finding]:
    """Names that a dictionary does not know become one class, of which training has far more than the evaluation."""
    training, judged = trained_and_judged(seen)
    counts = [Counter(label for one in kind for label in labels_of(one.loader.dataset)) for kind in (training, judged)]
    if not all(counts):
        return
    for place, default in defaults(seen):
        trained, asked = (count[default] / count.total() for count in counts)
        if trained > 1.4 * asked and trained > 1.4 / len(counts[0]):
            yield finding(
                "wrong-labels",
                f"Names that are not in the dictionary become class {default}",
                f"{trained:.0%} of the training labels are {default}, of the evaluation's {asked:.0%}; "
                f"{shown_code(place)} gives {default} to every name that it does not know.",
                f"Let an unknown name be an error: `[name]` in place of `.get(name, {default})`{line(place)}.",
                **where(place),
            )
            return


def defaults(seen: Seen) -> Iterator[tuple[Place, int]]:
    """Where a name's class is looked up with a class for unknown names: the line, and that class."""
    for file, tree in trees(seen):
        nodes = list(ast.walk(tree))
        numbered = {
            ast.unparse(target): set(numbers)
            for node in nodes
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
            for target in node.targets
            if (numbers := [v.value for v in node.value.values if isinstance(v, ast.Constant) and type(v.value) is int])
        }
        for node in nodes:
            if isinstance(node, ast.Call) and called(node) == "get" and isinstance(node.func, ast.Attribute):
                unknown = getattr(node.args[1], "value", None) if len(node.args) == 2 else None
                known = numbered.get(ast.unparse(node.func.value), set())
                if type(unknown) is int and len(known) > 1 and unknown in known:
                    yield Place(file, node.lineno), unknown


def mapping(dataset: Any) -> dict[str, int]:
    """A dataset's class names and their numbers."""
    dataset = whole(dataset)
    for value in getattr(dataset, "__dict__", {}).values():
        if isinstance(value, dict) and value and all(isinstance(k, str) and type(v) is int for k, v in value.items()):
            return value
    named = getattr(dataset, "classes", getattr(dataset, "class_names", ()))
    listed = isinstance(named, list | tuple) and all(isinstance(name, str) for name in named)
    return {name: index for index, name in enumerate(named)} if listed else {}


def numbered_apart(seen: Seen) -> Iterator[Finding]:
    """The classes of each part of the data are numbered by their own order, and not all parts write the same names."""
    outputs = max((loss.shape[1] for loss in seen.training_losses() if len(loss.shape) == 2), default=0)
    parts = [(place, names) for place, names in seen.numbered if 2 < len(names) <= outputs <= len(names) + 2]
    for (_, names), (place, others) in itertools.combinations(parts, 2):
        first = {name: number for number, name in enumerate(names)}
        shared = [name for name in others if name in first]
        moved = [name for name in shared if first[name] != others.index(name)]
        if moved and 2 * len(shared) >= len(others):
            alone = ", ".join(repr(name) for name in sorted(set(names) ^ set(others))[:4])
            yield finding(
                "wrong-labels",
                "The classes of each part are numbered by their own order",
                f"'{moved[0]}' is {first[moved[0]]} in one part and {others.index(moved[0])} in another; not in both: "
                f"{alone}.",
                f"Number all by one list of names, written alike: `classes.index(name.lower())`, say{line(place)}.",
                severity="error",
                **where(place),
            )
            return


LABELS = (
    one_buffer,
    labels_changed,
    one_memory,
    numbered_apart,
    shuffled_apart,
    repeated_apart,
    filtered_apart,
    swallowed,
)

CLASSES = (classes, one_class, *WEIGHTS)
