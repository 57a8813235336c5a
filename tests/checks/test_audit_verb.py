"""tenfold audit on folders, zips and CSVs: what is planted is found and written, the data stay as they are."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from PIL import Image

import tenfold
from commandline import run
from tenfold.checks.audit import cheap_findings
from tenfold.datasets import load

QUICK = ["--no-labels"]


def picture(seed, side=24):
    """A picture unlike all others."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)


@pytest.fixture
def pets(tmp_path):
    """Twelve cats and twelve dogs, split."""
    for number in range(24):
        part, name = ("train", "test")[number % 4 == 3], ("cat", "dog")[number // 12]
        path = tmp_path / "pets" / part / name / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(number).save(path)
    return tmp_path / "pets"


def state(folder):
    """Names, contents and times below a folder."""
    return {
        str(path): (path.lstat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
        for path in sorted([folder, *folder.rglob("*")])
    }


def audit(pets, capsys, *more):
    code, out, err = run(capsys, "audit", pets, "--out", pets.parent / "found", "--format", "json", *QUICK, *more)
    assert code in (0, 1), err
    return code, json.loads(out)


def rules(document):
    return [finding["rule"] for finding in document["findings"]]


def test_healthy_data_give_no_finding_and_a_page(pets, capsys):
    before = state(pets)
    code, document = audit(pets, capsys)
    assert (code, document["findings"]) == (0, [])
    assert state(pets) == before
    assert "Nothing was found" in (pets.parent / "found" / "audit.html").read_text()


def test_what_is_planted_is_found_and_written(pets, capsys):
    train = pets / "train" / "cat"
    shutil.copy(train / "0.png", pets / "test" / "cat" / "copy.png")
    picture(1).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(pets / "train" / "dog" / "flip.png")
    (train / "torn.png").write_bytes((train / "0.png").read_bytes()[:300])
    Image.new("RGB", (24, 24), (9, 9, 9)).save(train / "black.png")
    picture(50).convert("L").save(train / "grey.png")
    picture(51).resize((90, 24)).save(train / "wide.png")
    picture(52, 8).save(train / "tiny.png")
    before = state(pets)
    code, document = audit(pets, capsys)
    assert code == 1
    assert rules(document)[0] == "validation-in-training"
    assert {"unreadable-images", "odd-images", "wrong-labels", "duplicates"} <= set(rules(document))
    assert state(pets) == before
    folder = pets.parent / "found"
    lists = {"exact-across", "near-within", "near-two-classes", "unreadable", "constant", "modes", "narrow", "tiny"}
    assert set(document["lists"]) == lists
    assert json.loads((folder / "audit.json").read_text())["lists"] == document["lists"]
    for name in lists:
        assert (folder / f"{name}.csv").read_text().count("\n") == 1 + document["lists"][name]
    for name in lists - {"unreadable"}:
        with Image.open(folder / f"{name}.png") as sheet:
            assert sheet.size[0] > 1000
    assert "train/cat/torn.png" in (folder / "unreadable.csv").read_text()
    page = (folder / "audit.html").read_text()
    assert page.count("data:image/png") == len(lists) - 1
    assert "http" not in page.replace("http-equiv", "")


def test_text_names_the_page(pets, capsys, monkeypatch):
    monkeypatch.chdir(pets.parent)
    code, out, _ = run(capsys, "audit", "pets", "--no-near", *QUICK)
    assert code == 0
    assert "pets: nothing found" in out
    assert "page: audit-pets/audit.html" in out


def test_parts_with_other_classes_are_findings_not_refusals(pets, capsys):
    (pets / "test" / "cat").rename(pets / "test" / "Cats")
    code, document = audit(pets, capsys)
    assert code == 1
    assert "class-missing" in rules(document)
    assert document["classes"] == ["Cats", "cat", "dog"]


def test_more_broken_files_than_training_takes_are_an_error(pets, capsys):
    for name in ("0.png", "1.png", "2.png"):
        (pets / "train" / "cat" / name).write_bytes(b"nothing")
    code, document = audit(pets, capsys)
    assert code == 1
    assert ("unreadable-images", "error") in [(f["rule"], f["severity"]) for f in document["findings"]]


def test_numbers_shifted_in_a_csv_are_an_error(pets, capsys):
    files = sorted(path.relative_to(pets.parent) for path in pets.rglob("*.png"))
    lines = [f"{p},{(p.parts[2] == 'dog') + (p.parts[1] == 'test')},{p.parts[1]}" for p in files]
    table = pets.parent / "table.csv"
    table.write_text("path,label,split\n" + "\n".join(lines))
    code, out, _ = run(capsys, "audit", table, "--out", pets.parent / "found", "--format", "json", *QUICK)
    assert code == 1
    assert "class-index-shift" in rules(json.loads(out))


def test_a_zip_is_audited(pets, capsys):
    shutil.copy(pets / "train" / "cat" / "0.png", pets / "train" / "dog" / "same.png")
    archive = shutil.make_archive(str(pets.parent / "zipped"), "zip", pets)
    code, out, _ = run(capsys, "audit", archive, "--out", pets.parent / "found", "--format", "json", *QUICK)
    assert code == 0
    assert json.loads(out)["lists"] == {"exact-within": 1, "exact-two-classes": 1}


def test_names_are_text_on_the_page(pets, capsys):
    (pets / "train" / "cat" / "<b>.png").write_bytes(b"nothing")
    audit(pets, capsys)
    page = (pets.parent / "found" / "audit.html").read_text()
    assert "&lt;b&gt;.png" in page
    assert "<b>.png" not in page


def test_from_python(pets):
    found, folder = tenfold.audit(pets, out=pets.parent / "x", labels=False)
    assert (found.findings, folder) == ([], pets.parent / "x")
    assert {"classes", "exact", "near"} <= set(found.seconds)


def test_the_cheap_part_alone(pets):
    shutil.copy(pets / "train" / "cat" / "0.png", pets / "test" / "cat" / "copy.png")
    (finding,) = cheap_findings(load(str(pets))).findings
    assert (finding.rule, finding.severity) == ("validation-in-training", "error")


def refused(capsys, *arguments):
    code, out, err = run(capsys, "audit", *arguments, *QUICK)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    return err


@pytest.mark.parametrize("inside", ["", "train", "new/deeper"])
def test_an_output_inside_the_data_is_refused(pets, capsys, inside):
    before = state(pets)
    assert "lies inside the data" in refused(capsys, pets, "--out", pets / inside)
    assert state(pets) == before


def test_an_unknown_name_is_refused(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "There is no data 'cifar11'" in refused(capsys, "cifar11")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_refused(capsys, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "has no images" in refused(capsys, tmp_path / "empty", "--out", tmp_path / "x")


def test_a_file_that_is_no_data_is_refused(capsys, tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    assert "is not data" in refused(capsys, tmp_path / "notes.txt", "--out", tmp_path / "x")


def test_files_that_are_all_no_images_are_refused(capsys, tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        (tmp_path / "pets" / name / "1.png").write_bytes(b"nothing")
    assert "no image can be read" in refused(capsys, tmp_path / "pets", "--out", tmp_path / "x")


def test_an_output_that_is_a_file_is_refused(pets, capsys):
    (pets.parent / "taken").write_text("x")
    assert "cannot be written" in refused(capsys, pets, "--out", pets.parent / "taken")


def test_an_image_size_below_one_is_refused(pets, capsys):
    assert "pixels wide" in refused(capsys, pets, "--out", pets.parent / "x", "--image-size", "0")
