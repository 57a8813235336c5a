"""Many runs side by side: real processes, real kills."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tenfold import api
from tenfold.cores import core_numbers
from tenfold.errors import RecipeError, TrainingError
from tenfold.experiments import arms, many
from tenfold.experiments.many import Split, Splits, possible, shares, train_many
from tenfold.experiments.rates import rate_side_by_side
from tenfold.experiments.trainers import Trainer
from tenfold.runs import Run


@pytest.fixture
def plan(small):
    return api.plan(**small)


def test_every_core_is_shared_out_once():
    assert possible(4) == [Split(1, 4), Split(2, 2), Split(4, 1)]
    assert possible(1) == [Split(1, 1)]
    for split in possible(6):
        found = shares([3, 4, 5, 6, 7, 9], split.threads)
        assert len(found) == split.processes
        assert sorted(core for share in found for core in share) == [3, 4, 5, 6, 7, 9]


def test_the_best_split_is_the_fastest():
    assert Splits(((Split(1, 2), 10.0), (Split(2, 1), 12.0))).best == Split(2, 1)


def test_runs_finish_fail_and_repeat_as_alone(plan, tmp_path, trained):
    plans = {tmp_path / f"seed{seed}": plan.override({"seed": seed}) for seed in (0, 1)}
    plans[tmp_path / "bad"] = plan.override({"data": str(tmp_path / "nowhere"), "backend.compile": False})
    with pytest.raises(RecipeError):
        many.is_done(trained.path, plan.override({"epochs": 9}))
    told = []
    outcomes = train_many(plans, Split(2, 1), told.append)
    assert [outcome.failure is None for outcome in outcomes.values()] == [True, True, False]
    assert "nowhere" in outcomes[tmp_path / "bad"].failure
    assert len(told) == 3
    assert Run.open(tmp_path / "seed0").weights("last").read_bytes() == trained.weights("last").read_bytes()
    assert Run.open(tmp_path / "seed1").weights("last").read_bytes() != trained.weights("last").read_bytes()


def test_data_that_are_named_by_another_path_are_the_same_run(plan, trained, monkeypatch):
    where = Path(trained.recipe.data)
    monkeypatch.chdir(where.parent)
    assert many.is_done(trained.path, plan.override({"data": where.name}))


def test_what_is_there_is_kept_and_what_was_stopped_goes_on(plan, tmp_path, trained):
    done, cut = tmp_path / "done", tmp_path / "cut"
    shutil.copytree(trained.path, done)
    before = (done / "report.html").stat().st_mtime_ns
    shutil.copytree(trained.path, cut)
    for file in ("report.html", "results.csv"):
        (cut / file).unlink()
    (sorted((cut / "checkpoints").iterdir())[-1]).unlink()
    told = []
    outcomes = train_many({done: plan, cut: plan}, Split(1, 1), told.append)
    assert all(outcome.failure is None for outcome in outcomes.values())
    assert told[0] == "1 of 2 runs are there already."
    assert (done / "report.html").stat().st_mtime_ns == before
    assert Run.open(cut).finished
    assert Run.open(cut).weights("last").read_bytes() == trained.weights("last").read_bytes()


def test_a_run_pauses_and_continues_to_the_bit(plan, tmp_path, trained):
    told = []
    names = {tmp_path / "run": "the arm seed 0"}
    train_many({tmp_path / "run": plan}, Split(1, 1), told.append, names, until=1)
    run = Run.open(tmp_path / "run")
    assert len(run.epochs) == 1
    assert not (run.path / "report.html").exists()
    assert told[0].startswith("1/1 the arm seed 0: best validation accuracy")
    train_many({run.path: plan}, Split(1, 1), told.append, names, until=1)
    assert told[1:] == ["1 of 1 runs are there already."]
    train_many({run.path: plan}, Split(1, 1), told.append, names)
    assert run.weights("last").read_bytes() == trained.weights("last").read_bytes()
    assert (run.path / "report.html").exists()


def test_a_damaged_run_is_told_and_the_others_are_trained(plan, tmp_path, trained):
    plans = {tmp_path / name: plan for name in ("recipe", "rows", "whole")}
    for folder in plans:
        shutil.copytree(trained.path, folder)
    (tmp_path / "recipe" / "recipe.json").write_text("{")
    (tmp_path / "rows" / "results.csv").write_text("epoch\nfirst\n")
    outcomes = train_many(plans, Split(1, 1))
    assert [outcome.failure is None for outcome in outcomes.values()] == [False, False, True]
    assert "recipe.json is damaged" in outcomes[tmp_path / "recipe"].failure
    assert "results.csv is damaged" in outcomes[tmp_path / "rows"].failure


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_runs_and_the_same_call_continues(number, plan, tmp_path):
    program = """
import sys
from pathlib import Path
from tenfold.experiments.many import Split, train_many
from tenfold.errors import Interrupted
from tenfold.recipe import load
try:
    train_many({Path(sys.argv[2]): load(Path(sys.argv[1]))}, Split(1, 1))
except Interrupted as stopped:
    sys.exit(stopped.exit_code)
"""
    longer = plan.override({"epochs": 300})
    (tmp_path / "recipe.json").write_text(longer.to_json())
    command = [sys.executable, "-c", program, str(tmp_path / "recipe.json"), str(tmp_path / "run")]
    process = subprocess.Popen(command, start_new_session=True)
    until = time.monotonic() + 120
    while not (tmp_path / "run" / "results.csv").exists() and time.monotonic() < until:
        time.sleep(0.1)
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    run = Run.open(tmp_path / "run")
    assert 0 < len(run.epochs) < 300
    assert list((run.path / "checkpoints").iterdir())


def test_runs_end_when_the_process_that_wanted_them_is_killed(plan, tmp_path):
    program = """
import sys
from pathlib import Path
from tenfold.experiments.many import Split, train_many
from tenfold.recipe import load
train_many({Path(sys.argv[2]): load(Path(sys.argv[1]))}, Split(1, 1))
"""
    (tmp_path / "recipe.json").write_text(plan.override({"epochs": 2000}).to_json())
    command = [sys.executable, "-c", program, str(tmp_path / "recipe.json"), str(tmp_path / "run")]
    process = subprocess.Popen(command)
    until = time.monotonic() + 120
    while not (tmp_path / "run" / "results.csv").exists() and time.monotonic() < until:
        time.sleep(0.1)
    process.kill()
    process.wait()
    log, last = tmp_path / "run" / "log.txt", ""
    while last != (last := log.read_text()) and time.monotonic() < until:  # until it says nothing more
        time.sleep(2)
    assert 0 < len(Run.open(tmp_path / "run").epochs) < 2000


def test_a_trainer_that_dies_is_named_and_the_next_run_gets_a_new_one(plan, tmp_path, real_child):
    trainer = Trainer({min(core_numbers())})
    trainer.process.kill()
    assert "its process ended: exit code -9" in trainer.train(["--help"])
    (tmp_path / "recipe.json").write_text(plan.to_json())
    assert trainer.train(["--recipe", str(tmp_path / "recipe.json"), "--dry-run"]) is None
    trainer.close()


def test_speed_is_measured_from_a_script_without_a_guard(plan, tmp_path):
    (tmp_path / "recipe.json").write_text(plan.to_json())
    (tmp_path / "script.py").write_text(
        "from pathlib import Path\nfrom tenfold.experiments.rates import rate_side_by_side\n"
        "from tenfold.recipe import load\n"
        f"print(rate_side_by_side(load(Path('recipe.json')), [{{{min(core_numbers())}}}], 0.1) > 0)\n"
    )
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_a_trial_that_fails_says_why_and_several_that_do_not_fit_count_nothing(plan, monkeypatch):
    share = {min(core_numbers())}
    missing = plan.override({"data": "nowhere/at/all"})
    with pytest.raises(TrainingError, match="nowhere/at/all"):
        many.rate_of(missing, [share])
    assert many.rate_of(missing, [share, share]) == 0


def test_speed_is_measured_where_the_rate_diverges(plan):
    """The first point of a sweep may be one whose loss is NaN after a step."""
    assert rate_side_by_side(plan.override({"optimizer.lr": 1e30}), [{min(core_numbers())}], 0.1) > 0


def test_short_runs_get_a_core_each_and_nothing_is_measured(plan, monkeypatch):
    monkeypatch.setattr(many, "rate_side_by_side", lambda *_: 1 / 0)
    cores = len(core_numbers())
    found = many.fastest_split(plan, many.SHORT / 2)
    assert (found.best, found.text()) == (Split(cores, 1), Split(cores, 1).text())
    if cores > 1:
        with pytest.raises(ZeroDivisionError):
            many.fastest_split(plan, 2 * many.SHORT)
        assert Splits(((Split(1, 2), 10.0), (Split(2, 1), 12.0))).text() == "2 processes of 1 thread (measured fastest)"


def test_what_runs_take_is_foreseen(plan, monkeypatch):
    asked = []
    monkeypatch.setattr(
        arms, "fastest_split", lambda plan, seconds: asked.append(seconds) or Splits(((Split(1, 1), 0.0),))
    )
    found, _ = arms.resolve_all({"a": plan, "b": plan.override({"model.width": 2.0})}, 5)
    seen = 5 * sum(arm.budget * 3 * arm.multiply_adds / arms.SPEED for arm in found.values()) / len(core_numbers())
    assert found["a"].multiply_adds == 716_328 - 7 * 84  # three classes, not ten
    assert asked == [pytest.approx(seen)]


@pytest.mark.slow
def test_a_split_is_measured_once(plan, monkeypatch):
    if len(core_numbers()) < 2:
        pytest.skip("one core can be shared in one way only")
    found = many.fastest_split(plan)
    assert [split for split, _ in found.rates] == possible(len(core_numbers()))
    assert all(rate > 0 for _, rate in found.rates)
    monkeypatch.setattr(many, "rate_side_by_side", lambda *_: 1 / 0)
    assert many.fastest_split(plan) == found


def test_runs_of_one_kind_compute_alike(plan):
    open_ = plan.override({f"backend.{name}": None for name in ("compile", "threads")}, "default")
    open_ = open_.override({f"backend.{name}": "auto" for name in ("precision", "layout", "kernels")}, "default")
    made = many.settled({Path("a"): open_, Path("b"): open_.override({"seed": 1})}, 1)
    first, second = (plan.recipe.backend for plan in made.values())
    assert first == second
    assert first.threads == 1
    assert first.precision != "auto"


def test_a_net_of_ones_own_is_named_again_in_its_process(plan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Sequential):\n    def __init__(self, classes):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(3 * 32 * 32, classes))\n"
    )
    own = api.plan("simplenn", **{**plan.recipe.model_dump(exclude={"model", "name"}), "model": "net.py:Net"})
    outcomes = train_many({Path("runs/own"): own}, Split(1, 1))
    assert outcomes[Path("runs/own")].failure is None
    Path("net.py").unlink()
    with pytest.raises(RecipeError, match="cannot see the net"):
        train_many({Path("runs/other"): own}, Split(1, 1))
