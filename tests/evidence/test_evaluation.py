"""Evaluation: splits, the ledger of test openings, other data, changed data, other classes."""

import shutil

import pytest

from tenfold import api
from tenfold.cores import usable_cores
from tenfold.errors import DataError, RecipeError, RunError
from tenfold.evidence import evaluation
from tenfold.evidence.ledger import openings
from tenfold.runs import Run


@pytest.fixture
def run(trained, tmp_path) -> Run:
    shutil.copytree(trained.path, tmp_path / "run")
    return Run(tmp_path / "run")


def test_validation_gives_the_figures_of_the_training_and_opens_nothing(run):
    assert api.evaluate(run).metrics.accuracy == run.best.val_accuracy
    assert openings(run) == []


def test_each_opening_of_the_test_set_is_counted(run):
    first, second = api.evaluate(run, split="test"), api.evaluate(run.path, split="test", weights="last")
    assert (first.opening, second.opening) == (1, 2)
    assert [entry["weights"] for entry in openings(run)] == ["best", "last"]
    assert [entry["accuracy"] for entry in openings(run)] == [first.metrics.accuracy, second.metrics.accuracy]
    assert first.metrics.total == 12
    assert (run.path / "predictions_test.csv").exists()
    assert "opened" in (run.path / "report.html").read_text()


def test_an_opening_counts_even_if_it_crashes(run, monkeypatch):
    monkeypatch.setattr(evaluation, "judge", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        api.evaluate(run, split="test")
    assert [entry["accuracy"] for entry in openings(run)] == [None]


def test_training_never_opens_the_test_set(trained):
    assert openings(trained) == []
    assert not list(trained.path.glob("*test*"))


def test_other_data_without_the_split_is_judged_whole_and_said(run, photos, tmp_path):
    for name in ("disc", "ring", "square"):
        shutil.copytree(photos / name, tmp_path / "fewer" / name, ignore=lambda _, files: files[5:])
    result = api.evaluate(run, data=tmp_path / "fewer")
    assert result.metrics.total == 15
    assert "judged on all its 15 images" in result.notes[0]


def test_other_classes_are_refused_by_name(run, photos, tmp_path):
    shutil.copytree(photos / "disc", tmp_path / "other/disc")
    shutil.copytree(photos / "ring", tmp_path / "other/wheel")
    with pytest.raises(DataError, match=r"only the weights know ring, square; only the data has wheel"):
        api.evaluate(run, data=tmp_path / "other")


def test_changed_data_is_refused(photos, small, tmp_path):
    shutil.copytree(photos, tmp_path / "photos")
    run = api.train(out=tmp_path, name="run", quiet=True, **{**small, "data": str(tmp_path / "photos"), "epochs": 1})
    (tmp_path / "photos/disc/000.png").unlink()
    with pytest.raises(DataError, match="changed since this run was trained"):
        api.evaluate(run)


def test_order_of_classes_follows_the_weights(trained, photos):
    dataset = api.load(str(photos))
    turned = evaluation.same_classes(dataset, ("square", "disc", "ring"))
    assert [turned.classes[label] for label in turned.labels] == [dataset.classes[label] for label in dataset.labels]


def test_unknown_split_and_missing_weights(run):
    with pytest.raises(RecipeError, match="no split 'train'"):
        api.evaluate(run, split="train")
    run.weights("best").unlink()
    with pytest.raises(RunError, match="no best weights"):
        api.evaluate(run)


def test_damaged_weights_are_found(run):
    path = run.weights("best")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunError, match="checksum differs"):
        api.evaluate(run)
    assert api.evaluate(run, weights="last").weights == "last"


def test_a_run_from_a_missing_gpu_is_judged_on_the_cpu_aloud(run):
    recipe = run.recipe.model_copy(update={"device": "cuda:0"})
    backend, notes = evaluation.backend_of(recipe, None)
    assert (backend.device.type, backend.precision) == ("cpu", "fp32")
    assert "cuda:0 is not there" in notes[0]


def test_a_run_of_another_machine_is_judged_in_plain_fp32_aloud(run, monkeypatch):
    monkeypatch.setattr("tenfold.training.backend.unavailable", lambda: "there is no C++ compiler (g++)")
    options = run.recipe.backend.model_copy(update={"kernels": "native", "threads": 4096})
    backend, notes = evaluation.backend_of(run.recipe.model_copy(update={"backend": options}), None)
    assert (backend.kernels, backend.precision, backend.threads) == ("torch", "fp32", usable_cores())
    assert "no C++ compiler" in notes[0]
    with pytest.raises(RecipeError, match="cuda:7 is not there"):
        evaluation.backend_of(run.recipe, "cuda:7")
