"""What tenfold remembers of CIFAR-10 archives: which files it has verified, and their decoded pixels.

All of it may be deleted; a cache that cannot be written only makes the next start slower.
"""

import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tenfold.cache import cache_folder
from tenfold.datasets.cifar_files import FLAT_SIZE, Content


def home() -> Path:
    """The folder of downloads and records."""
    return cache_folder("cifar10")


def is_verified(archive: Path, sha256: str) -> bool:
    """Whether this very file (path, size, time of change) was found to have this SHA-256 before."""
    return read_json(home() / "verified.json").get(str(archive.resolve())) == stamp(archive, sha256)


def remember_verified(archive: Path, sha256: str) -> None:
    """Note that the file has this SHA-256."""
    records = {**read_json(home() / "verified.json"), str(archive.resolve()): stamp(archive, sha256)}
    write(home() / "verified.json", lambda file: file.write(json.dumps(records, indent=2).encode()))


def stamp(archive: Path, sha256: str) -> dict[str, Any]:
    """What makes a file the one that was verified."""
    status = archive.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": sha256}


def load_decoded(sha256: str) -> tuple[Content, str] | None:
    """The archive's decoded content, memory-mapped, and the fingerprint it must have; None if not there or damaged."""
    record = read_json(home() / f"decoded-{sha256[:16]}.json")
    try:
        flat = np.load(home() / f"decoded-{sha256[:16]}.npy", mmap_mode="c", allow_pickle=False)
        content = Content(flat, tuple(record["classes"])) if flat.shape == (FLAT_SIZE,) else None
        return (content, str(record["fingerprint"])) if content else None
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None


def save_decoded(sha256: str, content: Content, fingerprint: str) -> None:
    """Keep the archive's decoded content for the next start."""
    record = {"classes": content.classes, "fingerprint": fingerprint}
    write(home() / f"decoded-{sha256[:16]}.npy", lambda file: np.save(file, content.flat, allow_pickle=False))
    write(home() / f"decoded-{sha256[:16]}.json", lambda file: file.write(json.dumps(record).encode()))


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if there is none or it is damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def write(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Write a file whole or not at all."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                fill(file)
            Path(temporary).replace(path)
        finally:
            Path(temporary).unlink(missing_ok=True)
