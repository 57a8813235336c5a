"""The training step and the evaluation pass, as the maths reads."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from tenfold.datasets.preprocessing import Preprocessing
from tenfold.training.backend import Backend
from tenfold.training.loader import Images


class NotFinite(Exception):
    """The loss of a batch is NaN or infinite; no step was taken."""


def train_step(
    model: nn.Module,
    optimizer: Optimizer,
    pixels: Tensor,
    labels: Tensor,
    backend: Backend,
    label_smoothing: float = 0.0,
    micro_batch: int | None = None,
) -> tuple[float, int]:
    """One step of descent on the mean cross-entropy of the batch; its loss and how many were right before the step.

    labels: classes int64 [n], or targets float32 [n, classes], of which the largest counts as right.
    micro_batch: the images pass the net in equal slices of at most so many; the gradient is that of the whole mean.
    """
    optimizer.zero_grad(set_to_none=True)
    loss, correct, slices = 0.0, 0, -(-len(labels) // (micro_batch or len(labels)))
    for images, answers in zip(pixels.tensor_split(slices), labels.tensor_split(slices), strict=True):
        logits = backend.logits(model, images)
        part = cross_entropy(logits, answers, label_smoothing=label_smoothing) * (len(answers) / len(labels))
        if not torch.isfinite(part):
            raise NotFinite(f"{part.item()}")
        part.backward()
        loss += part.item()
        correct += int((logits.argmax(1) == named(answers)).sum())
    optimizer.step()
    return loss, correct


def named(answers: Tensor) -> Tensor:
    """Labels [n]; of targets [n, classes] the one with the largest share."""
    return answers if answers.dim() == 1 else answers.argmax(1)


def logits_of(
    model: nn.Module, images: Images, preprocessing: Preprocessing, backend: Backend
) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits float32 [n, classes] and labels [n] of each batch, in eval mode, on the CPU."""
    model.eval()
    for batch, labels in images.batches():
        yield judge_batch(model, batch, preprocessing, backend), labels.cpu()


def judge_batch(model: nn.Module, batch: Tensor, preprocessing: Preprocessing, backend: Backend) -> Tensor:
    """Logits float32 [n, classes], on the CPU, of uint8 images [n, C, S, S]: the one way in which images are judged."""
    with torch.inference_mode():
        logits = backend.logits(model, preprocessing.normalize(preprocessing.crop(batch), backend.layout))
    return logits.cpu()


def evaluate(
    model: nn.Module, images: Images, preprocessing: Preprocessing, backend: Backend, tick: Callable[[], None]
) -> tuple[float, int]:
    """Mean cross-entropy and number of right answers over all images; `tick` is called after each batch."""
    loss, correct = 0.0, 0
    for logits, labels in logits_of(model, images, preprocessing, backend):
        loss += cross_entropy(logits, labels, reduction="sum").item()
        correct += int((logits.argmax(1) == labels).sum())
        tick()
    return loss / len(images), correct
