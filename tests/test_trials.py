"""compare, ablate and sweep from the command line and from Python."""

import json

import pytest

import tenfold
from commandline import run
from tenfold import api


@pytest.fixture(scope="module")
def options(small):
    """Options of one epoch, as words."""
    return [f"--{name}={value}" for name, value in {**small, "epochs": 1}.items()]


@pytest.mark.slow
def test_ablate_and_compare_tell_their_verdict_and_reuse_runs(options, tmp_path, capsys):
    common = [*options, "--seeds=1", f"--out={tmp_path}"]
    code, out, err = run(capsys, "ablate", "simplenn", *common, "--variant", "bn", "--model.norm", "batch")
    assert code == 0, err
    assert "Ablation of simplenn" in out
    assert "No verdict: 1 of at least 6 whole pairs" in out
    code, out, err = run(capsys, "compare", "simplenn", "simplenn", *common, "--a-set", "model.norm=batch")
    assert code == 0, err
    assert "2 of 2 runs are there already." in out
    assert "simplenn model.norm=batch" in out
    runs = sorted(path for path in tmp_path.glob("simplenn-*") if (path / "recipe.json").exists())
    code, out, err = run(capsys, "compare", runs[0], runs[1], "--out", tmp_path)
    assert code == 0, err
    assert "1 pair" in out


@pytest.mark.slow
def test_sweep_writes_table_and_picture(small, tmp_path):
    over = {"optimizer.lr": [0.02, 0.01]}
    study = tenfold.sweep("simplenn", over, out=tmp_path, **{**small, "epochs": 1})
    assert [group.name for group in study.groups] == ["optimizer.lr=0.02", "optimizer.lr=0.01"]
    assert (study.folder / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((study.folder / "study.json").read_text())["kind"] == "sweep"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["compare", "simplenn", "simplen"], "There is no recipe 'simplen'. Did you mean 'simplenn'"),
        (["compare", "simplenn", "simplenn"], "the same recipe"),
        (["compare", "simplenn", "simplenn", "--a-set", "model.nrm=batch"], "There is no option 'model.nrm'"),
        (["compare", "simplenn", "simplenn", "--a-set", "model.norm"], "names no value"),
        (["compare", "simplenn", "simplenn-plain", "--seeds", "0"], "0 seeds are none"),
        (["compare", "RUN", "RUN", "--b-set", "epochs=3"], "would have no effect on runs"),
        (["compare", "simplenn", ","], "An arm has no run"),
        (["ablate", "simplenn"], "There is no variant"),
        (["ablate", "simplenn", "--variant"], "--variant has no name"),
        (["ablate", "simplenn", "--variant", "a", "--seeds", "2"], "no option --seeds of a recipe"),
        (["ablate", "simplenn", "--variant", "simplenn", "--epochs", "2"], "called simplenn, as the baseline"),
        (["ablate", "simplenn", "--variant", "longer", "--epochs", "2"], "different budgets"),
        (["ablate", "simplenn", "--variants", "nowhere.toml"], "nowhere.toml cannot be read"),
        (["sweep", "simplenn"], "The grid is empty"),
        (["sweep", "simplenn", "--over", "optimizer.lr="], "The grid is empty"),
        (["sweep", "simplenn", "--over", "optimizer.lr=0.1,-1"], "greater than 0"),
        (["sweep", "simplenn", "--over", "optimizer.beta1=0.8,0.9"], "would have no effect"),
        (["sweep", "simplenn", "--over", "learning_rate=0.8,0.9"], "There is no option 'learning_rate'"),
    ],
)
def test_bad_input_is_told_and_nothing_is_trained(words, said, options, tmp_path, trained, capsys):
    words = [str(trained.path) if word == "RUN" else word for word in words]
    common = [] if str(trained.path) in words else options
    code, out, err = run(capsys, *words[:2], *common, "--out", tmp_path, *words[2:])
    assert code == 2, out
    assert said in " ".join(err.split())
    assert not list(tmp_path.iterdir())


def test_variants_from_a_file(tmp_path, small, capsys, options):
    file = tmp_path / "variants.toml"
    file.write_text("[wide]\nmodel.width = 2.0\n[slow]\noptimizer = {lr = 1e-4}\n")
    from tenfold.trial_commands import variants_of

    assert variants_of(file) == {"wide": {"model.width": 2.0}, "slow": {"optimizer.lr": 1e-4}}
    file.write_text("x = 1\n")
    code, _, err = run(capsys, "ablate", "simplenn", *options, "--variants", file)
    assert code == 2
    assert "one table of options for each variant" in err


def test_arms_from_python(trained):
    assert tenfold.trials.source_of(trained, {}, {}) == ("trained", [trained.path])
    name, plan = tenfold.trials.source_of("simplenn", {"optimizer.lr": 0.1}, {"epochs": 2})
    assert name == "simplenn optimizer.lr=0.1"
    assert plan == api.plan("simplenn", epochs=2).override({"optimizer.lr": 0.1})
