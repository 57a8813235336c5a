"""Rules about augmentation: of images that are judged, and augmentation that is always the same."""

import copy
import re
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from tenfold.checks.rules import finding
from tenfold.checks.script.augmenting import augmenting, functions
from tenfold.checks.script.chance import same_chance, seeded
from tenfold.checks.script.modes import where
from tenfold.checks.script.seen import Call, Place, Seen
from tenfold.checks.script.source import line, name_at, trees
from tenfold.checks.script.splits import dataset_place, trained_and_judged, transform_place
from tenfold.checks.script.tags import tensors
from tenfold.errors import Finding

FEW, BLANK = 4, 0.2
"""Items that are fetched twice, and the share of training images that may be blank."""


def validation_augmented(seen: Seen) -> Iterator[Finding]:
    """The same image of the evaluation is another one each time."""
    _, judged = trained_and_judged(seen)
    for fact in judged:
        if isinstance(fact.loader.dataset, IterableDataset) or not fact.judged:
            continue
        changed = differences(fact.loader.dataset)
        if any(change > 0 for change in changed):
            place = transform_place(fact) or dataset_place(fact)
            yield finding(
                "validation-augmented",
                f"`{name_at(fact.place, 'the evaluation loader')}` gives images augmented at random",
                f"Fetched twice, {sum(c > 0 for c in changed)} of {len(changed)} differ, by up to {max(changed):.3g}.",
                f"Give its dataset a transform without random parts{line(place)}.",
                **where(place),
            )
            return
        by = collated(fact.loader) if fact.loader.batch_sampler is not None else 0.0
        if not by:
            continue
        yield finding(
            "validation-augmented",
            f"`{name_at(fact.place, 'the evaluation loader')}` changes images at random when it makes a batch",
            f"Its collate_fn gave the same {min(FEW, len(fact.loader.dataset))} images twice, and they differ by up to "
            f"{by:.3g}.",
            f"Give that loader no collate_fn, or one without random parts{line(fact.place)}.",
            **where(fact.place),
        )
        return
    drawn = [c for c in seen.judging_calls() if c.drawn and c.batch and not c.batch.loader.steps]
    drawn = [call for call in drawn if asks_labels(seen, call)]
    drawn = drawn if len(drawn) >= 2 else augmented_calls(seen)
    if drawn:
        place = drawing(seen, drawn[0].number) or drawn[0].place
        yield finding(
            "validation-augmented",
            "Random numbers are drawn for the images of the evaluation",
            f"Before {len(drawn)} of the judged batches, right before the net.",
            f"Leave the augmentation out of the evaluation{line(place)}.",
            **where(place),
        )


def asks_labels(seen: Seen, call: Call) -> bool:
    """Whether a call is judged by labels that came with its images, not by what was drawn, or by the images."""
    parts = call.batch.parts if call.batch else ()
    parts = tuple(p for p in parts if p.shape[:1] == call.shape[:1] and p.numel() == call.shape[0])
    if call.labels is not None:
        return any(torch.equal(part.flatten().long(), call.labels) for part in parts)
    return bool(parts) and not any(loss.call is call for loss in seen.losses)


def augmented_calls(seen: Seen) -> list[Call]:
    """Calls without a loader whose images a function changed at random, and that are judged by names of validation."""
    local = {node.name for _, parsed in trees(seen) for node in functions(parsed) if augmenting(node)}
    drew = {
        event.calls
        for event in seen.events
        if event.kind == "draw" and not event.fetching and local & {place.function for place in event.places}
    }
    calls = [c for c in seen.judging_calls() if c.batch is None and c.number in drew]
    return [c for c in calls if any(re.search("val|test|eval|held", place.code) for place in c.places[:3])]


def drawing(seen: Seen, call: int) -> Place | None:
    """Where the loop's own lines, not those of a function that augments, drew before a call."""
    events = [e for e in seen.events if e.kind == "draw" and e.calls == call and not e.fetching]
    if not events:
        return None
    around_call = next((c.places for c in seen.calls if c.number == call), ())
    functions = {place.function for place in around_call}
    return next((place for place in events[0].places if place.function in functions), events[0].place)


def differences(dataset: Any) -> list[float]:
    """By how much items differ that are fetched twice, from two states of the random generators."""
    pairs = in_pairs(dataset, 1000)
    return [float((a - b).abs().max()) for a, b in pairs if a is not None and b is not None and a.shape == b.shape]


def in_pairs(dataset: Any, apart: int) -> list[tuple[Tensor | None, Tensor | None]]:
    """The images of the first items, each fetched from two states of the random generators; from one if apart is 0."""
    pairs = []
    with same_chance():
        for index in range(min(FEW, len(dataset))):
            seeded(index)
            first = item(dataset, index)
            seeded(index + apart)
            pairs.append((first, item(dataset, index)))
    return pairs


def collated(loader: Any) -> float:
    """By how much a batch of the first items differs from itself, made again from another state of the generators."""
    with same_chance():
        items = [loader.dataset[index] for index in range(min(FEW, len(loader.dataset)))]
        batches = []
        for seed in (0, 1000):
            seeded(seed)
            batches.append(image(loader.collate_fn(copy.deepcopy(items))))
    one, other = batches
    if one is None or other is None or one.shape != other.shape:
        return 0.0
    return float((one - other).abs().max())


def image(batch: Any) -> Tensor | None:
    """What is a picture, or several, among an item's or batch's parts."""
    found = next((t for t in tensors(batch) if t.is_floating_point() or t.dim() > 1), None)
    return None if found is None else found.detach().clone()


def item(dataset: Any, index: int) -> Tensor | None:
    """The image of an item."""
    return image(dataset[index])


def images_erased(seen: Seen) -> Iterator[Finding]:
    """Of many training images nothing is left, and of those that are judged hardly any is blank."""
    trained, judged = blank(seen.training_calls()), blank(seen.judging_calls())
    if trained is None or judged is None or trained < BLANK or judged > trained / 4:
        return
    changing = [Place(file, f.lineno) for file, parsed in trees(seen) for f in functions(parsed) if augmenting(f)]
    call = next(seen.training_calls())
    place = changing[0] if changing else call.place
    yield finding(
        "augmentation-breaks-labels",
        f"Nothing is left of {trained:.0%} of the training images",
        f"All their pixels are equal; of the images that are judged, {judged:.0%} are blank.",
        f"Look at what cuts, erases or scales training images{line(place)}: it should leave most of each.",
        **where(place),
    )


def blank(calls: Iterable[Call]) -> float | None:
    """The share of images of which all pixels are equal; None where too few are known."""
    known = [call.images.flatten(2) for call in calls if call.images is not None and call.images.dim() == 4]
    same = [(images.amax(2) == images.amin(2)).all(1) for images in known]
    return float(torch.cat(same).float().mean()) if sum(map(len, same)) >= 32 else None


AUGMENTATION = (images_erased, validation_augmented)
