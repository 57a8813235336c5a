"""Real image files in temporary folders, and a cache of their own for every test."""

import hashlib
import io
import os
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """The cache folder of this test; nothing goes to the user's own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("TENFOLD_CACHE", str(folder))
    return folder


def encoded_image(name="1.png", size=(12, 12), seed=None):
    """The bytes of an image file whose pixels follow from its name or the seed."""
    rng = np.random.default_rng(zlib.crc32(name.encode()) if seed is None else seed)
    pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG" if name.lower().endswith((".jpg", ".jpeg")) else "PNG")
    return buffer.getvalue()


@pytest.fixture
def image_bytes():
    """encoded_image(name, (width, height), seed)."""
    return encoded_image


@pytest.fixture
def put():
    """Write files below a folder: images by their name alone, other contents as given."""

    def put(root, *names, size=(12, 12), content=None):
        for name in names:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded_image(name, size) if content is None else content)
        return root

    return put


@pytest.fixture
def pets(tmp_path, put):
    """A folder of 3 cats and 3 dogs, 12×12 pixels."""
    return put(tmp_path / "pets", *(f"{name}/{i}.png" for name in ("cat", "dog") for i in range(3)))


@pytest.fixture
def snapshot():
    """Everything below a folder that a user could notice: names, contents, sizes, times, permissions."""

    def snapshot(root):
        state = {}
        for path in sorted([root, *root.rglob("*")]):
            info = path.lstat()
            digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            state[str(path)] = (info.st_mode, info.st_size, info.st_mtime_ns, info.st_ino, digest)
        return state

    return snapshot


@pytest.fixture
def python():
    """Run a piece of Python in a process of its own; returns the finished process."""

    def python(code, *arguments, **variables):
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, **variables},
        )

    return python
