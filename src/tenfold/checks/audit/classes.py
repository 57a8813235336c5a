"""Classes over the parts of the data: missing ones, numbers that shift, very different sizes."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from tenfold.checks.rules import finding
from tenfold.datasets.collection import Collection, natural, quoted
from tenfold.datasets.dataset import Dataset
from tenfold.errors import Finding

Counts = Mapping[str, Mapping[str, int]]
"""Images of each class, for each part."""
IMBALANCE = 3.0
"""The largest class has so many times the images of the smallest: from there on worth a word."""
SHOWN = 5


def counts_of(dataset: Dataset, collection: Collection | None) -> dict[str, dict[str, int]]:
    """Images of each class in each part, by the listed files where there are some: those unreadable count too."""
    if collection is not None:
        found = Counter((entry.part, entry.label) for entry in collection.entries)
        parts = sorted({part for part, _ in found}, key=["train", "val", "test"].index)
        return {part: {label: n for (p, label), n in sorted(found.items()) if p == part} for part in parts}
    return {
        part: {name: n for name, n in zip(dataset.classes, dataset.counts(rows)) if n}
        for part, rows in dataset.parts.items()
    }


def class_findings(counts: Counts) -> Iterator[Finding]:
    """What is wrong with the classes, from the names of the files alone."""
    train = counts.get("train", {})
    for part in ("val", "test"):
        if part in counts and train:
            shifted = number_shift(train, counts[part], part)
            yield from [shifted] if shifted else differences(train, counts[part], part)
    yield from imbalance(train)


def number_shift(train: Mapping[str, int], other: Mapping[str, int], part: str) -> Finding | None:
    """Classes that are numbers, counted from another one in this part: 0..9 and 1..10."""
    if not all(name.isdecimal() for name in (*train, *other)):
        return None
    here, there = sorted(map(int, train)), sorted(map(int, other))
    shift = there[0] - here[0]
    if shift == 0 or [number + shift for number in here] != there:
        return None
    way = f"subtract {shift} from" if shift > 0 else f"add {-shift} to"
    return finding(
        "class-index-shift",
        f"The {part} part numbers its classes {there[0]} to {there[-1]}, the train part {here[0]} to {here[-1]}",
        f"{len(there)} numbers without a gap in both, shifted by {shift}.",
        f"If they mean the same classes, {way} every label of the {part} part.",
    )


def differences(train: Mapping[str, int], other: Mapping[str, int], part: str) -> Iterator[Finding]:
    """Classes that only one of both parts has, and what that does to numbers given by name."""
    strange, lacking = (sorted(a.keys() - b.keys(), key=natural) for a, b in ((other, train), (train, other)))
    if strange:
        alike = {name: same for name in strange for same in lacking if plain(name) == plain(same)}
        hint = "; ".join(f"'{name}' is probably '{same}'" for name, same in alike.items())
        yield finding(
            "class-missing",
            f"The {part} part has {listed(strange)}, which the train part does not have",
            f"{sum(other[name] for name in strange):,} images that no net can be right about. {hint}".strip(),
            f"Name the classes alike in every part, or move such images out of the {part} part.",
            severity="error",
        )
    if lacking:
        yield finding(
            "class-missing",
            f"The {part} part has no image of {listed(lacking)}",
            f"The train part has {sum(train[name] for name in lacking):,} of them.",
            f"Put images of {'this class' if len(lacking) == 1 else 'these classes'} into the {part} part.",
        )
    yield from renumbered(sorted(train, key=natural), sorted(other, key=natural), part)


def renumbered(train: Sequence[str], other: Sequence[str], part: str) -> Iterator[Finding]:
    """A class whose place in the sorted list differs: tools that number each part by itself shift it."""
    moved = [name for name in train if name in other and train.index(name) != other.index(name)]
    if moved:
        name = moved[0]
        yield finding(
            "class-index-shift",
            f"Numbered by itself, the {part} part calls '{name}' {other.index(name)} instead of {train.index(name)}",
            f"{len(moved)} of {len(train)} classes would move. tenfold numbers all parts by the train part's names; "
            "torchvision's ImageFolder numbers each folder by itself.",
            f"Give every part the same class folders, or check that class_to_idx is equal for train and {part}.",
            severity="warning",
        )


def imbalance(train: Mapping[str, int]) -> Iterator[Finding]:
    """The largest class of the train part against the smallest."""
    if len(train) < 2:
        return
    smallest, largest = min(train, key=lambda n: train[n]), max(train, key=lambda n: train[n])
    times = train[largest] / train[smallest]
    if times >= IMBALANCE:
        yield finding(
            "class-imbalance",
            f"'{largest}' has {times:.1f} times the training images of '{smallest}'",
            f"{train[largest]:,} against {train[smallest]:,}; always answering '{largest}' is right for "
            f"{train[largest] / sum(train.values()):.1%}.",
            "Look at each class's recall, not at accuracy alone; more images of the small classes help most.",
        )


def plain(name: str) -> str:
    """A name without what people vary by accident."""
    return "".join(letter for letter in name.casefold() if letter.isalnum()).removesuffix("s")


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more classes" if len(names) > SHOWN else ""
    return f"{'the class' if len(names) == 1 else 'the classes'} {quoted(names[:SHOWN])}{more}"
