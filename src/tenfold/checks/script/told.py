"""Rules about labels that images cannot be told by: shuffled apart, shifted between splits, broken by a flip."""

import ast
import math
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from tenfold.checks.rules import finding
from tenfold.checks.script.graded import zoomed
from tenfold.checks.script.guess import confusion, fit
from tenfold.checks.script.modes import where
from tenfold.checks.script.ordering import at_once, in_turn, shuffles
from tenfold.checks.script.samples import Study, before_augmentation, further, gathered, judged_loaders, shared, study
from tenfold.checks.script.seen import Loader, LossCall, Place, Seen
from tenfold.checks.script.source import line, name_at, shown_code, trees
from tenfold.checks.script.splits import dataset_place, trained_and_judged
from tenfold.checks.script.turns import TURNS, turning_places
from tenfold.errors import Finding

ALSO, LIKE = 0.08, 0.5
"""So many turned images, and so many more of the training images, must look like the other class by what (other)
training images teach, which show the turn too; and in the median so much as those of the other class do themselves."""
FITS = 0.9
"""Labels of plain images fit these, by what others teach, at least so well as those of others."""
SURELY = 0.15
"""So many of the labels must be spoken against as surely as usually for a right one, where images are augmented."""

ALIKE = 0.8
"""Images are changed much, not labels, where images look less like any class than this share of others' likeness."""
MEANT = 0.3
"""So many labels may be wrong of a program that means to teach some wrong ones, or guesses them."""
NOISE = re.compile(
    r"(label|target)\w*.{0,20}(nois|corrupt|disturb)|(nois|corrupt|disturb)\w*.{0,20}(label|target)"
    r"|pseudo|teacher|self_?train",
    re.I,
)


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
    limit = min(by_chance(n), judged / 4)
    if judged < 0.35 or trained > limit or excess(known.train_told, known.training.labels, known.classes) > limit:
        return
    surely = any((*at_once(seen), *in_turn(seen)))
    if augmented(seen) and not surely and (likeness(known) < ALIKE or any(labels_broken(seen))):
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


def judged_labels_apart(seen: Seen) -> Iterator[Finding]:
    """Labels of a loader that is judged cannot be told from its images at all, those of training can."""
    known = study(seen)
    if known is None or excess(known.train_left_out, known.training.labels, known.classes) < 0.5:
        return
    for fact in judged_loaders(seen):
        judged = gathered(seen, False, fact)
        if judged is None or judged.classes > known.classes:
            continue
        told = known.trained(judged.images).argmax(1)
        _, left = fit(judged.images, judged.labels, known.classes)
        limit = min(by_chance(len(judged.labels)), 0.2)
        across = confusion(judged.labels, told, known.classes).max(1).values
        if max(excess(t, judged.labels, known.classes) for t in (told, left.argmax(1))) > limit:
            continue
        if float(across.median()) > 0.5:  # classes of other numbers, or all taken for one
            continue
        place, fit_by = dataset_place(fact), float((told == judged.labels).float().mean())
        yield finding(
            "wrong-labels",
            f"The labels of `{name_at(fact.place, 'the evaluation')}` do not belong to its images",
            f"What a quick classifier learns from {len(known.training.labels)} training images fits "
            f"{fit_by:.0%} of its {len(judged.labels)} labels, as guessing does; they tell nothing of each other.",
            f"Keep images and labels in one order: one index for both{line(place)}.",
            severity="error",
            **where(place),
        )
        return


def likeness(known: Study, of: Tensor | slice = slice(None)) -> float:
    """How much (some) training images look like a class of the evaluation, as a share of how its own images do."""
    scores = known.judged(known.training.images[of]).max(1).values
    return float(scores.median()) / float(known.judge_scores.max(1).values.median())


def labels_partly_wrong(seen: Seen) -> Iterator[Finding]:
    """What training images teach a quick classifier fits the evaluation's labels better than their own."""
    known = study(seen)
    if known is None:
        return
    n = min(len(known.training.labels), len(known.judging.labels))
    own = excess(known.train_left_out, known.training.labels, known.classes)
    judged = excess(known.judge_left_out, known.judging.labels, known.classes)
    others = excess(known.judge_told, known.judging.labels, known.classes)
    doubted = spoken_against(known.train_scores, known.training.labels)
    against = float(doubted.float().mean())
    if judged < 0.5 or own < 0.1:
        return
    if augmented(seen):
        if (
            mixes(seen)
            or own < 0.3
            or against < SURELY
            or contradicted(known.judge_scores, known.judging.labels) > SURELY / 3
            or any(labels_broken(seen))
            or plain_fit(seen, known)
            or zoomed(seen, known)
            or likeness(known, doubted) < ALIKE
        ):
            return
        wrong, told = against, f"speaks against {against:.0%} of the labels as surely as it usually speaks for one"
    elif others < 0.5 or others - own < by_chance(n) or two_labels(seen):
        return
    else:
        wrong = 1 - own / others
        told = f"tells {others:.0%} of the evaluation's labels beyond chance, but {own:.0%} of these"
    place = known.training.place or (seen.training_losses()[0].place if seen.training_losses() else None)
    yield finding(
        "wrong-labels",
        f"About {wrong:.0%} of the training labels are probably wrong",
        f"A quick classifier fitted to {len(known.training.labels)} training images, each left out in turn, {told}.",
        "Look at training images with their labels, from where they are read to the loss.",
        severity="note" if wrong < MEANT and noise_meant(seen) else None,
        **where(place),
    )


def noise_meant(seen: Seen) -> bool:
    """Whether a program speaks of labels that are wrong or guessed."""
    return any(NOISE.search(ast.unparse(module)) for _, module in trees(seen))


def plain_fit(seen: Seen, known: Study) -> bool:
    """Whether training images fit their labels as well as others do before they are augmented."""
    plain = before_augmentation(seen)
    if plain is None or plain.images.shape[1:] != known.judging.images.shape[1:]:
        return False
    return float((known.judged(plain.images).argmax(1) == plain.labels).float().mean()) > FITS * known.right


def mixes(seen: Seen) -> bool:
    """Whether images have several labels: shares of the classes, or a loss for each of two."""
    return any(map(shared, trained_by(seen)))


def two_labels(seen: Seen) -> bool:
    """Whether an output has losses with different labels, as mixed images have."""
    known = [{loss.labels for loss in losses if loss.labels} for losses in trained_by(seen)]
    known = [labels for labels in known if labels]
    return sum(len(labels) > 1 for labels in known) > 0.5 * len(known) > 0


def trained_by(seen: Seen) -> list[list[LossCall]]:
    """The losses of training, those of each output together."""
    by_call = defaultdict[int, list[LossCall]](list)
    for loss in seen.losses:
        if loss.grad and loss.call is not None:
            by_call[id(loss.call)].append(loss)
    return list(by_call.values())


def contradicted(scores: Tensor, labels: Tensor) -> float:
    """The share of labels [n] against which scores [n, C] speak as surely as they usually speak for a right one."""
    return float(spoken_against(scores, labels).float().mean())


def spoken_against(scores: Tensor, labels: Tensor) -> Tensor:
    """Which labels [n] these are."""
    best, own = scores.max(1).values, scores.gather(1, labels[:, None])[:, 0]
    two = scores.topk(2).values
    right = own == best
    if not bool(right.any()):
        return torch.zeros_like(right)
    usual = (two[right, 0] - two[right, 1]).median()
    return best - own >= usual


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


def by_chance(images: int) -> float:
    """Right answers beyond chance that so many images may show although there are none."""
    return 0.08 + 1.5 / math.sqrt(images)


def classes_shifted(seen: Seen) -> Iterator[Finding]:
    """What is learned as one class is judged as another, class by class."""
    known = study(seen)
    if known is None or excess(known.train_left_out, known.training.labels, known.classes) < 0.5:
        return
    if not bool(torch.isin(known.judging.labels, known.training.labels).any()):  # other classes altogether
        return
    moved, judged = shifted(seen, known)
    if len(moved) < 2 or len({j for _, j in moved}) < len(moved):
        return
    _, turn = broken(seen, known) or (None, None)
    if turn is not None and all(mirrored(known, turn.name, i) == j for i, j in moved):
        return  # these are images of each other, whose labels a turn leaves as they are
    place = numbering(seen, judged) or known.judging.place
    pairs = ", ".join(f"{j} in training is {i} in the evaluation" for i, j in moved[:3])
    yield finding(
        "class-index-shift",
        "Training and evaluation number the classes differently",
        f"By what the images look like, class {pairs}; {len(moved)} of {known.classes} classes differ.",
        f"Number the classes once, and use that for both{line(place)}.",
        **where(place),
    )


def mirrored(known: Study, name: str, one: int) -> int:
    """The class that most images of one class look like after a turn."""
    images = TURNS[name](known.judging.images[known.judging.labels == one])
    return int(known.judged(images).argmax(1).mode().values)


def shifted(seen: Seen, known: Study) -> tuple[list[tuple[int, int]], Loader | None]:
    """Classes that the evaluation numbers otherwise, and the loader, if it is not the first that is judged."""
    if excess(known.judge_left_out, known.judging.labels, known.classes) >= 0.5:
        back = confusion(known.training.labels, known.train_told, known.classes)
        across = renumbered(confusion(known.judging.labels, known.judge_told, known.classes))
        moved = [(i, j) for i, j in across if float(back[j].max()) > 0.5 and int(back[j].argmax()) == i]
        if len(moved) > 1:
            return moved, None
    for fact, others in further(seen):
        told = known.trained(others.images).argmax(1)
        moved = renumbered(confusion(others.labels, told, known.classes))
        if len(moved) > 1:
            return moved, fact
    return [], None


def renumbered(across: Tensor) -> list[tuple[int, int]]:
    """Classes of which most images are taken for those of another one, and that one."""
    surest = [(i, int(row.argmax()), float(row.max())) for i, row in enumerate(across)]
    return [(i, j) for i, j, share in surest if share > 0.5 and i != j]


LISTING = re.compile(r"enumerate\(sorted\(.*(listdir|iterdir|scandir|glob)")
"""What numbers classes by the order of their folders' names, as words."""


def numbering(seen: Seen, judged: Loader | None) -> Place | None:
    """Where the classes of the evaluation, or of this loader, get their numbers."""
    for file, parsed in trees(seen):
        found = [
            Place(file, node.lineno)
            for node in ast.walk(parsed)
            if isinstance(node, ast.Assign)
            and re.search("val|test|eval|held", " ".join(map(ast.unparse, node.targets)))
            and re.search(r"enumerate|unique|factorize|LabelEncoder|fit_transform|class|codes|index", ast.unparse(node))
        ]
        loops = (n for n in ast.walk(parsed) if isinstance(n, ast.For))
        found += [Place(file, loop.lineno) for loop in loops if LISTING.match(ast.unparse(loop.iter))]
        if found:
            return found[0]
    judged = judged or next(iter(trained_and_judged(seen)[1]), None)
    return dataset_place(judged) if judged else None


def labels_broken(seen: Seen) -> Iterator[Finding]:
    """A flip or turn makes one class look like another, and training images show it under their old labels."""
    known = study(seen) if turning_places(seen) else None
    told = broken(seen, known) if known is not None else None
    if told is None:
        return
    place, found = told
    yield finding(
        "augmentation-breaks-labels",
        f"{found.name} makes class {found.true} look like class {found.seen_as}",
        f"After it, {found.turned:.0%} of the evaluation's images of class {found.true} look like class "
        f"{found.seen_as}, and so do {found.share:.0%} of the training images labelled {found.true}.",
        f"Leave it out, or change the label with it{line(place)}.",
        **where(place),
    )


def broken(seen: Seen, known: Study) -> tuple[Place | None, Turned] | None:
    """The first turn of the program's that makes one class look like another, and its line; looked for once."""
    if "broken" not in seen.made:
        seen.made["broken"] = first_broken(seen, known)
    found: tuple[Place | None, Turned] | None = seen.made["broken"]
    return found


def first_broken(seen: Seen, known: Study) -> tuple[Place | None, Turned] | None:
    """The search itself."""
    clean = confusion(known.judging.labels, known.judge_left_out, known.classes)
    trained = confusion(known.training.labels, known.train_told, known.classes)
    found = ((place, turned(known, name, clean, trained)) for name, place in turning_places(seen))
    return next(((place, turn) for place, turn in found if turn is not None), None)


def turned(known: Study, name: str, clean: Tensor, trained: Tensor) -> Turned | None:
    """The class that suffers most from a turn."""
    images = TURNS[name](known.judging.images)
    if images.shape != known.judging.images.shape:
        return None
    scores = known.judged(images)
    after = confusion(known.judging.labels, scores.argmax(1), known.classes)
    if name == "shift":
        return moved(known, scores, clean, trained)
    also = confusion(known.judging.labels, known.trained(images).argmax(1), known.classes)
    among = confusion(known.training.labels, known.train_left_out, known.classes)
    worst: Turned | None = None
    for i in range(known.classes):
        j = int(after[i].argmax())
        if i == j or min(float(clean[i, i]), float(clean[j, j])) < 0.6:
            continue
        gain, share = float(after[i, j] - clean[i, j]), float(trained[i, j] - clean[i, j])
        either = float(trained[i, i] + trained[i, j])
        by_others = min(float(also[i, j]), float(among[i, j] - clean[i, j]))
        alike = looks(known, scores, i, j) > LIKE and by_others > ALSO
        sure = alike and gain > 0.4 and share > 0.15 and either > 0.45
        if sure and (worst is None or share > worst.share):
            worst = Turned(name, i, j, float(after[i, j]), float(trained[i, j]))
    return worst


def looks(known: Study, scores: Tensor, one: int, other: int) -> float:
    """How much images of one class speak for another after a turn, as a share of how much its own images do."""
    labels = known.judging.labels
    own = float(known.judge_scores[labels == other, other].median())
    return float(scores[labels == one, other].median()) / max(own, 1e-6)


def moved(known: Study, scores: Tensor, clean: Tensor, trained: Tensor) -> Turned | None:
    """Where an image is says what it is: moved ones look like other classes as surely as those themselves do."""
    sure = float(known.judge_scores.max(1).values.quantile(0.25))
    other = (scores.argmax(1) != known.judging.labels) & (scores.max(1).values > sure)
    learned = float(trained.diagonal().mean())
    if float(other.float().mean()) < 0.3 or known.right < 0.7 or learned > 0.7 * known.right:
        return None
    i = int(trained.diagonal().argmin())
    off = trained[i].clone()
    off[i] = 0
    return Turned("shift", i, int(off.argmax()), float(other.float().mean()), float(1 - trained[i, i]))


TOLD = (labels_broken, labels_apart, judged_labels_apart, labels_partly_wrong, classes_shifted)
