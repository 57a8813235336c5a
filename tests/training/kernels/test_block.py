"""The residual block on matrix registers against float64 and torch's bf16, and its own properties."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import conv2d

from tenfold.models.blocks import ActivatedBatchNorm
from tenfold.models.resnet import Block
from tenfold.training import kernels
from tenfold.training.kernels import block, winograd
from tenfold.training.kernels.install import install

pytestmark = pytest.mark.skipif(
    kernels.unavailable() is not None or not winograd.has_split(), reason="no matrix registers (AMX) here"
)
shapes = st.tuples(st.integers(1, 11), st.sampled_from([16, 32, 48, 64]), st.integers(1, 19), st.integers(1, 19))
"""Images, channels, height, width."""
steps = st.integers(1, 3)


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    made = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).bfloat16()
    return made.contiguous(memory_format=torch.channels_last)


def off(found: torch.Tensor, exact: torch.Tensor) -> float:
    """The length of the difference as a share of the length."""
    return float((found.detach().double() - exact.detach()).norm() / exact.detach().norm().clamp_min(1e-9))


def residual(channels: int, shortcut: str = "A", activation: str = "relu", before: int = 0) -> Block:
    """A block whose norms do something, its convolutions' weights bf16 numbers; from `before` it halves the map."""
    torch.manual_seed(0)
    made = Block(before or channels, channels, 2 if before else 1, shortcut, True, activation)
    with torch.no_grad():
        for norm in (made.norm1, made.norm2):
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-0.5, 0.5)
        for conv in (made.conv1, made.conv2):
            conv.weight.copy_(conv.weight.bfloat16())
    return made


def in_bf16(made: Block, native: bool = True) -> Block:
    """A copy as `bf16_all` computes it: the norms' weights stay float32."""
    found = copy.deepcopy(made)
    install(found)
    assert type(found) is block.NativeBlock
    if not native:
        found.__class__ = Block
    found.conv1.bfloat16()
    found.conv2.bfloat16()
    return found.to(memory_format=torch.channels_last)


def results(made: nn.Module, x: torch.Tensor, g: torch.Tensor) -> list[torch.Tensor]:
    """Output, gradients of the images and of all parameters, running statistics."""
    x = x.clone().requires_grad_()
    y = made(x)
    y.backward(g.to(y.dtype))
    return [y, x.grad, *(p.grad for p in made.parameters()), *(b for b in made.buffers() if b.dim())]


def some_norm(channels: int) -> torch.Tensor:
    """Scale, shift, mean and 1 / deviation of a norm."""
    return torch.rand((4, channels), generator=torch.Generator().manual_seed(5)) + 0.5


def planes(part: torch.Tensor) -> torch.Tensor:
    return part.double()[:, None, None]


@settings(max_examples=40, deadline=None)
@given(shapes, st.sampled_from([16, 32, 48, 64]), steps, st.booleans())
def test_a_convolution_with_the_norm_before_it_equals_the_reference(shape, channels, step, normalised):
    before_it = shape[1]
    x, weight = images(*shape), images(channels, before_it, 3, 3, seed=1) / 8
    before, after = some_norm(before_it) if normalised else None, nn.BatchNorm2d(channels)
    nn.init.uniform_(after.weight, 0.5, 2)
    nn.init.uniform_(after.bias, -1, 1)
    if shape[0] * ((shape[2] - 1) // step + 1) * ((shape[3] - 1) // step + 1) == 1:
        with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
            block.convolve(x, before, "relu", weight, step, after)
        return
    y, kept = block.convolve(x, before, "relu", weight, step, after)
    seen = x.double()
    if before is not None:  # rounded as it is kept
        seen = (seen * planes(before[0]) + planes(before[1])).relu().bfloat16().double()
    assert off(y, conv2d(seen, weight.double(), None, step, 1)) < 0.004  # half of bf16's step
    exact = nn.BatchNorm2d(channels).double()
    exact.load_state_dict(nn.BatchNorm2d(channels).state_dict())
    rows = y.numel() // channels
    mean, variance = y.double().mean((0, 2, 3)), y.double().var((0, 2, 3), unbiased=False)
    inverse = (variance + after.eps).rsqrt()
    scale = after.weight.double() * inverse
    assert off(kept[2], mean) < 1e-5
    wanted = torch.stack((scale, after.bias.double() - mean * scale, mean, inverse))
    assert off(kept, wanted) < 2e-3 * max(1.0, float(mean.abs().max() ** 2 / (variance.min() + 1e-3)) ** 0.5)
    assert off(after.running_mean, 0.1 * mean) < 1e-5
    assert off(after.running_var, 0.9 + 0.1 * variance * rows / (rows - 1)) < 1e-4
    assert after.num_batches_tracked == 1


@settings(max_examples=40, deadline=None)
@given(shapes, st.sampled_from([16, 32, 48, 64]), steps, st.booleans())
def test_a_convolutions_gradients_equal_the_reference(shape, channels, step, normalised):
    n, before_it, h, w = shape
    outputs = n, channels, (h - 1) // step + 1, (w - 1) // step + 1
    x, (y, g, extra) = images(*shape), (images(*outputs, seed=seed) for seed in (1, 2, 3))
    weight = images(channels, before_it, 3, 3, seed=4) / 8
    after, of_after = some_norm(channels), torch.rand(2, channels)
    before = some_norm(before_it).flip(1) if normalised else None
    found = block.gradients(g, y, after, of_after, x, before, "relu", None if normalised else extra, weight, step)
    scale, _, mean, inverse = after.double()
    rows = y.numel() // channels
    tilt, offset = planes(of_after[0].double() * inverse / rows), planes(of_after[1] / rows)
    exact_behind = planes(scale) * (g.double() - offset - (y.double() - planes(mean)) * tilt)
    behind, seen = exact_behind.bfloat16().double(), x.double()
    line = seen
    if before is not None:
        line = seen * planes(before[0]) + planes(before[1])
        seen = line.relu().bfloat16().double()
    seen.requires_grad_()
    exact_weight = weight.double().requires_grad_()
    exact_x, exact_w = torch.autograd.grad(conv2d(seen, exact_weight, None, step, 1), (seen, exact_weight), behind)
    assert off(found[0], exact_w) < 0.006
    if before is None:
        common = min(before_it, channels)
        exact_x[:, :common, ::step, ::step] += extra.double()[:, :common]
        assert off(found[1], exact_x) < 0.004
        return
    assert off(found[1], exact_x * (line > 0)) < 0.02  # a number next to 0 may be on the other side of it
    written = found[1].double()
    of_scale = (written * (x.double() - planes(before[2]))).sum((0, 2, 3)) * before[3]
    assert off(found[2], torch.stack((of_scale, written.sum((0, 2, 3))))) < 1e-4


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "silu", "gelu"])
@pytest.mark.parametrize("shortcut", ["A", "none"])
@pytest.mark.parametrize("before", [0, 16])
def test_a_block_is_as_near_to_float64_as_torchs_parts_in_bf16(activation, shortcut, before):
    made, x = residual(32, shortcut, activation, before), images(20, before or 32, 9, 7)
    g = images(20, 32, 5, 4, seed=1) if before else images(20, 32, 9, 7, seed=1)
    exact = results(copy.deepcopy(made).double(), x.double(), g.double())
    ours, theirs = results(in_bf16(made), x, g), results(in_bf16(made, native=False), x, g)
    for found, plain, wanted in zip(ours, theirs, exact, strict=True):
        assert found.dtype == plain.dtype
        assert off(found, wanted) < 2 * off(plain, wanted) + 1e-4


def test_bits_do_not_depend_on_the_number_of_threads():
    made, x, g = residual(48), images(37, 48, 11, 6), images(37, 48, 11, 6, seed=1)
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        found.append(results(in_bf16(made), x, g))
    torch.set_num_threads(1)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize(("shortcut", "before"), [("A", 0), ("none", 0), ("A", 16), ("none", 16)])
def test_who_watches_the_parts_sees_what_each_gets_and_changes_no_bit(shortcut, before):
    made, x = residual(32, shortcut, before=before), images(5, before or 32, 8, 8)
    g = images(5, 32, 4, 4, seed=1) if before else images(5, 32, 8, 8, seed=1)
    unwatched, watched = in_bf16(made), in_bf16(made)
    seen: dict[str, tuple[torch.Tensor, ...]] = {}
    for name in ("conv1", "norm1", "conv2", "norm2"):

        def look(_: nn.Module, inputs: tuple[torch.Tensor, ...], name: str = name) -> None:
            seen[name] = inputs

        look.only_looks = True
        getattr(watched, name).register_forward_pre_hook(look)
    without, with_ = results(unwatched, x, g), results(watched, x, g)
    assert all(torch.equal(a, b) for a, b in zip(without, with_, strict=True))
    plain = in_bf16(made, native=False)
    shown: dict[str, tuple[torch.Tensor, ...]] = {}
    for name in seen:
        getattr(plain, name).register_forward_pre_hook(lambda _, given, name=name: shown.update({name: given}))
    plain(x)
    for name, inputs in seen.items():
        assert len(inputs) == len(shown[name])
        for ours, theirs in zip(inputs, shown[name], strict=True):
            assert ours is theirs is None or off(ours, theirs.double()) < 0.01


@pytest.mark.parametrize("register", ["register_forward_hook", "register_forward_pre_hook"])
def test_hooks_that_may_change_something_let_the_parts_compute(register):
    made, x = residual(16), images(5, 16, 8, 8)
    watched, plain = in_bf16(made), in_bf16(made, native=False)
    seen = []
    getattr(watched.norm1, register)(lambda *given: seen.append(given))
    assert torch.equal(watched(x), plain(x))
    assert len(seen) == 1
    getattr(watched.norm1, register)(lambda *_: torch.zeros_like(x))
    assert not torch.equal(watched(x), plain(x))


def test_evaluation_float32_and_autocast_are_as_ever():
    made, x = residual(16), images(5, 16, 8, 8)
    native, plain = in_bf16(made).eval(), in_bf16(made, native=False).eval()
    assert torch.equal(native(x), plain(x))
    native, plain = (in_bf16(made, way).float() for way in (True, False))
    assert torch.equal(native(x.float()), plain(x.float()))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(native(x.float()), plain(x.float()))


def test_without_gradients_it_computes_the_same():
    made, x = residual(16), images(5, 16, 8, 8)
    with torch.no_grad():
        alone = in_bf16(made)(x)
    assert torch.equal(alone, in_bf16(made)(x.requires_grad_()))


@pytest.mark.parametrize("place", [(0, 0, 0, 0), (2, 15, 7, 7), (4, 3, 0, 5)])
def test_a_nan_is_not_lost(place):
    x = images(5, 16, 8, 8)
    x[place] = torch.nan
    assert in_bf16(residual(16))(x).isnan().any()


def test_only_blocks_that_suit_are_replaced():
    bare = Block(16, 16, 1, "A", False, "relu")  # no second norm
    others = [bare, Block(16, 32, 2, "B", True, "relu"), Block(24, 24, 1, "A", True, "relu")]
    mish = Block(16, 16, 1, "A", True, "mish")
    for other in (*others, mish):
        install(other)
        assert type(other) is Block
    made = residual(16)
    names = list(made.state_dict())
    install(made)
    install(made)
    assert type(made) is block.NativeBlock
    assert list(made.state_dict()) == names
    assert isinstance(made.norm1, ActivatedBatchNorm)
