"""What a run says, in words and rows: the headline, what it was, what it confuses, how sure it is, what differs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean, median

from pydantic import BaseModel

from tenfold.errors import counted
from tenfold.recipe import Options, Recipe, leaves
from tenfold.reports.documents import Documents, Judgement, Prediction
from tenfold.reports.words import count, duration, interval, percent, plain, times
from tenfold.runs import Epoch

HONESTY = "of a single run; the interval covers only the finite {part} set, not the spread over seeds"


@dataclass(frozen=True)
class Figure:
    """A number that is shown large, what it is, and what belongs to it."""

    value: str
    label: str
    note: str = ""


@dataclass(frozen=True)
class Pair:
    """Two classes and how often each was called the other."""

    a: str
    b: str
    a_called_b: int
    b_called_a: int

    @property
    def total(self) -> int:
        """Mistakes between the two."""
        return self.a_called_b + self.b_called_a


@dataclass(frozen=True)
class ClassRow:
    """How well one class is recognised."""

    name: str
    images: int
    precision: float | None
    recall: float | None


@dataclass(frozen=True)
class OptionRow:
    """An option of the recipe: value, where it came from, what it means."""

    name: str
    value: str
    origin: str
    meaning: str


def headline(found: Documents) -> Figure:
    """The number that a person asks for first."""
    best = found.best
    if best is not None and best.val_accuracy is not None:
        label = f"best validation accuracy, epoch {best.epoch} of {found.plan.recipe.epochs}"
        return Figure(percent(best.val_accuracy), label, evidence(best.val_correct, best.val_total, "validation"))
    if found.test:
        metrics = found.test.metrics
        return Figure(percent(metrics.accuracy), "test accuracy", evidence(metrics.correct, metrics.total, "test"))
    if best is None:
        return Figure("No result yet", "", "No epoch has ended.")
    return Figure("No accuracy yet", "", "Nothing but the test set can judge this run.")


def evidence(correct: int | None, total: int | None, part: str) -> str:
    """How many images are behind a number, and how far it can be trusted."""
    if correct is None or not total:
        return f"The number of {part} images is not recorded."
    return (
        f"n = {count(total)}, {count(correct)} right; 95 % interval {interval(correct, total)} (Wilson) "
        f"{HONESTY.format(part=part)}."
    )


def figures(found: Documents) -> list[Figure]:
    """The numbers beside the headline."""
    shown = []
    last = found.epochs[-1] if found.epochs else None
    if last is not None:
        on_train = last.val_accuracy is None
        accuracy = last.train_accuracy if on_train else last.val_accuracy
        what = "training accuracy" if on_train else "validation accuracy"
        on = ", of images it learned from" if on_train else ""
        shown.append(Figure(percent(accuracy), f"{what} of the last epoch", f"epoch {last.epoch}{on}"))
    shown.append(test_figure(found))
    if found.epochs:
        epochs = counted(len(found.epochs), "epoch")
        spent = f"{epochs}, validation included" if last and last.val_total else "all epochs together"
        shown.append(Figure(duration(total_seconds(found.epochs)), "training time", spent))
        shown.append(Figure(count(speed(found.epochs)), "images per second", "median over the epochs, training only"))
    return shown


def test_figure(found: Documents) -> Figure:
    """The test accuracy and how often the test set was opened."""
    opened = f"opened {times(len(found.openings))}" if found.openings else "how often it was opened is not recorded"
    if found.test:
        metrics = found.test.metrics
        near = f"95 % interval {interval(metrics.correct, metrics.total)}, n = {count(metrics.total)}"
        return Figure(percent(metrics.accuracy), "test accuracy", f"{near}; {opened}")
    if found.openings:
        newest = found.openings[-1]
        return Figure(percent(newest.accuracy), "test accuracy", f"{opened}; the newest on {newest.data}")
    return Figure("–", "test accuracy", "the test set was never opened")


def total_seconds(epochs: Sequence[Epoch]) -> float:
    """Time of all epochs together."""
    return sum(row.seconds for row in epochs)


def speed(epochs: Sequence[Epoch]) -> float:
    """Median images per second; the first epoch warms up and counts only where it is alone."""
    return median(row.images_per_second for row in epochs[1:] or epochs)


def summary(found: Documents) -> str:
    """What was trained on what, how long and how fast, in one sentence."""
    recipe, data = found.plan.recipe, found.data
    on = f"{count(found.epochs[0].train_total)} images of " if found.epochs else ""
    what = (
        f"{data.name} ({len(data.classes)} classes, {data.image_size} × {data.image_size} pixels)"
        if data
        else recipe.data
    )
    told = f"The net {recipe.model.name} was trained with {recipe.optimizer.name} on {on}{what}"
    if not found.epochs:
        return f"{told}; no epoch has ended yet."
    done = f"for {len(found.epochs)} {'epoch' if len(found.epochs) == 1 else 'epochs'}"
    pace = f"in {duration(total_seconds(found.epochs))}, at {count(speed(found.epochs))} images per second"
    place = (found.environment or {}).get("device_name")
    return f"{told} {done} {pace}{f', on {place}' if place else ''}."


def confused_pairs(judged: Judgement, classes: Sequence[str], most: int = 5) -> list[Pair]:
    """The pairs of classes with the most mistakes between them."""
    matrix = judged.metrics.confusion
    pairs = [Pair(classes[i], classes[j], matrix[i][j], matrix[j][i]) for i in range(len(classes)) for j in range(i)]
    return sorted((pair for pair in pairs if pair.total), key=lambda pair: -pair.total)[:most]


def class_rows(judged: Judgement, classes: Sequence[str]) -> list[ClassRow]:
    """Precision and recall of each class."""
    metrics = judged.metrics
    columns = zip(classes, metrics.confusion, metrics.precision, metrics.recall, strict=True)
    return [ClassRow(name, sum(row), precision, recall) for name, row, precision, recall in columns]


def names(found: Documents, judged: Judgement) -> list[str]:
    """The classes' names; numbers where data.json is missing."""
    return found.data.classes if found.data else [str(index) for index in range(len(judged.metrics.confusion))]


def calibration(judged: Judgement, predictions: Sequence[Prediction]) -> str:
    """How far the confidence can be believed, in words."""
    error = 100 * judged.metrics.calibration_error
    told = (
        f"When the net says how sure it is, it is off by {error:.1f} percentage points on average "
        "(expected calibration error, 15 bins)."
    )
    if len(predictions) != judged.metrics.total or not predictions:
        return told
    sure, right = mean(row.probability for row in predictions), judged.metrics.accuracy
    kind = "overconfident" if sure > right else "underconfident"
    verdict = f"It is {kind}" if abs(sure - right) > 0.01 else "On the whole it is neither over- nor underconfident"
    return f"{told} {verdict}: its mean confidence is {percent(sure, 1)}, its accuracy {percent(right, 1)}."


def mistakes(predictions: Sequence[Prediction], most: int = 25) -> list[Prediction]:
    """The most confident mistakes, the most confident first."""
    wrong = [row for row in predictions if row.label != row.prediction]
    return sorted(wrong, key=lambda row: -row.probability)[:most]


def options(found: Documents) -> list[OptionRow]:
    """The complete recipe."""
    meaning = dict(meanings(Recipe))
    values = leaves(found.plan.recipe.model_dump())
    origin = found.plan.origin
    return [OptionRow(name, plain(value), origin.get(name, "–"), meaning[name]) for name, value in values]


def meanings(group: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Each option's name and what its docstring says."""
    for name, field in group.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Options):
            yield from meanings(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field.description or ""


def differences(runs: Sequence[Documents]) -> dict[str, list[str]]:
    """The options in which the runs' recipes differ, with each run's value."""
    recipes = [dict(leaves(found.plan.recipe.model_dump())) for found in runs]
    return {name: [plain(r[name]) for r in recipes] for name in recipes[0] if len({repr(r[name]) for r in recipes}) > 1}


def comparable(runs: Sequence[Documents]) -> bool:
    """Whether all runs were judged on the same validation images."""
    splits = {(f.plan.recipe.split_seed, f.plan.recipe.validation, f.plan.recipe.test) for f in runs}
    prints = {f.data.fingerprint if f.data else None for f in runs}
    return len(splits) == 1 and len(prints) == 1 and None not in prints
