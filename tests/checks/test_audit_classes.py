"""Classes that parts lack, number otherwise, or have in very different sizes; healthy data give no finding."""

import pytest

from tenfold.checks.audit.classes import class_findings

TEN = {str(number): 100 for number in range(10)}


def found(**counts):
    return [(finding.rule, finding.severity) for finding in class_findings(counts)]


@pytest.mark.parametrize(
    "counts",
    [
        {"train": {"cat": 90, "dog": 110}},
        {"train": {"cat": 90, "dog": 110}, "test": {"cat": 10, "dog": 12}},
        {"train": TEN, "val": TEN, "test": TEN},
        {"test": {"cat": 1}},
    ],
)
def test_healthy_classes_give_nothing(counts):
    assert found(**counts) == []


def test_a_missing_class_is_a_warning_and_shifts_numbers():
    made = list(class_findings({"train": {"cat": 9, "dog": 9, "owl": 9}, "test": {"cat": 3, "owl": 3}}))
    assert [(f.rule, f.severity) for f in made] == [("class-missing", "warning"), ("class-index-shift", "warning")]
    assert "'dog'" in made[0].what
    assert "calls 'owl' 1 instead of 2" in made[1].what


def test_a_missing_last_class_shifts_nothing():
    assert found(train={"cat": 9, "dog": 9, "owl": 9}, val={"cat": 3, "dog": 3}) == [("class-missing", "warning")]


def test_a_class_that_training_lacks_is_an_error_and_its_likely_name_is_told():
    made = list(class_findings({"train": {"cat": 9, "Dogs": 9}, "test": {"cat": 3, "dog": 3}}))
    assert (made[0].rule, made[0].severity) == ("class-missing", "error")
    assert "'dog' is probably 'Dogs'" in made[0].evidence


@pytest.mark.parametrize(("shift", "way"), [(1, "subtract 1"), (-1, "add 1"), (10, "subtract 10")])
def test_shifted_numbers_are_an_error(shift, way):
    train = {str(number + 20): 50 for number in range(10)}
    test = {str(number + 20 + shift): 5 for number in range(10)}
    (made,) = class_findings({"train": train, "test": test})
    assert (made.rule, made.severity) == ("class-index-shift", "error")
    assert way in made.remedy


def test_imbalance_is_a_note_with_numbers():
    (made,) = class_findings({"train": {"cat": 300, "dog": 60}})
    assert (made.rule, made.severity) == ("class-imbalance", "note")
    assert "5.0 times" in made.what
    assert "83.3%" in made.evidence
