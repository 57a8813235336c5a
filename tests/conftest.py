"""What all tests share: an empty cache, a small folder of pictures, the real CIFAR-10 where it is there."""

import os
import signal
from pathlib import Path

# Before torch is imported: tests run side by side, and threads that wait for work must not keep others from theirs.
os.environ.update(OMP_WAIT_POLICY="PASSIVE", OMP_NUM_THREADS="1")

# A suite that was started in the background ignores Ctrl-C, and so would the programs that it starts and stops.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import numpy as np
import pytest
import torch
from PIL import Image

import forked
from tenfold import api
from tenfold.checks.script import parent
from tenfold.datasets import shapes
from tenfold.experiments import programs
from tenfold.runs import Run

CLASSES = ("disc", "ring", "square")
EACH = 40


PLAIN = {"threads": 1, "precision": "fp32", "layout": "channels_last", "kernels": "torch", "compile": False}
"""A backend with nothing left to measure."""


@pytest.fixture(scope="session")
def own_cache(tmp_path_factory) -> Path:
    """The cache of this worker's tests; the compiled kernels in it are shared by all workers."""
    base = tmp_path_factory.getbasetemp()
    own, shared = base / "cache", (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "kernels"
    shared.mkdir(exist_ok=True)
    own.mkdir()
    (own / "kernels").symlink_to(shared)
    return own


@pytest.fixture(autouse=True)
def _own_cache(own_cache, monkeypatch):
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("TENFOLD_CACHE", str(own_cache))


@pytest.fixture(autouse=True)
def _denormals():
    """A training flushes denormal numbers to zero in its process; tests of other things count on them."""
    torch.set_flush_denormal(False)


@pytest.fixture
def real_child():
    """Asked for by the tests of a start itself: their children are begun as users' are."""


@pytest.fixture(autouse=True)
def _forked(request, monkeypatch):
    """Other children of checks, studies and trials are forked."""
    if "real_child" not in request.fixturenames:
        monkeypatch.setattr(parent, "begin", forked.begin_check)
        monkeypatch.setattr(programs, "start", forked.start_program)


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Tests run side by side, one thread each."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """A folder of three class folders with 40 PNG files each."""
    folder = tmp_path_factory.mktemp("data") / "photos"
    images = shapes.draw(np.repeat(np.arange(3), EACH), 32, np.random.default_rng(0))
    tint = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200]], np.uint8).repeat(EACH, 0)[:, None, None]
    images = images // 2 + tint // 2  # so that a second of training learns them
    for index, image in enumerate(images):
        path = folder / CLASSES[index // EACH] / f"{index % EACH:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(image)).save(path)
    return folder


@pytest.fixture(scope="session")
def small(photos) -> dict:
    """Options of a training that takes a second, with the same numbers on every processor."""
    backend = {f"backend.{name}": value for name, value in PLAIN.items()}
    return {"data": str(photos), "epochs": 3, "batch": 16, "device": "cpu", **backend}


@pytest.fixture(scope="session")
def trained(small, tmp_path_factory, own_cache) -> Run:
    """A finished run on the photos; not to be changed (copy it)."""
    os.environ["TENFOLD_CACHE"] = str(own_cache)
    return api.train(out=tmp_path_factory.mktemp("runs"), name="trained", quiet=True, **small)


@pytest.fixture(scope="session")
def cifar10() -> Path:
    """The real CIFAR-10, from $TENFOLD_DATA/cifar10 or ../shared/data; skips loudly where it is missing."""
    here = Path(__file__).parents[1]
    for place in (Path(os.environ.get("TENFOLD_DATA", here / "no")) / "cifar10", here.parent / "shared/data/cifar10"):
        if place.exists():
            return place.resolve()
    pytest.skip("the real CIFAR-10 is missing: set TENFOLD_DATA to the folder that holds cifar10/")
