"""The programs that judge the doctor: complete, valid, and of every rule that a script can show."""

import ast
import json
import sys
from pathlib import Path

import pytest

from tenfold.checks.rules import RULES

BENCH = Path(__file__).parents[2] / "bench"
PAIRS = sorted(folder for folder in (BENCH / "doctor" / "pairs").iterdir() if folder.is_dir())
REMEDIED = [folder / "remedied.py" for folder in PAIRS if (folder / "remedied.py").exists()]
HEALTHY = sorted((BENCH / "doctor" / "healthy").glob("*.py"))
NOT_IN_A_SCRIPT = {"unreadable-images", "odd-images"}  # found in image files, by the audit


@pytest.fixture
def doctor(monkeypatch):
    """bench/doctor.py as a module."""
    monkeypatch.setattr(sys, "path", [str(BENCH), *sys.path])
    import doctor

    return doctor


def truth(folder: Path) -> dict:
    return json.loads((folder / "truth.json").read_text())


@pytest.mark.parametrize("folder", PAIRS, ids=lambda folder: folder.name)
def test_pair_is_complete(folder, doctor):
    buggy, fixed, known = (folder / "buggy.py").read_text(), (folder / "fixed.py").read_text(), truth(folder)
    assert buggy != fixed
    assert ast.dump(ast.parse(buggy)) != ast.dump(ast.parse(fixed))
    assert known["rules"]
    assert set(known["rules"]) <= set(RULES)
    assert 1 <= known["line"] <= len(buggy.splitlines())
    assert known["metric"] in ("accuracy", "crash", "none")
    assert 0.2 < known["accuracy_fixed"] <= 1
    assert (known["accuracy_buggy"] is None) == (known["metric"] == "crash")
    assert known["metric"] != "accuracy" or known["images"] >= 100, "how many images the accuracy is of"
    assert set(known["rules"]) & set(doctor.right_answers({"row": known["row"]})), "the row's rules do not name the bug"


@pytest.mark.parametrize("program", HEALTHY, ids=lambda program: program.stem)
def test_healthy_program_says_its_accuracy(program):
    ast.parse(program.read_text())
    assert "accuracy: " in program.read_text()


@pytest.mark.parametrize("program", REMEDIED, ids=lambda program: program.parent.name)
def test_remedied_program_is_another_than_the_buggy_one(program):
    buggy = (program.parent / "buggy.py").read_text()
    assert ast.dump(ast.parse(program.read_text())) != ast.dump(ast.parse(buggy))
    assert truth(program.parent)["metric"] == "accuracy"


def test_every_rule_of_scripts_is_covered():
    assert len(PAIRS) >= 42
    assert len(HEALTHY) >= 40
    assert set(RULES) - {rule for folder in PAIRS for rule in truth(folder)["rules"]} == NOT_IN_A_SCRIPT


def test_rows_name_known_rules(doctor):
    assert {rule for rules in doctor.ROWS.values() for rule in rules} <= set(RULES)
    assert doctor.right_answers({"row": "a symptom that nobody wrote down"}) == ()


def test_rank_and_line_of_the_root_cause(doctor):
    found = [{"rule": "loss-flat", "line": None}, {"rule": "zero-grad-missing", "line": 12}]
    assert doctor.place(found, ("zero-grad-missing",), 14) == (1, True)
    assert doctor.place(found, ("zero-grad-missing",), 30) == (1, False)
    assert doctor.place(found, ("eval-missing",), 14) == (None, False)


def test_remedied_is_compared_within_noise(doctor):
    assert doctor.same(0.90, 0.92, 10_000)
    assert doctor.same(0.50, 0.54, 500)
    assert not doctor.same(0.80, 0.92, 500)
    assert not doctor.same(None, 0.92, 500)


@pytest.mark.slow
def test_judging_a_pair_finds_the_bug_and_nothing_in_its_twin(doctor):
    folder = BENCH / "doctor" / "pairs" / "no_zero_grad"
    outcome = doctor.judge(folder / "buggy.py")
    assert doctor.place(outcome["findings"], ("zero-grad-missing",), truth(folder)["line"]) == (0, True)
    assert doctor.judge(folder / "fixed.py")["findings"] == []
