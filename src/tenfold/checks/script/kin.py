"""Photographs of one thing on both sides of a split, known by a part of their names and by what they look like."""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tenfold.checks.rules import finding
from tenfold.checks.script.families import FAMILIES, FEWEST, NAME, PARTS, classes_of, in_families
from tenfold.checks.script.modes import where
from tenfold.checks.script.parting import split_place
from tenfold.checks.script.rows import SIDE, small
from tenfold.checks.script.seen import Call, Place, Seen
from tenfold.checks.script.source import line, shown_code, trees
from tenfold.checks.script.splits import PICTURE, items, trained_and_judged
from tenfold.errors import Finding

TOKEN = re.compile(r"[^\W\d_]*\d+|[^\W\d_]+")
"""A word with its number, a number, or a word."""
LEAST, MOST = 40, 3000
"""Files that are looked at."""
SHARED, NEAREST, BEYOND = 0.5, 0.15, 3.0
"""This share of the judged files have kin among the trained ones; of this share the nearest one is kin, and so many
times more often than by chance."""
SAME, COPY = 0.99, 0.9999
"""The correlation of an image with its file, and with a copy of it."""


@dataclass(frozen=True)
class Parted:
    """Files that are trained on and files that are judged, each with its image [N, 3, SIDE, SIDE] of 0..1."""

    trained: list[str]
    judged: list[str]
    images: dict[str, Tensor]


@dataclass(frozen=True)
class Kin:
    """Groups of images, by their names: what share of those judged has kin among the trained ones, and of what share of
    these the most alike of the trained ones is kin.
    """

    groups: dict[str, str]
    shared: float
    nearest: float


def kin_apart(seen: Seen) -> Iterator[Finding]:
    """Files that belong together, by their names alone; only where these tell nothing, by their looks too."""
    told = [found for rule in FAMILIES for found in rule(seen)]
    yield from told or kin_split(seen)


def kin_split(seen: Seen) -> Iterator[Finding]:
    """A part of the file names tells which photographs look alike, and such are judged on and trained on."""
    known = parts(seen)
    kin = kin_of(seen, known, groupings([*known.trained, *known.judged])) if known else None
    if known is None or kin is None:
        return
    learned = {kin.groups[file] for file in known.trained}
    example = next(kin.groups[file] for file in known.judged if kin.groups[file] in learned)
    yield from apart(
        "Photographs of the same thing are trained on and judged",
        f"{kin.shared:.0%} of the judged files share a part of their names with training files, as `{example}`",
        "Split by that part of the name, so that all its files are in the same part",
        kin.nearest,
        keyed(seen) or split_place(seen),
    )


def kin_of(seen: Seen, known: Parted, ways: Iterable[dict[str, str]]) -> Kin | None:
    """The first way to group images by which kin are on both sides and look alike."""
    classes, likeness = classes_of(seen) or 2, nearest(known)
    for groups in ways:
        if shares := alike(known, groups, likeness, classes):
            return Kin(groups, *shares)
    return None


def apart(what: str, evidence: str, remedy: str, near: float, place: Place | None) -> Iterator[Finding]:
    """The finding that a split parts kin."""
    yield finding(
        "validation-in-training",
        what,
        f"{evidence}; of {near:.0%} the training image that is most alike is one of these."
        + (f" {shown_code(place)} parts them." if place else ""),
        f"{remedy}{line(place)}.",
        severity="warning",
        **where(place),
    )


def parts(seen: Seen) -> Parted | None:
    """The files of both sides: those of the loaders' datasets, or those that images of judged calls were read from."""
    sides = trained_and_judged(seen)
    training, judging = (
        [item[0] for fact in side for item in items(fact.loader.dataset) if isinstance(item[0], str)] for side in sides
    )
    files = list(dict.fromkeys(name for name in [*training, *judging] or seen.opened if PICTURE.search(name)))
    if not LEAST <= len(files) <= MOST:
        return None
    images = {name: image for name in files if (image := read(name)) is not None}
    return parted(seen, images, set(training) & set(images), set(judging) & set(images))


def parted(
    seen: Seen,
    images: dict[str, Tensor],
    trained: AbstractSet[str] = frozenset(),
    judged: AbstractSet[str] = frozenset(),
) -> Parted | None:
    """Images by name, those trained on and those judged; where not told, by what the nets got. None of too few."""
    if not trained or not judged:
        trained, judged = (found_in(calls, images) for calls in of_one_net(seen))
        judged -= trained
        trained = trained if len(trained) >= LEAST // 2 else set(images) - judged
    judged -= trained
    if min(len(trained), len(judged)) < LEAST // 2:
        return None
    return Parted([f for f in images if f in trained], [f for f in images if f in judged], images)


def of_one_net(seen: Seen) -> tuple[list[Call], list[Call]]:
    """The training and judging calls of the net that is judged first, as of the first fold; all if it never learns."""
    training, judging = list(seen.training_calls()), list(seen.judging_calls())
    nets = {id(call.module) for call in training} & {id(call.module) for call in judging[:1]}
    if not nets:
        return training, judging
    return [call for call in training if id(call.module) in nets], [c for c in judging if id(c.module) in nets]


def read(name: str) -> Tensor | None:
    """A file's image, made small; None where it cannot be read."""
    from PIL import Image

    try:
        with Image.open(name) as image:
            pixels = torch.from_numpy(np.asarray(image.convert("RGB"), dtype=np.float32).copy()) / 255
    except (OSError, ValueError):
        return None
    return small(pixels.permute(2, 0, 1)[None])[0]


def found_in(calls: Iterable[Call], images: dict[str, Tensor]) -> set[str]:
    """The files whose image is among those of these calls."""
    names, known = list(images), scaled(torch.stack(list(images.values())))
    given = (call.images for call in calls if call.images is not None)
    return {names[at] for one in given for at in recognised(one, known).tolist() if at >= 0}


def recognised(given: Tensor, known: Tensor) -> Tensor:
    """For each image [N, C, H, W] which of those known it is, scaled and shifted in whatever way; -1: none."""
    if given.dim() != 4 or min(given.shape[2:]) < SIDE:
        return torch.full((len(given),), -1)
    alike = scaled(small(given.float())) @ known.T
    if len(known) == 1:
        return torch.zeros(len(given), dtype=torch.long).where(alike[:, 0] > SAME, -1)
    (best, second), (at, _) = (part.T for part in alike.topk(2))
    alone = (1 - best < 0.5 * (1 - second)) | (second > COPY)  # else it may as well be another that looks like it
    found: Tensor = at.where((best > SAME) & alone, -1)
    return found


def scaled(images: Tensor) -> Tensor:
    """[N, C, H, W] as rows of length 1, each channel of mean 0 and deviation 1."""
    spread, mean = torch.std_mean(images, (2, 3), keepdim=True)
    return F.normalize(((images - mean) / (spread + 1e-6)).flatten(1), dim=1)


def groups_of(name: str) -> Iterator[tuple[str, str]]:
    """Ways to group a file, and its group by each: its folders, the beginnings of its name, and each single part."""
    path = PurePath(name)
    tokens = TOKEN.findall(path.stem)
    for up, folder in enumerate(list(path.parents)[:3]):
        yield f"folder {up}", str(folder)
    for at in range(1, len(tokens)):
        yield f"first {at}", f"{path.parent.name}/{'_'.join(tokens[:at])}"
    for at, token in enumerate(tokens[1:], 1):
        yield f"part {at}", f"{path.parent.name}/…{token}"


def groupings(files: list[str]) -> Iterator[dict[str, str]]:
    """The group of each file, for each way to group that all files know and that makes some, of few files each."""
    ways = ways_to_group({file: file for file in files})
    yield from (groups for groups in ways if in_families(Counter(groups.values()), FEWEST))


def ways_to_group(names: dict[str, str]) -> Iterator[dict[str, str]]:
    """For each way to group by a name that all names know, the group of each key."""
    ways: dict[str, dict[str, str]] = {}
    for key, name in names.items():
        for way, group in groups_of(name):
            ways.setdefault(way, {})[key] = group
    yield from (groups for groups in ways.values() if len(groups) == len(names))


def nearest(parted: Parted) -> list[list[str]]:
    """For each judged file the training file that is most alike: by its pixels, by its pattern, by its colours."""
    one, other = (torch.stack([parted.images[f] for f in side]) for side in (parted.trained, parted.judged))
    by_pixels = torch.cdist(other.flatten(1), one.flatten(1)).argmin(1)
    by_pattern = (scaled(other) @ scaled(one).T).argmax(1)
    by_colours = torch.cdist(colours(other), colours(one)).argmin(1)
    return [[parted.trained[i] for i in found.tolist()] for found in (by_pixels, by_pattern, by_colours)]


def colours(images: Tensor) -> Tensor:
    """Means of the whole and of the border, as of a background, and deviations, of each channel."""
    border = torch.cat([images[..., 0, :], images[..., -1, :], images[..., 0], images[..., -1]], 2)
    return torch.cat([images.mean((2, 3)), border.mean(2), images.std((2, 3))], 1)


def alike(
    parted: Parted, groups: dict[str, str], likeness: list[list[str]], classes: int
) -> tuple[float, float] | None:
    """The share of judged files with kin among the trained, and of these the share whose nearest is kin; None where
    either is small, or the latter what chance within a class would give.
    """
    sizes = Counter(groups[file] for file in parted.trained)
    with_kin = [at for at, file in enumerate(parted.judged) if sizes[groups[file]]]
    shared = len(with_kin) / len(parted.judged)
    if shared < SHARED:
        return None
    hits = [
        sum(groups[found[at]] == groups[parted.judged[at]] for at in with_kin) / len(with_kin) for found in likeness
    ]
    chance = classes * sum(sizes[groups[parted.judged[at]]] for at in with_kin) / len(with_kin) / len(parted.trained)
    return (shared, max(hits)) if max(hits) >= max(NEAREST, BEYOND * chance) else None


def keyed(seen: Seen) -> Place | None:
    """Where a part of a file's name is taken, by which the program groups its files."""
    for file, module in trees(seen):
        for node in ast.walk(module):
            if not isinstance(node, ast.Return | ast.Assign) or node.value is None:
                continue
            code = ast.unparse(node.value)
            if NAME.search(code) and PARTS.search(code.replace(".parent", "")):
                return Place(file, node.lineno)
    return None


KIN = (kin_apart,)
