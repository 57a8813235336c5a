"""Images that are judged on and trained on: shared indices, equal pixels, copies made before the split."""

import ast
import hashlib
import itertools
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, Subset

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.parting import JUDGED, TRAINED, copying, group_name, repeats, split_place
from tenfold.checks.script.resemblance import by_chance, resemblance, same_grain, variants
from tenfold.checks.script.seen import Call, Loader, Place, Seen, Span, length
from tenfold.checks.script.source import line, name_at, shown_code, statement
from tenfold.checks.script.splits import dataset_place, items, trained_and_judged
from tenfold.errors import Finding, Severity


def validation_in_training(seen: Seen) -> Iterator[Finding]:
    """Images are judged on that are trained on."""
    for look in (trained_on_validation, shared_items, shared_images, shared_calls, copies_cut):
        for found in look(seen):
            yield found
            return


def trained_on_validation(seen: Seen) -> Iterator[Finding]:
    """A loader that is named for validation gets optimiser steps."""
    training, _ = trained_and_judged(seen)
    for one in training if len(training) > 1 else ():
        name = name_at(one.place, "")
        if any(word in name.lower() for word in ("val", "test")) and not TRAINED.search(name):
            yield finding(
                "validation-in-training",
                f"The net is trained on `{name}`",
                f"{one.steps} optimiser steps were taken on its batches.",
                "Judge under `with torch.no_grad():`, without backward and step.",
                **where(one.place),
            )


def shared_items(seen: Seen) -> Iterator[Finding]:
    """Both loaders' datasets are parts of one, and share indices of it."""
    for one, others in learned_and_judged(seen):
        mine = set(items(one.loader.dataset))
        for other in others:
            theirs = items(other.loader.dataset)
            shared = sum(item in mine for item in theirs)
            if shared and theirs and shared < len(theirs) + (one.loader.dataset is not other.loader.dataset):
                told = f"{shared:,} of its {len(theirs):,} images are also trained on"
                yield overlap(seen, named(other), named(one), told, dataset_place(one))
                return


def shared_images(seen: Seen) -> Iterator[Finding]:
    """Images that both datasets hold are equal, pixel by pixel."""
    for one, others in learned_and_judged(seen):
        kept = held(one.loader.dataset)
        mine = set(kept)
        for other in others:
            if one.loader.dataset is other.loader.dataset or re.search("train", name_at(other.place, ""), re.I):
                continue
            theirs = held(other.loader.dataset)
            shared = sum(image in mine for image in theirs)
            if not theirs or shared < max(2, 0.02 * len(theirs)):
                continue
            source = copying(seen)
            few = not repeats(source) and shared < 1.5 * by_chance(len(mine) / len(kept)) * len(theirs)
            told = f"{shared:,} of its {len(theirs):,} images are, pixel by pixel, also trained on"
            yield overlap(seen, named(other), named(one), told, source or dataset_place(one), "note" if few else None)
            return


def learned_and_judged(seen: Seen) -> Iterator[tuple[Loader, list[Loader]]]:
    """Each loader of training, and those that a net was judged on after it had learned from that one."""
    training, judged = trained_and_judged(seen)
    known = {
        id(other): {id(c.batch.loader) for c in learned_before(seen, calls) if c.batch}
        for other in judged
        if (calls := [c for c in seen.calls if c.batch and c.batch.loader is other])
    }
    asked = [other for other in judged if other.judged] or judged  # not those that a bank of features is made of
    for one in training:
        yield one, [other for other in asked if id(one) in known.get(id(other), {id(one)})]


def learned_before(seen: Seen, calls: list[Call]) -> list[Call]:
    """The training calls of the nets that some calls judge, before these; of a net that never learned itself, as an
    average of weights does not, those of all nets.
    """
    last = {id(call.module): call.number for call in calls}
    trained = list(seen.training_calls())
    learners = {id(call.module) for call in trained}
    others = max((number for net, number in last.items() if net not in learners), default=-1)
    return [call for call in trained if call.number < max(last.get(id(call.module), -1), others)]


def held(dataset: Any) -> list[bytes]:
    """Digests of all images that a dataset keeps as they are; none where it keeps none, or too many."""
    if isinstance(dataset, Subset):
        inner = held(dataset.dataset)
        return [inner[i] for i in dataset.indices] if inner and max(dataset.indices, default=0) < len(inner) else []
    if isinstance(dataset, ConcatDataset):
        parts = [held(part) for part in dataset.datasets]
        return [image for part in parts for image in part] if all(parts) else []
    values = [*getattr(dataset, "tensors", ()), *getattr(dataset, "__dict__", {}).values()]
    for value in values:
        if isinstance(value, Tensor) and value.dim() > 2 and len(value) == length(dataset):
            value = value.detach().cpu().numpy()
        stacked = isinstance(value, np.ndarray) and value.ndim > 2 and len(value) == length(dataset)
        listed = isinstance(value, list | tuple) and len(value) == length(dataset) and value
        if stacked and value.nbytes < 400_000_000:
            return [hashed(image) for image in value]
        if listed and isinstance(value[0], Tensor | np.ndarray) and value[0].ndim > 1:
            return [hashed(np.asarray(image)) for image in value]
    return []


def hashed(image: Any) -> bytes:
    """Its digest."""
    return hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=12).digest()


def shared_calls(seen: Seen) -> Iterator[Finding]:
    """Images that the net was judged on are equal to images that it was trained on."""
    training, judged = trained_and_judged(seen)
    groups: dict[Any, list[Call]] = {}
    for call in seen.judging_calls():
        loader = call.batch.loader if call.batch else None
        if not call.same and (loader is None or loader in judged) and not judges_training(call):
            where_from = id(loader) if loader else call.places[:3]
            groups.setdefault((where_from, id(call.module)), []).append(call)  # of cross-validation, each net alone
    for calls in groups.values():
        hashes = [h for c in calls for h in c.hashes]
        known = {h for c in learned_before(seen, calls) if not c.same for h in c.hashes}
        shared = sum(h in known for h in hashes)
        batch = calls[0].batch
        if batch and any(one.loader.dataset is batch.loader.loader.dataset for one in training):
            continue
        if not hashes or shared <= 0.1 * len(hashes):
            continue
        source = copying(seen)
        drawn_alike = not repeats(source) and shared < 1.5 * expected(seen) * len(hashes)
        surely = source is not None or (batch is None and names_judged(calls[0]))
        few = drawn_alike or (not surely and (shared < 0.5 * len(hashes) or batch is None))
        told = f"{shared} of {len(hashes)} images seen are, pixel by pixel, also trained on"
        names = (
            (named(batch.loader), named(training[0]))
            if batch and training
            else ("The evaluation", "the training images")
        )
        place = source or (dataset_place(training[0]) if training else split_place(seen)) or calls[0].place
        yield overlap(seen, names[0], names[1], told, place, "note" if few else None)
        return


def copies_cut(seen: Seen) -> Iterator[Finding]:
    """Images of the evaluation are cut from the same pixels as training images, or are copies changed a little."""
    training, _ = trained_and_judged(seen)
    calls = [c for c in seen.judging_calls() if c.images is not None and not judges_training(c)]
    calls = [c for c in calls if not (c.batch and any(c.batch.loader is one for one in training))]
    calls = [c for c in calls if c.module is calls[0].module]  # of cross-validation, one net
    trained = [c for c in learned_before(seen, calls) if c.images is not None and c.images.dim() == 4]
    one, other = joined(trained), joined(calls)
    if one is None or other is None or one.shape[1:] != other.shape[1:] or len(other) < 40:
        return
    found, source = resemblance(one, other), copying(seen)
    if found.pixels > 0.3:
        told = f"{found.pixels:.0%} of the images judged hold a block of pixels that a training image holds too"
    elif repeats(source) and found.near > 0.4:
        told = f"{found.near:.0%} of the images judged are far nearer to one training image than to forty others"
    elif (grain := same_grain(one, other)) > 0.4:
        told = f"{grain:.0%} of the images judged have the noise and edges of one training image, moved or scaled"
    else:
        return
    place = source or split_place(seen) or calls[0].place
    alike = source is None or (not repeats(source) and expected(seen) > 0.1)  # drawings may be alike by chance
    severity: Severity | None = "note" if alike else None
    yield overlap(seen, "The evaluation", "the training images, in copies", told, place, severity)


def expected(seen: Seen) -> float:
    """The share of images that are alike by chance, where training images are so as well in the first pass."""
    training, _ = trained_and_judged(seen)
    calls = [c for c in seen.training_calls() if c.hashes]
    if training:
        calls = [c for c in calls if c.batch and c.batch.loader is training[0]]
    first = [h for c in calls[: len(training[0].loader) if training else 12] for h in c.hashes]
    kinds = variants(len(first), len(set(first)))
    return min(1.0, len({h for c in calls for h in c.hashes}) / kinds) if first else 0.0


def joined(calls: list[Call]) -> Tensor | None:
    """The images of calls that have one size."""
    images = [c.images for c in calls if c.images is not None]
    images = [i for i in images if i.shape[1:] == images[0].shape[1:]]
    return torch.cat(images)[:4000] if images else None


def judges_training(call: Call) -> bool:
    """Whether the accuracy on training images is meant to be taken: one of the lines around the call says so."""
    for place, span in itertools.zip_longest(call.places[:3], call.spans[:3]):
        code = re.sub(r"\.(train|eval)\(.*?\)|\w+\(", "", handed(place, span))  # evaluate(net, x_train) judges those
        if (TRAINED.search(code) or SHORT.search(code)) and not JUDGED.search(code):
            return True
    return False


SHORT = re.compile(r"(\b|_|[xyXY])tr\b")
"""Short for training: `x[tr]`, `ytr`."""


def handed(place: Place, span: Span | None) -> str:
    """What the call is given that runs at a place; where that is not known, or names nothing, the whole line."""
    found = statement(place)
    for node in ast.walk(found) if found is not None else ():
        if isinstance(node, ast.Call) and (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset) == span:
            given = ", ".join(map(ast.unparse, (*node.args, *(word.value for word in node.keywords))))
            if any(pattern.search(given) for pattern in (TRAINED, SHORT, JUDGED)):
                return given
    return ast.unparse(found) if found is not None and not hasattr(found, "body") else place.code


def names_judged(call: Call) -> bool:
    """Whether one of the lines around a call names its images as those of an evaluation."""
    return any(re.search(r"\b\w*(val|test|held|dev)\w*\b", place.code, re.I) for place in call.places[:3])


def named(fact: Loader) -> str:
    """A loader's name."""
    return f"`{name_at(fact.place, 'a loader')}`"


def overlap(
    seen: Seen, other: str, one: str, evidence: str, place: Place | None, severity: Severity | None = None
) -> Finding:
    """The finding."""
    source, groups = "", group_name(place)
    if place and place == copying(seen):
        source = f" {shown_code(place)} comes before the split."
    if groups:
        place = split_place(seen) or place
    return finding(
        "validation-in-training",
        f"{other} holds images of {one}",
        f"{evidence}.{source}",
        f"Split over `{groups}`, so that all images of one are in the same part{line(place)}."
        if groups
        else f"Split once, before anything is repeated, augmented or drawn, so that no image is in both{line(place)}.",
        severity=severity,
        **where(place),
    )


OVERLAP = (validation_in_training,)
