"""Checkpoints: checkpoints/step-00000352.safetensors, the last two kept."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from tenfold.errors import RunError
from tenfold.training.tensorfile import read_tensors, write_tensors

KEPT = 2


def save_checkpoint(folder: Path, step: int, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> None:
    """Write the checkpoint of global step `step` and remove all but the newest two."""
    write_tensors(folder / f"step-{step:08d}.safetensors", tensors, {"progress": json.dumps(progress)})
    for old in checkpoints(folder)[:-KEPT]:
        old.unlink(missing_ok=True)


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoint files, oldest first."""
    return sorted(folder.glob("step-*.safetensors"))


def load_newest(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any], list[str]] | None:
    """Tensors and progress of the newest undamaged checkpoint, and a line on each damaged one; None without any.

    Raises RunError where every checkpoint is damaged.
    """
    problems: list[str] = []
    for path in reversed(checkpoints(folder)):
        try:
            tensors, metadata = read_tensors(path)
        except RunError as error:
            problems.append(error.what)
        else:
            return tensors, json.loads(metadata["progress"]), [f"{p} Falling back to {path.name}." for p in problems]
    if problems:
        raise RunError(
            "No checkpoint of this run can be used: " + " ".join(problems), "Train again under another --name."
        )
    return None
