"""The weights' exponential moving average (Polyak averaging): smoother than the last step, and often more accurate.

While it is on, the average is what validation judges and what is saved as the run's weights; the net under training is
not touched. Batch norms' running means and variances are averaged like weights, so that they belong to the averaged
net; counters are copied.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class Average:
    """a ← d·a + (1−d)·w after every step, with d = min(decay, (1 + n) / (10 + n)) after n steps.

    The first step's weights begin it, and the smaller d of the first steps lets it forget them soon.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model, self.decay, self.steps = model, decay, 0
        self.tensors: dict[str, Tensor] = {}

    @torch.no_grad()
    def update(self, *_: Any) -> None:
        """Take in the weights as they are: an optimiser's hook after its step."""
        live = self.model.state_dict()
        if not self.tensors:
            self.tensors = {name: tensor.clone() for name, tensor in live.items()}
        moving = [name for name, tensor in live.items() if tensor.is_floating_point()]
        share = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_([self.tensors[name] for name in moving], [live[name] for name in moving], share)
        for name in live.keys() - moving:
            self.tensors[name].copy_(live[name])
        self.steps += 1

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside this block the net has the averaged weights (once there are any), afterwards its own to the bit."""
        live = self.model.state_dict()
        own = {name: tensor.clone() for name, tensor in live.items()}
        copy(self.tensors, live)
        try:
            yield
        finally:
            copy(own, live)

    def state(self) -> dict[str, Tensor]:
        """Every tensor that resuming needs, the number of steps among them."""
        return {**self.tensors, "steps": torch.tensor(self.steps)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave, in the memory layout of the net: the same arithmetic, to the bit."""
        self.steps = int(tensors["steps"])
        live = self.model.state_dict()
        self.tensors = {name: torch.empty_like(live[name]).copy_(t) for name, t in tensors.items() if name != "steps"}


@torch.no_grad()
def copy(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    """Copy the source's values into the target's tensors of the same name."""
    for name, tensor in source.items():
        target[name].copy_(tensor)
