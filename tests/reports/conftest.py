"""Run folders as a training leaves them, made without training."""

import io
import json
import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from PIL import Image

from tenfold.evidence.metrics import measure
from tenfold.recipe import Plan
from tenfold.recipes import named
from tenfold.reports import pictures
from tenfold.runs import Epoch, Run, csv_text, write_epochs

CLASSES = ("airplane", "cat", "dog", "<script>alert(1)</script>", "$5 & more")
ENVIRONMENT = {
    "tenfold": "0.1.0",
    "python": "3.12.1",
    "torch": "2.10.0",
    "numpy": "2.1.0",
    "pillow": "13.0.0",
    "platform": "Linux",
    "processor": "A processor (AVX512)",
    "cores": 2,
    "memory": 8 * 2**30,
    "device": "cpu",
    "device_name": "A processor (AVX512)",
    "device_memory": 8 * 2**30,
    "driver": None,
    "command": "tenfold train simplenn-decay --seed 3",
}


def rows(count, lr=lambda epoch: 0.01, validated=True):
    """Rows as of a training that overfits after a while."""
    made = []
    for epoch in range(1, count + 1):
        train, val = 1 - 0.6 * math.exp(-epoch / 6), 0.86 - 0.5 * math.exp(-epoch / 4) - 0.002 * epoch
        right = round(val * 500)
        judged = (0.5 + math.exp(-epoch / 4) + 0.01 * epoch, right / 500, right, 500) if validated else (None,) * 4
        loss = 2.1 * math.exp(-epoch / 9)
        made.append(
            Epoch(epoch, epoch * 36, lr(epoch), loss, train, round(train * 4500), 4500, *judged, 2.5, 3600.0 + epoch)
        )
    return made


def probabilities(total, seed=0):
    """Confident predictions, a fifth of them wrong, and the labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(CLASSES), total)
    called = np.where(rng.random(total) < 0.8, labels, rng.integers(0, len(CLASSES), total))
    scores = rng.normal(size=(total, len(CLASSES)))
    scores[np.arange(total), called] += 4
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    return shares, labels


def rates(epoch):
    return 0.01 * 0.1 ** ((epoch - 1) // 10)


@cache
def pictured_curves(count, validated):
    """Drawn once: pictures take longer than all else here."""
    return pictures.curves(rows(count, rates, validated), "simplenn-decay")


@cache
def pictured_evaluation(total):
    images = np.random.default_rng(1).integers(0, 256, (25, 3, 32, 32), np.uint8)
    confusion = measure(*probabilities(total)).confusion
    return {
        "mistakes": pictures.image_grid(images, ["dog, 99 %\nis cat"] * 25, "The most confident mistakes"),
        "confusion_matrix": pictures.confusion_matrix(confusion, CLASSES, "simplenn-decay"),
    }


@dataclass
class Maker:
    """Makes run folders below `out`."""

    out: object

    def run(self, name="simplenn-decay-20250101-120000-ab12", epochs=30, pictured=True, **options):
        """A run of 30 epochs, of which `epochs` are done; judged where it is finished and has validation."""
        plan = Plan.of(named("simplenn-decay")).override({"seed": 3, **options})
        run = Run.create(self.out, name, plan, {"environment.json": ENVIRONMENT, "data.json": self.data()})
        validated = plan.recipe.train_on == "train"
        done = rows(epochs, rates, validated)
        if done:
            write_epochs(run.path / "results.csv", done)
        if done and pictured:
            (run.path / "curves.png").write_bytes(pictured_curves(len(done), validated))
        if epochs == plan.recipe.epochs and validated:
            self.judge(run, "val", 500, pictured)
        return run

    def data(self):
        counts = {"train": 900, "val": 100, "test": 200}
        each = {name: {"total": 5 * n, "counts": [n] * 5} for name, n in counts.items()}
        return {
            "name": "photos",
            "where": "photos",
            "fingerprint": "f1" * 32,
            "classes": CLASSES,
            "image_size": 32,
            "channels": 3,
            "splits": each,
            "mean": [0.49, 0.48, 0.45],
            "std": [0.25, 0.24, 0.26],
            "skipped": [{"path": path, "reason": "truncated"} for path in ("cat/<b>broken</b>.png", "cat/\udcff.png")],
            "notes": ["Two images are smaller than 32 pixels."],
            "stream": "5a" * 32,
            "initial_loss": "initial loss 1.612. ln(5) = 1.609 is what guessing 5 classes costs: a healthy start.",
        }

    def judge(self, run, split, total, pictured=True):
        """The files of an evaluation."""
        shares, labels = probabilities(total)
        metrics, called = measure(shares, labels), shares.argmax(1)
        document = {
            "split": split,
            "weights": "best",
            "epoch": 16,
            "metrics": metrics.to_dict(),
            "data": "photos",
            "time": "2025-01-01 12:31:00",
        }
        ending = "" if split == "val" else "_test"
        (run.path / f"evaluation_{split}.json").write_text(json.dumps(document))
        lines = [
            (f"photos/{i}.png", CLASSES[label], CLASSES[call], f"{p[call]:.6f}", f"{-math.log(p[label]):.6f}")
            for i, (label, call, p) in enumerate(zip(labels, called, shares))
        ]
        header = ["id", "label", "prediction", "probability", "loss"]
        (run.path / f"predictions{ending}.csv").write_text(csv_text(header, lines))
        if pictured:
            for name, content in pictured_evaluation(total).items():
                (run.path / f"{name}{ending}.png").write_bytes(content)

    def open_test(self, run, accuracies=(0.81,), pictured=False):
        """The test set was opened; its files are there."""
        entry = {"time": "2025-01-02 10:00:00", "weights": "best", "data": "photos"}
        entries = [{**entry, "accuracy": accuracy} for accuracy in accuracies]
        (run.path / "test_openings.json").write_text(json.dumps(entries))
        self.judge(run, "test", 1000, pictured)


@pytest.fixture
def maker(tmp_path):
    return Maker(tmp_path / "runs")


@pytest.fixture
def make_rows():
    return rows


@pytest.fixture
def look():
    """Decodes a PNG to pixels [H, W, 3]; it must be of sensible size and not blank."""

    def decode(content):
        with Image.open(io.BytesIO(content)) as image:
            pixels = np.asarray(image.convert("RGB"))
        assert 150 < pixels.shape[0] < 4000
        assert 500 < pixels.shape[1] < 2500
        assert pixels.std() > 3
        return pixels

    return decode
