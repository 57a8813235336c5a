"""The lab: what is asked for, what fits the time, and a page from real runs."""

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

import tenfold
from commandline import run
from tenfold.checks.recipe import preflight
from tenfold.cores import core_numbers
from tenfold.errors import RecipeError
from tenfold.experiments.lab import looks
from tenfold.experiments.lab.choice import Item, choose_items, seeds_of, statement_item
from tenfold.experiments.lab.parts import ARMS, PARTS, TELLING, TUNED
from tenfold.experiments.lab.plan import TRIAL_EPOCHS, Terms, better_half, plan_of, wanted
from tenfold.experiments.lab.sections import agreement
from tenfold.experiments.statements import MISTAKES, STATEMENTS, Context, cost
from tenfold.training.resolve import check_options
from tenfold.training.setup import prepare


def test_every_part_of_the_lab_is_there_once_and_has_a_place_in_the_order():
    assert list(PARTS) == [
        *(f"L1.{number}" for number in range(1, 10)),
        *(f"L2.{number}" for number in range(1, 7)),
        *(f"L3.{number}" for number in range(1, 7)),
    ]
    assert sorted(TELLING) == sorted([*PARTS, "L4"])


@pytest.mark.parametrize("quick", [True, False])
def test_every_arm_is_a_recipe_whose_options_are_read(quick):
    for name in {name for part in PARTS.values() for name in part.arms}:
        plan = plan_of(ARMS[name], Terms(quick=quick))
        assert check_options(plan, []).recipe.data == ("shapes" if quick else "cifar10")


def test_the_check_before_training_stops_no_training_of_the_lab(tmp_path):
    context = Context("shapes", tmp_path, True, 1, print)
    plans = [plan_of(arm, Terms(quick=True)) for arm in ARMS.values()]
    plans += [plan for id in {**STATEMENTS, **MISTAKES} for plan in cost(id, context).plans]
    several = {plan.recipe.model.model_dump_json() + str(plan.recipe.ignore): plan for plan in plans}
    assert len(several) > 10
    for plan in several.values():
        errors = {found.rule for found in preflight(prepare(plan)) if found.severity == "error"}
        assert errors == set(plan.recipe.ignore)


def test_a_pair_is_of_arms_that_the_part_trains_and_one_option_apart():
    for part in PARTS.values():
        assert {name for pair in part.pairs for name in pair} <= set(part.arms)
        assert len({baseline for _, baseline in part.pairs}) <= 1
    for id in ("L1.9", "L2.1", "L2.2", "L2.3", "L2.4", "L3.3"):
        ((a, b),) = PARTS[id].pairs
        one, two = (plan_of(ARMS[name], Terms()).recipe.model_dump(exclude={"name"}) for name in (a, b))
        assert len([key for key in one if one[key] != two[key]]) == 1


def test_ids_name_parts_groups_and_statements():
    others = ["1.1", "1.2"]
    assert wanted(["l2.3"], others) == ["L2.3"]
    assert wanted(["L2", "1.2"], others) == [*(f"L2.{number}" for number in range(1, 7)), "1.2"]
    assert wanted(["L4"], others) == others
    assert wanted([], others) == [*PARTS, *others]
    with pytest.raises(RecipeError, match=r"no part 'L2\.9'"):
        wanted(["L2.9"], others)


def test_the_most_telling_parts_that_fit_are_kept_and_runs_are_paid_once():
    shared = {("crop", 0): 10.0}
    items = [
        Item("L3.4", "schedules", {1: {("step", 0): 100.0}}),
        Item("L2.1", "crop", {1: {**shared, ("flip", 0): 10.0}, 2: {**shared, ("flip", 0): 10.0, ("flip", 1): 10.0}}),
        Item("L2.2", "norm", {1: {**shared, ("bn", 0): 10.0}}),
        Item("1.2", "a longer one", {8: {("long", 0): 50.0}}),
        Item("1.1", "a statement", {8: {}}, 5.0),
    ]
    whole = choose_items(items, None)
    assert whole.seeds == {"L2.2": 1, "L2.1": 2, "1.1": 8, "1.2": 8, "L3.4": 1}
    assert whole.seconds == 195.0
    assert not whole.left_out
    short = choose_items(items, 36.0)
    assert short.seeds == {"L2.2": 1, "L2.1": 1, "1.1": 8}
    assert short.seconds == 35.0
    assert short.left_out == [("1.2", "a longer one", 50.0), ("L3.4", "schedules", 100.0)]
    assert short.reduced == [("L2.1", "crop")]
    assert choose_items(items, 1.0).seeds == {}


def test_a_whole_quick_lab_has_a_limit_of_its_own():
    assert Terms(quick=True).limit == 330.0
    assert Terms(quick=True, hours=0.5).limit == 1800.0
    assert Terms(quick=True, only=("L2",)).limit is None
    assert Terms().limit is None


def test_seeds_of_each_kind_of_part():
    full, quick = Terms(), Terms(quick=True)
    assert (seeds_of(PARTS["L2.2"], full), seeds_of(PARTS["L2.2"], quick)) == ([6, 8], [6])
    assert (seeds_of(PARTS["L3.1"], full), seeds_of(PARTS["L3.1"], quick)) == ([1, 3], [1])
    assert seeds_of(PARTS["L2.2"], Terms(seeds=2)) == [2]
    # three comparisons of one family: six pairs that agree have p = 3 · 2/64, which decides nothing
    assert (seeds_of(PARTS["L1.4"], full), seeds_of(PARTS["L1.4"], quick)) == ([7, 8], [7])
    assert seeds_of(PARTS["L1.4"], Terms(seeds=6)) == [6]
    assert seeds_of(PARTS["L1.1"], full) == [0]
    assert seeds_of(PARTS["L1.8"], full) == [1]


def test_statements_of_a_quick_lab_may_be_shown_without_a_verdict():
    def counts(id, **terms):
        item = statement_item({**STATEMENTS, **MISTAKES}[id], Terms(**terms), None, print)
        return {seeds: len({seed for _, seed in runs}) for seeds, runs in item.runs.items()}

    assert counts("1.3", quick=True) == {2: 2, 6: 7}  # two comparisons are decided by seven pairs
    assert counts("1.3", quick=True, seeds=3) == {3: 3}
    assert counts("1.3") == {8: 8}
    assert counts("1.9", quick=True) == {6: 0}  # trains nothing


def test_of_the_rates_that_are_tried_the_better_half_goes_on():
    assert better_half({0.1: 0.7, 0.2: 0.76, 0.4: 0.77, 0.8: 0.75, 1.6: None}) == [0.4, 0.2, 0.8]
    assert better_half({0.1: None, 0.2: 0.3}) == [0.2]
    assert better_half({0.1: None}) == [0.1]
    tried = {"sgd": {3: {0.2: 0.5, 0.4: 0.4, 0.8: None}, 10: {0.4: 0.7, 0.2: 0.6}}}
    (table,) = looks.tuning(looks.Bench(Terms(), {}, tried)).tables
    assert table.header == ("optimiser", "learning rate", "after 3 epochs", "after 10 epochs", "")
    assert [row[1:] for row in table.rows] == [
        ("0.2", "50.00\u00a0%", "60.00\u00a0%", ""),
        ("0.4", "40.00\u00a0%", "70.00\u00a0%", "chosen"),
        ("0.8", "failed", "", ""),
    ]


@pytest.mark.slow
def test_optimisers_are_tuned_in_rounds_before_they_are_compared(tmp_path, monkeypatch):
    monkeypatch.setitem(TRIAL_EPOCHS, True, (1, 2))
    monkeypatch.setitem(TUNED, "sgd", (0.1, 0.2, 0.4))
    lab = tenfold.lab(quick=True, only=["L3.5"], out=tmp_path / "lab")
    (part,) = lab.page.parts
    (tuning,) = (table for table in part.tables if "learning rate" in table.header)
    assert [len(row) for row in tuning.rows] == [5] * 6
    assert sorted(row[0] for row in tuning.rows if row[-1] == "chosen") == ["adam", "radam", "sgd"]
    assert all(row[3] for row in tuning.rows if row[-1] == "chosen")


def test_normalisation_that_differs_is_flagged():
    assert looks.normalisation_differs([0.0, 0.02, 0.0], [0.01, 0.0, -0.02]) is None
    told = looks.normalisation_differs([0.0, 0.0, 0.0], [0.47, 0.48, 0.45])
    assert told is not None
    assert told.rule == "normalisation-differs"
    assert "0.48" in told.evidence


def test_the_centre_crop_is_explained_with_numbers_and_remedies(photos, tmp_path):
    bench = looks.Bench(Terms(quick=True, data=str(photos), out=tmp_path), {}, {})
    (told,) = looks.centre_crop(bench).texts
    assert "center_crop(24) makes 16×4×4 = 256 features, but fc1 expects 576" in told
    assert "--model.adaptive-pool True" in told


def test_only_a_plain_answer_agrees_or_differs():
    assert agreement("false", "false") == "agrees with the lab"
    assert agreement("false", "true") == "differs from the lab"
    assert agreement("inconclusive", "true") == "inconclusive"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seeds", "0"], "0 seeds are none"),
        (["--hours", "0"], "0 hours are no time"),
        (["--hours", "-1"], "-1 hours are no time"),
        (["--hours", "nan"], "nan hours are no time"),
        (["--only", "L2.33"], "no part 'L2.33'. Did you mean 'L2.3'"),
        (["--data", "nowhere", "--only", "L1.3"], "nowhere"),
    ],
)
def test_bad_input_is_told_and_nothing_is_written(words, said, tmp_path, capsys):
    code, out, err = run(capsys, "lab", "--quick", "--out", tmp_path / "lab", *words)
    assert code == 2, out
    assert said in " ".join(err.split()).replace("\n", " ")
    assert not (tmp_path / "lab" / "lab.html").exists()


@pytest.fixture(scope="module")
def made(photos, tmp_path_factory):
    """Some parts of the quick lab on a small folder of pictures, one seed."""
    out, told = tmp_path_factory.mktemp("lab") / "lab", []
    only = ("L1.2", "L1.3", "L1.8", "L2.2", "1.1", "1.7")
    return tenfold.lab(quick=True, only=only, seeds=1, data=photos, out=out, tell=told.append), told


def test_the_page_holds_every_part_in_one_file(made):
    found, told = made
    page = found.path.read_text(encoding="utf-8")
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    for said in (
        "82,006",
        "as in the lab",
        "normalised differently",
        "no verdict",
        "What was left out",
        "healthy start",
    ):
        assert said in page
    kept = json.loads((found.path.parent / "lab.json").read_text())
    assert [section["id"] for section in kept["sections"]] == ["L1.2", "L1.3", "L1.8", "L2.2", "1.1", "1.7"]
    (line,) = [one for one in kept["lines"] if one["id"] == "L2.2" and "against" in one["title"]]
    assert line["verdict"] == "no verdict"
    arms = next(s for s in kept["sections"] if s["id"] == "L2.2")["figures"]["arms"]
    assert [arm["name"] for arm in arms] == ["crop", "batch norm"]
    with (found.path.parent / "tables" / "L1.2-1.csv").open(newline="") as file:
        assert list(csv.reader(file))[1][:3] == ["conv1", "600", "600"]
    assert told[0].startswith("Measuring")
    assert "expected to take" in told[1]
    assert any("lab: 100% done" in line for line in told)


def test_the_runs_of_statements_are_trained_with_those_of_parts(made):
    _, told = made
    assert [line for line in told if "processes of 1 thread" in line or "process of 1 thread" in line] == [
        f"simplenn: 4 runs, {len(core_numbers())} process{'es' * (len(core_numbers()) > 1)} of 1 thread."
    ]
    assert any("/4 1.7, seed 0" in line for line in told)
    assert "2 of 2 runs are there already." in told  # when the statement is answered


def test_what_is_there_is_not_trained_again_and_what_is_missing_is(made, tmp_path, photos):
    found, _ = made
    out = tmp_path / "lab"
    shutil.copytree(found.path.parent, out)
    runs = sorted((out / "runs").iterdir())
    cut = next(path for path in runs if path.name.startswith("simplenn-bn"))
    for file in ("evaluation_val.json", "results.csv"):
        (cut / file).unlink()
    sorted((cut / "checkpoints").iterdir())[-1].unlink()
    before = (cut / "weights" / "last.safetensors").read_bytes()
    told = []
    again = tenfold.lab(quick=True, only=("L2.2",), seeds=1, data=photos, out=out, tell=told.append)
    assert "1 of 2 runs are there already." in told
    assert (cut / "evaluation_val.json").exists()
    assert (cut / "weights" / "last.safetensors").read_bytes() == before
    assert [line.id for line in again.page.lines] == ["L2.2"] * len(again.page.lines)


@pytest.mark.slow
def test_a_lab_that_was_killed_continues(photos, tmp_path):
    options = ["--quick", "--only", "L2.2", "--seeds", "2", "--data", str(photos)]
    command = [sys.executable, "-m", "tenfold", "lab", *options, "--out", str(tmp_path / "lab")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 300
    while not list(tmp_path.glob("lab/runs/*/results.csv")) and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "lab" / "lab.html").exists()
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "lab" / "lab.html").exists()
    whole = tenfold.lab(quick=True, only=("L2.2",), seeds=2, data=photos, out=tmp_path / "whole")
    kept = json.loads((tmp_path / "lab" / "lab.json").read_text())
    (section,) = kept["sections"]
    for arm, other in zip(section["figures"]["arms"], whole.page.parts[0].figures["arms"], strict=True):
        assert (arm["last"], arm["best"]) == (other["last"], other["best"])


def test_hours_that_nothing_fits_leave_parts_out_and_the_page_lists_them(tmp_path, photos):
    found = tenfold.lab(quick=True, only=("L2.2", "L1.2"), hours=4e-4, seeds=1, data=photos, out=tmp_path)
    assert [id for id, _, _ in found.page.left_out][:1] == ["L2.2"]
    assert [section.id for section in found.page.parts] == ["L1.2"]
    assert "would take" in found.path.read_text(encoding="utf-8")


def test_statements_have_ids_of_their_own():
    assert not set(STATEMENTS) & set(MISTAKES)
    assert not set(PARTS) & (set(STATEMENTS) | set(MISTAKES))
