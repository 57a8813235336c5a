"""The loop: rows, best weights, NaN, fine-tuning, memory, precision."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tenfold import api
from tenfold.datasets.preprocessing import Preprocessing
from tenfold.errors import RecipeError, RunError, TrainingError
from tenfold.evidence.evaluation import judge
from tenfold.recipe import ModelOptions
from tenfold.runs import Epoch, best_of, stopped_early
from tenfold.training import kernels
from tenfold.training.setup import prepare
from tenfold.training.tensorfile import read_tensors
from tenfold.training.weights import Weights, load_weights, start_from


def test_run_folder_is_complete(trained):
    expected = """recipe.json environment.json data.json findings.json backend.json results.csv curves.png
        confusion_matrix.png mistakes.png report.html predictions.csv evaluation_val.json weights checkpoints log.txt"""
    assert {p.name for p in trained.path.iterdir()} == set(expected.split())
    assert {p.name for p in (trained.path / "weights").iterdir()} == {"best.safetensors", "last.safetensors"}
    assert not list(trained.path.rglob("*.tmp"))


def test_rows_hold_train_and_validation_together(trained):
    rows = trained.epochs
    assert [row.epoch for row in rows] == [1, 2, 3]
    for row in rows:
        assert row.train_total == 97
        assert row.val_total == 11
        assert row.train_accuracy == row.train_correct / row.train_total
        assert row.val_accuracy == row.val_correct / row.val_total
        assert row.seconds > 0


def test_best_weights_are_those_of_the_best_epoch(trained):
    best = best_of(trained.epochs)
    assert load_weights(trained, "best").epoch == best.epoch
    assert load_weights(trained, "last").epoch == 3
    assert trained.read("evaluation_val.json")["metrics"]["accuracy"] == best.val_accuracy
    with (trained.path / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(row["label"] == row["prediction"] for row in rows) == best.val_correct
    assert float(np.mean([float(row["loss"]) for row in rows])) == pytest.approx(best.val_loss, rel=1e-4)


def test_first_best_epoch_wins_ties_and_nothing_validated_means_last():
    def row(epoch, accuracy):
        return Epoch(epoch, epoch, 0.1, 1.0, 0.5, 1, 2, 1.0, accuracy, 1, 2, 1.0, 1.0)

    assert best_of([row(1, 0.5), row(2, 0.7), row(3, 0.7)]).epoch == 2
    assert best_of([row(1, None), row(2, None)]).epoch == 2
    assert best_of([]) is None


def test_training_learns(photos, tmp_path):
    options = {
        "epochs": 10,
        "batch": 16,
        "optimizer": {"lr": 0.02},
        "backend.threads": 1,
        "backend.choice": "reference",
    }
    run = api.train("simplenn", data=str(photos), out=tmp_path, quiet=True, **options)
    assert run.epochs[-1].train_accuracy > 0.9
    assert run.epochs[0].train_accuracy < 0.6


def test_loss_equals_a_plain_pytorch_loop(photos, tmp_path):
    """The reference: the same batches through torch's own modules, normalisation, loss and optimiser."""
    setup = prepare(
        api.plan(
            "simplenn", data=str(photos), epochs=2, batch=16, **{"backend.threads": 1, "backend.choice": "reference"}
        )
    )
    batches = [
        [tuple(t.clone() for t in setup.loader.batch(e, s)) for s in range(setup.loader.steps)] for e in range(2)
    ]
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 5, bias=False), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(8, 16, 3, bias=False), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(),
        torch.nn.Linear(576, 120), torch.nn.ReLU(), torch.nn.Linear(120, 84), torch.nn.ReLU(), torch.nn.Linear(84, 3),
    )  # fmt: skip
    net.load_state_dict(dict(zip(net.state_dict(), setup.state.model.state_dict().values(), strict=True)))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (setup.preprocessing.mean, setup.preprocessing.std))
    expected = []
    for epoch in batches:
        total = 0.0
        for images, labels in epoch:
            loss = torch.nn.functional.cross_entropy(net((images / 255 - mean) / std), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
        expected.append(total / sum(len(labels) for _, labels in epoch))
    run = api.train(
        "simplenn",
        data=str(photos),
        epochs=2,
        batch=16,
        out=tmp_path,
        quiet=True,
        **{"backend.threads": 1, "backend.choice": "reference"},
    )
    assert [row.train_loss for row in run.epochs] == pytest.approx(expected, rel=1e-4)


def test_early_stopping_ends_the_run_and_says_so(small, tmp_path, capsys):
    options = {**small, "epochs": 9, "early_stopping": 2, "optimizer": {"lr": 1e-7}}
    run = api.train(out=tmp_path, name="early", **options)
    assert len(run.epochs) == 3, "after the best epoch, the first, two more without a better one"
    assert run.finished
    assert "stopped early: no better validation accuracy after epoch 1" in capsys.readouterr().out
    before = (run.path / "results.csv").read_bytes()
    api.train(resume=run)
    assert "It stopped early already" in capsys.readouterr().out
    assert (run.path / "results.csv").read_bytes() == before


def test_early_stopping_waits_for_the_last_best_epoch():
    def rows(*accuracies):
        return [Epoch(n, n, 0.1, 1.0, 0.5, 1, 2, 1.0, a, 1, 2, 1.0, 1.0) for n, a in enumerate(accuracies, 1)]

    assert not stopped_early(rows(0.5, 0.4, 0.6, 0.6), 2)
    assert stopped_early(rows(0.5, 0.4, 0.6, 0.6, 0.5), 2)
    assert not stopped_early(rows(0.5, 0.4, 0.4), None)
    assert not stopped_early(rows(None, None, None), 1)
    assert not stopped_early([], 1)


@pytest.mark.parametrize("lr", [1e10, 1e30])
def test_nan_stops_before_the_step_and_names_layer_and_batch(lr, small, tmp_path):
    with pytest.raises(TrainingError) as stopped:
        api.train(out=tmp_path, name="nan", quiet=True, optimizer={"lr": lr}, **small)
    told = str(stopped.value)
    assert "no optimiser step was taken" in told
    assert "First bad layer: " in told
    assert any(f"First bad layer: {layer}" in told for layer in ("conv1", "conv2", "fc1", "fc2", "fc3", "activation"))
    assert ".png" in told
    assert stopped.value.exit_code == 1
    with pytest.raises(TrainingError) as again:
        api.train(resume=tmp_path / "nan", quiet=True)
    assert str(again.value) == told


@pytest.mark.parametrize("told", ["CUDA out of memory. Tried", "DefaultCPUAllocator: can't allocate memory: you tried"])
def test_memory_that_runs_out_suggests_a_smaller_batch(told, small, tmp_path, monkeypatch):
    def allocate(*_):
        raise RuntimeError(told)

    monkeypatch.setattr("tenfold.training.loop.train_step", allocate)
    with pytest.raises(TrainingError, match="--batch 8 or a smaller --image-size"):
        api.train(out=tmp_path, name="big", quiet=True, **small)
    monkeypatch.undo()
    assert api.train(resume=tmp_path / "big", quiet=True).finished


def test_memory_that_runs_out_while_backends_are_measured_is_explained_too(small, tmp_path, monkeypatch):
    def full(*_):
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    monkeypatch.setattr("tenfold.training.setup.settle_backend", full)
    with pytest.raises(TrainingError, match="Memory ran out with a batch of 16 images of 32 pixels") as stopped:
        api.train(out=tmp_path, quiet=True, **small)
    assert "--batch 8" in str(stopped.value)
    assert "continue" not in str(stopped.value)


def test_train_on_both_ends_with_its_last_weights(small, tmp_path, capsys):
    run = api.train(out=tmp_path, name="final", train_on="train+val", **small)
    assert run.epochs[-1].val_accuracy is None
    assert run.epochs[-1].train_total == 97 + 11
    (best, _), (last, _) = read_tensors(run.weights("best")), read_tensors(run.weights("last"))
    assert all(torch.equal(best[name], last[name]) for name in best)
    assert "--split test" in capsys.readouterr().out
    with pytest.raises(RunError, match="trained on its validation images"):
        api.evaluate(run)
    with pytest.raises(RunError, match="trained on its validation images"):
        api.evaluate(run, data=small["data"])
    assert api.evaluate(run, split="test").metrics.total == 12


def test_fine_tuning_starts_from_the_weights(small, trained, tmp_path, capsys):
    options = {**small, "epochs": 1, "weights": str(trained.path)}
    run = api.train(out=tmp_path, name="same", optimizer={"lr": 1e-9}, **options)
    assert "all layers" in capsys.readouterr().out
    assert run.epochs[0].val_loss == pytest.approx(trained.best.val_loss, rel=1e-3)


def test_fine_tuning_on_other_classes_gets_a_new_head_aloud(small, trained, photos, tmp_path, capsys):
    for name in ("disc", "ring"):
        shutil.copytree(photos / name, tmp_path / "two" / f"{name}s")
    options = {**small, "epochs": 1, "data": str(tmp_path / "two"), "weights": str(trained.path)}
    run = api.train(out=tmp_path, name="two-classes", optimizer={"lr": 1e-9}, **options)
    said = capsys.readouterr().out
    assert "new head (fc3.bias, fc3.weight): 3 classes there, 2 here" in said
    before, after = load_weights(trained).tensors, load_weights(run, "last").tensors
    torch.testing.assert_close(after["conv1.weight"], before["conv1.weight"], rtol=0, atol=1e-6)
    assert after["fc3.weight"].shape == (2, 84)


def own_net(classes: int, width: int = 4) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(12, width), nn.ReLU(), nn.Linear(width, classes))


def weights_of(net: nn.Module, *classes: str) -> Weights:
    return Weights(net.state_dict(), ModelOptions(), classes, Preprocessing(2, None, (0.0,) * 3, (1.0,) * 3), 1)


def test_the_head_is_the_last_layer_and_all_others_must_fit():
    """Of a net in one Sequential too, whose layers' names all begin alike."""
    before, after = nn.Sequential(own_net(3)), nn.Sequential(own_net(2))
    said = start_from(after, weights_of(before, "a", "b", "c"), ("d", "e"))
    assert "new head (0.3.bias, 0.3.weight): 3 classes there, 2 here" in said
    assert torch.equal(after[0][1].weight, before[0][1].weight)
    for classes in (("a", "b", "c"), ("d", "e", "f")):
        with pytest.raises(RunError, match=r"0\.1\.bias, 0\.1\.weight"):
            start_from(nn.Sequential(own_net(3, width=8)), weights_of(before, "a", "b", "c"), classes)


def test_weights_of_another_net_are_refused(small, trained, tmp_path):
    with pytest.raises(RunError, match="do not fit this net"):
        api.train(out=tmp_path, quiet=True, weights=str(trained.path), model={"width": 2.0}, **small)


def test_batch_larger_than_the_data(small, tmp_path):
    with pytest.raises(RecipeError, match="batch = 500 is larger than the training set of 97"):
        api.train(out=tmp_path, quiet=True, **{**small, "batch": 500})
    adapted = {name: value for name, value in small.items() if name != "batch"} | {"epochs": 1}
    run = api.train(out=tmp_path, quiet=True, **adapted)
    assert run.recipe.batch == 97
    assert run.plan.origin["batch"] == "measured"
    assert list(tmp_path.iterdir()) == [run.path]


def test_share_held_out_that_the_data_brings_itself_is_refused(small):
    with pytest.raises(RecipeError, match="brings its own test split"):
        prepare(api.plan(**{**small, "data": "shapes"}, test=0.2))


def test_bf16_trains_close_to_fp32(small, tmp_path):
    ends = {}
    for precision in ("fp32", "bf16"):
        run = api.train(out=tmp_path, name=precision, quiet=True, **{**small, "backend.precision": precision})
        ends[precision] = [row.train_loss for row in run.epochs]
        assert run.recipe.backend.precision == precision
    assert ends["bf16"] != ends["fp32"]
    assert ends["bf16"] == pytest.approx(ends["fp32"], rel=0.05)


def test_judge_equals_the_rows_of_training(small, trained):
    setup = prepare(trained.plan, recorded=True)
    again = judge(trained, "last", setup.dataset, setup.splits["val"], "val", setup.backend)
    assert again.metrics.correct == trained.epochs[-1].val_correct
    assert again.metrics.loss == pytest.approx(trained.epochs[-1].val_loss, rel=1e-5)


def test_data_document_describes_the_data(trained, photos):
    data = trained.read("data.json")
    assert data["classes"] == ["disc", "ring", "square"]
    assert [data["splits"][part]["total"] for part in ("train", "val", "test")] == [97, 11, 12]
    assert data["where"] == str(photos)
    assert len(data["stream"]) == len(data["fingerprint"]) == 64
    assert "ln(3) = 1.099" in data["initial_loss"]
    assert json.loads((trained.path / "environment.json").read_text())["device"] == "cpu"


def test_pictures_of_the_run_are_pictures(trained):
    for name in ("curves", "confusion_matrix", "mistakes"):
        with Image.open(trained.path / f"{name}.png") as image:
            assert min(image.size) > 100
            assert len(set(image.convert("L").resize((64, 64)).tobytes())) > 3


@pytest.mark.parametrize("kernels_", ["torch", *(["native"] if kernels.unavailable() is None else [])])
def test_a_single_image_whose_map_is_one_number_stops_batch_norm_with_a_reason(kernels_, photos, tmp_path):
    net = {"model.width": 0.125, "image_size": 16, "curriculum": [[12, 1]], "micro_batch": None}
    options = {"backend.kernels": kernels_, "backend.precision": "fp32", "batch": 16, "epochs": 1, "quiet": True}
    with pytest.raises(TrainingError, match="step 7 of the epoch has 1 image") as caught:
        api.train("sprint", data=str(photos), out=tmp_path, **net, **options)
    assert "--batch" in caught.value.remedy
