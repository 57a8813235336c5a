"""Measuring a training: the step in parts is the step of the training, and figures follow from each other."""

import json
import math

import pytest
import torch

from tenfold import api
from tenfold.errors import TrainingError
from tenfold.training import speed
from tenfold.training.environment import affordable, matrix_rate
from tenfold.training.loop import descend
from tenfold.training.setup import prepare
from tenfold.training.speed import PARTS, Watch, full_size_epoch, measure, step_in_parts

SIMPLENN = 715_740
"""Multiply-adds of SimpleNN with three classes: 70 fewer outputs × 84 inputs than the README's."""


@pytest.fixture(autouse=True)
def _quick_ceilings(monkeypatch):
    """Measuring a ceiling takes seconds, and the tests of the command line do."""
    monkeypatch.setattr(speed, "matrix_rate", lambda device, dtype, seconds: {torch.float32: 90.0}.get(dtype, 300.0))


def setup(small, recipe="simplenn-augment", **more):
    return prepare(api.plan(recipe, **{**small, **more}))


@pytest.mark.parametrize(
    ("recipe", "options"),
    [
        ("simplenn-augment", {}),
        ("simplenn-augment", {"label_smoothing": 0.2, "model.dropout": 0.3, "model.norm": "batch"}),
        ("simplenn-augment", {"micro_batch": 5, "optimizer.name": "adam", "optimizer.momentum": None}),
        ("simplenn-augment", {"ema": 0.9, "optimizer.clip_norm": 0.1}),
        ("sprint", {"micro_batch": 8, "model.width": 0.125}),
    ],
)
def test_step_in_parts_is_the_step_of_the_training_to_the_bit(recipe, options, small):
    one, other = setup(small, recipe, **options), setup(small, recipe, **options)
    watch = Watch(torch.device("cpu"))
    for step in range(3):
        expected = descend(one, 0, step, *one.loader.batch(0, step))
        assert step_in_parts(other, 0, step, watch) == expected
    assert all(map(torch.equal, one.state.tensors().values(), other.state.tensors().values()))
    assert tuple(watch.spent) == PARTS
    assert all(seconds > 0 for seconds in watch.spent.values())


def test_figures_follow_from_what_was_measured(small):
    seen = measure(setup(small), 3, 60.0)
    assert (seen.steps, seen.recipe.batch, seen.size, seen.data) == (3, 16, 32, "photos")
    assert tuple(seen.parts) == PARTS
    assert seen.quartiles[0] <= seen.step_seconds <= seen.quartiles[1]
    assert seen.multiply_adds == SIMPLENN
    assert seen.images_per_second == 16 / seen.step_seconds
    assert seen.work == pytest.approx(6 * SIMPLENN * 16 / seen.step_seconds / 1e9)
    assert seen.reached["fp32"] == seen.work / seen.ceilings["fp32"]
    assert set(seen.ceilings) == {"fp32", "bf16"}
    assert seen.own == "fp32"
    assert min(*seen.parts.values(), *seen.ceilings.values(), seen.peak_resident) > 0
    assert seen.peak_allocated is None
    assert seen.step_memory.weights == seen.step_memory.optimizer == 4 * seen.parameters
    assert json.loads(json.dumps(seen.to_dict()))["reached"] == seen.reached


def test_time_limit_leaves_the_least_steps(small):
    assert measure(setup(small), 50, 1e-9).steps == speed.LEAST
    assert measure(setup(small), 1, 1e-9).steps == 1


def test_slices_hold_less_memory(small):
    whole, sliced = (speed.work_of(setup(small, **more), 32)[1] for more in ({}, {"micro_batch": 4}))
    assert whole.activations == 4 * sliced.activations


def test_work_is_that_of_the_training_images(small):
    options = {"augment.center_crop": 28, "augment.crop": 0, "model.adaptive_pool": True}
    seen = measure(setup(small, "simplenn", **options), 1, 1.0)
    assert seen.size == 28
    assert seen.multiply_adds < SIMPLENN


@pytest.mark.parametrize(("stages", "epoch"), [((), 0), (((24, 1), (28, 1)), 2), (((24, 3),), 2)])
def test_images_are_of_full_size_where_the_run_has_such(stages, epoch):
    assert full_size_epoch(api.plan("sprint", epochs=3, curriculum=stages).recipe) == epoch


def test_small_data_has_one_step(small):
    assert measure(setup(small, batch=97), 2, 60.0).steps == 2


def test_loss_that_is_not_finite_is_explained(small):
    with pytest.raises(TrainingError, match=r"(?s)while its steps were timed.*--optimizer.lr 1e\+29"):
        measure(setup(small, **{"optimizer.lr": 1e30}), 3, 60.0)


def test_python_gives_what_the_command_prints(small, tmp_path):
    told = []
    options = {**small, "progress": lambda *now: told.append(now)}
    seen, picture = api.bench("simplenn", out=tmp_path / "one.png", steps=2, seconds=1, **options)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert math.isfinite(seen.images_per_second)
    assert ("timing steps", 3, 3) in told


def test_ceiling_is_measured_on_a_product_that_can_be_afforded():
    cpu, threads = torch.device("cpu"), torch.get_num_threads()
    assert affordable(cpu, torch.float32, 1e-9) == 128
    assert affordable(cpu, torch.float32, 8.0) == 2048
    assert matrix_rate(cpu, torch.bfloat16, 1e-9) > 0
    assert torch.get_num_threads() == threads
