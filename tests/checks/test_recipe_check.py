"""Checking recipes: ill nets are told, named recipes are healthy; observation leaves a training's bits alone."""

import json
import shutil

import pytest
import torch

import tenfold
from commandline import run
from tenfold import api
from tenfold.checks.observed import FILE
from tenfold.checks.recipe import preflight
from tenfold.errors import RecipeError, TrainingError
from tenfold.models import MODELS
from tenfold.recipes import RECIPES
from tenfold.training.setup import prepare

ILL = """
import torch
from torch import nn

class Base(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.fc = nn.Linear(8 * 8 * 8, classes)

    def features(self, x):
        return torch.max_pool2d(torch.relu(self.conv(x)), 4).flatten(1)

class Healthy(Base):
    def forward(self, x):
        return self.fc(self.features(x))

class Softmax(Base):
    def forward(self, x):
        return self.fc(self.features(x)).softmax(1)

class Mixed(Base):
    def forward(self, x):
        x = torch.max_pool2d(torch.relu(self.conv(x)), 4)
        return self.fc(x.permute(1, 2, 3, 0).reshape(len(x), -1))
"""


@pytest.fixture
def nets(tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text(ILL)
    monkeypatch.chdir(tmp_path)
    return "nets.py"


def test_an_ill_net_is_told_with_its_line_and_exits_with_1(nets, small, capsys):
    data = ["--data", small["data"], "--batch", "16", "--device", "cpu"]
    code, out, err = run(capsys, "check", "--model", f"{nets}:Softmax", *data, "--format", "json")
    assert code == 1, err
    (finding, *_) = json.loads(out)["findings"]
    assert finding["rule"] == "softmax-before-loss"
    assert finding["line"] == ILL.split("softmax(1)")[0].count("\n") + 1
    code, out, _ = run(capsys, "check", "--model", f"{nets}:Mixed", *data)
    assert code == 1
    assert out.strip().startswith("1. error: the net mixes the images of a batch")


def test_training_stops_at_an_error_unless_it_is_ignored_or_unchecked(nets, small, tmp_path, capsys):
    ill = {**small, "model": f"{nets}:Softmax", "epochs": 1}
    with pytest.raises(RecipeError, match="--ignore softmax-before-loss"):
        api.train(out=tmp_path / "runs", name="a", **ill)
    assert not (tmp_path / "runs").exists()
    ignored = api.train(out=tmp_path / "runs", name="b", ignore=("softmax-before-loss",), **ill)
    assert "Silenced: softmax-before-loss." in capsys.readouterr().out
    kept = ignored.read(FILE)
    assert kept["silenced"] == ["softmax-before-loss"]
    assert "softmax-before-loss" not in {f["rule"] for f in kept["findings"]}
    unchecked = api.train(out=tmp_path / "runs", name="c", check=False, quiet=True, **ill)
    assert not (unchecked.path / FILE).exists()


def test_a_check_ends_with_observed_steps_and_writes_nothing(nets, small, tmp_path):
    before = sorted(p.name for p in tmp_path.iterdir())
    checked = tenfold.check("simplenn", steps=4, timeout=12, model=f"{nets}:Healthy", **small)
    assert checked.exit_code == 0
    assert {f.severity for f in checked.findings} == {"note"}
    assert any(line.startswith("the first 4 steps") for line in checked.seen)
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_observation_changes_no_bit_of_a_training(small, tmp_path):
    options = {**small, "epochs": 2, "model": {"norm": "batch", "dropout": 0.2}, "ema": 0.9, "micro_batch": 8}
    runs = [api.train("simplenn", out=tmp_path, name=str(c), quiet=True, check=c, **options) for c in (True, False)]
    for which in ("last", "best"):
        assert runs[0].weights(which).read_bytes() == runs[1].weights(which).read_bytes()
    assert "initial-loss" in {f["rule"] for f in runs[0].read(FILE)["findings"]}


def test_a_warning_of_a_running_training_is_said_once_and_kept(small, tmp_path, capsys):
    slow = {"optimizer.name": "adam", "optimizer.lr": 3e-4, "schedule.name": "step", "schedule.every": 5}
    trained = api.train("simplenn", out=tmp_path, name="r", **{**small, "epochs": 7}, **slow)
    said, found = capsys.readouterr().out, trained.read(FILE)["findings"]
    (told,) = (f for f in found if f["severity"] == "warning")
    assert told["rule"] == "learning-rate-dropped-early"
    assert said.count(told["what"]) == 1
    page = (trained.path / "report.html").read_text()
    assert "Diagnosis" in page
    assert told["what"] in page
    assert told["remedy"] in page


def test_a_loss_that_is_not_finite_is_kept_and_shown_in_the_page(small, tmp_path):
    with pytest.raises(TrainingError, match="First bad layer") as stopped:
        api.train(out=tmp_path, name="nan", quiet=True, **{**small, "optimizer.lr": 1e30})
    (found,) = (
        one
        for one in json.loads((tmp_path / "nan/findings.json").read_text())["findings"]
        if one["rule"] == "not-finite"
    )
    assert found["what"] in str(stopped.value)
    assert "try --optimizer.lr 1e+29" in found["remedy"]
    assert found["what"] in api.report(tmp_path / "nan").read_text()


@pytest.mark.parametrize("name", MODELS)
def test_preflight_is_silent_on_every_net_and_touches_nothing(name, small):
    made = prepare(api.plan("simplenn-augment", **{**small, "batch": 20}, model={"name": name}))
    tensors = [t.clone() for t in (*made.state.model.state_dict().values(),)]
    random = torch.random.get_rng_state()
    assert {f.severity for f in preflight(made)} <= {"note"}
    assert all(torch.equal(a, b) for a, b in zip(tensors, made.state.model.state_dict().values(), strict=True))
    assert torch.equal(random, torch.random.get_rng_state())
    assert all(p.grad is None for p in made.state.model.parameters())
    assert not made.state.optimizer.state


def test_unknown_rules_are_refused_with_near_names(small):
    with pytest.raises(RecipeError, match="Did you mean 'loss-flat'"):
        api.plan("simplenn", ignore=("loss-flatt",))
    with pytest.raises(RecipeError, match="takes no epochs"):
        tenfold.check("train.py", epochs=1)


def test_the_data_are_looked_at_too(nets, small, photos, tmp_path):
    shutil.copytree(photos, tmp_path / "copies")
    shutil.copy(tmp_path / "copies/disc/000.png", tmp_path / "copies/ring/copy.png")
    options = {**small, "data": str(tmp_path / "copies"), "model": f"{nets}:Healthy"}
    found = tenfold.check("simplenn", steps=2, timeout=6, **options).findings
    assert "duplicates" in {f.rule for f in found}


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_named_recipes_are_healthy_on_the_built_in_data(name):
    """The vertical flip of simplenn-lab turns one triangle of the shapes into the other, and is told."""
    found = {f.rule for f in tenfold.check(name, timeout=240).findings if f.severity != "note"}
    assert found == ({"augmentation-breaks-labels"} if name == "simplenn-lab" else set())
