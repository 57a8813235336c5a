"""Interrupted and resumed runs end as uninterrupted ones: weights, metrics, predictions, CSV but for its times."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tenfold import api, session
from tenfold.errors import DataError, RunError
from tenfold.runs import Run, held_alone
from tenfold.training.checkpoint import checkpoints

TIMES = {"seconds", "images_per_second"}
FEATURES = {
    "sgd": {},
    "adam": {"optimizer": {"name": "adam", "lr": 0.001}},
    "radam": {"optimizer": {"name": "radam", "lr": 0.001}},
    "adamw without norms": {"optimizer": {"name": "adamw", "lr": 0.001, "decay_norms": False}},
    "rmsprop": {"optimizer": {"name": "rmsprop", "lr": 0.001, "momentum": 0.5}},
    "adagrad": {"optimizer": {"name": "adagrad", "lr": 0.01}},
    "lion": {"optimizer": {"name": "lion", "lr": 0.0003}},
    "l1": {"optimizer": {"l1": 1e-4}},
    "cosine restarts": {"schedule": {"name": "cosine_restarts", "period": 0.5}},
    "plateau": {"epochs": 4, "schedule": {"name": "plateau", "factor": 0.5, "patience": 0}, "optimizer": {"lr": 1e-4}},
    "clipped": {"optimizer": {"clip_norm": 0.5, "l1": 1e-4}},
    "averaged weights": {"ema": 0.9, "model": {"norm": "batch"}},
    "early stopping": {"epochs": 4, "early_stopping": 1, "optimizer": {"lr": 1e-5}},
    "policies and erasing": {"augment": {"randaugment": 2, "trivialaugment": 0.5, "erase": 0.5, "cutout": 8}},
    "colour jitter": {"augment": {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3, "hue": 0.1}},
    "mixed labels": {"augment": {"mixup": 0.4, "cutmix": 1.0}, "label_smoothing": 0.1, "micro_batch": 6},
    "batch norm and dropout": {"model": {"norm": "batch", "dropout": 0.3}},
    "step decay": {"schedule": {"name": "step", "every": 1, "factor": 0.5}},
    "muon": {"model": {"norm": "batch"}, "optimizer": {"name": "muon", "lr": 0.1, "momentum": None}},
    "decay without norms": {"optimizer": {"decay_norms": False}},
    "warm-up and one cycle": {"schedule": {"name": "one_cycle", "warmup": 0.5}},
    "sprint": {"model": {"name": "sprint", "width": 0.125, "whiten_bias_epochs": 1}},
    "resnet": {"model": {"name": "resnet20"}},
    "slices and smoothed labels": {
        "micro_batch": 6,
        "label_smoothing": 0.2,
        "model": {"norm": "batch", "dropout": 0.3},
    },
    "alternating flip": {"augment": {"horizontal_flip": 0.5, "horizontal_flip_mode": "alternating"}},
    "curriculum": {"curriculum": [[24, 1]], "model": {"name": "sprint", "width": 0.125}},
    "views": {"tta": "flip_translate", "tta_share": 0.5},
    "train+val": {"train_on": "train+val"},
}


def results(run: Run) -> list[dict]:
    with (run.path / "results.csv").open(newline="") as file:
        return [{key: value for key, value in row.items() if key not in TIMES} for row in csv.DictReader(file)]


def assert_equal(one: Run, other: Run) -> None:
    assert results(one) == results(other)
    for which in ("best", "last"):
        assert one.weights(which).read_bytes() == other.weights(which).read_bytes()
    assert one.read("data.json")["stream"] == other.read("data.json")["stream"]
    for file in ("predictions.csv", "recipe.json"):
        if (one.path / file).exists() or (other.path / file).exists():
            assert (one.path / file).read_bytes() == (other.path / file).read_bytes()


class Crash(Exception):
    """Stands for the process dying at one step."""


def die_after(monkeypatch, steps: int) -> None:
    from tenfold.training import loop

    taken = 0
    original = loop.take_step

    def take_step(*arguments):
        nonlocal taken
        if taken == steps:
            raise Crash
        taken += 1
        original(*arguments)

    monkeypatch.setattr(loop, "take_step", take_step)


def test_repeated_runs_are_equal(small, trained, tmp_path):
    assert_equal(api.train(out=tmp_path, name="again", quiet=True, **small), trained)


def test_another_seed_differs(small, trained, tmp_path):
    other = api.train(out=tmp_path, name="other", quiet=True, seed=1, **small)
    assert results(other) != results(trained)
    assert other.read("data.json")["stream"] != trained.read("data.json")["stream"]


@pytest.mark.parametrize("feature", FEATURES)
def test_resume_is_exact_for_each_feature(feature, small, tmp_path, monkeypatch):
    monkeypatch.setattr(session, "draw_page", lambda run: run.path)  # pictures take ten times as long as the training
    monkeypatch.setattr(session, "draw_evaluation", lambda run, result: None)
    options = {**small, "epochs": 2, "checkpoint_every": 3, **FEATURES[feature]}
    whole = api.train(out=tmp_path, name="whole", quiet=True, **options)
    for dies_at in (4, 9):
        with monkeypatch.context() as patch:
            die_after(patch, dies_at)
            with pytest.raises(Crash):
                api.train(out=tmp_path, name=f"cut at {dies_at}", quiet=True, **options)
        assert_equal(api.train(resume=tmp_path / f"cut at {dies_at}", quiet=True), whole)


def test_damaged_newest_checkpoint_falls_back_and_ends_the_same(small, trained, tmp_path, capsys):
    shutil.copytree(trained.path, tmp_path / "damaged")
    newest = checkpoints(tmp_path / "damaged/checkpoints")[-1]
    newest.write_bytes(newest.read_bytes()[:-3])
    run = api.train(resume=tmp_path / "damaged")
    said = capsys.readouterr().out
    assert "is damaged" in said
    assert "Falling back to" in said
    assert_equal(run, trained)


def test_resuming_a_finished_run_changes_nothing(trained, tmp_path, capsys):
    shutil.copytree(trained.path, tmp_path / "copy")
    assert_equal(api.train(resume=tmp_path / "copy"), trained)
    assert "All 3 epochs are trained already" in capsys.readouterr().out


def test_resume_without_a_checkpoint_starts_anew(small, trained, tmp_path):
    shutil.copytree(trained.path, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy/checkpoints")
    assert_equal(api.train(resume=tmp_path / "copy", quiet=True), trained)


def test_resume_refuses_data_that_changed(photos, small, tmp_path):
    shutil.copytree(photos, tmp_path / "photos")
    options = {**small, "data": str(tmp_path / "photos"), "epochs": 1}
    run = api.train(out=tmp_path, name="run", quiet=True, **options)
    shutil.copy(photos / "disc/000.png", tmp_path / "photos/disc/new.png")
    with pytest.raises(DataError, match="changed since this run began"):
        api.train(resume=run, quiet=True)


def test_a_run_that_is_being_trained_is_left_alone(trained, tmp_path):
    shutil.copytree(trained.path, tmp_path / "run")
    (tmp_path / "run" / ".results.csv.1.tmp").touch()
    with held_alone(tmp_path / "run"), pytest.raises(RunError, match="is being trained by another process"):
        api.train(resume=tmp_path / "run", quiet=True)
    assert api.train(resume=tmp_path / "run", quiet=True).finished
    assert not list(tmp_path.rglob("*.tmp"))


def test_resume_of_no_run(tmp_path):
    with pytest.raises(RunError, match="no run folder"):
        api.train(resume=tmp_path / "none")
    with pytest.raises(RunError, match="not a run folder"):
        api.train(resume=tmp_path)


def start(small: dict, out: Path, name: str, extra: tuple[str, ...] = ()) -> subprocess.Popen:
    options = [f"--{key}={value}" for key, value in small.items()]
    command = [
        sys.executable,
        "-m",
        "tenfold",
        "train",
        "simplenn-augment",
        *options,
        f"--out={out}",
        f"--name={name}",
        *extra,
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)


def wait_for(condition, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)


LONG = {"epochs": 40, "checkpoint_every": 2}


@pytest.fixture(scope="module")
def whole(small, tmp_path_factory) -> Run:
    return api.train(
        "simplenn-augment", out=tmp_path_factory.mktemp("whole"), name="run", quiet=True, **{**small, **LONG}
    )


@pytest.mark.parametrize("after", [0.0, pytest.param(0.15, marks=pytest.mark.slow)])
def test_kill_9_and_resume_equals_the_uninterrupted_run(after, small, whole, tmp_path):
    """A real process, really killed; then resumed by the real command."""
    process = start({**small, **LONG}, tmp_path, "run")
    wait_for(lambda: len(list((tmp_path / "run/checkpoints").glob("step-*"))) == 2)
    time.sleep(after)
    process.kill()
    process.communicate()
    run = Run.open(tmp_path / "run")
    assert len(run.epochs) < LONG["epochs"], "it was not killed in time"
    done = subprocess.run(
        [sys.executable, "-m", "tenfold", "train", "--resume", run.path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Resuming at epoch" in done.stdout
    assert_equal(run, whole)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_saves_and_prints_the_resume_command(number, code, small, whole, tmp_path):
    process = start({**small, **LONG}, tmp_path, "run")
    wait_for(lambda: list((tmp_path / "run/checkpoints").glob("step-*")))
    process.send_signal(number)
    _, error = process.communicate(timeout=30)
    assert process.returncode == code
    assert f"tenfold train --resume {tmp_path / 'run'}" in error
    assert "Traceback" not in error
    assert_equal(api.train(resume=tmp_path / "run", quiet=True), whole)
