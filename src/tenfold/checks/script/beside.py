"""Rules about what a program keeps beside its images: groups that both parts of a split hold, classes not taught."""

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator

import torch
from torch import Tensor

from tenfold.checks.rules import finding
from tenfold.checks.script.families import FEWEST, classes_of, in_families
from tenfold.checks.script.kin import SAME, Parted, alike, found_in, groups_of, nearest, read, recognised, scaled
from tenfold.checks.script.modes import where
from tenfold.checks.script.parting import split_place
from tenfold.checks.script.samples import labels_of_call
from tenfold.checks.script.seen import Rows, Seen
from tenfold.checks.script.source import line, shown_code
from tenfold.checks.script.splits import PICTURE
from tenfold.checks.script.tags import LABELLED
from tenfold.errors import Finding

SOME = 20
"""So many images of each part must be known."""
MOST, MOST_CLASSES = 5000, 100
"""Images that are compared, and values that may be classes."""
PART = re.compile(
    r"train(ing)?|valid(ation)?|val|test(ing)?|eval|held(_?out)?|(?<=_)(tr|va|te)\b|\b(tr|va|te)(?=_)", re.I
)
"""What the names of a split's parts differ in."""
FUNCTION, MOSTLY = 0.985, 0.5
"""Of the images of a class so many must be taught the same; so many are where a part of a name tells it at all."""

Column = tuple[Hashable, ...]
Table = dict[Hashable, Counter[int]]


def groups_shared(seen: Seen) -> Iterator[Finding]:
    """Numbers or words beside the images tell which of them look alike, and such are judged on and trained on."""
    for name, images, column in merged(seen):
        several = [groups for groups in groupings(column) if in_families(Counter(groups.values()), FEWEST)]
        parted = parted_rows(seen, images) if several else None
        likeness = nearest(parted) if parted else []
        for groups in several if parted else ():
            shares = alike(parted, groups, likeness, classes_of(seen) or 2) if parted else None
            if shares is None:
                continue
            place, (shared, near) = split_place(seen), shares
            yield finding(
                "validation-in-training",
                f"Images of the same `{name}` are trained on and judged",
                f"{shared:.0%} of the judged images share it with training images; of {near:.0%} the training image "
                "that is most alike is one of these." + (f" {shown_code(place)} parts them." if place else ""),
                f"Split by `{name}`, so that all images of one are in the same part{line(place)}.",
                severity="warning",
                **where(place),
            )
            return


def groupings(column: Column) -> Iterator[dict[str, str]]:
    """Ways to group rows: by their number; by their word, however it is written, and by each part of it."""
    if not isinstance(column[0], str):
        yield {str(at): str(value) for at, value in enumerate(column)}
        return
    yield {str(at): str(value).strip().lower().lstrip("0") for at, value in enumerate(column)}
    ways: dict[str, dict[str, str]] = {}
    for at, value in enumerate(column):
        for way, group in groups_of(str(value)):
            ways.setdefault(way, {})[str(at)] = group
    yield from (groups for groups in ways.values() if len(groups) == len(column))


def merged(seen: Seen) -> Iterator[tuple[str, Tensor, Column]]:
    """Each column with its images, over all rows that have it, each image once: those of both parts of a split."""
    parts: dict[str, tuple[Tensor, Column]] = {}
    with_images = [(images, one) for one in seen.rows if (images := images_of(one)) is not None]
    for own, one in sorted(with_images, key=lambda pair: -len(pair[0])):
        for name, column in one.columns.items():
            key = PART.sub("", name).strip("_") or name
            if len(set(column)) < FEWEST:
                continue
            if key not in parts:
                parts[key] = own, column
                continue
            images, known = parts[key]
            new = [at for at, row in enumerate(matched(own, scaled(images)).tolist()) if row < 0]
            if new and len(images) + len(new) <= MOST:
                parts[key] = torch.cat([images, own[new]]), known + tuple(column[at] for at in new)
    yield from ((name, images, column) for name, (images, column) in parts.items())


def images_of(one: Rows) -> Tensor | None:
    """The images of rows, or of the files that a column names; None where there are none."""
    if one.images is None and not one.asked:
        one.asked = True
        files = next((c for c in one.columns.values() if all(PICTURE.search(str(value)) for value in c)), None)
        images = [read(str(file)) for file in files or ()]
        if images and all(image is not None for image in images):
            one.images = torch.stack([image for image in images if image is not None])
    return one.images


def matched(images: Tensor, known: Tensor) -> Tensor:
    """For each of small images which of the known ones it is; -1: none."""
    best, at = (scaled(images) @ known.T).max(1)
    return at.where(best > SAME, -1)


def parted_rows(seen: Seen, images: Tensor) -> Parted | None:
    """Which rows are trained on and which are judged; None where too few are known."""
    rows = {str(at): image for at, image in enumerate(images)}
    trained, judged = (found_in(calls, rows) for calls in (seen.training_calls(), seen.judging_calls()))
    judged -= trained
    trained = trained if len(trained) >= SOME else set(rows) - judged
    if min(len(trained), len(judged)) < SOME:
        return None
    return Parted([at for at in rows if at in trained], [at for at in rows if at in judged], rows)


def taught_otherwise(seen: Seen) -> Iterator[Finding]:
    """Images are taught other classes than those that the program kept beside them before."""
    tables = [(one, name, table) for one in seen.rows for name, table in tables_of(seen, one)]
    right = {name for _, name, table in tables if usual(table) >= FUNCTION}
    for at, (one, name, table) in enumerate(tables):
        if usual(table) >= FUNCTION or not (name in right or LABELLED.search(name)):
            continue
        later = (other for other, _, after in tables[at + 1 :] if other is not one and usual(after) >= FUNCTION)
        place, total = getattr(next(later, None), "after", None), sum(map(Counter.total, table.values()))
        yield finding(
            "wrong-labels",
            f"Images are taught other classes than `{name}` had for them",
            f"{1 - usual(table):.0%} of {total} training images: those of one value of `{name}` are taught several."
            + (f" After {shown_code(place)} they are." if place else ""),
            f"Put images and labels in order, filter and number them together{line(place)}.",
            **where(place),
        )
        return


def tables_of(seen: Seen, one: Rows) -> Iterator[tuple[str, Table]]:
    """Of rows with images, for each column that may be classes, what the images of each value are taught."""
    images = images_of(one)
    for name, column in one.columns.items() if images is not None else ():
        if images is not None and 2 <= len(set(column)) <= MOST_CLASSES:
            table = taught(seen, images, column)
            if enough(table):
                yield name, table


def enough(table: Table) -> bool:
    """Whether so many images are known that it tells something."""
    return sum(map(Counter.total, table.values())) >= 5 * SOME and len({c for v in table.values() for c in v}) > 1


def named_otherwise(seen: Seen) -> Iterator[Finding]:
    """A part of the files' names tells the class of most, and others are taught another one."""
    for one in seen.rows:
        images = images_of(one)
        for column in one.columns.values() if images is not None else ():
            if images is None or not isinstance(column[0], str) or len(set(column)) <= MOST_CLASSES:
                continue
            for groups in groupings(column):
                parts = tuple(groups.values())
                table = taught(seen, images, parts) if 2 <= len(set(parts)) <= MOST_CLASSES else {}
                if not enough(table) or not MOSTLY <= usual(table) < FUNCTION or not one_each(table):
                    continue
                value, label = min((k, c) for k, v in table.items() for c in v if c != v.most_common(1)[0][0])
                yield finding(
                    "wrong-labels",
                    "Images are taught other classes than their names tell",
                    f"{1 - usual(table):.0%} of {sum(map(Counter.total, table.values()))} training images: `{value}` "
                    f"is mostly class {table[value].most_common(1)[0][0]}, and {label} {table[value][label]} times.",
                    "Look at how a name becomes a class: take the very part of it that names the class.",
                    **where(one.after),
                )
                return


def one_each(table: Table) -> bool:
    """Whether each value has mostly a class of its own, and there are no other classes."""
    usual_ones = {counts.most_common(1)[0][0] for counts in table.values()}
    return len(usual_ones) == len(table) == len({c for counts in table.values() for c in counts})


def usual(table: Table) -> float:
    """The share of images that are taught what most of their value are."""
    total = sum(map(Counter.total, table.values()))
    return sum(max(counts.values()) for counts in table.values()) / total if total else 1.0


def taught(seen: Seen, images: Tensor, column: Column) -> Table:
    """For each value of a column, how often its images were taught which class."""
    known, table = scaled(images), defaultdict[Hashable, Counter[int]](Counter)
    for call in seen.training_calls():
        labels = labels_of_call(call)
        at = recognised(call, known)
        if labels is None or len(labels) != len(at):
            continue
        for row, label in zip(at.tolist(), labels.tolist()):
            if row >= 0:
                table[column[row]][label] += 1
    return table


BESIDE = (groups_shared, taught_otherwise, named_otherwise)
