"""Predicting the classes of image files with a run's weights, exactly as its validation saw images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tenfold.datasets.dataset import Progress, Skipped, silent
from tenfold.datasets.images import ENDINGS, decode
from tenfold.errors import DataError
from tenfold.evidence.evaluation import backend_of
from tenfold.runs import Run, csv_text
from tenfold.training.step import judge_batch
from tenfold.training.weights import load_weights

BATCH = 256


@dataclass(frozen=True, eq=False)
class Predictions:
    """Probabilities [N, classes] of the images at `paths`, and the files that could not be read."""

    paths: tuple[str, ...]
    probabilities: NDArray[np.float64]
    classes: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The predicted class of each image."""
        return [self.classes[index] for index in self.probabilities.argmax(1)]

    def csv(self) -> str:
        """path, prediction, then the probability of each class."""
        rows = zip(self.paths, self.names, self.probabilities, strict=True)
        header = ["path", "prediction", *(f"p({name})" for name in self.classes)]
        return csv_text(header, [(path, name, *(f"{p:.6f}" for p in values)) for path, name, values in rows])


def predict(
    run: Run, paths: Sequence[str | Path], which: str = "best", device: str = "auto", progress: Progress = silent
) -> Predictions:
    """Classes of image files, and of all images below folders; DataError where not a single one can be read."""
    weights = load_weights(run, which)
    files = image_files(paths)
    backend, notes = backend_of(run.recipe, None if device == "auto" else device)
    model = backend.place(weights.build())
    read: list[str] = []
    skipped: list[Skipped] = []
    found: list[NDArray[np.float64]] = []
    for start in range(0, len(files), BATCH):
        batch = list(decoded(files[start : start + BATCH], weights.preprocessing.image_size, skipped))
        if batch:
            pixels = torch.from_numpy(np.stack([image for _, image in batch])).permute(0, 3, 1, 2).to(backend.device)
            logits = judge_batch(model, pixels, weights.preprocessing, backend)
            found.append(logits.double().softmax(1).numpy())
            read += [str(path) for path, _ in batch]
        progress("predicting", min(start + BATCH, len(files)), len(files))
    if not read:
        listed = "; ".join(f"{s.path}: {s.reason}" for s in skipped[:5])
        raise DataError(
            f"None of the {len(files)} files can be read as an image. {listed}",
            "Give JPEG, PNG, WebP, BMP, GIF or TIFF files.",
        )
    return Predictions(tuple(read), np.concatenate(found), weights.classes, tuple(skipped), notes)


def image_files(paths: Sequence[str | Path]) -> list[Path]:
    """The files themselves, and below each folder those with an image's ending, sorted; DataError for missing ones."""
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            below = sorted(p for p in path.rglob("*") if p.suffix.lower() in ENDINGS and not p.name.startswith("."))
            if not below:
                raise DataError(
                    f"The folder {path} holds no images.", "Give a folder with JPEG, PNG, WebP, BMP, GIF or TIFF files."
                )
            files += below
        elif path.exists():
            files.append(path)
        else:
            raise DataError(f"There is no file {path}.", "Check the path; a folder stands for all images below it.")
    if not files:
        raise DataError("No image was named.", "tenfold predict RUN PATH…")
    return files


def decoded(files: Sequence[Path], size: int, skipped: list[Skipped]) -> Iterator[tuple[Path, NDArray[np.uint8]]]:
    """Each readable file as uint8 [size, size, 3]; the others are added to `skipped`."""
    for path in files:
        try:
            yield path, decode(path, size)
        except DataError as error:
            skipped.append(Skipped(str(path), error.what))
