"""Confident learning on known probabilities, and small nets that find planted wrong labels."""

from dataclasses import replace

import numpy as np
import pytest

from tenfold.checks.audit import labels
from tenfold.checks.audit.lists import parts_of
from tenfold.datasets import shapes
from tenfold.datasets.dataset import Dataset
from tenfold.recipe import BackendOptions

SURE = [0.9, 0.1, 0.0]


@pytest.fixture(scope="module")
def drawn():
    """600 shapes of three classes to train, 90 to test."""
    wanted = np.arange(690) % 3
    images = shapes.draw(wanted, 20, np.random.default_rng(4))
    tint = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200]], np.uint8)[wanted][:, None, None]
    parts = {"train": np.arange(600), "test": np.arange(600, 690)}
    pictures = (images // 2 + tint // 2).transpose(0, 3, 1, 2)
    return Dataset("drawn", pictures, wanted, ("a", "b", "c"), [str(i) for i in range(690)], parts, "")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """A few epochs of plain fp32 on one thread: nothing to measure."""
    plain = {"threads": 1, "precision": "fp32", "layout": "channels_last", "kernels": "torch", "compile": False}
    made = labels.recipe_for
    monkeypatch.setattr(labels, "MOST_EPOCHS", 4)
    monkeypatch.setattr(labels, "recipe_for", lambda n: made(n).model_copy(update={"backend": BackendOptions(**plain)}))


def test_an_image_above_another_threshold_is_a_suspect():
    probabilities = np.array([SURE, SURE, [0.1, 0.9, 0.0], [0.1, 0.9, 0.0], [0.95, 0.05, 0.0]], np.float32)
    (found,) = labels.confident(probabilities, np.array([0, 0, 1, 1, 1]))
    assert (found.row, found.likely) == (4, 0)
    assert found.margin == pytest.approx(0.9)


def test_an_unsure_net_suspects_nothing():
    probabilities = np.full((20, 4), 0.25, np.float32)
    assert labels.confident(probabilities, np.arange(20) % 4) == []


def test_the_surest_come_first():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([0.2] * 5, 400).astype(np.float32)
    margins = [found.margin for found in labels.confident(probabilities, rng.integers(0, 5, 400))]
    assert margins
    assert margins == sorted(margins, reverse=True)


def test_planted_wrong_labels_are_found(drawn):
    bad = np.arange(0, 600, 31)
    wrong = drawn.labels.copy()
    wrong[bad] = (wrong[bad] + 1) % 3
    notes = []
    ((finding, listed),) = labels.suspects(replace(drawn, labels=wrong), parts_of(drawn), notes)
    named = {row[0] for row in listed.rows}
    assert finding.rule == "wrong-labels"
    assert len(named & set(bad.tolist())) >= 0.6 * len(bad)
    assert len(named - set(bad.tolist())) <= 0.1 * len(named)
    assert "right about" in notes[0]


def test_numbers_shifted_in_the_test_part_are_one_error(drawn):
    wrong = drawn.labels.copy()
    wrong[600:] = (wrong[600:] + 1) % 3
    found = list(labels.suspects(replace(drawn, labels=wrong), parts_of(drawn), []))
    assert (found[0][0].rule, found[0][0].severity) == ("class-index-shift", "error")
    assert found[0][1].rows == (("a", "c"), ("b", "a"), ("c", "b"))
    assert not [row for _, listed in found[1:] for row in listed.rows if row[2] == "test"]


def test_too_few_images_are_said_to_be_too_few(drawn):
    notes = []
    few = replace(drawn, parts={"train": np.arange(12)})
    assert list(labels.suspects(few, parts_of(few), notes)) == []
    assert "10 training images" in notes[0]
