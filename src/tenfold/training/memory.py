"""Memory that runs out, explained."""

from collections.abc import Iterator
from contextlib import contextmanager

from tenfold.errors import TrainingError


@contextmanager
def memory_explained(batch: int, size: int, otherwise: str = "") -> Iterator[None]:
    """Turn running out of memory into a TrainingError that suggests a smaller batch, or else what `otherwise` says."""
    try:
        yield
    except RuntimeError as error:  # torch.OutOfMemoryError on a GPU, a plain RuntimeError on the CPU
        if "out of memory" not in str(error) and "can't allocate memory" not in str(error):
            raise
        raise TrainingError(
            f"Memory ran out with a batch of {batch} images of {size} pixels.",
            f"Train anew with --batch {max(1, batch // 2)} or a smaller --image-size{otherwise}.",
        ) from None
