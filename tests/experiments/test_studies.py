"""Comparisons, ablations and sweeps on real runs."""

import json
import shutil

import pytest

from tenfold import api
from tenfold.errors import RecipeError, RunError
from tenfold.experiments import studies
from tenfold.experiments.groups import group_on_disk
from tenfold.experiments.studies import grid
from tenfold.experiments.terms import Terms
from tenfold.experiments.verdicts import judge, unfair
from tenfold.runs import Run


@pytest.fixture(scope="module")
def plan(small):
    return api.plan("simplenn", **{**small, "epochs": 1})


@pytest.fixture(scope="module")
def study(plan, tmp_path_factory):
    """An ablation of two variants over two seeds."""
    out, told = tmp_path_factory.mktemp("studies"), []
    variants = {"norm": plan.override({"model.norm": "batch"}), "slow": plan.override({"optimizer.lr": 1e-4})}
    return studies.ablate(("simplenn", plan), variants, Terms(seeds=2, out=out), told.append), told, variants


def test_ablation_trains_every_arm_and_says_its_power_before(study):
    found, told, _ = study
    assert [group.name for group in found.groups] == ["simplenn", "norm", "slow"]
    assert all(len(group.values) == 2 for group in found.groups)
    assert "Under 6 pairs there is no verdict." in told[0]
    assert [one.comparison.verdict for one in found.judgements] == ["no verdict"] * 2
    assert all(one.comparison.comparisons == 2 for one in found.judgements)
    files = {path.name for path in found.folder.iterdir()}
    assert files == {"study.json", "runs.csv", "groups.csv", "curves.png", "forest.png"}
    kept = json.loads((found.folder / "study.json").read_text())
    assert kept["groups"][0]["mean"] == found.groups[0].mean


def test_runs_that_are_there_are_reused(study, plan):
    found, _, variants = study
    before = {run.path: (run.path / "report.html").stat().st_mtime_ns for g in found.groups for run in g.runs.values()}
    told = []
    terms = Terms(seeds=2, out=found.folder.parent)
    again = studies.compare((("norm", variants["norm"]), ("simplenn", plan)), terms, told.append)
    assert any("4 of 4 runs are there already." in line for line in told)
    assert all((path / "report.html").stat().st_mtime_ns == time for path, time in before.items())
    assert again.judgements[0].comparison.seeds == (0, 1)
    assert (again.folder / "pairs.png").exists()


def test_runs_on_disk_make_the_same_group(study):
    found, _, _ = study
    group = found.groups[1]
    read = group_on_disk("norm", [run.path for run in group.runs.values()])
    assert (read.accuracies, read.budget, read.fingerprint) == (group.accuracies, group.budget, group.fingerprint)
    terms = Terms(out=found.folder.parent)
    sides = [[run.path for run in g.runs.values()] for g in found.groups[:2]]
    made = studies.compare((("A", sides[0]), ("B", sides[1])), terms, print)
    assert made.judgements[0].comparison.pairs == 2


def test_a_damaged_run_is_named_left_out_and_counted(study, tmp_path):
    found, _, _ = study
    group = found.groups[0]
    shutil.copytree(group.runs[1].path, tmp_path / "damaged")
    (tmp_path / "damaged" / "data.json").write_text("{")
    read = group_on_disk("A", [group.runs[0].path, tmp_path / "damaged"])
    assert read.accuracies == {0: group.accuracies[0], 1: None}
    assert "data.json" in read.troubles[0]
    judged = judge(read, group_on_disk("B", [run.path for run in found.groups[1].runs.values()]))
    assert judged.comparison.crashed == (1, 0)
    assert "damaged" in judged.text()


def test_groups_of_two_recipes_and_double_seeds_are_refused(study, tmp_path):
    first, second, _ = study[0].groups
    with pytest.raises(RecipeError, match="not of one recipe"):
        group_on_disk("A", [first.runs[0].path, second.runs[1].path])
    with pytest.raises(RecipeError, match="both have seed 0"):
        group_on_disk("A", [first.runs[0].path, first.runs[0].path])
    with pytest.raises(RunError, match="no run folder"):
        group_on_disk("A", [tmp_path / "nowhere"])


def test_unequal_budgets_are_refused_before_training_unless_asked_for(plan, tmp_path, study):
    longer = plan.override({"epochs": 2})
    with pytest.raises(RecipeError, match="different budgets"):
        studies.compare((("A", plan), ("B", longer)), Terms(seeds=1, out=tmp_path), print)
    assert not list(tmp_path.iterdir())
    a, b, _ = study[0].groups
    assert unfair(a, b) == []


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({}, "grid is empty"),
        ({"optimizer.lr": []}, "grid is empty"),
        ({"optimizer.lr": [0.1, 0.1]}, "names a value twice"),
    ],
)
def test_a_grid_that_is_none_is_refused(over, said):
    with pytest.raises(RecipeError, match=said):
        grid(over)


def test_no_seed_no_variant_no_difference_are_refused(plan, tmp_path):
    with pytest.raises(RecipeError, match="0 seeds"):
        Terms(seeds=0)
    with pytest.raises(RecipeError, match="no variant"):
        studies.ablate(("a", plan), {}, Terms(out=tmp_path), print)
    with pytest.raises(RecipeError, match="the same recipe"):
        studies.ablate(("a", plan), {"b": plan.override({"optimizer.lr": 0.01})}, Terms(seeds=1, out=tmp_path), print)


def test_a_failing_run_is_counted_and_the_others_go_on(plan, tmp_path):
    made = studies.sweep("simplenn", plan, {"optimizer.lr": [1e9, 0.01]}, Terms(seeds=1, out=tmp_path), print)
    assert [group.mean is None for group in made.groups] == [True, False]
    assert "seed 0" in made.groups[0].troubles[0]
    assert (made.folder / "sweep.png").exists()
    assert Run.open(made.groups[1].runs[0].path).finished
