"""The files of a run folder as typed values: absent ones are None, damaged ones a RunError that names them."""

import csv
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from tenfold.errors import Finding, RunError
from tenfold.evidence.metrics import Metrics, ViewsResult
from tenfold.recipe import Plan
from tenfold.runs import Epoch, Run, best_of, is_whole

Value = TypeVar("Value")
Count = Annotated[int, Field(ge=0)]


class Document(BaseModel):
    """A JSON document that a run wrote; entries of later versions are ignored."""

    model_config = ConfigDict(frozen=True)


class Part(Document):
    """A split: how many images, and how many of each class."""

    total: Count
    counts: list[Count]


class SkippedFile(Document):
    """A file that was left out, and why."""

    path: str
    reason: str


class Data(Document):
    """data.json: what the run learned from."""

    name: str
    where: str | None = None
    fingerprint: str
    classes: list[str]
    image_size: int
    channels: int
    splits: dict[str, Part]
    mean: list[float] | None = None
    std: list[float] | None = None
    skipped: list[SkippedFile] = []
    notes: list[str] = []
    stream: str | None = None
    initial_loss: str | None = None

    @model_validator(mode="after")
    def one_count_a_class(self) -> "Data":
        """Every split counts every class."""
        if any(len(part.counts) != len(self.classes) for part in self.splits.values()):
            raise ValueError("a split does not count every class")
        return self


class Judgement(Document):
    """evaluation_SPLIT.json: what weights were worth on a split."""

    split: str
    weights: str
    epoch: int
    metrics: Metrics
    views: ViewsResult | None = None
    data: str | None = None
    time: str | None = None

    @model_validator(mode="after")
    def square(self) -> "Judgement":
        """The confusion matrix is square, its numbers add up, and precision and recall are given for each class."""
        metrics, size = self.metrics, len(self.metrics.confusion)
        if any(len(row) != size for row in (metrics.precision, metrics.recall, *metrics.confusion)):
            raise ValueError("the confusion matrix is not square")
        right = sum(row[index] for index, row in enumerate(metrics.confusion))
        if not metrics.total or (metrics.correct, metrics.total) != (right, sum(map(sum, metrics.confusion))):
            raise ValueError("the confusion matrix does not add up")
        return self


class Opening(Document):
    """An entry of test_openings.json: the test set was looked at."""

    time: str
    weights: str
    data: str
    accuracy: float | None = None


class Diagnosis(Document):
    """findings.json: what was found, and which rules were silenced that would have said something."""

    findings: list[Finding]
    silenced: list[str] = []


class Prediction(Document):
    """A row of predictions.csv."""

    id: str
    label: str
    prediction: str
    probability: float
    loss: float


@dataclass(frozen=True)
class Documents:
    """Everything that a report is made from."""

    run: Run
    plan: Plan
    epochs: list[Epoch]
    best: Epoch | None
    data: Data | None
    environment: dict[str, Any] | None
    validation: Judgement | None
    test: Judgement | None
    openings: list[Opening]
    predictions: list[Prediction]
    diagnosis: Diagnosis | None

    @property
    def finished(self) -> bool:
        """Whether every epoch of the recipe was trained, or the run stopped early as it asks for."""
        return is_whole(self.epochs, self.plan.recipe)


def gather(run: Run) -> Documents:
    """Read a run folder."""
    plan, epochs = run.plan, rows(run)
    check(run.path / "recipe.json", plan.origin, dict[str, str])
    data = document(run, "data.json", Data)
    found = Documents(
        run=run,
        plan=plan,
        epochs=epochs,
        best=best_of(epochs),
        data=data,
        environment=document(run, "environment.json", dict[str, Any]),
        validation=document(run, "evaluation_val.json", Judgement),
        test=document(run, "evaluation_test.json", Judgement),
        openings=document(run, "test_openings.json", list[Opening]) or [],
        predictions=predictions(run.path / "predictions.csv"),
        diagnosis=document(run, "findings.json", Diagnosis),
    )
    for judged in (found.validation, found.test):
        if data and judged and len(judged.metrics.confusion) != len(data.classes):
            raise damaged(run.path / f"evaluation_{judged.split}.json", "it has other classes than data.json")
    return found


def rows(run: Run) -> list[Epoch]:
    """The rows of results.csv."""
    path = run.path / "results.csv"
    found = check(path, [asdict(row) for row in run.epochs], list[Epoch])
    for row in found:
        numbers = (row.lr, row.train_accuracy, row.val_accuracy or 0, row.seconds, row.images_per_second)
        right = 0 <= (row.val_correct or 0) <= (row.val_total or 0)
        if not (row.epoch > 0 and right and all(map(isfinite, numbers))):
            raise damaged(path, f"the row of epoch {row.epoch} has impossible numbers")
    return found


def document(run: Run, file: str, kind: type[Value]) -> Value | None:
    """A JSON file of the run; None where it is absent."""
    return check(run.path / file, run.read(file), kind) if (run.path / file).exists() else None


def predictions(path: Path) -> list[Prediction]:
    """The rows of a predictions file; none where it is absent."""
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), reader.fieldnames or ()
    except (OSError, ValueError, csv.Error) as error:
        raise damaged(path, str(error)) from None
    if not set(Prediction.model_fields) <= set(columns):
        raise damaged(path, f"its columns are not {', '.join(Prediction.model_fields)}")
    return check(path, rows, list[Prediction])


def check(path: Path, value: Any, kind: type[Value]) -> Value:
    """The value as that type; RunError with its first fault where it is not."""
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise damaged(path, f"{place}: {first['msg'].lower()}" if place else first["msg"].lower()) from None


def damaged(path: Path, why: str) -> RunError:
    """The error of a file that cannot be used."""
    return RunError(
        f"{path} is damaged: {why}.", "Restore it from a copy, or delete it: the report is made without it."
    )
