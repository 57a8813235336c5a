"""What a net may define beside `forward`; training asks for it with isinstance."""

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class LooksAtImages(Protocol):
    """A net that sets some of its weights from the training images before it is trained."""

    def look_at(self, pixels: Tensor) -> None:
        """Called once, with normalised images float32 [N, C, S, S], before the optimiser exists."""


@runtime_checkable
class TrainsPartly(Protocol):
    """A net some of whose parameters are trained in the first epochs only."""

    def trained_until(self) -> dict[str, int]:
        """Names of parameters, and the epochs in which their learning rate falls linearly to 0."""
