"""Tensors on disk: safetensors with a SHA-256 over every tensor and all metadata, written atomically.

No pickle: reading such a file cannot run code.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from tenfold.errors import RunError
from tenfold.runs import write_atomic

ENTRY = "tenfold"
"""The metadata entry that holds everything, as JSON."""


def digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """SHA-256 over the metadata and every tensor's name, type, shape and bytes."""
    total = hashlib.sha256(repr(sorted(metadata.items())).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"{name}{tensor.dtype}{list(tensor.shape)}".encode())
        total.update(tensor.reshape(-1).numpy().tobytes())
    return total.hexdigest()


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write contiguous CPU copies of the tensors, with the metadata and the checksum."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # One entry, because safetensors writes several in random order, and equal contents should be equal bytes.
    entry = json.dumps({**metadata, "sha256": digest(tensors, metadata)})
    write_atomic(path, save(tensors, {ENTRY: entry}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata; RunError where the file's form or checksum is wrong."""
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            metadata: dict[str, str] = json.loads((file.metadata() or {})[ENTRY])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise RunError(f"{path} is damaged: {error}.") from None
    if metadata.pop("sha256", None) != digest(tensors, metadata):
        raise RunError(f"{path} is damaged: its checksum differs.")
    return tensors, metadata
