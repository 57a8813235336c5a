"""Searches: what is searched, when trials stop, the store, and a whole search that is killed and goes on."""

import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest
from scipy import stats

from commandline import run
from tenfold.errors import RecipeError, RunError
from tenfold.experiments import storage
from tenfold.experiments.rungs import going_on, levels, rank_correlation
from tenfold.experiments.spaces import Range, Values, corners, parse_space

SPACE = parse_space({"optimizer.lr": "1e-3..1", "model.norm": ["none", "batch"], "batch": "16..32"})


def test_ranges_and_values_are_read():
    assert SPACE["optimizer.lr"] == Range(0.001, 1.0)
    assert SPACE["optimizer.lr"].logarithmic
    assert SPACE["batch"] == Range(16, 32, whole=True)
    assert not SPACE["batch"].logarithmic
    assert SPACE["model.norm"] == Values(("none", "batch"))
    assert len(corners(SPACE)) == 8
    assert {"optimizer.lr": 1.0, "model.norm": "none", "batch": 32} in corners(SPACE)


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({}, "nothing to search"),
        ({"optimizer.lr": "1..0.1"}, "ends before it begins"),
        ({"optimizer.lr": "0.1..0.1"}, "ends before it begins"),
        ({"optimizer.lr": "a..1"}, "'a' is no number"),
        ({"optimizer.lr": "0.1..inf"}, "'inf' is no number"),
        ({"batch": "16.5..32"}, "whole numbers only"),
        ({"model.norm": "0..1"}, "takes no range"),
        ({"optimizer.nesterov": "0..1"}, "takes no range"),
        ({"optimizer.lr": ["0.1..1", 2]}, "mixes a range"),
        ({"optimizer.lr": [0.1, 0.1]}, "names a value twice"),
        ({"optimizer.lr": [0.1]}, "leaves nothing to choose"),
        ({"epochs": "1..3"}, "not comparable"),
        ({"optimizer.lrr": "1..3"}, "Did you mean 'optimizer.lr'"),
    ],
)
def test_a_space_that_is_none_is_refused(over, said):
    with pytest.raises(RecipeError, match=said):
        parse_space(over)


@pytest.mark.parametrize(
    ("discard", "epochs", "first", "expected"),
    [
        ("halving", 30, 1, [1, 3, 10, 30]),
        ("halving", 30, 3, [3, 10, 30]),
        ("halving", 3, 1, [1, 3]),
        ("halving", 1, 1, [1]),
        ("one-epoch", 30, 1, [1, 30]),
        ("one-epoch", 30, 3, [3, 30]),
        ("one-epoch", 3, 3, [3]),
        ("none", 30, 1, [30]),
    ],
)
def test_rungs(discard, epochs, first, expected):
    assert levels(discard, epochs, first) == expected


def test_how_many_go_on():
    assert [going_on("halving", count) for count in (9, 3, 2, 1)] == [3, 1, 1, 1]
    assert [going_on("one-epoch", count) for count in (9, 3)] == [2, 1]
    assert going_on("none", 9) == 9


def test_rank_correlation_is_spearmans():
    early, late = np.random.default_rng(0).normal(size=(2, 9))
    assert rank_correlation(early, late) == pytest.approx(stats.spearmanr(early, late).statistic)
    assert rank_correlation(early[:4], late[:4]) is None
    assert rank_correlation([0.1] * 6, range(6)) is None


@pytest.mark.parametrize("method", ["tpe", "random"])
def test_a_store_asks_for_the_same_trials_whenever_it_was_killed(method, tmp_path):
    def some(folder, counts):
        for count in counts:
            with storage.opened(folder) as study:
                known = storage.asked(study, SPACE, method, count)
                for number, point in known:
                    storage.tell(study, number, 1 / (1 + point["optimizer.lr"]))
        return [point for _, point in known]

    whole = some(tmp_path / "whole", [9, 12])
    assert some(tmp_path / "cut", [9, 10, 12]) == whole
    assert len({point["optimizer.lr"] for point in whole}) == 12
    assert all(0.001 <= p["optimizer.lr"] <= 1 and p["batch"] in range(16, 33) for p in whole)
    assert {type(point["batch"]) for point in whole} == {int}


def test_a_trial_that_was_half_asked_for_is_left_out(tmp_path):
    with storage.opened(tmp_path) as study:
        study.ask()
    with storage.opened(tmp_path) as study:
        assert [number for number, _ in storage.asked(study, SPACE, "tpe", 2)] == [1, 2]


def test_a_locked_store_is_told_and_unharmed(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "PATIENCE", 0.1)
    with storage.opened(tmp_path) as study:
        before = storage.asked(study, SPACE, "random", 2)
    other = sqlite3.connect(tmp_path / storage.FILE)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(RunError, match="locked by another program"), storage.opened(tmp_path) as study:
        storage.asked(study, SPACE, "random", 3)
    other.rollback()
    other.close()
    with storage.opened(tmp_path) as study:
        assert storage.asked(study, SPACE, "random", 2) == before


def test_two_processes_do_not_run_one_search(tmp_path):
    with (
        storage.opened(tmp_path),
        pytest.raises(RunError, match="Another process runs this search"),
        storage.opened(tmp_path),
    ):
        pass


def test_a_damaged_store_is_told_and_not_touched(tmp_path):
    (tmp_path / storage.FILE).write_bytes(b"no database at all" * 100)
    with pytest.raises(RunError, match="cannot be used as the store"), storage.opened(tmp_path):
        pass
    assert (tmp_path / storage.FILE).read_bytes() == b"no database at all" * 100


def test_without_optuna_the_extra_is_named(tmp_path):
    program = (
        "import sys; sys.modules['optuna'] = None\n"
        "from pathlib import Path\nfrom tenfold.experiments.storage import opened\n"
        f"with opened(Path({str(tmp_path)!r})):\n    pass\n"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stderr
    assert "pip install 'tenfold[search]'" in said


@pytest.fixture(scope="module")
def options(small):
    """Options as words."""
    return [f"--{name}={value}" for name, value in {**small, "epochs": 3}.items()]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--over", "optimizer.lr=0.1..1"], "given as a range"),
        (["--trials", "3", "--over", "optimizer.lr=0.1,1"], "trials would have no effect without a search"),
        (["--search", "tpe"], "nothing to search"),
        (["--search", "tpe", "--over", "optimizer.lr=1..0.1"], "ends before it begins"),
        (["--search", "tpe", "--over", "optimizer.lr=0..1"], "greater than 0"),
        (["--search", "tpe", "--over", "optimizer.lr=-1,1"], "greater than 0"),
        (["--search", "tpe", "--over", "optimizer.beta1=0.8..0.9"], "would have no effect"),
        (["--search", "tpe", "--trials", "0", "--over", "optimizer.lr=0.1..1"], "0 trials are none"),
        (["--search", "tpe", "--confirm", "0", "--over", "optimizer.lr=0.1..1"], "0 fresh seeds are none"),
        (["--search", "tpe", "--seeds", "3", "--over", "optimizer.lr=0.1..1"], "Give --confirm"),
    ],
)
def test_bad_input_is_told_and_nothing_is_trained(words, said, options, tmp_path, capsys):
    code, out, err = run(capsys, "sweep", "simplenn", *options, "--out", tmp_path, *words)
    assert code == 2, out
    assert said in " ".join(err.split())
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_killed_search_goes_on_and_trains_nothing_twice(options, tmp_path):
    over = ["--over", "optimizer.lr=1e-3..0.1", "model.norm=none,batch"]
    how = ["--search", "tpe", "--trials", "4", "--confirm", "2", *over]
    command = [sys.executable, "-m", "tenfold", "sweep", "simplenn", *options, "--out", str(tmp_path), *how]
    first = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 600
    while not list(tmp_path.glob("*-seed0/results.csv")) and time.monotonic() < until:
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    time.sleep(5)  # trainings that were under way end by themselves
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    (folder,) = tmp_path.glob("search-*")
    rows = (folder / "trials.csv").read_text().splitlines()
    assert len(rows) == 5
    assert sum("finalist" in row for row in rows) == 3
    assert sum("discarded after epoch 1" in row for row in rows) == 1
    assert {"parallel.png", "groups.csv", "search-model.norm.png"} <= {path.name for path in folder.iterdir()}
    assert len((folder / "groups.csv").read_text().splitlines()) == 4
    assert "The best mean: --optimizer.lr" in again.stdout
    third = subprocess.run(command, capture_output=True, text=True)
    assert "4 of 4 runs are there already." in third.stdout
    assert "6 of 6 runs are there already." in third.stdout
    assert (folder / "trials.csv").read_text().splitlines() == rows
