"""Rules about labels that images cannot be told by: shuffled apart, shifted between splits, broken by a flip."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from tenfold.checks.rules import finding
from tenfold.checks.script.augmenting import augmenting
from tenfold.checks.script.guess import confusion
from tenfold.checks.script.labels import at_once, in_turn, shuffles
from tenfold.checks.script.modes import where
from tenfold.checks.script.samples import Study, study
from tenfold.checks.script.seen import Event, Place, Seen
from tenfold.checks.script.source import around, line, shown_code, text, trees
from tenfold.checks.script.splits import dataset_place, trained_and_judged
from tenfold.errors import Finding

TURNS = {
    "horizontal flip": lambda x: x.flip(-1),
    "vertical flip": lambda x: x.flip(-2),
    "half turn": lambda x: x.flip(-1, -2),
    "quarter turn": lambda x: torch.rot90(x, 1, (-2, -1)),
    "three-quarter turn": lambda x: torch.rot90(x, 3, (-2, -1)),
    "inversion": lambda x: -x,
    "shift": lambda x: shifted(x),
    "another order of channels": lambda x: x.flip(1),
    "grey": lambda x: x.mean(1, keepdim=True).expand_as(x),
}
WRITTEN = {
    "horizontal flip": r"HorizontalFlip|hflip|fliplr|mirror|FLIP_LEFT_RIGHT|FlipLR",
    "vertical flip": r"VerticalFlip|vflip|flipud|FLIP_TOP_BOTTOM|FlipUD|ImageOps\.flip",
    "half turn": r"ROTATE_180|rot90|rotate\(|RandomRotation",
    "quarter turn": r"ROTATE_90|rot90|rotate\(|RandomRotation|TRANSPOSE",
    "three-quarter turn": r"ROTATE_270|rot90|rotate\(|RandomRotation",
    "shift": r"roll\(|RandomAffine|translate|ImageChops\.offset",
    "another order of channels": r"randperm\(3\)|permutation\(3\)|\[2, 1, 0\]|ColorJitter|[Hh]ue|channel_sh",
    "grey": r"[Gg]r[ae]y|mean\((?:dim=|axis=)?(?:0|-3), keepdim",
    "inversion": r"[Ii]nvert|255 - |1(?:\.0)? - |(?:=|return) -|\* -1",
}
"""How each may be written."""


@dataclass(frozen=True)
class Turned:
    """A class that an augmentation turns into another."""

    name: str
    true: int
    seen_as: int
    turned: float
    """Of clean images of the class, the share that is taken for the other after the turn."""
    share: float
    """Of training images of the class, the share that is taken for the other."""


def labels_apart(seen: Seen) -> Iterator[Finding]:
    """Labels of training images cannot be told from them, those of the evaluation can."""
    known = study(seen)
    if known is None:
        return
    n = min(len(known.training.labels), len(known.judging.labels))
    trained = excess(known.train_left_out, known.training.labels, known.classes)
    judged = excess(known.judge_left_out, known.judging.labels, known.classes)
    across = excess(known.judged(known.training.images).argmax(1), known.training.labels, known.classes)
    if max(trained, across) > 0.08 + 1.5 / n**0.5 or judged < 0.35 or judged < 4 * max(trained, across):
        return
    if augmented(seen) and not any((*at_once(seen), *in_turn(seen))):
        return  # an augmentation may hide what the labels are told by
    place = next(iter(shuffles(seen)), None)
    yield finding(
        "wrong-labels",
        "The labels of the training images do not belong to them",
        f"From {len(known.training.labels)} training images a quick classifier tells {trained:.0%} of the labels it is "
        f"not shown beyond chance, of the evaluation's {len(known.judging.labels)} images {judged:.0%}."
        + (f" {shown_code(place)} may part them." if place else ""),
        f"Keep images and labels in one order: one index for both{line(place)}.",
        severity="error" if place else "warning",
        **where(place or (seen.training_losses()[0].place if seen.training_losses() else None)),
    )


def augmented(seen: Seen) -> bool:
    """Whether training images are changed at random, or in ways that may be random."""
    fetched = any(fetch.drawn for fact in seen.loaders if fact.steps for fetch in fact.fetches)
    return fetched or any(call.drawn for call in seen.training_calls()) or bool(turning_places(seen))


def excess(guessed: Tensor, labels: Tensor, classes: int) -> float:
    """Right answers beyond chance, each class counting alike: 0 chance, 1 all."""
    there = torch.bincount(labels, minlength=classes) > 0
    recall = confusion(labels, guessed, classes).diagonal()[there]
    chance = 1 / max(2, len(recall))
    return (float(recall.mean()) - chance) / (1 - chance)


def classes_shifted(seen: Seen) -> Iterator[Finding]:
    """What is learned as one class is judged as another, class by class."""
    known = study(seen)
    if known is None:
        return
    told = min(
        excess(known.train_left_out, known.training.labels, known.classes),
        excess(known.judge_left_out, known.judging.labels, known.classes),
    )
    across = confusion(known.judging.labels, known.trained(known.judging.images).argmax(1), known.classes)
    back = confusion(known.training.labels, known.judged(known.training.images).argmax(1), known.classes)
    moved = [
        (i, int(across[i].argmax()))
        for i in range(known.classes)
        if float(across[i].max()) > 0.5
        and float(back[across[i].argmax()].max()) > 0.5
        and int(back[across[i].argmax()].argmax()) == i != int(across[i].argmax())
    ]
    if told < 0.5 or len(moved) < 2:
        return
    place = numbering(seen)
    pairs = ", ".join(f"{j} in training is {i} in the evaluation" for i, j in moved[:3])
    yield finding(
        "class-index-shift",
        "Training and evaluation number the classes differently",
        f"By what the images look like, class {pairs}; {len(moved)} of {known.classes} classes differ.",
        f"Number the classes once, and use that for both{line(place)}.",
        **where(place or known.judging.place),
    )


def numbering(seen: Seen) -> Place | None:
    """Where the classes of the evaluation get their numbers."""
    _, judged = trained_and_judged(seen)
    for file, parsed in trees(seen):
        found = [
            Place(file, node.lineno)
            for node in ast.walk(parsed)
            if isinstance(node, ast.Assign)
            and re.search("val|test|eval|held", " ".join(map(ast.unparse, node.targets)))
            and re.search(r"enumerate|unique|factorize|LabelEncoder|fit_transform|class|codes|index", ast.unparse(node))
        ]
        if found:
            return found[0]
    return dataset_place(judged[0]) if judged else None


def labels_broken(seen: Seen) -> Iterator[Finding]:
    """A flip or turn makes one class look like another, and training images show it under their old labels."""
    places = turning_places(seen)
    known = study(seen) if places else None
    if known is None:
        return
    clean = confusion(known.judging.labels, known.judge_left_out, known.classes)
    trained = confusion(known.training.labels, known.judged(known.training.images).argmax(1), known.classes)
    for name, place in places:
        found = turned(known, name, clean, trained)
        if found is not None:
            yield finding(
                "augmentation-breaks-labels",
                f"{name} makes class {found.true} look like class {found.seen_as}",
                f"After it, {found.turned:.0%} of the evaluation's images of class {found.true} look like class "
                f"{found.seen_as}, and so do {found.share:.0%} of the training images labelled {found.true}.",
                f"Leave it out, or change the label with it{line(place)}.",
                **where(place),
            )
            return


def turned(known: Study, name: str, clean: Tensor, trained: Tensor) -> Turned | None:
    """The class that suffers most from a turn."""
    images = TURNS[name](known.judging.images)
    if images.shape != known.judging.images.shape:
        return None
    scores = known.judged(images)
    after = confusion(known.judging.labels, scores.argmax(1), known.classes)
    if name == "shift":
        return moved(known, scores, clean, trained)
    worst: Turned | None = None
    for i in range(known.classes):
        j = int(after[i].argmax())
        if i == j or min(float(clean[i, i]), float(clean[j, j])) < 0.6:
            continue
        gain, share = float(after[i, j] - clean[i, j]), float(trained[i, j] - clean[i, j])
        either = float(trained[i, i] + trained[i, j])
        if gain > 0.4 and share > 0.15 and either > 0.45 and (worst is None or share > worst.share):
            worst = Turned(name, i, j, float(after[i, j]), float(trained[i, j]))
    return worst


def shifted(images: Tensor) -> Tensor:
    """Each image rolled by up to a third of its size."""
    chance = torch.Generator().manual_seed(5)
    most = max(1, min(images.shape[-2:]) // 3)
    by = torch.randint(-most, most + 1, (len(images), 2), generator=chance).tolist()
    return torch.stack([torch.roll(image, shift, (-2, -1)) for image, shift in zip(images, by)])


def moved(known: Study, scores: Tensor, clean: Tensor, trained: Tensor) -> Turned | None:
    """Where an image is says what it is: moved ones look like other classes as surely as those themselves do."""
    sure = float(known.judge_scores.max(1).values.quantile(0.25))
    other = (scores.argmax(1) != known.judging.labels) & (scores.max(1).values > sure)
    here = float((known.judge_left_out == known.judging.labels).float().mean())
    learned = float(trained.diagonal().mean())
    if float(other.float().mean()) < 0.3 or here < 0.7 or learned > 0.7 * here:
        return None
    i = int(trained.diagonal().argmin())
    off = trained[i].clone()
    off[i] = 0
    return Turned("shift", i, int(off.argmax()), float(other.float().mean()), float(1 - trained[i, i]))


def turning_places(seen: Seen) -> list[tuple[str, Place]]:
    """Flips and turns of the program's, by name, those that were seen before those that are written."""
    flips = [event for event in seen.events if event.kind == "flip"]
    live = [event for event in flips if event.fetching or (event.steps and event.calls < len(seen.calls))]
    found = [(name, event.place) for event in live for name in kinds(event)]
    for file, parsed in trees(seen):
        nodes = [n for n in ast.walk(parsed) if isinstance(n, ast.stmt) and not hasattr(n, "body")]
        for node in filter(guarded, nodes):
            code = ast.unparse(node)
            named = [name for name, pattern in WRITTEN.items() if re.search(pattern, code)]
            named += ["horizontal flip", "vertical flip"] if "::-1" in code else []
            found += [(name, Place(file, node.lineno)) for name in named]
    found += [(name, event.place) for event in flips for name in kinds(event)]
    return list(dict.fromkeys(found))


def guarded(node: ast.stmt) -> bool:
    """Whether a statement runs only sometimes, by chance, or makes what does."""
    tests = [ast.unparse(n.test) for n in around(node) if isinstance(n, ast.If)]
    drawn = any(re.search("rand|flip|aug|train|coin|choice|uniform", test) for test in tests)
    changing = any(isinstance(n, ast.FunctionDef) and augmenting(n) for n in around(node))
    return drawn or changing or bool(re.search(r"Random|torch\.where|rand.*(flip|::-1)", ast.unparse(node)))


def kinds(event: Event) -> list[str]:
    """What a flip that was seen may be, by its axes."""
    if event.name == "transpose":
        code = text(event.place)
        return [name for name, pattern in WRITTEN.items() if re.search(pattern, code)]
    if event.name == "roll":
        return ["shift"]
    if event.name in ("rotate", "rot90"):
        return ["quarter turn", "three-quarter turn", "half turn"]
    dims = len(event.before)
    last = event.before[-1] in (1, 3, 4) and dims >= 3 and event.before[0] not in (1, 3, 4)
    across, down = (dims - 2, dims - 3) if last else (dims - 1, dims - 2)
    axes = {axis % dims for axis in event.axes} if dims else set()
    if {across, down} <= axes or not axes:
        return ["half turn"]
    if across in axes or down in axes:
        return ["horizontal flip"] if across in axes else ["vertical flip"]
    return ["another order of channels"] if event.before[min(axes)] in (3, 4) else []


TOLD = (labels_broken, labels_apart, classes_shifted)
