"""Labels that are probably wrong: what small nets say of images that they were not trained on, and are sure of.

Confident learning (Northcutt, Jiang, Chuang 2021, arXiv 1911.00068): a class's threshold is the mean probability that
its own images get; an image that is above the threshold of another class, and not told apart from it, counts in the
confident joint of given and likely class. The probabilities are out of fold: each third of the training images is
judged by a net trained on the others; val and test images by all three.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray

from tenfold.checks.audit import near
from tenfold.checks.audit.lists import Listed
from tenfold.checks.rules import finding
from tenfold.datasets.dataset import Dataset, Progress, Rows, silent
from tenfold.datasets.preprocessing import fit_preprocessing
from tenfold.errors import Finding, counted
from tenfold.models import build
from tenfold.randomness import derived_seed
from tenfold.recipe import AugmentOptions, ModelOptions, OptimizerOptions, Plan, Recipe, ScheduleOptions
from tenfold.training import schedules
from tenfold.training.backend import choose_device, open_backend
from tenfold.training.loader import Images, Loader
from tenfold.training.loop import descend
from tenfold.training.resolve import check_options
from tenfold.training.setup import Setup, fresh_state, passes, probe_batch, show_images
from tenfold.training.step import NotFinite, logits_of
from tenfold.training.tuning import settle_backend

Found = tuple[Finding, Listed]
Probabilities = NDArray[np.float32]
FOLDS = 3
SIDE = 20
"""The nets see images at this many pixels a side: two and a half times as fast as 32."""
WORK = 200_000
"""So many images pass the nets in training, over all folds and epochs."""
PROBING = 4
"""How the arithmetic is done may be measured for so many times as long as in one run: one choice serves all nets."""
MOST_EPOCHS, LEAST_EACH = 12, 10
"""Epochs of a small data set; and images that a class needs to be judged."""
SURE = 0.5
"""The likely class's probability must be above the given one's by this much."""
MOVED = 0.5
"""A class of val or test whose images are called another one so often was given another number."""


@dataclass(frozen=True)
class Suspect:
    """An image, its likely class, and by how much its probability is above the given class's."""

    row: int
    likely: int
    margin: float


def recipe_for(images: int) -> Recipe:
    """The small net that judges: sprint at a quarter of its width, its rates for this many training images."""
    batch = min(500, max(32, images // 24))
    epochs = int(min(MOST_EPOCHS, max(2, WORK // (FOLDS * images))))
    # airbench's rates are for a summed loss; tenfold takes the mean over the batch
    muon = OptimizerOptions(
        name="muon", lr=0.24 * (batch / 2000) ** 0.5, bias_lr=0.053 * batch, head_lr=0.67 * batch, weight_decay=0.004
    )
    return Recipe(
        name="audit",
        model=ModelOptions(name="sprint", width=0.25, whiten_bias_epochs=1),
        augment=AugmentOptions(horizontal_flip=0.5),
        optimizer=muon,
        schedule=ScheduleOptions(name="linear"),
        epochs=epochs,
        batch=batch,
        label_smoothing=0.1,
    )


def out_of_fold(dataset: Dataset, progress: Progress = silent) -> Probabilities:
    """Probabilities [N, classes] of each image's classes, by nets that did not see it."""
    seen = replace(dataset, images=shrunk(dataset))
    train = dataset.parts.get("train", np.arange(len(dataset.labels)))
    others = np.setdiff1d(np.concatenate(list(dataset.parts.values())), train)
    fold = np.random.default_rng(derived_seed(0, "audit folds")).permutation(len(train)) % FOLDS
    found = np.zeros((len(dataset.labels), len(dataset.classes)), np.float32)
    settled: dict[str, object] = {}
    for number in range(FOLDS):
        setup = trained(seen, train[fold != number], number, progress, settled)
        settled = {f"backend.{name}": value for name, value in setup.recipe.backend.model_dump().items()}
        found[train[fold == number]] = judged(setup, train[fold == number])
        if len(others):
            found[others] += judged(setup, others) / FOLDS
    return found


def shrunk(dataset: Dataset) -> NDArray[np.uint8]:
    """All images as uint8 [N, 3, SIDE, SIDE], channels-last in memory."""
    pictures = near.small(dataset.images)
    made = np.empty((len(pictures), SIDE, SIDE, 3), np.uint8)
    for start in range(0, len(made), 2000):
        chunk = pictures[start : start + 2000].float()
        small = torch.nn.functional.interpolate(chunk, (SIDE, SIDE), mode="bilinear", antialias=True)
        made[start : start + 2000] = small.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    return made.transpose(0, 3, 1, 2)


def trained(
    dataset: Dataset, rows: Rows, number: int, progress: Progress, settled: Mapping[str, object] = MappingProxyType({})
) -> Setup:
    """A net trained on these rows; settled: how its arithmetic is done, where that was measured before."""
    plan = check_options(Plan.of(recipe_for(len(rows))).override(dict(settled), "measured"), [])
    recipe = plan.recipe
    preprocessing = fit_preprocessing(recipe.preprocess, dataset.images, rows)
    device = choose_device("cpu")
    loader = Loader(Images(dataset, rows, device), recipe, preprocessing)
    model = build(recipe.model, preprocessing.channels, preprocessing.size, len(dataset.classes), number)
    show_images(model, loader)
    steps = PROBING * FOLDS * passes(loader, recipe)
    plan, choice = settle_backend(plan, model.to(device), *probe_batch(loader, recipe), steps)
    backend = open_backend("cpu", plan.recipe.backend)
    state = fresh_state(backend.place(model), recipe)
    schedule = schedules.build(recipe.schedule, recipe.epochs, list)
    setup = Setup(plan, dataset, {"train": rows}, preprocessing, backend, loader, None, schedule, state, [], choice)
    total = FOLDS * recipe.epochs * loader.steps
    for epoch in range(recipe.epochs):
        for step in range(loader.steps):
            descend(setup, epoch, step, *loader.batch(epoch, step))
            progress(
                "training nets that judge labels", (number * recipe.epochs + epoch) * loader.steps + step + 1, total
            )
    return setup


def judged(setup: Setup, rows: Rows) -> Probabilities:
    """Probabilities [n, classes] of these rows."""
    images = Images(setup.dataset, rows, setup.backend.device)
    logits = [part for part, _ in logits_of(setup.state.model, images, setup.preprocessing, setup.backend)]
    probabilities: Probabilities = torch.cat(logits).softmax(1).numpy()
    return probabilities


def confident(probabilities: Probabilities, labels: NDArray[np.int64]) -> list[Suspect]:
    """Images that count in the confident joint off its diagonal, the surest first.

    probabilities: [n, classes], out of fold; labels: [n].
    """
    classes = probabilities.shape[1]
    own = probabilities[np.arange(len(labels)), labels]
    sums = np.bincount(labels, weights=own, minlength=classes)
    counts = np.bincount(labels, minlength=classes)
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), 2.0)
    above = np.where(probabilities >= thresholds, probabilities, -1.0)
    likely = above.argmax(1)
    margin = probabilities[np.arange(len(labels)), likely] - own
    chosen = np.flatnonzero((above.max(1) > 0) & (likely != labels) & (margin >= SURE))
    order = chosen[np.argsort(-margin[chosen], kind="stable")]
    return [Suspect(int(row), int(likely[row]), float(margin[row])) for row in order]


def suspects(dataset: Dataset, parts: Sequence[str], notes: list[str], progress: Progress = silent) -> Iterator[Found]:
    """Findings on labels: numbers that another part uses otherwise, and single labels that are probably wrong."""
    train = dataset.parts.get("train", np.arange(len(dataset.labels)))
    counts = np.bincount(dataset.labels[train], minlength=len(dataset.classes))
    if len(dataset.classes) < 2 or counts.min() < LEAST_EACH:
        notes.append(f"Labels were not judged: that needs {LEAST_EACH} training images of each of two classes or more.")
        return
    try:
        probabilities = out_of_fold(dataset, progress)
    except NotFinite:
        notes.append("Labels were not judged: the small nets did not learn these images.")
        return
    called = probabilities.argmax(1)
    right = float((called[train] == dataset.labels[train]).mean())
    notes.append(f"The nets that judge labels are right about {right:.1%} of the training images they did not see.")
    moved: set[int] = set()
    for part, rows in dataset.parts.items():
        if part != "train":
            pairs = renumbered(called, dataset.labels, train, rows)
            if len(pairs) > 1:
                moved.update(int(row) for row in rows if dataset.labels[row] in pairs)
                yield shift(dataset, part, rows, called, pairs)
    found = [suspect for suspect in confident(probabilities, dataset.labels) if suspect.row not in moved]
    if found:
        yield listed(dataset, parts, found, right)


def renumbered(called: NDArray[np.int64], labels: NDArray[np.int64], train: Rows, rows: Rows) -> dict[int, int]:
    """Classes whose images in these rows are mostly called another class, one that the nets know: given to called."""
    pairs = {}
    for given in np.unique(labels[rows]):
        names = called[rows[labels[rows] == given]]
        likely = int(np.bincount(names).argmax())
        known = float((called[train[labels[train] == likely]] == likely).mean())
        if len(names) >= LEAST_EACH and likely != given and (names == likely).mean() >= MOVED * max(known, 0.6):
            pairs[int(given)] = likely
    return pairs


def shift(dataset: Dataset, part: str, rows: Rows, called: NDArray[np.int64], pairs: dict[int, int]) -> Found:
    """Classes whose numbers mean something else in this part."""
    names = dataset.classes
    moved = rows[np.isin(dataset.labels[rows], list(pairs))]
    first = next(iter(pairs))
    share = float((called[moved[dataset.labels[moved] == first]] == pairs[first]).mean())
    cells = tuple((names[given], names[likely]) for given, likely in pairs.items())
    groups = tuple((int(moved[dataset.labels[moved] == given][0]),) for given in pairs)
    return (
        finding(
            "class-index-shift",
            f"{len(pairs)} classes of the {part} part look like other classes",
            f"Of its '{names[first]}', {share:.0%} are called '{names[pairs[first]]}' by nets trained on train.",
            f"Give the {part} part the numbers of the train part.",
        ),
        Listed(f"shifted-{part}", f"Classes that mean another in {part}", ("class", "looks like"), cells, groups),
    )


def listed(dataset: Dataset, parts: Sequence[str], found: Sequence[Suspect], right: float) -> Found:
    """The suspected labels as finding and list."""
    names, share = dataset.classes, len(found) / len(dataset.labels)
    first = found[0]
    cells = tuple(
        (s.row, dataset.ids[s.row], parts[s.row], names[dataset.labels[s.row]], names[s.likely], round(s.margin, 4))
        for s in found
    )
    return (
        finding(
            "wrong-labels",
            f"{counted(len(found), 'label')} ({share:.2%}) that small nets are sure should be another",
            f"The surest: {dataset.ids[first.row]} is labelled '{names[dataset.labels[first.row]]}', they say "
            f"'{names[first.likely]}'. They are right about {right:.0%} of images, so many of these labels are fine.",
            "Look at the sheet from its beginning, and correct what is wrong, until most are right.",
            severity="warning" if share > 0.01 else "note",
        ),
        Listed(
            "wrong-labels",
            "Labels that are probably wrong, the surest first",
            ("row", "id", "part", "class", "likely", "margin"),
            cells,
            tuple((s.row,) for s in found),
            tuple(f"{names[dataset.labels[s.row]]} → {names[s.likely]}?" for s in found),
        ),
    )
