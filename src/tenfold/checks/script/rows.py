"""What a program keeps side by side in rows: images, and beside them numbers, words and files, all of one length."""

import sys
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import is_dataclass
from inspect import CO_GENERATOR
from pathlib import PurePath
from types import CodeType, FrameType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tenfold.checks.script.observe import Observer
from tenfold.checks.script.seen import Place, Rows, own

FEWEST, MOST = 40, 5000
"""Rows that are looked at."""
LARGEST = 400_000_000
"""Bytes of images that are made small, at most."""
CHANNELS = (1, 2, 3, 4)
LOOKS, KEPT = 400, 100
"""How often a program's names are gone through at most, and how many sets of rows are kept."""
SIDE = 12
"""Pixels a side that images are kept with."""
OFTEN, LONG = 20, 200_000
"""How many calls of one function, and how many lines of it in all, are followed."""


def small(images: Tensor) -> Tensor:
    """[N, C, H, W] with three channels, the last one again where there are fewer, made small."""
    three = [min(channel, images.shape[1] - 1) for channel in range(3)]
    return F.adaptive_avg_pool2d(images[:, three], SIDE)


@contextmanager
def followed(observer: Observer) -> Iterator[None]:
    """Inside this block the program's own lines are followed: where one runs for the first time, or a function ends,
    what lies in rows then is looked at.
    """
    lines: dict[CodeType, set[int]] = {}
    calls: Counter[CodeType] = Counter()
    events: Counter[CodeType] = Counter()
    latest: tuple[CodeType, int] | None = None

    def passing(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal latest
        code, number = frame.f_code, frame.f_lineno
        done = lines.setdefault(code, set())
        ended = event == "return" and not code.co_flags & CO_GENERATOR  # which a yield is not
        if ended or (event == "line" and number not in done):
            done.add(number)
            if not observer.elsewhere:
                after = Place(latest[0].co_filename, latest[1], latest[0].co_name) if latest else None
                observer.quietly(lambda: look(observer, frame, after), None)
        latest = code, number
        events[code] += 1
        if events[code] > LONG:  # a loop over pixels, say
            frame.f_trace = None
            return None
        return passing

    def entering(frame: FrameType, _: str, __: Any) -> Any:
        code = frame.f_code
        calls[code] += 1
        return passing if calls[code] <= OFTEN and own(code.co_filename) else None

    before = sys.gettrace()
    sys.settrace(entering)
    try:
        yield
    finally:
        sys.settrace(before)


def look(observer: Observer, frame: FrameType, after: Place | None) -> None:
    """Go through the names that a function knows, and those of its module, for rows that are new."""
    seen = observer.seen
    if seen.looks >= LOOKS or len(seen.rows) >= KEPT:
        return
    seen.looks += 1
    found: dict[int, Rows] = {}
    fresh: set[int] = set()
    batches = {call.shape[0] for call in seen.calls[-3:] if call.shape}
    for name, value, own_name in known(frame):
        if not FEWEST <= size(value) <= MOST or (isinstance(value, Tensor) and observer.tag(value).calls):
            continue  # what a net says is no label
        if not own_name and size(value) in batches:  # the module's may be those of the batch before
            continue
        key = id(value.of if isinstance(value, Listed) else value), print_of(value)
        if key not in seen.looked:
            fresh.add(len(value))
            seen.looked[key] = columns_of(name, value), pictures(value)
        columns, images = seen.looked[key]
        rows = found.setdefault(len(value), Rows(after))
        rows.columns |= {part: column for part, column in columns.items() if part not in rows.columns}
        if rows.images is None and images is not None:
            rows.images, rows.of = images, name
    seen.rows += [found[count] for count in sorted(fresh) if found[count].columns]


class Listed(list[Any]):
    """What a dictionary holds, as a list that is known by the dictionary it is of."""

    def __init__(self, of: dict[Any, Any], values: Any) -> None:
        super().__init__(values)
        self.of = of


def known(frame: FrameType) -> Iterator[tuple[str, Any, bool]]:
    """Names and values of a function and its module, and what objects and dictionaries among them hold, and whether
    they are the function's own.
    """
    mine, module = frame.f_locals, frame.f_globals  # taken once: each look may make a new view of them
    for scope, own_name in [(mine, True)] + [(module, False)] * (mine is not module):
        for name, value in list(scope.items()):
            if not name.startswith("__"):
                yield name, value, own_name
                yield from ((part, held, own_name) for part, held in inner(name, value))


def inner(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What a dictionary, or an object of the user's or of torch's datasets, holds by name; of a dictionary of images
    their names, and the images.
    """
    if isinstance(value, dict) and FEWEST <= len(value) <= MOST and picture(next(iter(value.values()))):
        yield f"{name}'s keys", Listed(value, value.keys())
        yield name, Listed(value, value.values())
    elif isinstance(value, dict) and len(value) < 100:
        yield from ((name, part) for name, part in list(value.items()) if isinstance(name, str))
    elif not isinstance(value, type) and (is_dataclass(value) or isinstance(value, torch.utils.data.Dataset)):
        yield from list(vars(value).items()) if hasattr(value, "__dict__") else ()


def size(value: Any) -> int:
    """How many rows a list, array or tensor has; 0 of anything else."""
    if isinstance(value, np.ndarray | Tensor):
        return value.shape[0] if value.ndim else 0
    return len(value) if isinstance(value, list | tuple) else 0


def print_of(value: Any) -> int:
    """A number that another content most likely changes: of some of the numbers, or of which things a list holds."""
    if isinstance(value, list | tuple):
        return hash((len(value), *map(id, value[:: len(value) // 20])))
    flat = np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value).reshape(-1)
    return hash((len(flat), flat[:: len(flat) // 2000 + 1].tobytes()))


def columns_of(name: str, value: Any) -> dict[str, tuple[Hashable, ...]]:
    """The columns of whole numbers, words or files in a list or array; of records by the names of their fields."""
    if isinstance(value, np.ndarray | Tensor):
        kind = value.dtype.kind if isinstance(value, np.ndarray) else "f" if value.is_floating_point() else "i"
        return {name: tuple(value.tolist())} if value.ndim == 1 and kind in "iuU" else {}
    if not isinstance(value, list | tuple):
        return {}
    if plain(value[0]):
        return {name: tuple(map(simple, value))} if all(map(plain, value)) else {}
    records = [fields(one) for one in value]
    names = [part for part, one in records[0].items() if plain(one)]
    whole = [part for part in names if all(plain(one.get(part)) for one in records)]
    return {
        part if isinstance(part, str) else f"{name}[{part}]": tuple(simple(one[part]) for one in records)
        for part in whole
    }


def fields(record: Any) -> Mapping[Any, Any]:
    """What a record holds: by name, or by its place in a tuple."""
    if isinstance(record, Mapping):
        return record
    if isinstance(record, tuple | list):
        names = getattr(record, "_fields", range(len(record)))
        return dict(zip(names, record)) if len(record) < 20 else {}
    return vars(record) if is_dataclass(record) and hasattr(record, "__dict__") else {}


def plain(value: Any) -> bool:
    """Whether a value is a whole number, a word or a file."""
    return isinstance(value, int | str | np.integer | np.str_ | PurePath)


def simple(value: Any) -> Hashable:
    """It as Python's own."""
    return str(value) if isinstance(value, PurePath | str) else int(value)


def pictures(value: Any) -> Tensor | None:
    """The images in an array, a list of arrays, or records that hold one each, made small; None of anything else."""
    if isinstance(value, np.ndarray | Tensor):
        return shrunk(value) if value.ndim in (3, 4) else None
    if not isinstance(value, list | tuple) or plain(value[0]):
        return None
    parts = [one if picture(one) else next(filter(picture, fields(one).values()), None) for one in value]
    if any(part is None for part in parts):
        return None
    made = [shrunk(np.asarray(part)[None]) for part in parts]
    whole = [one for one in made if one is not None]
    return torch.cat(whole) if len(whole) == len(value) else None


def picture(value: Any) -> bool:
    """Whether a value is an image: an array [H, W], [H, W, C] or [C, H, W], or one of Pillow's that has been read."""
    if isinstance(value, np.ndarray | Tensor):
        return value.ndim in (2, 3) and min(sorted(value.shape)[-2:]) >= 8
    return type(value).__module__.startswith("PIL.") and getattr(value, "fp", None) is None


def shrunk(values: Any) -> Tensor | None:
    """[N, H, W], [N, H, W, C] or [N, C, H, W] as small images [N, 3, SIDE, SIDE]; None of others and of very many."""
    array = values.detach() if isinstance(values, Tensor) else np.asarray(values)
    numbers = array.dtype.is_complex if isinstance(array, Tensor) else array.dtype.kind not in "buif"
    if numbers or array.nbytes > LARGEST:
        return None
    array = array[:, None] if array.ndim == 3 else array
    if array.shape[1] not in CHANNELS:
        array = array.permute(0, 3, 1, 2) if isinstance(array, Tensor) else np.moveaxis(array, -1, 1)
    if array.shape[1] not in CHANNELS or min(array.shape[2:]) < 8:
        return None
    parts = (array[at : at + 256] for at in range(0, len(array), 256))
    stacks = (p.cpu().float() if isinstance(p, Tensor) else torch.from_numpy(np.array(p, np.float32)) for p in parts)
    return torch.cat([small(stack) for stack in stacks])
