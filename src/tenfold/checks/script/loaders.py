"""Hung into DataLoaders: they load in this process, say which batch a tensor is of, and end when enough was seen.

The temporary folders that they may read outlive the program, until all is judged.
"""

import hashlib
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data._utils import worker
from torch.utils.data._utils.worker import WorkerInfo

from tenfold.checks.script.chance import chance, same_chance
from tenfold.checks.script.journal import fetching
from tenfold.checks.script.observe import Observer
from tenfold.checks.script.seen import Batch, Loader, here, length, whole
from tenfold.checks.script.tags import AFTER, FEW_IMAGES, LABELLED, Original, Tag, tensors

LATER = 12
"""So many steps are seen of an optimiser whose first one comes when enough was seen of another."""
LONGER = 10.0
"""Seconds for which a loader of few images goes on, so that over- and underfitting show."""
JUDGED_WHOLE = 6_000_000
"""So many numbers, as of 2,000 colour images of 32×32, are judged to the end, for what counts on all of them."""


def loader_made(observer: Observer, original: Original) -> Original:
    """A loader is made; it loads in this process, where its transforms can be seen."""

    def __init__(self: DataLoader[Any], *args: Any, **kwargs: Any) -> None:
        place = here()
        original(self, *args, **kwargs)
        if observer.elsewhere:
            return
        persistent = bool(self.num_workers and self.persistent_workers)
        fact = Loader(self, place, worker_init=self.worker_init_fn, workers=self.num_workers, persistent=persistent)
        observer.seen.loaders.append(fact)
        object.__setattr__(self, "num_workers", 0)
        object.__setattr__(self, "prefetch_factor", None)
        object.__setattr__(self, "persistent_workers", False)
        object.__setattr__(self, "pin_memory", False)
        object.__setattr__(self, "timeout", 0)

    return __init__


def removed(observer: Observer, original: Original) -> Original:
    """A temporary folder is kept until all is judged: rules fetch images once more."""

    def cleanup(self: Any) -> None:
        if observer.elsewhere:
            original(self)
        else:
            observer.leftovers.append(lambda: original(self))

    return cleanup


def iterated(observer: Observer, original: Original) -> Original:
    """A loader is gone through."""

    def __iter__(self: DataLoader[Any]) -> Any:
        fact = next((fact for fact in observer.seen.loaders if fact.loader is self), None)
        if fact is None or observer.elsewhere:
            return original(self)
        begun(observer, fact)
        with as_worker(fact):
            inner = original(self)
        batches = Batches(observer, fact, inner)
        fetching(observer, fact, inner)
        return batches

    return __iter__


def begun(observer: Observer, fact: Loader) -> None:
    """What the program does where a worker begins, which may be to open the dataset's file, is done here, once."""
    if not fact.workers or fact.worker_init is None or fact.passes:
        return
    observer.paused += 1
    try:
        with same_chance(), as_worker(fact):
            fact.worker_init(0)
    finally:
        observer.paused -= 1


@contextmanager
def as_worker(fact: Loader, number: int = 0, workers: int = 1) -> Iterator[None]:
    """Inside this block a dataset that asks is told that a worker loads, the only one, if the program wants workers."""
    known = worker._worker_info
    if fact.workers:
        seed = torch.initial_seed() + fact.passes + number
        worker._worker_info = WorkerInfo(id=number, num_workers=workers, seed=seed, dataset=fact.loader.dataset)
    try:
        yield
    finally:
        worker._worker_info = known


class Batches:
    """A loader's iterator that ends as if exhausted when enough was seen."""

    def __init__(self, observer: Observer, fact: Loader, inner: Any) -> None:
        self.observer, self.fact, self.inner = observer, fact, inner
        fact.passes += 1
        if fact.passes == 1:
            observer.quietly(lambda: setattr(fact, "stored_labels", label_digests(fact.loader.dataset)), None)
        elif fact.persistent:
            now = plain(fact.loader.dataset)
            fact.unheard |= {name for name, value in now.items() if fact.plain.get(name, value) != value}
        self.number, self.images, self.late = 0, 0, observer.enough is not None
        self.long = True
        """Whether a pass over it without training takes so long that it is cut short."""
        self.calls, self.backwards = len(observer.seen.calls), observer.seen.backwards

    def __iter__(self) -> "Batches":
        return self

    def __len__(self) -> int:
        return len(self.inner)

    def __next__(self) -> Any:
        observer = self.observer
        observer.tick()
        if self.over():
            if observer.seen.backwards == self.backwards:
                self.fact.given.add(self.images)
                self.fact.cut = True
            raise StopIteration
        observer.data += 1
        try:
            with as_worker(self.fact):
                batch = next(self.inner)
        finally:
            observer.data -= 1
        observer.quietly(lambda: self.note(batch), None)
        self.number += 1
        return batch

    def over(self) -> bool:
        """Whether enough batches were given."""
        seen = self.observer.seen
        trains = seen.backwards > self.backwards
        judges = not trains and len(seen.calls) - self.calls >= AFTER and self.number >= AFTER and self.long
        if self.observer.enough is None or self.number == 0:
            return judges
        if self.fact.steps or trains:
            if few_images(self.fact.loader) and time.monotonic() - self.observer.enough < LONGER:
                return False
            if seen.steps and seen.steps[-1].held.later and seen.steps[-1].held.steps < LATER:
                return False
            return not self.late or self.number >= 1
        return judges

    def note(self, batch: Any) -> None:
        """Where its tensors come from."""
        self.fact.batches += 1
        if self.fact.persistent:
            self.fact.plain = plain(self.fact.loader.dataset)
        fact = self.observer.seen.latest = Batch(self.fact, self.number, chance())
        parts = list(tensors(batch))
        self.images += next((len(part) for part in parts if part.dim()), 0)
        if not self.number:
            numbers = max((part.numel() for part in parts), default=0) * length(self.fact.loader)
            self.long = not 0 < numbers <= JUDGED_WHOLE
        if self.fact.batches <= 6:
            fact.parts = tuple(part.detach().clone() for part in parts)
        for part in parts:
            self.observer.tags[part] = Tag(fact, moved=all_moved(self.observer, self.fact))
        labels = [part for part in parts if not part.is_floating_point() and part.dim() == 1]
        if labels and len(self.fact.first_labels) < 40:
            self.fact.first_labels.append(labels[-1].tolist())


def plain(dataset: Any) -> dict[str, Any]:
    """The numbers and words that a dataset holds by name."""
    held = getattr(whole(dataset), "__dict__", {})
    return {name: value for name, value in held.items() if isinstance(value, int | float | str)}


def few_images(loader: Any) -> bool:
    """Whether so few images are trained on that they may be learned by heart soon."""
    return 0 < length(loader.dataset) <= FEW_IMAGES


def all_moved(observer: Observer, fact: Loader) -> bool:
    """Whether a loader's dataset holds tensors that were moved to the device before."""
    held = getattr(fact.loader.dataset, "tensors", ())
    return observer.moved_in_data or (bool(held) and all(observer.tag(tensor).moved for tensor in held))


def label_digests(dataset: Any) -> dict[str, bytes]:
    """A digest of each of the labels, in tensors and arrays, that a dataset holds, in whatever order they lie."""
    items = length(dataset)
    own = {name: as_array(value) for name, value in getattr(dataset, "__dict__", {}).items()}
    held = {f"tensors[{i}]": as_array(one) for i, one in enumerate(getattr(dataset, "tensors", ()))}
    held |= {name: array for name, array in own.items() if LABELLED.search(name) or tells_classes(array, items)}
    found = {name: np.sort(one, axis=None) for name, one in held.items() if whole_numbers(one)}
    shares = {name: array for name, array in (own | held).items() if one_hot(array, items)}
    found |= {name: np.sort(array, axis=None) for name, array in shares.items()}
    boxes = {name: array for name, array in own.items() if BOXES.search(name) and kind_of(array) in "iuf"}
    found |= {name: array for name, array in boxes.items() if array.ndim == 2 and len(array) == items}
    return {name: hashlib.sha256(array.tobytes()).digest() for name, array in found.items()}


def whole_numbers(array: Any) -> bool:
    """Whether an array holds one whole number an item: [n] or [n, 1]."""
    return kind_of(array) in "iu" and (array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1))


def tells_classes(array: Any, items: int) -> bool:
    """Whether an array holds whole numbers, one for each of the items, that come often, whatever its name."""
    return whole_numbers(array) and len(array) == items and 2 <= len(np.unique(array)) <= items / 5


def one_hot(array: Any, items: int) -> bool:
    """Whether an array [items, classes] of fractions holds one 1 in each row, and zeros."""
    if kind_of(array) != "f" or array.ndim != 2 or len(array) != items or not 2 <= array.shape[1] <= 1000:
        return False
    return bool(((array == 0) | (array == 1)).all() and (array.sum(1) == 1).all())


BOXES = re.compile("box|coord|landmark|keypoint", re.I)
"""Names of rows of numbers that say where something lies in an image."""


def as_array(value: Any) -> Any:
    """A tensor as an array; anything else as it is."""
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else value


def kind_of(array: Any) -> str:
    """numpy's letter for the kind of its numbers; "-" of anything else."""
    return str(getattr(getattr(array, "dtype", None), "kind", "-"))
