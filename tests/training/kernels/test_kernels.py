"""The native kernels against torch in float64, and their own properties."""

import copy
import platform
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import conv2d, cross_entropy, max_pool2d

from tenfold.models import MODELS
from tenfold.models.blocks import ActivatedBatchNorm
from tenfold.training import kernels
from tenfold.training.backend import Backend
from tenfold.training.kernels import norm, pool, winograd
from tenfold.training.kernels.install import install, suited

pytestmark = pytest.mark.skipif(kernels.unavailable() is not None, reason=f"no kernels: {kernels.unavailable()}")
eights = st.sampled_from([8, 16, 24, 32, 40, 48, 96])


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    made = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return made.contiguous(memory_format=torch.channels_last)


def ways() -> list[int]:
    """The products that this processor has."""
    has = {winograd.EXACT: True, winograd.HALVES: winograd.has_halves(), winograd.SPLIT: winograd.has_split()}
    return [numbers for numbers, there in has.items() if there]


def error(found: torch.Tensor, exact: torch.Tensor) -> float:
    return float((found.detach() - exact.detach()).abs().max() / exact.detach().abs().max().clamp_min(1e-30))


shapes = st.tuples(st.integers(1, 3), eights, eights, st.integers(3, 17), st.integers(3, 17), st.integers(0, 2))
"""Images, channels in and out, height, width, padding."""


def passes(n, before, after, h, w, padding, *, bf16: bool) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Output and the gradients of images and weights, each with what float64 gives."""
    x, weight = images(n, before, h, w).requires_grad_(), (images(after, before, 3, 3, seed=1) / 9).requires_grad_()
    y = winograd.Convolution.apply(x, weight, padding, bf16)
    exact_x, exact_weight = x.detach().double().requires_grad_(), weight.detach().double().requires_grad_()
    exact = conv2d(exact_x, exact_weight, padding=padding)
    g = images(*y.shape, seed=2)
    y.backward(g)
    exact.backward(g.double())
    assert y.shape == exact.shape
    return [(y, exact), (x.grad, exact_x.grad), (weight.grad, exact_weight.grad)]


@settings(max_examples=40, deadline=None)
@given(shapes)
def test_convolution_and_its_gradients_equal_the_reference(shape):
    for found, exact in passes(*shape, bf16=False):
        assert error(found, exact) < 2e-5


halves = pytest.mark.skipif(
    kernels.unavailable() is None and not winograd.has_halves(), reason="this processor multiplies no bf16"
)


@halves
@settings(max_examples=40, deadline=None)
@given(shapes)
def test_gradients_from_bf16_products_are_within_two_percent_once_a_map_has_more_than_one_tile(shape):
    output, *gradients = passes(*shape, bf16=True)
    assert error(*output) < (3e-4 if winograd.has_split() else 2e-5)
    several_tiles = min(output[0].shape[2:]) > 4
    for found, wanted in gradients:  # within one tile nothing averages the transform's largest factors
        assert 1e-4 < float((found - wanted).norm() / wanted.norm()) < (0.02 if several_tiles else 0.03)


@pytest.mark.skipif(kernels.unavailable() is None and not winograd.has_split(), reason="this processor has no AMX")
@settings(max_examples=30, deadline=None)
@given(shapes)
def test_numbers_split_in_two_leave_less_than_a_hundredth_of_the_error_of_bf16(shape):
    n, before, after, h, w, padding = shape
    x, filters = images(n, before, h, w), images(3, 3, before, after, seed=1).contiguous()
    exact = conv2d(x.double(), filters.double().permute(3, 2, 0, 1), padding=padding)
    rounded, split = (
        float((winograd.convolve(x, filters, padding, numbers) - exact).norm() / exact.norm())
        for numbers in (winograd.HALVES, winograd.SPLIT)
    )
    assert split < 1e-4
    assert split < rounded / 100


@halves
def test_black_images_give_zeros_with_bf16_products_too():
    x = torch.zeros(1, 8, 6, 6).contiguous(memory_format=torch.channels_last)
    filters = torch.ones(3, 3, 8, 8)
    assert torch.equal(winograd.convolve(x, filters, 1, winograd.HALVES), torch.zeros(1, 8, 6, 6))
    assert torch.equal(winograd.filter_gradient(x, torch.ones(1, 8, 6, 6), 1, True), torch.zeros(3, 3, 8, 8))


@pytest.mark.parametrize("shape", [(3, 24, 64, 31), (40, 16, 16, 32), (9, 64, 64, 8)])
def test_bits_do_not_depend_on_the_number_of_threads(shape):
    n, before, after, side = shape
    x, g = images(n, before, side, side), images(n, after, side, side, seed=1)
    filters = torch.randn(3, 3, before, after, generator=torch.Generator().manual_seed(2))
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        mean, variance = norm.statistics(x)
        made = [(winograd.convolve(x, filters, 1, way), winograd.filter_gradient(x, g, 1, way > 0)) for way in ways()]
        found.append((*(tensor for each in made for tensor in each), mean, variance))
    torch.set_num_threads(1)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_any_memory_layout_gives_the_same():
    x, filters = images(4, 16, 9, 9), torch.randn(3, 3, 16, 8)
    assert torch.equal(winograd.convolve(x.contiguous(), filters, 1), winograd.convolve(x, filters, 1))
    wide = images(4, 32, 9, 9)
    half = wide[:, :16]
    assert torch.equal(winograd.convolve(half, filters, 1), winograd.convolve(half.clone(), filters, 1))


@pytest.mark.parametrize("activation", sorted(norm.ACTIVATIONS))
@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("training", [True, False])
def test_norm_equals_torchs_in_double(activation, added, training):
    plain = ActivatedBatchNorm(24, activation)
    with torch.no_grad():
        plain.weight.uniform_(0.5, 2)
        plain.bias.uniform_(-1, 1)
        plain.running_var.uniform_(0.5, 2)
    plain.train(training)
    exact = copy.deepcopy(plain).double()
    install(plain)
    assert type(plain) is norm.NativeActivatedBatchNorm
    x, other = images(5, 24, 7, 3) * 3 + 2, images(5, 24, 7, 3, seed=1)
    ours = [x.clone().requires_grad_(), *([other.clone().requires_grad_()] * added)]
    theirs = [t.detach().double().requires_grad_() for t in ours]
    y, z = plain(*ours), exact(*theirs)
    g = images(*y.shape, seed=2)
    y.backward(g)
    z.backward(g.double())
    assert error(y, z) < 2e-6
    for a, b in zip([*ours, *plain.parameters()], [*theirs, *exact.parameters()], strict=True):
        assert error(a.grad, b.grad) < 1e-5
    assert error(plain.running_mean, exact.running_mean) < 1e-6
    assert error(plain.running_var, exact.running_var) < 1e-6
    assert plain.num_batches_tracked == exact.num_batches_tracked


@pytest.mark.parametrize("channels", [8, 16, 24])
@pytest.mark.parametrize("training", [True, False])
def test_torchs_own_norm_is_computed_too(channels, training):
    plain = nn.BatchNorm2d(channels).train(training)
    nn.init.uniform_(plain.weight, 0.5, 2)
    exact = copy.deepcopy(plain).double()
    install(plain)
    assert type(plain) is norm.NativeBatchNorm2d
    x = (images(5, channels, 7, 3) * 3 + 2).requires_grad_()
    exact_x = x.detach().double().requires_grad_()
    y, z = plain(x), exact(exact_x)
    g = images(*y.shape, seed=2)
    y.backward(g)
    z.backward(g.double())
    assert error(y, z) < 2e-6
    for a, b in zip([x, *plain.parameters()], [exact_x, *exact.parameters()], strict=True):
        assert error(a.grad, b.grad) < 1e-5
    for a, b in zip(plain.buffers(), exact.buffers(), strict=True):
        assert error(a.double(), b.double()) < 1e-6
    assert plain(x.double().float()[:, :, :1, :1].expand(-1, -1, 2, 2)).isfinite().all()
    with pytest.raises(ValueError, match="4D"):
        plain(x[0])


@pytest.mark.parametrize("activation", sorted(norm.ACTIVATIONS))
@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("channels", [8, 16, 24, 64])
def test_norm_of_bf16_images_computes_in_fp32_and_rounds_what_it_writes_once(activation, added, channels):
    native, exact = ActivatedBatchNorm(channels, activation), ActivatedBatchNorm(channels, activation)
    exact.load_state_dict(native.state_dict())
    install(native)
    several = [images(5, channels, 7, 9, seed=seed).bfloat16() for seed in range(1 + added)]
    kinds = (torch.bfloat16, torch.float32)
    ours, theirs = ([x.detach().to(kind).requires_grad_() for x in several] for kind in kinds)
    y, z = native(*ours), exact(*theirs)
    assert y.dtype == torch.bfloat16
    assert y.is_contiguous(memory_format=torch.channels_last)
    g = images(*y.shape, seed=2).bfloat16()
    y.backward(g)
    z.backward(g.float())
    assert ulps(y, z) <= 1
    for a, b in zip(ours, theirs, strict=True):
        assert error(a.grad.float(), b.grad) < 0.005  # a half of bf16's step of 2⁻⁷, and once more where `other` is
    for a, b in zip(native.parameters(), exact.parameters(), strict=True):
        assert error(a.grad, b.grad) < 2e-5
    assert error(native.running_var, exact.running_var) < 1e-6


def ulps(found: torch.Tensor, exact: torch.Tensor) -> float:
    """The largest difference from `exact` rounded to bf16, in steps of bf16 there; the least are of the mean size."""
    rounded = exact.detach().bfloat16().float()
    step = rounded.abs().clamp_min(float(rounded.abs().mean())) / 128
    return float(((found.detach().float() - rounded).abs() / step).max())


@pytest.mark.parametrize("channels", [8, 16])
def test_bf16_is_rounded_to_the_nearest_and_to_the_even_one(channels):
    bits = torch.arange(0x3F00_0000, 0x3F04_0000, 0x0400, dtype=torch.int32)  # ties among them
    values = torch.cat([bits.view(torch.float32), -bits.view(torch.float32), torch.tensor([torch.inf, -torch.inf])])
    last = values.repeat_interleave(channels).view(-1, channels, 1, 1)
    norm_ = ActivatedBatchNorm(channels).eval()
    install(norm_)
    with torch.no_grad():
        norm_.running_var.fill_(1 - norm_.eps)
        for value in last:
            norm_.bias.copy_(value.flatten())  # 0 · 1 + bias: what is written is the bias, rounded
            written = norm_(torch.zeros(1, channels, 1, 1, dtype=torch.bfloat16))
            assert torch.equal(written[0], value.bfloat16())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("activation", sorted(norm.ACTIVATIONS))
def test_norm_does_not_lose_nan(activation, dtype):
    native, plain = ActivatedBatchNorm(8, activation), ActivatedBatchNorm(8, activation)
    install(native)
    x = images(2, 8, 3, 3).to(dtype)
    x[0, 3, 1, 0] = torch.nan
    for training in (False, True):  # whose statistics are NaN from then on
        found, expected = native.train(training)(x), plain.train(training)(x)
        assert torch.equal(found.isnan(), expected.isnan())
        assert found[:, 3].isnan().sum() == (18 if training else 1)


def test_variance_survives_a_large_mean():
    x = images(64, 8, 8, 8) + 1e4
    _, variance = norm.statistics(x)
    assert error(variance, x.double().var((0, 2, 3), unbiased=False)) < 1e-3


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), eights, st.integers(2, 9), st.integers(2, 9), st.sampled_from(kernels.STORED))
def test_pool_equals_torchs_with_ties_too(n, channels, h, w, dtype):
    x = images(n, channels, h, w).mul(2).round().to(dtype).requires_grad_()
    y = pool.Pool.apply(x)
    (found,) = torch.autograd.grad(y, x, g := images(*y.shape, seed=1).to(dtype))
    z = max_pool2d(x, 2)
    (exact,) = torch.autograd.grad(z, x, g)
    assert torch.equal(y, z)
    assert torch.equal(found, exact)


def test_pool_does_not_lose_nan():
    x = images(1, 8, 2, 2)
    x[0, 3, 1, 0] = torch.nan
    assert pool.Pool.apply(x).isnan().sum() == 1


def test_only_what_suits_is_replaced_and_names_stay():
    left = [
        nn.Conv2d(16, 16, 3, stride=2),
        nn.Conv2d(16, 16, 5),
        nn.Conv2d(3, 16, 3),
        nn.Conv2d(16, 16, 3, groups=2),
        nn.Conv2d(16, 16, 3, padding=1, padding_mode="reflect"),
        nn.MaxPool2d(3),
        nn.BatchNorm2d(12),
        nn.BatchNorm2d(16, affine=False),
        nn.BatchNorm2d(16, momentum=None),
        nn.BatchNorm2d(16, track_running_stats=False),
        nn.BatchNorm1d(16),
    ]
    suiting = [nn.Conv2d(16, 16, 3, padding="same"), nn.MaxPool2d(2), ActivatedBatchNorm(16), nn.BatchNorm2d(16)]
    net = nn.Sequential(*left, *suiting)
    names, kinds = list(net.state_dict()), [type(module) for module in left]
    assert [module for module, _ in suited(net)] == suiting
    install(net)
    assert list(net.state_dict()) == names
    assert [type(module) for module in left] == kinds


@pytest.mark.parametrize("name", ["simplenn", "sprint", "resnet20"])
def test_a_net_computes_the_same_with_the_kernels(name):
    torch.manual_seed(0)
    net = MODELS[name](3, 32, 10)
    x = images(16, 3, 32, 32)
    other = copy.deepcopy(net)
    install(other)
    assert suited(net)
    assert error(other.train()(x), net.train()(x)) < 1e-4
    assert error(other.eval()(x), net.eval()(x)) < 1e-3


def test_a_net_in_bf16_is_as_near_to_fp32_with_the_kernels_as_without():
    torch.manual_seed(0)
    net = MODELS["resnet20"](3, 32, 10)
    x, y = images(64, 3, 32, 32), torch.arange(64) % 10
    gradients = {}
    for way, kernels_ in (("fp32", "torch"), ("bf16_all", "torch"), ("bf16_all", "native")):
        backend = Backend(torch.device("cpu"), way, torch.channels_last, 1, kernels_)
        placed = backend.place(copy.deepcopy(net)).train()
        cross_entropy(backend.logits(placed, x), y).backward()
        gradients[way, kernels_] = torch.cat([p.grad.flatten() for p in placed.parameters()])
    exact = gradients.pop(("fp32", "torch"))
    torchs, ours = (float((found - exact).norm() / exact.norm()) for found in gradients.values())
    assert 0 < ours < 1.2 * torchs


def test_under_autocast_torch_computes():
    conv = nn.Conv2d(16, 16, 3)
    install(conv)
    with torch.autocast("cpu", torch.bfloat16):
        assert conv(images(2, 16, 8, 8)).dtype == torch.bfloat16


def test_bias_is_added():
    conv = nn.Conv2d(16, 8, 3, padding=1)
    x = images(2, 16, 8, 8)
    expected = conv(x)
    install(conv)
    assert error(conv(x), expected) < 2e-5


@pytest.mark.skipif(platform.machine() != "x86_64", reason="these are names of x86-64 processors")
@pytest.mark.parametrize("processor", ["haswell", "cooperlake", "sapphirerapids"])
@pytest.mark.parametrize("source", kernels.SOURCES)
def test_every_source_compiles_for_other_processors_too(source, processor):
    compiler = next(path for path in map(shutil.which, kernels.COMPILERS) if path)
    flags = [flag for flag in kernels.FLAGS if not flag.startswith(("-march", "-O"))]
    command = [compiler, *flags, "-O0", f"-march={processor}", "-fsyntax-only", str(kernels.HERE / source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_a_compiler_it_is_said_why(monkeypatch):
    monkeypatch.setattr(kernels.shutil, "which", lambda name: None)
    kernels.opened.cache_clear()
    assert "no C++ compiler" in kernels.unavailable()
    kernels.opened.cache_clear()


def test_a_failing_compiler_is_quoted(monkeypatch, tmp_path):
    broken = tmp_path / "g++"
    broken.write_text("#!/bin/sh\necho 'error: unknown option' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kernels.shutil, "which", lambda name: str(broken))
    kernels.opened.cache_clear()
    assert "unknown option" in kernels.unavailable()
    broken.unlink()
    assert "unknown option" in kernels.unavailable()  # it is not tried again
    kernels.opened.cache_clear()


def test_a_library_that_was_lost_is_built_again(monkeypatch, tmp_path):
    whole = kernels.library()._name
    monkeypatch.setattr(kernels, "build", lambda compiler, made: shutil.copy(whole, made))
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path))
    cut = tmp_path / "kernels" / Path(whole).name
    cut.parent.mkdir()
    cut.touch()  # what a machine that lost its power leaves of a new file
    kernels.opened.cache_clear()
    assert Path(kernels.library()._name) == cut
    kernels.opened.cache_clear()
