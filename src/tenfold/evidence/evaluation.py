"""Judging a run's weights on a split of its data, or on other data with the same classes."""

import json
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tenfold.cores import usable_cores
from tenfold.datasets import load
from tenfold.datasets.dataset import Dataset, Progress, Rows, silent
from tenfold.datasets.splits import split as split_rows
from tenfold.errors import DataError, RecipeError, RunError
from tenfold.evidence.ledger import record_opening, record_result
from tenfold.evidence.metrics import Metrics, ViewsResult, losses, measure
from tenfold.recipe import Recipe
from tenfold.runs import Run, csv_text, write_atomic
from tenfold.training.backend import Backend, choose_device, open_backend
from tenfold.training.loader import Images
from tenfold.training.step import logits_of
from tenfold.training.views import logits_of_views, right
from tenfold.training.weights import Weights, load_weights

SPLITS = ("val", "test")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Probabilities [N, classes] and labels [N] of the rows of a dataset, and what follows from them."""

    split: str
    weights: str
    epoch: int
    dataset: Dataset
    rows: Rows
    probabilities: NDArray[np.float64]
    labels: NDArray[np.int64]
    metrics: Metrics
    views: ViewsResult | None = None
    notes: tuple[str, ...] = ()
    opening: int = 0

    def mistakes(self, most: int = 25) -> NDArray[np.int64]:
        """Positions of the most confident mistakes, the most confident first."""
        called = self.probabilities.argmax(1)
        wrong = np.flatnonzero(called != self.labels)
        return wrong[np.argsort(-self.probabilities[wrong, called[wrong]], kind="stable")][:most]

    def to_dict(self) -> dict[str, Any]:
        """For evaluation_SPLIT.json."""
        return {
            "split": self.split,
            "weights": self.weights,
            "epoch": self.epoch,
            "metrics": self.metrics.to_dict(),
            "views": asdict(self.views) if self.views else None,
            "data": self.dataset.where or self.dataset.name,
            "time": time.strftime("%Y-%m-%d %H:%M:%S"),
        }

    def predictions(self) -> str:
        """predictions.csv: id, label, prediction, its probability, loss."""
        classes, called = self.dataset.classes, self.probabilities.argmax(1)
        loss = losses(self.probabilities, self.labels)
        rows = [
            (self.dataset.ids[row], classes[label], classes[call], f"{p[call]:.6f}", f"{nats:.6f}")
            for row, label, call, p, nats in zip(self.rows, self.labels, called, self.probabilities, loss, strict=True)
        ]
        return csv_text(["id", "label", "prediction", "probability", "loss"], rows)

    def save(self, run: Run) -> None:
        """Write evaluation_SPLIT.json and predictions.csv (predictions_test.csv) into the run folder."""
        write_atomic(run.path / f"evaluation_{self.split}.json", json.dumps(self.to_dict(), indent=2))
        write_atomic(run.path / f"predictions{suffix(self.split)}.csv", self.predictions())


def suffix(split: str) -> str:
    """What file names of that split end with: validation is the ordinary case."""
    return "" if split == "val" else f"_{split}"


def judge(
    run: Run, which: str, dataset: Dataset, rows: Rows, split: str, backend: Backend, notes: tuple[str, ...] = ()
) -> Evaluation:
    """Run the weights over these rows; where the recipe says so, over several views of each image too."""
    weights = load_weights(run, which)
    model = backend.place(weights.build())
    images = Images(dataset, rows, backend.device)
    logits = torch.cat([batch for batch, _ in logits_of(model, images, weights.preprocessing, backend)])
    probabilities = logits.double().softmax(1).numpy()
    labels, metrics = dataset.labels[rows], measure(probabilities, dataset.labels[rows])
    views, tta, share = None, run.recipe.tta, run.recipe.tta_share
    if tta != "none":
        averaged = logits_of_views(model, images, logits, tta, share, weights.preprocessing, backend)
        correct = right(averaged, torch.from_numpy(labels))
        views = ViewsResult(tta, share, len(labels), correct, correct / len(labels))
    return Evaluation(split, which, weights.epoch, dataset, rows, probabilities, labels, metrics, views, notes)


def evaluate(
    run: Run,
    split: str = "val",
    data: str | None = None,
    which: str = "best",
    device: str | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Judge a run on its own split or on other data; an opening of the test set is recorded before it happens."""
    recipe, weights = run.recipe, load_weights(run, which)
    if split not in SPLITS:
        raise RecipeError(f"There is no split '{split}'.", "Known: val, test.")
    dataset, rows, notes = rows_to_judge(run, recipe, weights, split, data, progress)
    backend, more = backend_of(recipe, device)
    opening = record_opening(run, which, dataset.where or dataset.name) if split == "test" else 0
    result = judge(run, which, dataset, rows, split, backend, (*notes, *more))
    if opening:
        record_result(run, result.metrics.accuracy)
        result = replace(result, opening=opening)
    return result


def rows_to_judge(
    run: Run, recipe: Recipe, weights: Weights, split: str, data: str | None, progress: Progress
) -> tuple[Dataset, Rows, tuple[str, ...]]:
    """The data and which of its rows; data changed since the training, or of other classes, is refused."""
    dataset = load(data or recipe.data, weights.preprocessing.image_size, progress=progress)
    known = run.read("data.json")["fingerprint"]
    dataset = same_classes(dataset, weights.classes)
    if dataset.fingerprint == known:
        if split == "val" and recipe.train_on == "train+val":
            told = "This run was trained on its validation images too; they cannot judge it."
            raise RunError(told, "Give --split test.")
        return dataset, split_rows(dataset, recipe.split_seed, recipe.validation, recipe.test)[split], ()
    if data is None:
        raise DataError(
            f"The data {recipe.data} changed since this run was trained: its fingerprint differs.",
            f"Give it as other data: tenfold evaluate {run.path} --data {recipe.data}",
        )
    if split in dataset.parts:
        return dataset, dataset.parts[split], (f"Judged on the {split} split of {dataset.name}.",)
    everything = np.arange(len(dataset.labels))
    return dataset, everything, (f"{dataset.name} has no {split} split: judged on all its {len(everything):,} images.",)


def same_classes(dataset: Dataset, classes: tuple[str, ...]) -> Dataset:
    """The dataset with labels in the order of the weights' classes; other classes are refused."""
    if dataset.classes == classes:
        return dataset
    missing, extra = sorted(set(classes) - set(dataset.classes)), sorted(set(dataset.classes) - set(classes))
    if missing or extra:
        told = [f"only the weights know {', '.join(missing)}"] * bool(missing) + [
            f"only the data has {', '.join(extra)}"
        ] * bool(extra)
        raise DataError(
            f"The classes of {dataset.name} and of the weights differ: {'; '.join(told)}.",
            "Evaluate on data with the same classes, or fine-tune: tenfold train --weights RUN --data PATH",
        )
    order = np.array([classes.index(name) for name in dataset.classes])
    return replace(dataset, labels=order[dataset.labels], classes=classes)


def backend_of(recipe: Recipe, device: str | None) -> tuple[Backend, tuple[str, ...]]:
    """The backend that trained the run; where this machine does not compute like it, plain fp32, said aloud."""
    cores = usable_cores()
    options = recipe.backend.model_copy(update={"threads": min(recipe.backend.threads or cores, cores)})
    try:
        return open_backend(device or recipe.device, options), ()
    except RecipeError as error:
        plain = options.model_copy(update={"precision": "fp32", "kernels": "torch"})
        return open_backend(device or present(recipe.device), plain), (f"Computed in plain fp32: {error.what}",)


def present(device: str) -> str:
    """The device where it is here, the CPU otherwise."""
    try:
        choose_device(device)
    except RecipeError:
        return "cpu"
    return device
