"""What the report says in words agrees with the numbers in the run folder."""

import pytest

from tenfold.recipe import OPTION_NAMES
from tenfold.reports import story
from tenfold.reports.documents import gather
from tenfold.reports.words import count, duration, interval, percent, times, titles, wilson


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_as_published(correct, total, low, high):
    assert wilson(correct, total) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("total", [1, 7, 5000])
def test_wilson_contains_the_share_and_stays_in_range(total):
    for correct in {0, total // 3, total}:
        low, high = wilson(correct, total)
        assert 0 <= low <= correct / total + 1e-9
        assert correct / total - 1e-9 <= high <= 1


def test_numbers_in_words():
    assert (percent(0.87124), percent(None), count(45000.4)) == ("87.12\u00a0%", "–", "45,000")
    assert [times(n) for n in (1, 2, 3)] == ["once", "twice", "3 times"]
    spoken = [duration(s).replace("\u00a0", " ") for s in (1.25, 59.6, 754, 7260, 3600)]
    assert spoken == ["1.2 s", "1 min", "12 min 34 s", "2 h 1 min", "1 h"]
    assert interval(81, 263).replace("\u00a0", " ") == "25.53 to 36.62 %"


def test_headline_is_the_best_validation_accuracy_with_its_interval(maker):
    found = gather(maker.run())
    told = story.headline(found)
    assert told.value == percent(found.best.val_accuracy)
    assert told.label == f"best validation accuracy, epoch {found.best.epoch} of 30"
    assert interval(found.best.val_correct, 500) in told.note
    assert "of a single run; the interval covers only the finite validation set, not the spread over seeds" in told.note


def test_headline_of_a_final_recipe_is_the_test_accuracy(maker):
    run = maker.run(train_on="train+val", pictured=False)
    assert story.headline(gather(run)).value == "No accuracy yet"
    maker.open_test(run)
    found = gather(run)
    assert story.headline(found).value == percent(found.test.metrics.accuracy)


@pytest.mark.parametrize(
    ("accuracies", "told"),
    [((), "the test set was never opened"), ((0.8,), "opened once"), ((0.8, None), "opened twice")],
)
def test_openings_are_told(accuracies, told, maker):
    run = maker.run(pictured=False)
    if accuracies:
        maker.open_test(run, accuracies)
    assert told in story.test_figure(gather(run)).note


def test_an_opening_without_an_evaluation_is_told(maker):
    run = maker.run(pictured=False)
    maker.open_test(run, (0.8125,))
    (run.path / "evaluation_test.json").unlink()
    figure = story.test_figure(gather(run))
    assert figure.value == percent(0.8125)
    assert "opened once; the newest on photos" in figure.note


def test_confused_pairs_count_both_directions(maker):
    found = gather(maker.run(pictured=False))
    pairs = story.confused_pairs(found.validation, found.data.classes, most=100)
    matrix = found.validation.metrics.confusion
    assert sum(pair.total for pair in pairs) == found.validation.metrics.total - found.validation.metrics.correct
    first = pairs[0]
    a, b = found.data.classes.index(first.a), found.data.classes.index(first.b)
    assert (first.a_called_b, first.b_called_a) == (matrix[a][b], matrix[b][a])
    assert [pair.total for pair in pairs] == sorted((pair.total for pair in pairs), reverse=True)


def test_mistakes_are_wrong_and_sorted(maker):
    found = gather(maker.run(pictured=False))
    rows = story.mistakes(found.predictions)
    assert len(rows) == 25
    assert all(row.label != row.prediction for row in rows)
    assert [row.probability for row in rows] == sorted((row.probability for row in rows), reverse=True)


def test_calibration_names_the_direction_only_with_predictions(maker):
    found = gather(maker.run(pictured=False))
    assert "mean confidence" in story.calibration(found.validation, found.predictions)
    assert "mean confidence" not in story.calibration(found.validation, [])


def test_the_recipe_is_complete_and_explained(maker):
    options = story.options(gather(maker.run(pictured=False)))
    assert tuple(option.name for option in options) == OPTION_NAMES
    assert all(option.meaning for option in options)
    assert {option.name for option in options if option.origin == "user"} == {"seed"}


def test_differences_are_only_differences(maker):
    runs = [gather(maker.run(name, epochs=1, pictured=False, batch=batch)) for name, batch in (("a", 64), ("b", 128))]
    assert story.differences(runs) == {"batch": ["64", "128"]}
    assert story.comparable(runs)
    other = gather(maker.run("c", epochs=1, pictured=False, split_seed=1))
    assert not story.comparable([*runs, other])


def test_titles_tell_equal_names_apart(maker, tmp_path):
    one = maker.run("same", epochs=0)
    maker.out = tmp_path / "elsewhere"
    two, three = maker.run("same", epochs=0), maker.run("other", epochs=0)
    assert titles([one, two, three]) == [str(one.path), str(two.path), "other"]
