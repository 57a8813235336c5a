"""Judging predictions: accuracy, loss, precision and recall per class, confusion matrix, calibration error."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CALIBRATION_BINS = 15


@dataclass(frozen=True)
class Metrics:
    """How good N predictions are. confusion[i][j] counts images of class i that were called j."""

    total: int
    correct: int
    accuracy: float
    loss: float
    calibration_error: float
    precision: tuple[float | None, ...]
    recall: tuple[float | None, ...]
    confusion: tuple[tuple[int, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class ViewsResult:
    """What averaging over several views of an image gives; `share` of the images, the least sure, got them."""

    tta: str
    share: float
    total: int
    correct: int
    accuracy: float

    def text(self) -> str:
        """The result in one line."""
        of = "" if self.share == 1 else f" for the least sure {self.share:.0%} of the images"
        return f"averaged over views ({self.tta}){of}: accuracy {self.accuracy:.2%} ({self.correct:,}/{self.total:,})"


def measure(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> Metrics:
    """Metrics of probabilities [N, classes] for labels [N]; precision and recall are None where they would be 0/0."""
    classes = probabilities.shape[1]
    called = probabilities.argmax(1)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, called), 1)
    right = confusion.diagonal()
    return Metrics(
        total=len(labels),
        correct=int(right.sum()),
        accuracy=float(right.sum() / len(labels)),
        loss=float(losses(probabilities, labels).mean()),
        calibration_error=calibration_error(probabilities.max(1), called == labels),
        precision=shares(right, confusion.sum(0)),
        recall=shares(right, confusion.sum(1)),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
    )


def losses(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cross-entropy of each image, in nats."""
    own = probabilities[np.arange(len(labels)), labels]
    return -np.log(np.maximum(own, np.finfo(np.float64).tiny))


def shares(part: NDArray[np.int64], whole: NDArray[np.int64]) -> tuple[float | None, ...]:
    """part/whole for each class; None where the whole is zero."""
    return tuple(float(p / w) if w else None for p, w in zip(part, whole, strict=True))


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Expected calibration error over 15 equal bins of confidence (Guo et al. 2017, section 3)."""
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    sum_confidence = np.bincount(bins, confidence, CALIBRATION_BINS)
    sum_right = np.bincount(bins, right.astype(np.float64), CALIBRATION_BINS)
    return float(np.abs(sum_confidence - sum_right).sum() / len(confidence))
