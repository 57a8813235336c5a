"""Checkpoints: one safetensors file each, written atomically, checked by SHA-256, the last two kept.

    checkpoints/step-00000352.safetensors     tensors; metadata: {"state": JSON, "sha256": …}
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from tenfold.errors import RunError
from tenfold.runs import write_atomic

KEPT = 2


def digest(tensors: Mapping[str, Tensor], state: str) -> str:
    """SHA-256 over the state and every tensor's name, type, shape and bytes."""
    total = hashlib.sha256(state.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"{name}{tensor.dtype}{list(tensor.shape)}".encode())
        total.update(tensor.reshape(-1).view(-1).numpy().tobytes())
    return total.hexdigest()


def save_checkpoint(folder: Path, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> Path:
    """Write the checkpoint of global step `step` and remove all but the newest two."""
    text = json.dumps(state)
    path = folder / f"step-{step:08d}.safetensors"
    write_atomic(path, save(dict(tensors), {"state": text, "sha256": digest(tensors, text)}))
    for old in checkpoints(folder)[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoint files, oldest first."""
    return sorted(folder.glob("step-*.safetensors"))


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and state of one file; RunError where its checksum or form is wrong."""
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise RunError(f"{path} is damaged: {error}.") from None
    if metadata.get("sha256") != digest(tensors, metadata.get("state", "")):
        raise RunError(f"{path} is damaged: its checksum differs.")
    return tensors, json.loads(metadata["state"])


def load_newest(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any], list[str]] | None:
    """The newest undamaged checkpoint and what was wrong with newer ones; None where there is no checkpoint at all.

    Raises RunError where every checkpoint is damaged.
    """
    files = checkpoints(folder)
    problems: list[str] = []
    for path in reversed(files):
        try:
            tensors, state = read_checkpoint(path)
        except RunError as error:
            problems.append(error.what)
        else:
            return tensors, state, [f"{problem} Falling back to {path.name}." for problem in problems]
    if problems:
        raise RunError("No checkpoint of this run can be used: " + " ".join(problems), "Train again under another --name.")
    return None
