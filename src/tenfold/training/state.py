"""State: all that a run needs to continue to the bit.

Order, augmentation and dropout are functions of (seed, epoch, step) and the schedule of the position and of the rows so
far, as early stopping is. So the state is the weights and their average, the optimiser's buffers, the position, and
what was summed up so far.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tenfold.runs import Epoch
from tenfold.training.averaging import Average
from tenfold.training.weights import take_over


@dataclass
class Progress:
    """Where a run is: the next step to take, the sums of the epoch under way, the rows of those done."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    seen: int = 0
    seconds: float = 0.0
    stream: str = ""
    rows: list[Epoch] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Progress":
        """The inverse of `to_dict`."""
        return cls(**{**values, "rows": [Epoch(**row) for row in values["rows"]]})


@dataclass
class State:
    """The net, its optimiser, the position, and the average of the weights where the recipe wants one."""

    model: nn.Module
    optimizer: Optimizer
    progress: Progress = field(default_factory=Progress)
    average: Average | None = None

    @contextmanager
    def judged(self) -> Iterator[nn.Module]:
        """The net as it is judged and saved: inside this block with its averaged weights, where there are such."""
        with self.average.in_place() if self.average else nullcontext():
            yield self.model

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of the state: model.NAME, average.NAME, optimizer.NAME.KEY for each buffer of a parameter."""
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        if self.average is not None:
            tensors |= {f"average.{name}": tensor for name, tensor in self.average.state().items()}
        buffers = self.optimizer.state_dict()["state"]
        for index, name in enumerate(self.parameter_names()):
            for key, value in buffers.get(index, {}).items():
                if value is not None:
                    tensors[f"optimizer.{name}.{key}"] = value
        return tensors

    def restore(self, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> None:
        """Take over what `tensors` and `Progress.to_dict` gave."""
        take_over(self.model, {name[6:]: t for name, t in tensors.items() if name.startswith("model.")})
        if self.average is not None:
            self.average.restore({name[8:]: t for name, t in tensors.items() if name.startswith("average.")})
        parameters = dict(self.model.named_parameters())
        buffers: dict[int, dict[str, Tensor]] = {}
        for index, name in enumerate(self.parameter_names()):
            prefix = f"optimizer.{name}."
            own = {full.removeprefix(prefix): t for full, t in tensors.items() if full.startswith(prefix)}
            if own:
                buffers[index] = {key: like(tensor, parameters[name]) for key, tensor in own.items()}
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": buffers})
        self.progress = Progress.from_dict(progress)

    def accuracies(self) -> list[float]:
        """The validation accuracy of each epoch so far."""
        return [row.val_accuracy for row in self.progress.rows if row.val_accuracy is not None]

    def parameter_names(self) -> list[str]:
        """Names of the parameters in the optimiser's order."""
        name_of = {parameter: name for name, parameter in self.model.named_parameters()}
        return [name_of[p] for group in self.optimizer.param_groups for p in group["params"]]


def like(tensor: Tensor, parameter: Tensor) -> Tensor:
    """A restored buffer in the memory layout of its parameter.

    torch's fused CPU optimisers walk both in memory order: a channels-last weight with a contiguous momentum would be
    updated with other weights' momentum, without an error.
    """
    if tensor.shape != parameter.shape:
        return tensor
    return torch.empty_like(parameter, dtype=tensor.dtype, device="cpu").copy_(tensor)
