"""Prediction: the same answers as validation, broken files reported, CSV as promised."""

import csv
import io

import numpy as np
import pytest

from tenfold import api
from tenfold.errors import DataError, RunError


def test_predictions_equal_the_validation_of_the_run(trained, photos):
    with (trained.path / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = api.predict(trained, [photos / row["id"] for row in rows])
    assert found.names == [row["prediction"] for row in rows]
    np.testing.assert_allclose(found.probabilities.max(1), [float(row["probability"]) for row in rows], atol=2e-5)


def test_csv_has_path_prediction_and_every_probability(trained, photos):
    rows = list(csv.DictReader(io.StringIO(api.predict(trained, photos).csv())))
    assert list(rows[0]) == ["path", "prediction", "p(disc)", "p(ring)", "p(square)"]
    assert len(rows) == 120
    for row in rows:
        probabilities = {name: float(row[f"p({name})"]) for name in ("disc", "ring", "square")}
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert row["prediction"] == max(probabilities, key=probabilities.get)


def test_broken_files_are_reported_not_fatal(trained, photos, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    found = api.predict(trained, [tmp_path / "broken.png", photos / "disc/000.png"])
    assert len(found.paths) == 1
    assert found.skipped[0].path.endswith("broken.png")


def test_only_broken_files_missing_files_and_empty_folders_are_errors(trained, tmp_path):
    with pytest.raises(DataError, match="holds no images"):
        api.predict(trained, tmp_path)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="None of the 1 files"):
        api.predict(trained, tmp_path)
    with pytest.raises(DataError, match="no file"):
        api.predict(trained, tmp_path / "none.png")
    with pytest.raises(DataError, match="No image was named"):
        api.predict(trained, [])


def test_predicting_with_no_run(tmp_path, photos):
    with pytest.raises(RunError, match="no run folder"):
        api.predict(tmp_path / "none", photos)


def test_last_weights_can_be_chosen(trained, photos):
    best, last = (api.predict(trained, photos, weights=which) for which in ("best", "last"))
    same = trained.best.epoch == len(trained.epochs)
    assert np.array_equal(best.probabilities, last.probabilities) is same
