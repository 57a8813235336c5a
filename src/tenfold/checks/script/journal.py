"""What happens on the data's side, outside of nets: seeds, random orders, flips, changed shapes, each with its line.

Events are kept of torch's functions (by the observer) and of some of numpy's, random's and Pillow's, which are
wrapped while the program runs.
"""

import contextlib
import random
import weakref
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tenfold.checks.script.chance import chance
from tenfold.checks.script.observe import Observer
from tenfold.checks.script.seen import Event, Fetch, Loader, frames, here

WATCHED = {
    "view": "shape", "reshape": "shape", "flip": "flip", "fliplr": "flip", "flipud": "flip", "rot90": "flip",
    "roll": "flip", "rand": "draw", "randn": "draw", "randint": "draw", "rand_like": "draw",
    "randn_like": "draw", "bernoulli": "draw", "uniform_": "draw", "normal_": "draw", "normal": "draw",
}  # fmt: skip
"""torch's functions, and what they are to the rules."""
WRAPS: dict[str, Callable[..., Tensor]] = {
    "sub": torch.sub, "__sub__": torch.sub, "__rsub__": torch.rsub, "rsub": torch.rsub, "add": torch.add,
    "__add__": torch.add, "__radd__": torch.add, "mul": torch.mul, "__mul__": torch.mul, "__rmul__": torch.mul,
}  # fmt: skip
"""What leaves the range of bytes, if it is made of bytes."""
ADJUSTS = ("sub_", "div_", "mul_", "add_")
"""What scales numbers where they lie."""
MOST_FILES = 100_000
MOST_NAMES = 1000
EACH, ALL = 60, 6000
"""So many events of one line and kind are kept, and so many in all."""


def enter(observer: Observer, kind: str, name: str, args: Any, result: Any = None, seed: str | None = None) -> None:
    """Keep an event, unless there are many of its line."""
    seen = observer.seen
    places = frames()
    if not places or len(seen.events) >= ALL:
        return
    key = (kind, places[0])
    seen.event_counts[key] = seen.event_counts.get(key, 0) + 1
    if seen.event_counts[key] > EACH and kind != "seed":
        return
    given = args[0] if args else None
    seen.events.append(
        Event(
            kind,
            name,
            places,
            len(seen.calls),
            len(seen.steps),
            bool(observer.data),
            shape(given),
            shape(result),
            axes(name, args),
            seed,
        )
    )


def shape(value: Any) -> tuple[int, ...]:
    """Of a tensor or array; () for anything else."""
    return tuple(value.shape) if isinstance(value, Tensor | np.ndarray) else ()


def axes(name: str, args: Any) -> tuple[int, ...]:
    """The axes that a flip turns around."""
    if name in ("fliplr", "flipud"):
        return (1,) if name == "fliplr" else (0,)
    numbers: list[int] = []
    for value in args[1:]:
        numbers += [value] if isinstance(value, int) else list(value) if isinstance(value, list | tuple) else []
    return tuple(number for number in numbers if isinstance(number, int))


def noted(observer: Observer, name: str, args: Any, kwargs: Any, result: Any) -> None:
    """One of torch's functions outside of nets."""
    kind = WATCHED.get(name)
    if observer.data and name in ADJUSTS and observer.seen.stored is None and isinstance(args[0], Tensor):
        stored(observer, args[0])
    if name == "__getitem__" and not observer.data and isinstance(result, Tensor) and len(observer.taken) < 6:
        if 0 < result.dim() < 5 and len(result) > 3 and result.numel() < 2_000_000:
            observer.taken.append(result.detach().clone())
        return
    if name in WRAPS and observer.seen.wrapped is None and isinstance(result, Tensor) and result.dtype == torch.uint8:
        wraps(observer, name, args, result)
    if name == "affine_grid" and isinstance(args[0], Tensor):
        mirrored(observer, args[0])
    if kind == "shape" and not (args and isinstance(args[0], Tensor) and args[0].dim() > 2):
        return
    if kind:
        enter(observer, kind, name, with_axes(args, kwargs), result)


def mirrored(observer: Observer, turns: Tensor) -> None:
    """Affine maps [N, 2, 3] of which some mirror their image, left to right as it is taken."""
    if turns.dim() == 3 and bool((turns[:, 0, 0] * turns[:, 1, 1] < turns[:, 0, 1] * turns[:, 1, 0]).any()):
        enter(observer, "flip", "flip", (turns.new_empty(1, 1, 8, 8), 3))


def with_axes(args: Any, kwargs: Any) -> tuple[Any, ...]:
    """A call's arguments, and the axes that it was given by name: torch calls them dims, numpy axis."""
    return (*args, *(kwargs[key] for key in ("dims", "dim", "axis", "axes") if kwargs.get(key) is not None))


def wraps(observer: Observer, name: str, args: Any, result: Tensor) -> None:
    """Bytes of images that a sum, difference or product leaves below 0 or above 255: they begin at the other end."""
    if len(args) == 2 and 2 < result.dim() < 5 and result.numel() < 20_000_000:
        wide = [part.int() if isinstance(part, Tensor) else part for part in args]
        lost = float((WRAPS[name](*wide) != result).float().mean())
        if lost > 0.01:
            observer.seen.wrapped = here(), lost


def stored(observer: Observer, part: Tensor) -> None:
    """A part of what a dataset keeps from batch to batch is changed where it lies."""
    whole = part._base
    if whole is None or whole.numel() < 2 * part.numel() or not part.is_floating_point():
        return
    known, since = observer.bases.get(id(whole), (object, 0))
    if known() is not whole:
        observer.bases[id(whole)] = weakref.ref(whole), len(observer.seen.calls)
    elif since < len(observer.seen.calls):
        observer.seen.stored = here()


@contextlib.contextmanager
def listening(observer: Observer) -> Iterator[None]:
    """Inside this block numpy's, random's and Pillow's functions are seen."""
    with contextlib.ExitStack() as stack:
        for owner, name, kind in places():
            original = getattr(owner, name)
            made = klass(observer, original) if isinstance(original, type) else heard(observer, original, kind, name)
            setattr(owner, name, made)
            stack.callback(setattr, owner, name, original)
        yield


def places() -> list[tuple[Any, str, str]]:
    """Owner, name and kind of what is wrapped."""
    found: list[tuple[Any, str, str]] = [
        (np.random, "seed", "seed"), (np.random, "default_rng", "seed"), (np.random, "RandomState", "seed"),
        (random, "seed", "seed"), (random, "Random", "seed"), (torch, "manual_seed", "seed"),
        (torch, "Generator", "seed"), (np, "flip", "flip"), (np, "fliplr", "flip"), (np, "flipud", "flip"),
        (np, "rot90", "flip"), (np, "reshape", "shape"),
        (np, "unique", "names"),
    ]  # fmt: skip
    with contextlib.suppress(ImportError):
        from PIL import Image

        found.append((Image.Image, "transpose", "flip"))
        found.append((Image, "open", "file"))
    return found


def heard(observer: Observer, original: Callable[..., Any], kind: str, name: str) -> Callable[..., Any]:
    """A function whose calls are kept."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        if kind == "file":
            observer.quietly(lambda: opened(observer, args), None)
        elif kind == "names":
            observer.quietly(lambda: ordered(observer, result), None)
        elif not observer.paused:
            seed = repr((args, kwargs))[:80] if kind == "seed" and (args or kwargs) else None
            observer.quietly(lambda: enter(observer, kind, name, with_axes(args, kwargs), result, seed), None)
        return result

    wrapper.__name__, wrapper.__doc__ = name, original.__doc__
    return wrapper


def opened(observer: Observer, args: Any) -> None:
    """A file of an image is opened."""
    kept = observer.seen.opened
    if args and isinstance(args[0], str | PurePath) and len(kept) < MOST_FILES and not observer.data:
        kept.append(str(args[0]))


def ordered(observer: Observer, result: Any) -> None:
    """Names were put in order, and each given its place in it."""
    names = result[0] if isinstance(result, tuple) and len(result) > 1 else None
    if isinstance(names, np.ndarray) and 1 < len(names) <= MOST_NAMES and all(isinstance(name, str) for name in names):
        observer.seen.numbered.append((here(), tuple(map(str, names))))


def klass(observer: Observer, original: Any) -> Any:
    """A class of generators whose seeds are kept; what is an instance of the original is one of it too."""

    class Kind(type(original)):  # type: ignore[misc]
        def __instancecheck__(cls, value: Any) -> bool:
            return isinstance(value, original) if cls is Seeded else super().__instancecheck__(value)

    def keep(name: str, args: Any) -> None:
        if args and args[0] is not None and not observer.paused:
            observer.quietly(lambda: enter(observer, "seed", name, (), None, repr(args)[:80]), None)

    class Seeded(original, metaclass=Kind):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            if original is not torch.Generator:
                super().__init__(*args, **kwargs)
                keep(original.__name__, [*args, *kwargs.values()])

        def manual_seed(self, number: int) -> Any:
            keep("manual_seed", [number])
            return super().manual_seed(number)

    Seeded.__name__ = Seeded.__qualname__ = original.__name__
    Seeded.__module__ = original.__module__
    if original is not torch.Generator:
        del Seeded.manual_seed
    return Seeded


def fetching(observer: Observer, fact: Loader, iterator: Any) -> None:
    """From now on the iterator's fetches are kept: of which items, and whether anything was drawn for them."""
    fetcher = getattr(iterator, "_dataset_fetcher", None)
    if fetcher is None:
        return
    fetch = fetcher.fetch

    def fetched(index: Any) -> Any:
        if len(fact.fetches) >= 200:
            return fetch(index)
        before, events = chance(), len(observer.seen.events)
        data = fetch(index)
        after = chance()
        seeds = tuple(e for e in observer.seen.events[events:] if e.kind == "seed" and e.seed)
        items = tuple(index) if isinstance(index, list | tuple) else (index,)
        fact.fetches.append(Fetch(fact.passes, items, before != after, seeds))
        return data

    fetcher.fetch = fetched
