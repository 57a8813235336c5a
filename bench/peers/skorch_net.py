"""CIFAR-10 with skorch: a NeuralNetClassifier whose batches are augmented when they are collated.

python bench/peers/skorch_net.py --data PATH [--net resnet20] [--precision bf16]
"""

from typing import Any

import torch
from common import BATCH, LEARNING_RATE, MEAN, MOMENTUM, STD, WEIGHT_DECAY, Part, arguments, cifar10, report
from skorch import NeuralNetClassifier
from torch import Tensor, nn
from torch.utils.data import TensorDataset, default_collate
from torch_nets import NETS, count, crop_and_flip

STATISTICS = torch.tensor([MEAN, STD]).mul(255).view(2, 1, 3, 1, 1)


class MixedPrecision(NeuralNetClassifier):
    """The net computes under bf16 autocast."""

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Logits, in float32 for the loss."""
        with torch.autocast("cpu", torch.bfloat16):
            return super().infer(x, **fit_params).float()


def augmented(samples: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """A training batch."""
    images, labels = default_collate(samples)
    return normalized(crop_and_flip(images)), labels


def plain(samples: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """A batch to judge."""
    images, labels = default_collate(samples)
    return normalized(images), labels


def normalized(images: Tensor) -> Tensor:
    """Zero mean, unit deviation."""
    mean, std = STATISTICS
    return (images - mean) / std


def tensors(part: Part) -> TensorDataset:
    """Images [N, 3, 32, 32] and labels."""
    images, labels = part
    return TensorDataset(torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels))


def main() -> None:
    """Train, judge, report."""
    chosen = arguments("bf16")
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(chosen.seed)
    training, validation = (tensors(part) for part in cifar10(chosen))
    net = (MixedPrecision if chosen.precision == "bf16" else NeuralNetClassifier)(
        NETS[chosen.net],
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        lr=LEARNING_RATE[chosen.net],
        optimizer__momentum=MOMENTUM,
        optimizer__weight_decay=WEIGHT_DECAY,
        max_epochs=chosen.epochs,
        batch_size=BATCH,
        iterator_train__shuffle=True,
        iterator_train__collate_fn=augmented,
        iterator_valid__collate_fn=plain,
        train_split=None,
        verbose=0,
    )
    net.fit(training, y=None)
    right = float((torch.from_numpy(net.predict(validation)) == validation.tensors[1]).float().mean())
    rates = [len(training) / seconds for seconds in net.history[:, "dur"]]
    report("skorch", ["skorch", "torch"], chosen, count(net.module_), rates, right)


if __name__ == "__main__":
    main()
