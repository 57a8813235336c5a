"""The page is whole, self-contained and safe, whatever the run folder holds or lacks."""

import base64
import json
from html.parser import HTMLParser

import pytest

from tenfold.errors import RunError
from tenfold.reports import page

VOID = {"meta", "img", "br", "hr", "link"}


class Reader(HTMLParser):
    """Text, tags with attributes, and whether every tag is closed in order."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.text, self.stack, self.attributes = [], "", [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        self.text = " ".join(self.text.split())
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.text += " " if tag in ("td", "th", "p", "tr") else ""
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if "style" not in self.stack:
            self.text += data

    def images(self):
        sources = [value for name, value in self.attributes if name == "src"]
        assert all(source.startswith("data:image/png;base64,") for source in sources)
        return [base64.b64decode(source.split(",", 1)[1], validate=True) for source in sources]


def reported(run) -> Reader:
    assert page.write_report(run) == run.path / "report.html"
    return Reader(run.path / "report.html")


def test_a_whole_report(maker, look):
    run = maker.run()
    maker.open_test(run, (0.81, 0.82), pictured=True)
    read = reported(run)
    for image in read.images():
        look(image)
    stored = [run.path / name for name in ("curves.png", "confusion_matrix.png", "mistakes.png")]
    assert {file.read_bytes() for file in stored} <= set(read.images())
    for told in (
        "best validation accuracy, epoch 15 of 30",
        "the best of many looks is partly luck",
        "The test set of this run was opened twice.",
        "photos (5 classes, 32 × 32 pixels) for 30 epochs",
        "Two images are smaller than 32 pixels.",
        "f1" * 32,
        "5a" * 32,
        "initial loss 1.612",
        "2 files were left out",
        f"tenfold train --recipe {run.path / 'recipe.json'}",
        "tenfold train simplenn-decay --seed 3",
        "A processor (AVX512)",
        "All 30 epochs as a table",
    ):
        assert told in read.text, told
    assert "Unfinished" not in read.text


def test_nothing_comes_from_elsewhere_and_nothing_runs(maker):
    read = reported(maker.run("<img src=x onerror=alert(1)> & 'co'"))
    links = [value for name, value in read.attributes if name in ("src", "href", "srcset", "action", "data")]
    assert all(value.startswith(("data:image/png;base64,", "#")) for value in links)
    assert not {"script", "link", "iframe", "object", "form"} & set(read.tags)
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    assert any("default-src 'none'" in (value or "") for _, value in read.attributes)
    for told in ("<script>alert(1)</script>", "cat/<b>broken</b>.png", "<img src=x onerror=alert(1)>"):
        assert told in read.text
    assert "b" not in read.tags


def test_every_link_in_the_page_has_its_target(maker):
    read = reported(maker.run())
    names = {value for name, value in read.attributes if name == "id"}
    assert {value[1:] for name, value in read.attributes if name == "href"} <= names


OPTIONAL = (
    *("environment.json", "data.json", "results.csv", "evaluation_val.json", "predictions.csv"),
    *("curves.png", "confusion_matrix.png", "mistakes.png"),
)


@pytest.fixture
def spoilt(maker):
    """A finished run, to be spoilt."""
    return maker.run()


@pytest.mark.parametrize("file", OPTIONAL)
def test_a_missing_file_is_told_or_made_good(file, spoilt):
    (spoilt.path / file).unlink()
    read = reported(spoilt)
    told = {
        "environment.json": "environment.json is missing",
        "data.json": "data.json is missing",
        "results.csv": "No epoch has ended",
        "evaluation_val.json": "evaluation_val.json is missing",
        "mistakes.png": "mistakes.png is missing",
    }
    assert told.get(file, "The same validation images chose the best epoch") in read.text
    if file in ("curves.png", "confusion_matrix.png", "predictions.csv"):
        assert len(read.images()) == 3


def test_a_bare_run_still_has_a_report(spoilt):
    for file in spoilt.path.iterdir():
        if file.name != "recipe.json":
            file.unlink()
    assert "0 of 30 epochs are done" in reported(spoilt).text


WRONG = {
    "environment.json": ["[1]", "{", "null"],
    "data.json": ["{}", '{"name": 3}', "[]"],
    "evaluation_val.json": ["{}", '{"metrics": {}}', "7"],
    "test_openings.json": ["{}", '[{"time": 1}]', "[[]]"],
    "predictions.csv": ["id,label\na,b\n", "id,label,prediction,probability,loss\na,b,c,high,1\n", "\0"],
    "results.csv": ["epoch\n1\n", "a,b\n1,2\n"],
    "curves.png": ["no picture"],
    "confusion_matrix.png": [""],
}


@pytest.mark.parametrize(("file", "content"), [(file, text) for file, texts in WRONG.items() for text in texts])
def test_a_damaged_file_is_named(file, content, spoilt):
    (spoilt.path / file).write_text(content)
    with pytest.raises(RunError, match=file.replace(".", r"\.")):
        page.write_report(spoilt)


def test_a_half_written_picture_is_named(spoilt):
    path = spoilt.path / "mistakes.png"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RunError, match=r"mistakes\.png"):
        page.write_report(spoilt)


def change(run, file, **values):
    (run.path / file).write_text(json.dumps({**run.read(file), **values}))


def test_files_that_contradict_themselves_or_each_other_are_named(spoilt):
    data, judged = spoilt.read("data.json"), spoilt.read("evaluation_val.json")
    spoiled = {
        "data.json": {"splits": {"train": {"total": 1, "counts": [1]}}},
        "evaluation_val.json": {"metrics": {**judged["metrics"], "correct": 501}},
    }
    for file, values in spoiled.items():
        change(spoilt, file, **values)
        with pytest.raises(RunError, match=file):
            page.write_report(spoilt)
        change(spoilt, file, **(data if file == "data.json" else judged))
    change(spoilt, "data.json", classes=["a", "b"], splits={})
    with pytest.raises(RunError, match=r"evaluation_val\.json is damaged: it has other classes"):
        page.write_report(spoilt)
    change(spoilt, "data.json", **data)
    change(spoilt, "recipe.json", origin=[1])
    with pytest.raises(RunError, match=r"recipe\.json"):
        page.write_report(spoilt)


@pytest.mark.parametrize("number", ["nan", "inf"])
def test_impossible_rows_are_named(number, spoilt):
    path = spoilt.path / "results.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1].replace(",2.5,", f",{number},")]))
    with pytest.raises(RunError, match=r"results\.csv is damaged"):
        page.write_report(spoilt)


def test_an_unfinished_run_says_how_to_go_on(maker):
    run = maker.run("a run", epochs=7, pictured=False)
    read = reported(run)
    assert "Unfinished: 7 of 30 epochs are done." in read.text
    assert f"To continue it: tenfold train --resume '{run.path}'" in read.text
    assert len(read.images()) == 1


def test_a_final_recipe_has_no_validation(maker):
    run = maker.run("final", train_on="train+val")
    read = reported(run)
    assert "the last weights are the result" in read.text
    assert f"tenfold evaluate {run.path} --split test" in read.text
    assert "optimistic" not in read.text
    maker.open_test(run)
    read = reported(run)
    assert "Confusion matrix and classes" in read.text
    assert f"tenfold evaluate {run.path}" not in read.text


def test_writing_again_gives_the_same_page(spoilt):
    first = page.write_report(spoilt).read_bytes()
    assert page.write_report(spoilt).read_bytes() == first


def test_a_comparison(maker, tmp_path, look):
    runs = [maker.run("one"), maker.run("<b>two", batch=64), maker.run("three", epochs=2, pictured=False)]
    path = tmp_path / "pages" / "comparison.html"
    assert page.write_comparison(runs, path) == path
    read = Reader(path)
    for image in read.images():
        look(image)
    assert len(read.images()) == 1 + 2 + 2 + 1
    assert "3 runs side by side" in read.text
    assert "batch 128 64 128 Every other option is the same." in read.text
    assert "Not judged on the same validation images" not in read.text
    assert "b" not in read.tags


def test_repeated_seeds_stand_together_with_mean_and_interval(maker, tmp_path):
    runs = [maker.run(f"{seed}", epochs=1, pictured=False) for seed in (0, 1)]
    groups = [("simplenn, 3 runs", [0.70, 0.72], [0.69, 0.71], 1)]
    read = Reader(page.write_comparison(runs, tmp_path / "comparison.html", groups))
    # t(1 degree) = 12.706, deviation √2 points: half the interval is 12.706 · √2 / √2
    assert "simplenn, 3 runs 71.00 ± 12.71 % 70.00 ± 12.71 % 2, 1 left out" in read.text
    assert "Repeated seeds" not in Reader(page.write_comparison(runs, tmp_path / "comparison.html")).text


def test_a_comparison_of_other_splits_is_warned_of(maker, tmp_path):
    runs = [maker.run(f"{seed}", epochs=1, split_seed=seed) for seed in (0, 1)]
    read = Reader(page.write_comparison(runs, tmp_path / "comparison.html"))
    assert "Not judged on the same validation images" in read.text


def test_several_views_are_told_beside_the_plain_figure(maker):
    run = maker.run()
    maker.open_test(run, (0.81,))
    for split in ("val", "test"):
        views = {"tta": "flip_translate", "share": 0.25, "total": 1000, "correct": 876, "accuracy": 0.876}
        change(run, f"evaluation_{split}.json", views=views)
    said = "averaged over views (flip_translate) for the least sure 25% of the images: accuracy 87.60% (876/1,000)."
    assert reported(run).text.count(f"With test-time augmentation, {said}") == 2
