"""Rules about what a program keeps beside its images: groups that both parts of a split hold, classes not taught."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from tenfold.checks.rules import finding
from tenfold.checks.script.families import FEWEST, in_families
from tenfold.checks.script.kin import apart, kin_of, parted, read, recognised, scaled, ways_to_group
from tenfold.checks.script.labels import asked
from tenfold.checks.script.modes import where
from tenfold.checks.script.parting import split_place
from tenfold.checks.script.samples import told_surely
from tenfold.checks.script.seen import Rows, Seen
from tenfold.checks.script.source import line, shown_code
from tenfold.checks.script.splits import PICTURE
from tenfold.checks.script.tags import LABELLED
from tenfold.checks.script.told import MEANT, labels_broken, mixes, noise_meant
from tenfold.errors import Finding

FEWEST_TAUGHT = 100
"""So many images must be known to tell what is taught."""
LARGEST = 40
"""Rows of a group on average at most."""
MOST, MOST_CLASSES, LEAST_OF_ONE = 5000, 100, 8
"""Images that are compared, and values that may be classes, each of so many images on average at least."""
PART = re.compile(
    r"train(ing)?|valid(ation)?|val|test(ing)?|eval|held(_?out)?|(?<=_)(tr|va|te)\b|\b(tr|va|te)(?=_)"
    r"|(?<=\b[xyXY])(tr|va|te)\b",
    re.I,
)
"""What the names of a split's parts differ in."""
FUNCTION, MOSTLY = 0.985, 0.5
"""Of the images of a class so many must be taught the same; so many are, and more where classes are few, if a part of
their names tells it at all.
"""

OF_A_SET = re.compile(r"(?:xs?|ys?|imgs?|images?|labels?|targets?|classes)_(\w+)", re.I)
"""A set's images, or their classes: x_source, y_source."""
LONG_NUMBER = re.compile(r"\d{6,}")
"""A time, as names of files hold it."""
LEAP = 10.0
"""Between shots of two series the time is so many times as long as within one, at least."""
RECOGNISED = 0.25
"""This share of what is trained on, or of what is kept, is recognised at least."""
DRIFT = 0.08
"""So much less must labels agree at the end."""
WRONG = 0.05
"""So many labels must be others, and more where the program means to teach some wrong ones."""
DRAWN = re.compile(r"rand\w*\(.*\) *<")
"""A share that is drawn at random."""

Column = tuple[Hashable, ...]
Table = dict[Hashable, Counter[int]]


def groups_shared(seen: Seen) -> Iterator[Finding]:
    """Numbers or words beside the images tell which of them look alike, and such are judged on and trained on."""
    for name, images, column in merged(seen):
        several = [groups for groups in groupings(column) if in_families(Counter(groups.values()), FEWEST, LARGEST)]
        known = parted(seen, {str(at): image for at, image in enumerate(images)}) if several else None
        kin = kin_of(seen, known, several) if known else None
        if kin is None:
            continue
        yield from apart(
            f"Images of the same `{name}` are trained on and judged",
            f"{kin.shared:.0%} of the judged images share it with training images",
            f"Split by `{name}`, so that all images of one are in the same part",
            kin.nearest,
            split_place(seen),
        )
        return


def groupings(column: Column) -> Iterator[dict[str, str]]:
    """Ways to group rows: by their number; by their word, however it is written, and by each part of it."""
    if not isinstance(column[0], str):
        yield {str(at): str(value) for at, value in enumerate(column)}
        yield from bursts([int(str(value)) for value in column], [""] * len(column))
        return
    yield {str(at): str(value).strip().lower().lstrip("0") for at, value in enumerate(column)}
    yield from ways_to_group({str(at): str(value) for at, value in enumerate(column)})
    stamps = [LONG_NUMBER.findall(str(value)) for value in column]
    if all(len(found) == 1 for found in stamps):
        yield from bursts([int(found[0]) for found in stamps], [LONG_NUMBER.sub("", str(value)) for value in column])


def bursts(times: list[int], kinds: list[str]) -> Iterator[dict[str, str]]:
    """Rows grouped by times that lie far closer to each other than to the next of their kind, as those of a series."""
    if len(set(times)) < 0.9 * len(times):
        return
    order = sorted(range(len(times)), key=lambda row: (kinds[row], times[row]))
    pairs = list(pairwise(order))
    gaps = [times[b] - times[a] if kinds[a] == kinds[b] else math.inf for a, b in pairs]
    sizes = np.sort([gap for gap in gaps if 0 < gap < math.inf])
    inner = (sizes[1:] / sizes[:-1])[FEWEST:-FEWEST]  # so many gaps on either side at least
    if not len(inner) or inner.max() < LEAP:
        return
    within = sizes[int(inner.argmax()) + FEWEST]
    number, groups = 0, {str(order[0]): "0"}
    for (_, row), gap in zip(pairs, gaps):
        number += gap > within
        groups[str(row)] = str(number)
    yield groups


def merged(seen: Seen) -> Iterator[tuple[str, Tensor, Column]]:
    """Each column with its images, over all rows that have it, each image once: those of both parts of a split."""
    parts: dict[str, tuple[Tensor, Column]] = {}
    with_images = [(images, one) for one in seen.rows if (images := images_of(seen, one)) is not None]
    for own, one in sorted(with_images, key=lambda pair: -len(pair[0])):
        for name, column in {**one.columns, **within_classes(one.columns)}.items():
            key = PART.sub("", name).strip("_") or name
            if len(set(column)) < FEWEST:
                continue
            if key not in parts:
                parts[key] = own, column
                continue
            images, known = parts[key]
            new = [at for at, row in enumerate(recognised(own, scaled(images)).tolist()) if row < 0]
            if new and len(images) + len(new) <= MOST:
                parts[key] = torch.cat([images, own[new]]), known + tuple(column[at] for at in new)
    yield from ((name, images, column) for name, (images, column) in parts.items())


def within_classes(columns: dict[str, Column]) -> dict[str, Column]:
    """Each column of numbers, which may begin anew in each class, together with the classes beside it."""
    kinds = {name: column for name, column in columns.items() if len(set(column)) <= FEWEST}
    return {
        f"{name} of each {kind}": tuple(f"{a}/{b}" for a, b in zip(column, classes))
        for name, column in columns.items()
        for kind, classes in kinds.items()
        if name != kind and not isinstance(column[0], str) and len(set(column)) > 2
    }


def images_of(seen: Seen, one: Rows) -> Tensor | None:
    """The images of rows, or of the files that a column names; None where there are none."""
    if one.images is not None:
        return one.images
    files = next((column for column in one.columns.values() if PICTURE.search(str(column[0]))), None)
    return read_all(seen, files) if files else None


def read_all(seen: Seen, files: Column) -> Tensor | None:
    """The images of files, made small, read once; None where one cannot be read."""
    made: dict[Column, Tensor | None] = seen.made.setdefault("files", {})
    if files not in made:
        images = [image for file in files if (image := read(str(file))) is not None]
        made[files] = torch.stack(images) if len(images) == len(files) else None
    return made[files]


def taught_otherwise(seen: Seen) -> Iterator[Finding]:
    """Images are taught other classes than those that the program kept beside them before."""
    judging = only_judging(seen)
    rows = [] if mixes(seen) else [one for one in seen.rows if not (one.after and one.after.function in judging)]
    tables = [found for one in rows for found in tables_of(seen, one)]
    fits = [(name, set(column), images_in(table)) for _, name, column, table in tables if usual(table) >= FUNCTION]
    known: set[tuple[str, Column]] = set()
    for at, (one, name, column, table) in enumerate(tables):
        later = (name, column) in known  # the same may lie beside images in another order by then
        known.add((name, column))
        if later or usual(table) >= FUNCTION:
            continue
        total, moved = images_in(table), drift(seen, one, column)
        named = LABELLED.search(name) or any(
            other == name and values == set(column) and 2 * images >= total for other, values, images in fits
        )
        if moved > (DRIFT if named else 3 * DRIFT):
            yield finding(
                "labels-changed",
                "The labels of the same images change while the net is trained",
                f"{moved:.0%} more of them are taught another class than `{name}` had in the last quarter of the steps "
                "than in the first.",
                "Give the loss a new tensor: copy the labels before they are changed.",
                severity="error",
            )
            return
        if not named or any(labels_broken(seen)):  # turned images may look like those of another class
            continue
        later_fits = (other for other, _, _, after in tables[at + 1 :] if other is not one and usual(after) >= FUNCTION)
        place = getattr(next(later_fits, None), "after", None)
        meant = noise_meant(seen) or (place is not None and DRAWN.search(shown_code(place)))
        if 1 - usual(table) < (MEANT if meant else WRONG):
            continue
        yield finding(
            "wrong-labels",
            f"Images are taught other classes than `{name}` had for them",
            f"{1 - usual(table):.0%} of {total} training images: those of one value of `{name}` are taught several."
            + (f" After {shown_code(place)} they are." if place else ""),
            f"Put images and labels in order, filter and number them together{line(place)}.",
            **where(place),
        )
        return


def only_judging(seen: Seen) -> set[str]:
    """Functions that judge and never train: what lies beside images in one of these is not taught."""
    judging, training = (
        {place.function for call in calls for place in call.places}
        for calls in (seen.judging_calls(), seen.training_calls())
    )
    return judging - training


def drift(seen: Seen, one: Rows, column: Column) -> float:
    """How much less what is taught agrees with a column at the end of the training than at its beginning."""
    images = images_of(seen, one)
    if images is None:
        return 0.0
    quarter = len(lessons(seen, images)) // 4
    first, last = (taught(seen, images, column, part) for part in (slice(quarter), slice(-quarter, None)))
    return usual(first) - usual(last) if enough(first) and enough(last) else 0.0


def tables_of(seen: Seen, one: Rows) -> Iterator[tuple[Rows, str, Column, Table]]:
    """Of rows with images, for each column that may be classes, what the images of each value are taught."""
    images = images_of(seen, one)
    for name, column in one.columns.items() if images is not None else ():
        values = len(set(column))
        classes = 2 <= values <= min(MOST_CLASSES, len(column) // LEAST_OF_ONE)
        if images is not None and classes and of_one_part(name, one.of):
            table = taught(seen, images, column)
            if enough(table):
                yield one, name, column, table


def of_one_part(*names: str) -> bool:
    """Whether names do not say that they are of several parts of a split, as x_train and y_test do."""
    parts = {part[0].lower()[:2] for name in names if (part := PART.search(name))}
    sets = {found[1] for name in names if (found := OF_A_SET.fullmatch(name))}
    return len(parts) < 2 and len(sets) < 2


def enough(table: Table) -> bool:
    """Whether so many images are known that it tells something."""
    return images_in(table) >= FEWEST_TAUGHT and len({c for v in table.values() for c in v}) > 1


def named_otherwise(seen: Seen) -> Iterator[Finding]:
    """A part of the files' names tells the class of most, and others are taught another one."""
    files = {c: one for one in seen.rows for c in one.columns.values() if PICTURE.search(str(c[0]))}
    for column, one in files.items():
        images = read_all(seen, column)
        if images is None:
            continue
        for groups in groupings(column):
            parts = tuple(groups.values())
            table = taught(seen, images, parts) if 2 <= len(set(parts)) <= MOST_CLASSES else {}
            own = assigned(table) if enough(table) else {}
            total = images_in(table)
            right = sum(table[value][label] for value, label in own.items()) / max(1, total)
            if not own or not MOSTLY + 0.5 / len(own) <= right < FUNCTION:
                continue
            value = max(own, key=lambda v: table[v].total() - table[v][own[v]])
            other, times = max((n, c) for c, n in table[value].items() if c != own[value])[::-1]
            yield finding(
                "wrong-labels",
                "Images are taught other classes than their names tell",
                f"{1 - right:.0%} of {total} training images: such as `{value}`, taught as class {own[value]} "
                f"{table[value][own[value]]} times and as {other} {times} times.",
                "Look at how a name becomes a class: take the very part of it that names the class.",
                **where(one.after),
            )
            return


def assigned(table: Table) -> dict[Hashable, int]:
    """A class of its own for each value, as fits most images; none where there are not as many classes as values."""
    values, classes = list(table), sorted({c for counts in table.values() for c in counts})
    if len(values) != len(classes):
        return {}
    counts = np.array([[table[value][label] for label in classes] for value in values])
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return {values[row]: classes[column] for row, column in zip(rows, columns)}


def usual(table: Table) -> float:
    """The share of images that are taught what most of their value are."""
    total = images_in(table)
    return sum(max(counts.values()) for counts in table.values()) / total if total else 1.0


def images_in(table: Table) -> int:
    """How many images a table counts."""
    return sum(map(Counter.total, table.values()))


def taught(seen: Seen, images: Tensor, column: Column, part: slice = slice(None)) -> Table:
    """For each value of a column, how often its images were taught which class, in a part of the training."""
    table = defaultdict[Hashable, Counter[int]](Counter)
    for lesson in lessons(seen, images)[part]:
        for row, label in lesson:
            table[column[row]][label] += 1
    return table


def lessons(seen: Seen, images: Tensor) -> list[list[tuple[int, int]]]:
    """For each training call which of the images it got, by their rows, and as which class; looked for once.

    None where few of both are found: augmentation has made others of them, and these may only look like one another.
    """
    made = seen.made.setdefault("lessons", {})
    if id(images) not in made:
        known, found, looked_for = scaled(images), list[list[tuple[int, int]]](), 0
        for call in filter(partial(asked, seen), seen.training_calls()):  # not those of an earlier task
            told = told_surely(seen, call)
            fits = told is not None and len(told[0]) == len(told[1])
            pairs = zip(recognised(told[0], known).tolist(), told[1].tolist()) if told is not None and fits else ()
            found.append([(row, label) for row, label in pairs if row >= 0])
            looked_for += len(told[1]) if told is not None else 0
        rows = [row for lesson in found for row, _ in lesson]
        if len(rows) < RECOGNISED * looked_for and len(set(rows)) < RECOGNISED * len(images):
            found = []
        made[id(images)] = images, found  # the images are held, so that no others get their address
    return made[id(images)][1]  # type: ignore[no-any-return]


BESIDE = (groups_shared, taught_otherwise, named_otherwise)
