"""The command line: what it prints, and that every bad input is a clear error with exit code 2, nothing lost."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from commandline import run
from tenfold.runs import Run
from tenfold.training.schedules import SCHEDULES

QUICK = ["--epochs=1", "--batch=16", "--backend.threads=1", "--device=cpu"]


def test_help_names_every_verb_and_needs_no_torch():
    program = "import sys; from tenfold.cli import main; main(['--help']); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for verb in ("train", "evaluate", "predict", "inspect", "bench", "find-lr", "show", "list", "report", "info"):
        assert f"\n  {verb}" in done.stdout


def test_a_script_need_not_wait_for_torch_to_be_imported_twice():
    program = "import sys; import tenfold.check_commands; tenfold.check; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "verb", ["train", "evaluate", "predict", "inspect", "bench", "find-lr", "show", "list", "report", "info"]
)
def test_every_verb_teaches(verb, capsys):
    code, out, _ = run(capsys, verb, "--help")
    assert code == 0
    assert f"usage: tenfold {verb}" in out


def test_help_shows_the_defaults_of_the_named_recipe(capsys):
    _, out, _ = run(capsys, "train", "simplenn-decay", "--help")
    assert "(default: step)" in out


def test_train_prints_and_writes_everything(photos, tmp_path, capsys):
    code, out, _ = run(capsys, "train", "simplenn", "--data", photos, "--out", tmp_path, "--name", "one", *QUICK)
    assert code == 0
    assert "simplenn with 81,411 parameters" in out
    assert "ln(3) = 1.099" in out
    assert "epoch 1/1  train " in out
    assert "/97)" in out
    assert out.rstrip().endswith(f"run: {tmp_path / 'one'}")
    made = Run.open(tmp_path / "one")
    assert made.plan.origin["epochs"] == "user"
    assert made.plan.origin["optimizer.lr"] == "recipe"
    log = (made.path / "log.txt").read_text()
    assert all(line in log for line in out.strip().splitlines())


def test_a_fraction_without_a_page_until_one_is_asked_for(photos, trained, tmp_path, capsys):
    options = ["--data", photos, "--fraction", "0.5", "--no-page", "--out", tmp_path, "--name", "half"]
    code, out, _ = run(capsys, "train", *QUICK, *options)
    assert (code, "report:" in out) == (0, False)
    half = Run.open(tmp_path / "half")
    training, of = (one.read("data.json")["splits"]["train"]["total"] for one in (half, trained))
    assert abs(2 * training - of) <= 1
    assert not list(half.path.glob("*.png"))
    assert (half.path / "evaluation_val.json").exists()
    assert run(capsys, "report", half.path)[0] == 0
    assert "curves" in (half.path / "report.html").read_text()


def test_recipe_file_repeats_a_run(trained, tmp_path, capsys):
    code, _, err = run(capsys, "train", "--recipe", trained.path / "recipe.json", "--out", tmp_path, "--name", "again")
    assert code == 0, err
    again = Run(tmp_path / "again")
    assert [r.train_loss for r in again.epochs] == [r.train_loss for r in trained.epochs]


def test_dry_run_leaves_nothing(photos, tmp_path, capsys):
    code, out, _ = run(capsys, "train", "--data", photos, "--out", tmp_path / "runs", "--dry-run", *QUICK)
    assert code == 0
    assert "nothing was written" in out
    assert not (tmp_path / "runs").exists()


def test_dry_run_draws_dropout_and_explains_nan(photos, tmp_path, capsys):
    train = ["train", "--data", photos, "--out", tmp_path, "--dry-run", *QUICK]
    assert run(capsys, *train, "--model.dropout", "0.5")[0] == 0
    code, _, err = run(capsys, *train, "--optimizer.lr", "1e30")
    assert code == 1
    assert "step 2 of the dry run" in err
    assert list(tmp_path.iterdir()) == []


def test_evaluate_prints_metrics_and_counts_openings(trained, tmp_path, capsys):
    shutil.copytree(trained.path, tmp_path / "run")
    code, out, _ = run(capsys, "evaluate", tmp_path / "run")
    assert code == 0
    assert f"accuracy {100 * trained.best.val_accuracy:.2f} %" in out
    assert "precision" in out
    assert "calibration error" in out
    assert "opened" not in out
    assert "opened once" in run(capsys, "evaluate", tmp_path / "run", "--split", "test")[1]
    assert "opened 2 times" in run(capsys, "evaluate", tmp_path / "run", "--split", "test")[1]


def test_predict_writes_csv_to_file_or_standard_output(trained, photos, tmp_path, capsys):
    (tmp_path / "broken.jpg").write_bytes(b"x")
    code, out, err = run(capsys, "predict", trained.path, photos / "disc", tmp_path / "broken.jpg")
    assert code == 0
    assert out.startswith("path,prediction,p(disc),p(ring),p(square)\n")
    assert "not read: " in err
    assert "broken.jpg" in err
    code, out, _ = run(capsys, "predict", trained.path, photos / "disc", "--out", tmp_path / "p.csv")
    assert code == 0
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 41


def test_inspect_prints_the_table_of_the_lab(capsys):
    code, out, _ = run(capsys, "inspect", "simplenn", "--batch", "5")
    assert code == 0
    for figure in (" 600 ", "1,152", "69,240", "10,164", " 850 ", "82,006 parameters", "output [5, 10]"):
        assert figure in out


def test_bench_prints_measurements_and_draws(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    bench = ["bench", "simplenn", "--data", photos, "--steps", "2", "--seconds", "1", *QUICK]
    code, out, err = run(capsys, *bench)
    assert code == 0, err
    assert "simplenn: 81,411 parameters, 715,740 multiply-adds an image" in out
    assert "batches of 16, 32×32 pixels" in out
    for told in ("images/s", "median of 2 steps", "optimiser", "GFLOP/s", "fp32, contiguous", "chosen", "memory: "):
        assert told in out
    assert out.rstrip().endswith("picture: bench-simplenn.png")
    with Image.open("bench-simplenn.png") as image:
        assert image.format == "PNG"


def test_bench_json_is_all_that_stands_on_standard_output(photos, tmp_path, capsys):
    picture = tmp_path / "new" / "one.png"
    plain = ["--backend.choice", "reference", "--json", "--out", picture]
    code, out, _ = run(capsys, "bench", "--data", photos, "--steps", "1", "--seconds", "1", *QUICK, *plain)
    assert code == 0
    seen = json.loads(out)
    assert seen["images_per_second"] == 16 / seen["step_seconds"]
    assert seen["picture"] == str(picture)
    assert seen["choice"]["trials"] == []
    assert picture.exists()


def test_show_data_prints_and_draws(photos, tmp_path, capsys):
    code, out, _ = run(capsys, "show", "data", photos, "--out", tmp_path / "grid.png")
    assert code == 0
    assert "120 images of 32×32 pixels" in out
    assert "fingerprint" in out
    with Image.open(tmp_path / "grid.png") as image:
        assert image.format == "PNG"


def test_find_lr_prints_an_option_and_draws(photos, tmp_path, capsys):
    quick = [argument for argument in QUICK if "epochs" not in argument]
    options = ["--model.norm", "batch", "--steps", "60", "--out", tmp_path / "lr.png"]
    code, out, err = run(capsys, "find-lr", "simplenn", "--data", photos, *quick, *options)
    assert code == 0, err
    assert re.search(r"the suggestion: --optimizer\.lr [\d.e-]+\n", out)
    with Image.open(tmp_path / "lr.png") as image:
        assert image.format == "PNG"
    assert [path.name for path in tmp_path.iterdir()] == ["lr.png"]


@pytest.mark.parametrize("name", SCHEDULES)
def test_show_schedule_draws_every_schedule(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "show", "schedule", "simplenn", "--schedule.name", name, "--schedule.warmup", "1")
    assert code == 0, err
    assert "learning rate: 0 at first, 0.01 at most" in out
    with Image.open(tmp_path / "schedule-simplenn.png") as image:
        assert image.format == "PNG"


def test_show_batch_draws_images_before_and_after(photos, tmp_path, capsys):
    quick = [argument for argument in QUICK if "epochs" not in argument]
    augment = ["--augment.crop", "0", "--augment.pad", "2", "--augment.mixup", "0.4", "--augment.randaugment", "1"]
    options = [*augment, "--model.adaptive-pool", "True", "--images", "7", "--out", tmp_path / "batch.png"]
    code, out, err = run(capsys, "show", "batch", "--data", photos, *quick, *options)
    assert code == 0, err
    assert out == f"picture: {tmp_path / 'batch.png'}\n"
    with Image.open(tmp_path / "batch.png") as image:
        assert image.size[1] > image.size[0] / 3


@pytest.mark.parametrize("word", ["data", "schedule", "batch"])
def test_every_word_of_show_teaches(word, capsys):
    code, out, _ = run(capsys, "show", word, "--help")
    assert code == 0
    assert f"usage: tenfold show {word}" in out
    assert "Examples:" in out


def test_list_and_report(trained, tmp_path, capsys):
    assert "simplenn-augment" in run(capsys, "list", "recipes")[1]
    assert "dropout=0.0" in run(capsys, "list", "models")[1]
    shutil.copytree(trained.path, tmp_path / "a")
    shutil.copytree(trained.path, tmp_path / "b")
    (tmp_path / "b/recipe.json").write_text("{}")
    _, out, _ = run(capsys, "list", "runs", "--out", tmp_path)
    assert "finished" in out
    assert "damaged" in out
    (tmp_path / "a/report.html").unlink()
    assert run(capsys, "report", tmp_path / "a")[0] == 0
    assert (tmp_path / "a/report.html").exists()
    shutil.copytree(trained.path, tmp_path / "c")
    code, out, _ = run(capsys, "report", tmp_path / "a", tmp_path / "c", "--out", tmp_path / "both.html")
    assert code == 0
    assert (tmp_path / "both.html").exists()


def test_info_names_the_processor_and_its_rate(capsys):
    code, out, _ = run(capsys, "info")
    assert code == 0
    assert "GFLOP/s" in out
    assert "cpu" in out


def bad_inputs(photos: Path, trained: Run, tmp: Path) -> dict[str, tuple[list, str]]:
    """What was wrong, the command, and what the error must say."""
    (tmp / "one/disc").mkdir(parents=True)
    shutil.copy(photos / "disc/000.png", tmp / "one/disc")
    (tmp / "empty").mkdir()
    (tmp / "file").write_text("")
    (tmp / "labels.csv").write_text("path,label\nnone.png,a\nneither.png,b\n")
    (tmp / "forged.tar.gz").write_bytes(b"forged")
    shutil.copytree(trained.path, tmp / "damaged")
    (tmp / "damaged/recipe.json").write_text("{")
    broken = tmp / "broken"
    shutil.copytree(photos, broken)
    for index in range(10):
        (broken / f"ring/{index:03d}.png").write_bytes(b"not a picture")
    train = ["train", *QUICK, "--out", tmp / "runs"]
    return {
        "unknown verb": (["trian"], "Did you mean 'train'"),
        "unknown recipe": ([*train, "simplen"], "Did you mean 'simplenn'"),
        "unknown option": ([*train, "--optimizer.lrr", "1"], "--optimizer.lr"),
        "unknown optimiser": ([*train, "--optimizer.name", "adm"], "Did you mean 'adam'"),
        "wrong type": ([*train, "--seed", "few"], "--seed"),
        "negative rate": ([*train, "--optimizer.lr", "-1"], "optimizer.lr: input should be greater than 0; it is -1.0"),
        "rate that is no number": ([*train, "--optimizer.lr", "nan"], "optimizer.lr: input should be a finite number"),
        "share above 1": ([*train, "--augment.horizontal-flip", "1.5"], "augment.horizontal_flip: input should be"),
        "no validation share": ([*train, "--validation", "0"], "validation: input should be greater than 0"),
        "zero rate": ([*train, "--optimizer.lr", "0"], "greater than 0"),
        "unused option": ([*train, "--schedule.every", "3"], "would have no effect"),
        "unknown data": ([*train, "--data", "cifar"], "Did you mean 'cifar10'"),
        "missing folder": ([*train, "--data", tmp / "none"], "nor a path that exists"),
        "empty folder": ([*train, "--data", tmp / "empty"], "empty"),
        "one class": ([*train, "--data", tmp / "one"], "class"),
        "unreadable images": ([*train, "--data", broken], "000.png"),
        "label CSV with missing files": ([*train, "--data", tmp / "labels.csv"], "none.png"),
        "not data": ([*train, "--data", tmp / "file"], "not data that tenfold knows"),
        "existing name": (
            ["train", *QUICK, "--data", photos, "--out", trained.path.parent, "--name", trained.name],
            "exists already",
        ),
        "batch too large": ([*train, "--data", photos, "--batch=5000"], "larger than the training set"),
        "crop that fc1 does not fit": (
            [*train, "--data", photos, "--augment.center-crop", "28"],
            "16×5×5 = 400 features, but fc1 expects 576",
        ),
        "out below a file": (["train", *QUICK, "--data", photos, "--out", tmp / "file/runs"], "cannot be written"),
        "resume of no run": (["train", "--resume", tmp / "empty"], "not a run folder"),
        "resume with options": (["train", "--resume", trained.path, "--epochs", "9"], "--epochs would change it"),
        "no fraction": ([*train, "--fraction", "0"], "greater than 0"),
        "more than all": ([*train, "--fraction", "1.5"], "less than or equal to 1"),
        "until no epoch": (["train", "--until", "0"], "would train nothing"),
        "damaged run": (["evaluate", tmp / "damaged"], "not valid JSON"),
        "no run to evaluate": (["evaluate", tmp / "nothing"], "no run folder"),
        "unknown split": (["evaluate", trained.path, "--split", "train"], "--split"),
        "two recipes": ([*train, "simplenn", "--recipe", "r.json"], "Two recipes"),
        "missing recipe file": ([*train, "--recipe", tmp / "r.json"], "cannot be read"),
        "unknown device": ([*train, "--data", photos, "--device", "tpu"], "no device 'tpu'"),
        "GPU that is not there": ([*train, "--data", photos, "--device", "cuda:77"], "not there"),
        "no image to predict": (["predict", trained.path, tmp / "empty"], "holds no images"),
        "images too small": ([*train, "--data", photos, "--image-size", "8"], "at least 12 pixels"),
        "missing argument": (["evaluate"], "RUN"),
        "unknown word of show": (["show", "dta"], "'schedule'"),
        "rate given to its finder": (["find-lr", "--optimizer.lr", "0.1"], "optimizer.lr would have no effect"),
        "recipe to bench": (["bench", "simplen"], "Did you mean 'simplenn'"),
        "option to bench": (["bench", "--optimizer.lrr", "1"], "--optimizer.lr"),
        "unused option to bench": (["bench", "--schedule.every", "3"], "would have no effect"),
        "no step to bench": (["bench", "--steps", "0"], "steps = 0 must be at least 1"),
        "no time to bench": (["bench", "--seconds", "nan"], "seconds = nan more than 0"),
        "picture below a file": (["bench", "--out", tmp / "file/bench.png"], "cannot be written"),
        "picture that is a folder": (["bench", "--out", tmp / "empty"], "cannot be written"),
    }  # fmt: skip


def test_every_bad_input_is_a_clear_error(photos, trained, tmp_path, capsys):
    before = {path: path.read_bytes() for path in trained.path.rglob("*") if path.is_file()}
    for wrong, (arguments, told) in bad_inputs(photos, trained, tmp_path).items():
        code, out, err = run(capsys, *arguments)
        assert code == 2, f"{wrong}: exit code {code}\n{out}{err}"
        assert told in out + err, f"{wrong}: {out}{err}"
        assert "Traceback" not in out + err
    assert not (tmp_path / "runs").exists()
    assert {path: path.read_bytes() for path in trained.path.rglob("*") if path.is_file()} == before


def test_no_space_left_is_explained_and_loses_nothing(photos, tmp_path):
    """A real process that may not write files over 200 kB: the checkpoints of SimpleNN are larger."""
    program = """
import resource, signal, sys
from tenfold.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
sys.exit(main(sys.argv[1:]))
"""
    arguments = ["train", "--data", photos, "--out", tmp_path, "--name", "full", *QUICK]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "Free some space" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads((tmp_path / "full/recipe.json").read_text())
    resumed = subprocess.run(
        [sys.executable, "-m", "tenfold", "train", "--resume", tmp_path / "full"], capture_output=True, text=True
    )
    assert resumed.returncode == 0, resumed.stderr


def test_broken_pipe_is_quiet(trained, photos):
    command = f"{sys.executable} -m tenfold predict {trained.path} {photos} | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert done.stdout.startswith("path,prediction")


def test_runs_of_one_recipe_are_listed_together_with_their_mean(trained, tmp_path, capsys):
    for seed in range(3):
        shutil.copytree(trained.path, tmp_path / f"seed{seed}")
        file = tmp_path / f"seed{seed}" / "recipe.json"
        values = json.loads(file.read_text())
        values["recipe"]["seed"] = seed
        file.write_text(json.dumps(values))
    (tmp_path / "seed2" / "results.csv").write_text("epoch\nfirst\n")
    values["recipe"]["optimizer"]["lr"] = 0.5
    shutil.copytree(trained.path, tmp_path / "other")
    (tmp_path / "other" / "recipe.json").write_text(json.dumps(values))
    code, out, _ = run(capsys, "list", "runs", "--out", tmp_path)
    assert code == 0
    lines = [" ".join(line.split()) for line in out.splitlines()]
    accuracy = f"{100 * trained.best.val_accuracy:.2f}"
    (together,) = [line for line in lines if "3 runs" in line]
    assert f"{accuracy} ± 0.00 %" in together
    assert "mean of 2, 1 left out" in together
    assert sum(line.startswith(("seed0", "seed1", "seed2", "other")) for line in lines) == 4
