"""Where tenfold keeps what it can make again: downloads, ingested images, compiled kernels, measured backends."""

import os
from pathlib import Path

import platformdirs


def cache_folder(name: str) -> Path:
    """The folder `name` in $TENFOLD_CACHE or the user's cache folder; it need not exist yet."""
    root = os.environ.get("TENFOLD_CACHE") or platformdirs.user_cache_dir("tenfold")
    return Path(root).expanduser() / name
