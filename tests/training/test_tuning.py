"""Choosing the backend: candidates keep to what is fixed, their numbers are checked, the choice is kept and repeats."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import nn

from tenfold import api
from tenfold.errors import RecipeError
from tenfold.models import build
from tenfold.recipe import BackendOptions, Plan, Recipe
from tenfold.runs import Run
from tenfold.session import gain_of
from tenfold.training import kernels, tuning
from tenfold.training.backend import LAYOUTS, Backend, open_backend, rounding
from tenfold.training.kernels import winograd
from tenfold.training.resolve import check_options
from tenfold.training.tuning import candidates, compiled, fewer_threads, settle_backend

REFERENCE = Backend(torch.device("cpu"), "fp32", LAYOUTS["contiguous"], 2)


def settled(name: str = "resnet20", steps: int = 10**6, **backend):
    """A plan, a net and a batch with every open backend option decided; so many steps leave time for all."""
    made = Plan.of(Recipe(device="cpu", backend=BackendOptions(threads=1, **backend)))
    plan = check_options(made.override({"model.name": name}), [])
    torch.manual_seed(0)
    pixels, labels = torch.randn(16, 3, 16, 16), torch.randint(3, (16,))
    model = build(plan.recipe.model, 3, 16, 3, seed=0)
    return settle_backend(plan, model, pixels, labels, steps)


@pytest.fixture(autouse=True)
def _steady(monkeypatch):
    """Tests run side by side: no measurement is steady there."""
    monkeypatch.setattr(tuning, "STEADY", (0.0, float("inf")))
    monkeypatch.setattr(tuning, "HELD", 0.0)


def test_candidates_are_distinct_and_keep_to_what_is_fixed():
    free = list(candidates(BackendOptions(), REFERENCE, native=True))
    assert len(set(free)) == len(free)
    assert REFERENCE not in free
    for options in (BackendOptions(precision="bf16"), BackendOptions(layout="contiguous"), BackendOptions(threads=1)):
        start = tuning.first_of(options, replace(REFERENCE, threads=options.threads or 2))
        for found in (
            *candidates(options, start, native=True),
            *fewer_threads(options, start),
            *compiled(options, start),
        ):
            fixed = options.model_dump(exclude={"choice", "tolerance"})
            given = {name: value for name, value in fixed.items() if value not in (None, "auto")}
            assert given.items() <= tuning.described(found).items()


def test_compile_is_tried_by_a_search_only():
    assert not any(found.compile for found in compiled(BackendOptions(), REFERENCE))
    assert any(found.compile for found in compiled(BackendOptions(choice="search"), REFERENCE))


def test_of_many_cores_ever_fewer_are_tried():
    assert [found.threads for found in fewer_threads(BackendOptions(), replace(REFERENCE, threads=12))] == [6, 3, 1]
    assert not list(fewer_threads(BackendOptions(threads=12), replace(REFERENCE, threads=12)))


def test_the_fastest_that_agrees_is_chosen_and_every_trial_is_told():
    plan, choice = settled()
    assert {plan.origin[f"backend.{name}"] for name in ("precision", "layout", "kernels", "compile")} == {"measured"}
    rates = {json.dumps(t.backend): t.images_per_second for t in choice.trials if t.rejected is None}
    assert rates[json.dumps(choice.options)] == max(rates.values())
    assert choice.gain == pytest.approx(max(rates.values()) / choice.trials[0].images_per_second)
    for trial in choice.trials[1:]:
        if trial.rejected is None:
            assert trial.output_error <= tuning.TOLERANCE[trial.backend["precision"]]
            assert trial.gradient_error <= tuning.GRADIENT_TOLERANCE


def test_a_second_run_recalls_the_choice_and_a_search_does_not():
    _, first = settled()
    plan, second = settled()
    assert (first.cached, second.cached) == (first.cached, True)
    assert second.options == first.options
    assert plan.recipe.backend.precision == first.options["precision"]
    assert not settled(steps=1, choice="search", compile=False)[1].cached


def test_a_choice_made_while_the_machine_was_unsteady_is_not_remembered(monkeypatch):
    monkeypatch.setattr(tuning, "STEADY", (1e6, 1e7))
    settled("squeezenet")
    monkeypatch.setattr(tuning, "STEADY", (0.0, float("inf")))
    assert not settled("squeezenet")[1].cached


def test_where_others_have_the_cores_the_likeliest_that_agrees_is_taken_and_not_remembered(monkeypatch):
    monkeypatch.setattr(tuning, "HELD", 2.0)
    _, choice = settled("simplenn")
    agreed = [trial for trial in choice.trials[1:] if trial.rejected in (None, tuning.SLOWER)]
    assert choice.crowded
    assert choice.options == agreed[0].backend
    assert "other programs had the cores" in gain_of(choice)
    monkeypatch.setattr(tuning, "HELD", 0.0)
    assert not settled("simplenn")[1].cached


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="a thread is kept to one core on Linux only")
def test_a_program_on_the_same_core_takes_half_of_the_time():
    cores = os.sched_getaffinity(0)
    one = {min(cores)}
    alone = replace(REFERENCE, threads=1)
    net = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.Flatten(), nn.LazyLinear(3))
    pixels, labels = torch.randn(64, 3, 24, 24), torch.zeros(64, dtype=torch.int64)
    net(pixels)
    os.sched_setaffinity(0, one)
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        os.sched_setaffinity(other.pid, one)
        assert tuning.compute(alone, net, pixels, labels).held < 0.75
    finally:
        other.kill()
        other.wait()
        os.sched_setaffinity(0, cores)


def test_a_damaged_cache_is_measured_anew():
    settled()
    for file in tuning.cache_folder("backends").glob("*.json"):
        file.write_text("{", encoding="utf-8")
    assert not settled()[1].cached


def test_a_short_run_is_not_measured_and_not_remembered():
    _, choice = settled("resnet32", steps=1)
    assert {trial.rejected for trial in choice.trials[1:]} == {tuning.TOO_SHORT}
    assert choice.gain == 1
    assert not settled("resnet32", steps=1)[1].cached


@example(images=150, steps=21)
@given(images=st.integers(tuning.LEAST, 2000), steps=st.integers(1, 10**5))
def test_of_a_short_run_no_more_is_measured_than_it_has_time_for(images, steps):
    part = tuning.measured_part(images, steps)
    assert tuning.LEAST <= part <= images
    room = (
        Fraction(str(tuning.SHARE)) * images * steps
    )  # 21 steps with 150 images are room for 7 nine times, not for 6.99
    assert part == tuning.LEAST or part * tuning.PASSES <= room
    assert part == images or (part + 1) * tuning.PASSES > room


def test_what_a_part_of_a_batch_told_is_not_remembered():
    _, choice = settled("resnet44", steps=200)
    assert choice.part == 7 / 16
    assert len(choice.trials) > 1
    assert not settled("resnet44", steps=200)[1].cached


def test_reference_is_plain_fp32():
    plan, choice = settled(choice="reference")
    assert choice.trials == []
    wanted = {"precision": "fp32", "layout": "contiguous", "kernels": "torch", "compile": False, "threads": 1}
    assert {name: getattr(plan.recipe.backend, name) for name in wanted} == wanted


def test_rounding_holds_inside_its_block_only():
    kinds = (torch.backends.mkldnn.conv, torch.backends.mkldnn.matmul)
    before = [kind.fp32_precision for kind in kinds]
    with rounding("bf16_onednn"):
        assert [kind.fp32_precision for kind in kinds] == ["bf16", "bf16"]
    assert [kind.fp32_precision for kind in kinds] == before
    open_backend("cpu", BackendOptions(precision="bf16_onednn"))
    assert kinds[0].fp32_precision == "bf16"
    open_backend("cpu", BackendOptions(precision="fp32"))
    assert kinds[0].fp32_precision != "bf16"


class Off(nn.Conv2d):
    """A convolution that is wrong in the channels-last layout."""

    factor = 1.5

    def forward(self, input):
        y = super().forward(input)
        return y * self.factor if input.is_contiguous(memory_format=torch.channels_last) else y


def test_a_candidate_with_wrong_numbers_is_rejected():
    net = nn.Sequential(Off(3, 8, 3), nn.Flatten(), nn.Linear(8 * 36, 3))
    pixels, labels = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])
    exact = tuning.compute(REFERENCE, net, pixels, labels)
    wrong = replace(REFERENCE, layout=LAYOUTS["channels_last"])
    trial, _ = tuning.attempt(wrong, net, pixels, labels, exact, fastest=float("inf"))
    assert trial.rejected == "its numbers differ from fp32's"
    assert trial.output_error > 0.1


def test_a_tolerance_lets_larger_differences_pass():
    net = nn.Sequential(Off(3, 8, 3), nn.Flatten(), nn.Linear(8 * 36, 3))
    net[0].factor = 1.004
    pixels, labels = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])
    exact = tuning.compute(REFERENCE, net, pixels, labels)
    other = replace(REFERENCE, layout=LAYOUTS["channels_last"])
    told = [tuning.attempt(other, net, pixels, labels, exact, float("inf"), times)[0].rejected for times in (1.0, 10.0)]
    assert told == ["its numbers differ from fp32's", None]


def test_a_candidate_that_fails_is_told_with_the_reason():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 36, 3))
    pixels, labels = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])
    exact = tuning.compute(REFERENCE, net, pixels, labels)
    impossible = replace(REFERENCE, kernels="native", precision="bf16")
    trial, _ = tuning.attempt(impossible, net, pixels, labels, exact, fastest=1.0)
    assert trial.images_per_second is None
    assert "native needs the CPU" in trial.rejected


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kernels": "native", "precision": "bf16"}, "native needs the CPU, and fp32, bf16_grad or bf16_all"),
        ({"kernels": "torch", "precision": "bf16_grad"}, "bf16_grad needs the native kernels"),
    ],
)
def test_contradictions_are_refused(options, said):
    with pytest.raises(RecipeError, match=said):
        open_backend("cpu", BackendOptions(**options))


def test_native_without_a_compiler_is_refused_with_the_reason(monkeypatch):
    monkeypatch.setattr(kernels.shutil, "which", lambda name: None)
    kernels.opened.cache_clear()
    with pytest.raises(RecipeError, match=r"no C\+\+ compiler"):
        open_backend("cpu", BackendOptions(kernels="native"))
    kernels.opened.cache_clear()


def test_bf16_gradients_without_the_instructions_are_refused(monkeypatch):
    if kernels.unavailable():
        pytest.skip(f"no kernels: {kernels.unavailable()}")
    monkeypatch.setattr("tenfold.training.backend.has_halves", lambda: False)
    with pytest.raises(RecipeError, match="neither AVX-512 BF16 nor AMX"):
        open_backend("cpu", BackendOptions(kernels="native", precision="bf16_grad"))


def backends():
    """Every precision that this machine computes, with its kernels."""
    yield from (("fp32", "torch"), ("bf16", "torch"), ("bf16_all", "torch"), ("bf16_onednn", "torch"))
    if kernels.unavailable() is None:
        yield from (("fp32", "native"), ("bf16_all", "native"))
        if winograd.has_halves():
            yield "bf16_grad", "native"


NETS = {
    "simplenn": {"model.norm": "batch", "model.adaptive_pool": True, "image_size": 16},
    "sprint": {"model.width": 0.125, "micro_batch": 8, "image_size": 32, "curriculum": [[24, 1]]},
}


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize(("precision", "kernels_"), list(backends()))
def test_every_backend_repeats_and_resumes_to_the_bit(precision, kernels_, net, photos, tmp_path):
    options = {"data": str(photos), "batch": 16, "device": "cpu", "quiet": True, "out": tmp_path, **NETS[net]}
    options |= {"backend.precision": precision, "backend.kernels": kernels_, "backend.layout": "channels_last"}
    options |= {"backend.threads": 1, "backend.compile": False}

    def weights(run: Run) -> bytes:
        return run.weights("last").read_bytes()

    whole = api.train(net, epochs=2, name="whole", **options)
    again = api.train(net, epochs=2, name="again", **options)
    assert weights(again) == weights(whole)
    for step in sorted((again.path / "checkpoints").iterdir())[1:]:
        step.unlink()
    api.train(resume=again.path, quiet=True)
    assert weights(again) == weights(whole)
