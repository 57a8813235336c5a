"""State: all that a run needs to continue to the bit.

Order, augmentation and dropout are functions of (seed, epoch, step) and the schedule of the position, so the state is
the weights, the optimiser's buffers, the position, and what was summed up so far.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tenfold.runs import Epoch


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
    """The net, its optimiser, and the position."""

    model: nn.Module
    optimizer: Optimizer
    progress: Progress = field(default_factory=Progress)

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of the state: model.NAME, and optimizer.NAME.KEY for each buffer of a parameter."""
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                if value is not None:
                    tensors[f"optimizer.{name}.{key}"] = torch.as_tensor(value)
        return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}

    def restore(self, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> None:
        """Take over what `tensors` and `Progress.to_dict` gave."""
        model = {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
        self.model.load_state_dict(model)
        self.optimizer.state.clear()
        for name, parameter in self.model.named_parameters():
            prefix = f"optimizer.{name}."
            for full, tensor in tensors.items():
                if full.startswith(prefix):
                    key = full.removeprefix(prefix)
                    self.optimizer.state[parameter][key] = on_device(tensor, key, parameter)
        self.progress = Progress.from_dict(progress)


def on_device(tensor: Tensor, key: str, parameter: Tensor) -> Tensor:
    """A restored optimiser buffer where the optimiser keeps it: counters stay on the CPU unless the kernel is fused."""
    if key == "step":
        return tensor.clone()
    return torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)
