"""Augmentation that is always the same: in every epoch, for every image, or in every worker."""

import ast
import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from tenfold.checks.rules import finding
from tenfold.checks.script.augmentation import item
from tenfold.checks.script.augmenting import augmented_places, augmenting, augments_around, functions
from tenfold.checks.script.chance import chance, same_chance, seeded
from tenfold.checks.script.loaders import as_worker
from tenfold.checks.script.modes import where
from tenfold.checks.script.seen import Event, Fetch, Loader, Place, Seen, length, whole
from tenfold.checks.script.source import around, line, shown_code, trees
from tenfold.checks.script.splits import trained_and_judged
from tenfold.errors import Finding

OF_AN_ITEM = re.compile(r"default_rng\(.|RandomState\(.|Random\(.|Generator\(|manual_seed\(.")
"""A generator that is made of a seed."""


def augmentation_repeats(seen: Seen) -> Iterator[Finding]:
    """Every epoch, or every worker, gets the same augmentation."""
    training, _ = trained_and_judged(seen)
    loaders = [fact for fact in training if not isinstance(fact.loader.dataset, IterableDataset)]
    for look in (seed_set, seed_of_item, kept_after_first, same_in_workers, unheard_by_workers):
        for fact in loaders:
            for found in look(seen, fact):
                yield found
                return
    for look_at_all in (seeded_each_epoch, augmented_once):
        for found in look_at_all(seen, loaders):
            yield found
            return


def repeats(what: str, evidence: str, remedy: str, place: Place | None) -> Finding:
    """The finding."""
    return finding("augmentation-repeats", what, evidence, remedy, **where(place))


def seed_set(seen: Seen, fact: Loader) -> Iterator[Finding]:
    """Fetching an item sets the seed of a global generator."""
    with same_chance():
        states = []
        for seed in (1, 2):
            seeded(seed)
            before = chance()
            item(fact.loader.dataset, 0)
            states.append((before, chance()))
    reset = [i for i in range(len(states[0][1])) if states[0][1][i] == states[1][1][i] != states[0][0][i]]
    if not reset:
        return
    source = ("random", "torch", "numpy")[reset[0]]
    seeds = [seed for fetch in fact.fetches for seed in fetch.seeds]
    place = seeds[0].place if seeds else None
    yield repeats(
        "Fetching an image sets the random seed",
        f"After an item was fetched, {source}'s generator is in the same state whatever it was before, so each "
        "image gets the same augmentation in every epoch.",
        f"Delete that line{line(place)}; seed once, at the start of the program.",
        place or fact.place,
    )


def seed_of_item(seen: Seen, fact: Loader) -> Iterator[Finding]:
    """Fetching an item makes a generator whose seed is the item's own, in every epoch."""
    if not holds_images(fact.loader.dataset):
        return  # images that are made, each from its seed, are no augmentation
    epochs = {fetch.number for fetch in fact.fetches}
    for place in dict.fromkeys(seed.place for fetch in fact.fetches for seed in fetch.seeds):
        known: dict[Any, set[str | None]] = {}
        for fetch in fact.fetches:
            for index, seed in zip(fetch.items, of_items(fetch, place)):
                known.setdefault(index, set()).add(seed.seed)
        same = {seed for seeds in known.values() for seed in seeds}
        twice = fetched_twice(fact.fetches, known)
        if not known or len(epochs) < 2 or not (len(same) == 1 or (twice and all(len(known[i]) == 1 for i in twice))):
            continue
        one = "whatever the item" if len(same) == 1 else "by the item's index alone"
        yield repeats(
            "Each image is augmented alike in every epoch",
            f"{shown_code(place)} makes a new generator for each item, seeded {one}, in all of {len(epochs)} epochs.",
            f"Keep one generator, made once, or add the epoch to the seed{line(place)}.",
            place,
        )
        return


def of_items(fetch: Fetch, place: Place) -> list[Event]:
    """The seeds of one line, one for each item; none where they are not so many."""
    found = [seed for seed in fetch.seeds if seed.place == place]
    return found if len(found) == len(fetch.items) else []


def fetched_twice(fetches: list[Fetch], known: dict[Any, Any]) -> list[Any]:
    """Items of which seeds are known from more than one epoch."""
    passes: dict[Any, set[int]] = {}
    for fetch in fetches:
        for index in fetch.items:
            passes.setdefault(index, set()).add(fetch.number)
    return [index for index, numbers in passes.items() if len(numbers) > 1 and index in known]


def holds_images(dataset: Any) -> bool:
    """Whether a dataset keeps its images or the names of their files, rather than making them."""
    dataset = whole(dataset)
    return keeps(dataset, max(4, length(dataset)))


def keeps(owner: Any, least: int, depth: int = 3) -> bool:
    """Whether an object, or one that it holds, keeps so many images or names of files."""
    for value in getattr(owner, "__dict__", {}).values():
        if isinstance(value, Tensor | np.ndarray):
            found = value.ndim > 2 and len(value) >= least and sum(side >= 8 for side in value.shape[1:]) > 1
        elif isinstance(value, list | tuple) and value:
            first = value[0][0] if isinstance(value[0], tuple | list) and value[0] else value[0]
            kept = hasattr(first, "getpixel") or (isinstance(first, Tensor | np.ndarray) and first.ndim > 1)
            found = len(value) >= least and (kept or isinstance(first, str | PurePath))
        else:
            found = depth > 0 and hasattr(value, "__getitem__") and keeps(value, least, depth - 1)
        if found:
            return True
    return False


def kept_after_first(seen: Seen, fact: Loader) -> Iterator[Finding]:
    """Items are augmented when they are first fetched, and then kept."""
    first = [fetch for fetch in fact.fetches if fetch.number == 1]
    known = [index for fetch in first if fetch.drawn for index in fetch.items if isinstance(index, int)]
    if len(known) < 4 or len(known) < 0.5 * sum(len(fetch.items) for fetch in first):
        return
    with same_chance():
        for number, index in enumerate(known[:6]):
            seeded(number)
            before = chance()
            item(fact.loader.dataset, index)
            if chance() != before:
                return
        before = chance()
        fact.loader.collate_fn([fact.loader.dataset[index] for index in known[:6]])
        if chance() != before:  # it is the batches that are augmented
            return
    place = keeping(seen)
    yield repeats(
        "Augmented images are kept: every later epoch gets the same",
        f"Fetched first, {len(known)} items drew random numbers; fetched again, they draw none.",
        f"Keep the plain images, and augment after they are taken from there{line(place)}.",
        place or fact.place,
    )


def keeping(seen: Seen) -> Place | None:
    """The line of a fetch that puts something into a store of the dataset's, or its decorator that does."""
    for file, parsed in trees(seen):
        for node in ast.walk(parsed):
            stores = node.targets if isinstance(node, ast.Assign) else []
            if any(isinstance(t, ast.Subscript) and ast.unparse(t).startswith("self.") for t in stores):
                inside = {n.name for n in around(node) if isinstance(n, ast.FunctionDef)}
                if isinstance(node, ast.Assign) and "__init__" not in inside:
                    return Place(file, node.lineno)
            if isinstance(node, ast.FunctionDef) and any("cache" in ast.unparse(d) for d in node.decorator_list):
                return Place(file, node.decorator_list[0].lineno)
    return None


def same_in_workers(seen: Seen, fact: Loader) -> Iterator[Finding]:
    """Each worker holds a copy of one generator, or is given the same seed."""
    if not fact.workers:
        return
    if fact.worker_init is not None:
        with same_chance():
            states = [worker_state(fact, worker) for worker in (0, 1)]
            before = chance()
            item(fact.loader.dataset, 0)
            used = [one != other for one, other in zip(chance(), before)]
        if any(used[i] and states[0][i] == states[1][i] for i in range(len(used))):
            yield repeats(
                "All workers draw the same random numbers",
                f"The function given as worker_init_fn leaves {fact.workers} workers in the same state.",
                f"Seed with the worker's own number: `np.random.seed(torch.initial_seed() % 2**32)`{line(fact.place)}.",
                fact.place,
            )
        return
    for name, value in generators(whole(fact.loader.dataset)):
        drawn = state_of(value)
        item(fact.loader.dataset, 0)
        if state_of(value) != drawn:
            place = made_in_class(seen, name) or fact.place
            yield repeats(
                "All workers draw the same random numbers",
                f"`self.{name}` is a generator that the dataset holds, and each of {fact.workers} workers gets a copy "
                "of it, anew in every epoch.",
                f"Draw from torch's or numpy's global generator, which differs in each worker{line(place)}.",
                place,
            )
            return


def generators(owner: Any, depth: int = 3) -> Iterator[tuple[str, Any]]:
    """The random generators that an object holds, with their names: its own, or those of its transforms."""
    for name, value in vars(owner).items() if hasattr(owner, "__dict__") else ():
        if state_of(value) is not None:
            yield name, value
        for part in value if isinstance(value, list | tuple) and len(value) < 50 else (value,):
            own = type(part).__module__.partition(".")[0] not in ("torch", "numpy", "builtins", "PIL")
            if depth and own and not isinstance(part, type):
                yield from generators(part, depth - 1)


def worker_state(fact: Loader, worker: int) -> tuple[Any, ...]:
    """The generators' states after a worker began, which torch gives a seed of its own."""
    seeded(worker + 5)
    with as_worker(fact, worker, fact.workers):
        fact.worker_init(worker)
    return chance()


def state_of(value: Any) -> str | None:
    """The state of a generator of numpy's or of random's; None for anything else."""
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    if isinstance(value, np.random.RandomState):
        return repr(value.get_state())
    if isinstance(value, torch.Generator):
        return repr(value.get_state().tolist())
    return repr(hash(value.getstate())) if hasattr(value, "getstate") and hasattr(value, "gauss") else None


def made_in_class(seen: Seen, name: str) -> Place | None:
    """Where `self.name` gets its value."""
    for file, parsed in trees(seen):
        for node in ast.walk(parsed):
            if isinstance(node, ast.Assign) and any(ast.unparse(t) == f"self.{name}" for t in node.targets):
                return Place(file, node.lineno)
    return None


def unheard_by_workers(seen: Seen, fact: Loader) -> Iterator[Finding]:
    """The dataset is told the epoch, and workers that live on keep the copy that they began with."""
    if not fact.unheard:
        return
    names = ", ".join(f"`{name}`" for name in sorted(fact.unheard))
    yield repeats(
        "The workers never hear what the dataset is told between epochs",
        f"The program changes {names} of the dataset after the first epoch; with persistent_workers=True its "
        f"{fact.workers} workers keep the copies that they were given before it.",
        f"Leave `persistent_workers=True` out: workers then begin anew in every epoch{line(fact.place)}.",
        fact.place,
    )


def seeded_each_epoch(seen: Seen, loaders: list[Loader]) -> Iterator[Finding]:
    """A seed is set to the same number again and again while training, and images are drawn from it."""
    groups: dict[Any, list[Event]] = {}
    for event in seen.events:
        if event.kind == "seed" and event.seed and not event.fetching and trains_next(seen, event):
            groups.setdefault((event.place, event.name, event.seed), []).append(event)
    for (place, name, seed), events in groups.items():
        times = sorted({event.steps for event in events})
        if len(times) < 2 or times[-1] == 0 or len(nets_after(seen, events)) > 1:
            continue
        whole = name in ("seed", "manual_seed") and "Generator" not in place.code
        if not (drawn_in_training(seen, loaders) if whole else augments_around(place) or per_step(place, times)):
            continue
        number = ", ".join(re.findall("[0-9]+", seed)) or seed
        yield repeats(
            "The random seed is set again in every epoch",
            f"{shown_code(place)} ran {len(times)} times while training, each time with {number}: every time the same "
            "random numbers follow.",
            f"Seed once, before the loop over epochs, or add the epoch to the seed{line(place)}.",
            place,
        )
        return


def nets_after(seen: Seen, events: list[Event]) -> set[int]:
    """The nets that are called next after these events: another one each time is another training, not an epoch."""
    return {id(seen.calls[event.calls].module) for event in events if event.calls < len(seen.calls)}


def per_step(place: Place, times: list[int]) -> bool:
    """Whether a generator is made again for each batch, and not for an order or a loader."""
    return len(times) > 5 and times[-1] - times[0] == len(times) - 1 and "DataLoader" not in place.code


def trains_next(seen: Seen, event: Event) -> bool:
    """Whether the net's next call after an event is one of training."""
    return event.calls < len(seen.calls) and seen.calls[event.calls].trained


def drawn_in_training(seen: Seen, loaders: list[Loader]) -> bool:
    """Whether random numbers other than orders were drawn for training images."""
    fetched = any(fetch.drawn for fact in loaders for fetch in fact.fetches)
    between = any(call.drawn for call in seen.training_calls())
    loop = any(e.kind == "draw" and e.steps and not e.fetching and trains_next(seen, e) for e in seen.events)
    return (
        fetched or between or loop or any(augmenting(node) for _, parsed in trees(seen) for node in functions(parsed))
    )


def augmented_once(seen: Seen, loaders: list[Loader]) -> Iterator[Finding]:
    """Images are augmented before training begins, each replaced by one changed copy."""
    if any(fetch.drawn for fact in loaders for fetch in fact.fetches) or any(c.drawn for c in seen.training_calls()):
        return
    if any(e.kind == "draw" and e.steps and trains_next(seen, e) for e in seen.events) or own_chance(seen):
        return
    for place in augmented_places(seen):
        yield repeats(
            "The images are augmented once, before training begins",
            f"{shown_code(place)} draws for each image, and no random number is drawn for images while "
            "training: every epoch sees the same.",
            f"Augment when an image is fetched, in __getitem__ or in the loop over batches{line(place)}.",
            place,
        )
        return


def own_chance(seen: Seen) -> bool:
    """Whether items are fetched with a generator made for each."""
    fetching = (n for _, parsed in trees(seen) for n in functions(parsed) if n.name == "__getitem__")
    return any(OF_AN_ITEM.search(ast.unparse(node)) for node in fetching)


REPEATING = (augmentation_repeats,)
