"""The images and labels that a program trained and judged on, as its net got them."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import IterableDataset

from tenfold.checks.script.chance import same_chance
from tenfold.checks.script.copies import judges_training
from tenfold.checks.script.guess import MOST, Guesser, fit, small
from tenfold.checks.script.seen import Call, Loader, LossCall, Place, Seen
from tenfold.checks.script.tags import class_numbers, yes_or_no

MOSTLY = 0.7
"""Of a mixed label, the share that says what the image is."""
SECONDS = 3.0
"""How long more images may be fetched."""


@dataclass(frozen=True)
class Samples:
    """Images [N, C, H, W] of mean 0 and deviation 1, not large, and their class numbers [N]."""

    images: Tensor
    labels: Tensor
    place: Place | None

    @property
    def classes(self) -> int:
        """One more than the highest class."""
        return int(self.labels.max()) + 1


@dataclass(frozen=True)
class Study:
    """Both, and what can be told of their labels from their images."""

    training: Samples
    judging: Samples
    classes: int
    train_left_out: Tensor
    """For each image the class that is told from the others of its set."""
    judge_left_out: Tensor
    train_scores: Tensor
    """For each image and class how much the others of its set speak for it [N, C]."""
    judge_scores: Tensor
    trained: Guesser
    judged: Guesser

    @cached_property
    def right(self) -> float:
        """The share of judged images whose class the others of them tell."""
        return float((self.judge_left_out == self.judging.labels).float().mean())

    @cached_property
    def train_told(self) -> Tensor:
        """For each training image the class that the judged images tell."""
        return self.judged(self.training.images).argmax(1)

    @cached_property
    def judge_told(self) -> Tensor:
        """For each judged image the class that the training images tell."""
        return self.trained(self.judging.images).argmax(1)


def study(seen: Seen) -> Study | None:
    """Made once; None where there are too few images, or no classes."""
    if "study" not in seen.made:
        seen.made["study"] = made(seen)
    found: Study | None = seen.made["study"]
    return found


def made(seen: Seen) -> Study | None:
    """The study."""
    training, judging = gathered(seen, True), gathered(seen, False)
    if training is None or judging is None or training.images.shape[1:] != judging.images.shape[1:]:
        return None
    classes = max(training.classes, judging.classes)
    if not 2 <= classes <= 30 or int(min(training.labels.min(), judging.labels.min())) < 0:
        return None
    trained, left = fit(training.images, training.labels, classes)
    judged, out = fit(judging.images, judging.labels, classes)
    return Study(training, judging, classes, left.argmax(1), out.argmax(1), left, out, trained, judged)


def further(seen: Seen) -> Iterator[tuple[Loader, Samples]]:
    """Loaders that are judged beside the first, as test images are beside those of the validation, and their images."""
    known = study(seen)
    for loader in judged_loaders(seen)[1:] if known is not None else ():
        samples = gathered(seen, False, loader)
        if samples is not None and known is not None and samples.classes <= known.classes:
            yield loader, samples


def judged_loaders(seen: Seen) -> list[Loader]:
    """The loaders whose images are judged, in order."""
    return list({id(c.batch.loader): c.batch.loader for c in seen.judging_calls() if c.batch}.values())


def gathered(seen: Seen, trained: bool, only: Loader | None = None) -> Samples | None:
    """All images and labels of one kind of calls, of one loader or all; of several phases with other classes, those of
    the last.
    """
    judging = [c for c in seen.calls if not c.trained and (c.judged or not c.grad)]
    judging = [c for c in judging if not judges_training(c)] or judging
    calls = [c for c in seen.calls if c.trained] if trained else judging
    calls = [c for c in calls if c.output[1:] == judging[-1].output[1:]] if judging else []
    calls = [c for c in calls if only is None or (c.batch is not None and c.batch.loader is only)]
    parts = [part for call in calls if (part := told_surely(seen, call)) is not None]
    if not parts or parts[0][0].dim() not in (3, 4):
        return None
    shape = parts[0][0].shape[1:]
    parts = [(i, t) for i, t in parts if i.shape[1:] == shape and len(i) == len(t)]
    if not parts:
        return None
    images, labels = torch.cat([i for i, _ in parts]), torch.cat([t for _, t in parts])
    if not trained and len(images) < 500 and calls[0].batch and same_as_fetched(calls[0]):
        images, labels = with_more(images, labels, calls[0].batch.loader)
    images = images if images.dim() == 4 else images[:, None]
    once = different(images)  # an image seen in each epoch would tell its own label, even a wrong one
    images, labels = images[once], labels[once]
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(3))[:MOST]
    images, labels = images[order].float(), labels[order].long()
    if len(images) < 100 or not bool(torch.isfinite(images).all()) or min(images.shape[2:]) < 5:
        return None
    return Samples(small(images), labels, calls[0].place)


def plain_parts(call: Call) -> tuple[Tensor, ...]:
    """What its batch was before anything was done to it: as its loader gave it, or as it was first taken by index."""
    return call.batch.parts if call.batch else call.taken


def before_augmentation(seen: Seen) -> Samples | None:
    """Training images as they were before the program changed their batch, with their labels; None where not known."""
    parts: list[tuple[Tensor, Tensor]] = []
    for call in seen.training_calls():
        told = told_surely(seen, call)
        plain = next((p for p in plain_parts(call) if p.shape == call.shape and p.is_floating_point()), None)
        if told is not None and plain is not None and plain.dim() == 4 and len(told[1]) == len(plain):
            parts.append((plain, told[1]))
    if sum(len(plain) for plain, _ in parts) < 100:
        return None
    images, labels = torch.cat([i for i, _ in parts])[:MOST], torch.cat([t for _, t in parts])[:MOST]
    return Samples(small(images), labels.long(), None)


def different(images: Tensor) -> Tensor:
    """The indices of images of which none is equal to another."""
    rows = images.flatten(1).double()
    weights = torch.linspace(0.5, 1.5, rows.shape[1], dtype=torch.float64) ** 2
    first = {value: index for index, value in reversed(list(enumerate((rows @ weights).tolist())))}
    return torch.tensor(sorted(first.values()))


def labels_of_call(call: Call) -> Tensor | None:
    """The labels compared with its output, else those that came with its batch."""
    if call.labels is not None:
        return call.labels
    for part in call.batch.parts if call.batch else ():
        numbers = (part.dim() == 1 and not part.is_floating_point()) or yes_or_no(part)
        if numbers and call.shape and len(part) == call.shape[0]:
            return class_numbers(part)
    return None


def labels_taught(seen: Seen, call: Call) -> Tensor | None:
    """What the loss of its output said that its images are; where that is not known, as `labels_of_call`."""
    for loss in seen.losses:
        whole = loss.call is call and loss.whole and loss.target is not None and loss.target.shape == call.shape[:1]
        if whole and loss.target is not None:
            return class_numbers(loss.target)
    return labels_of_call(call)


def told_surely(seen: Seen, call: Call) -> tuple[Tensor, Tensor] | None:
    """The images of a call and their labels; of labels that classes share, those that one has most of."""
    labels = labels_taught(seen, call)
    losses = [loss for loss in seen.losses if loss.call is call]
    told = target_of(losses, losses[0].shape[-1]) if shared(losses) and len(losses[0].shape) == 2 else None
    if call.images is None or (labels is None and told is None):
        return None
    if told is None or len(told) != len(call.images):
        return (call.images, labels) if labels is not None else None
    kept = told.max(1).values >= MOSTLY
    return call.images[kept], told.argmax(1)[kept]


def shared(losses: list[LossCall]) -> bool:
    """Whether an output's losses give its images several labels: a loss for each, or shares of the classes."""
    return len(losses) > 1 or any(len(loss.target_shape) == 2 and not loss.whole for loss in losses)


def whole(part: Tensor) -> bool:
    """Whether a part of a batch is class numbers."""
    return not part.is_floating_point() and part.dim() == 1 and bool((part >= 0).all())


def target_of(losses: list[LossCall], classes: int) -> Tensor | None:
    """What one or two losses of one output say the labels are [N, C]."""
    parts = [soft(loss.target, classes) for loss in losses[:2]]
    if parts[0] is None:
        return None
    if len(parts) == 1:
        return parts[0]
    one, other = losses[:2]
    if parts[1] is None or abs(one.value - other.value) < 1e-3:
        return None
    went = next((loss.went for loss in losses if loss.went), 0.0)
    share = (went - other.value) / (one.value - other.value)
    return share * parts[0] + (1 - share) * parts[1] if -0.01 <= share <= 1.01 else None


def soft(target: Tensor | None, classes: int) -> Tensor | None:
    """A target as shares of the classes."""
    if target is None:
        return None
    if target.dim() == 2 and target.is_floating_point() and target.shape[1] == classes:
        return target.float()
    return F.one_hot(target, classes).float() if whole(target) and int(target.max()) < classes else None


def same_as_fetched(call: Call) -> bool:
    """Whether the net got the images as the loader gave them."""
    parts = call.batch.parts if call.batch else ()
    return any(call.images is not None and torch.equal(part, call.images) for part in parts)


def with_more(images: Tensor, labels: Tensor, fact: Loader) -> tuple[Tensor, Tensor]:
    """More of a loader's dataset, from places all over it, as long as the time allows."""
    dataset: Any = fact.loader.dataset
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
        return images, labels
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(4))[:MOST].tolist()
    until, found = time.monotonic() + SECONDS, []
    with same_chance():
        for index in order:
            got = dataset[index]
            if time.monotonic() > until or not isinstance(got, tuple | list) or len(got) != 2:
                break
            if not isinstance(got[0], Tensor) or got[0].shape != images.shape[1:]:
                break
            found.append((got[0], int(got[1])))
    if len(found) <= len(images):
        return images, labels
    return torch.stack([i for i, _ in found]).to(images.dtype), torch.tensor([t for _, t in found])
