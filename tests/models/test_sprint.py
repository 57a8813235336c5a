"""Sprint: its count by hand, whitening that whitens, an identity to begin with, any image size."""

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d

from tenfold.errors import RecipeError
from tenfold.models.sprint import Sprint, whitening_filters


def pictures(n: int = 1200, channels: int = 3) -> torch.Tensor:
    """Smooth random pictures, so that neighbouring pixels and channels are correlated."""
    rough = torch.randn(n, channels, 5, 5, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(rough, 12, mode="bilinear")
    return smooth + 0.5 * smooth.mean(1, keepdim=True) + 0.2 * torch.randn(n, channels, 12, 12, generator=seeded())


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def test_parameters_by_hand():
    whiten, head = 24 * 3 * 4 + 24, 256 * 10
    convs = 9 * (24 * 64 + 64 * 64 + 64 * 256 + 256 * 256 + 256 * 256 + 256 * 256)
    norms = 2 * 2 * (64 + 256 + 256)
    net = Sprint(3, 32, 10)
    assert sum(p.numel() for p in net.parameters()) == whiten + convs + norms + head == 1_972_792
    frozen = {name for name, p in net.named_parameters() if not p.requires_grad}
    assert frozen == {"whiten.weight", *(f"group{g}.norm{n}.weight" for g in (1, 2, 3) for n in (1, 2))}


def test_parameters_of_the_deep_and_wide_net_by_hand():
    convs = 9 * (24 * 128 + 2 * 128**2 + 128 * 512 + 5 * 512**2)
    norms = 2 * 3 * (128 + 512 + 512)
    net = Sprint(3, 32, 10, width=2.0, depth=3)
    assert sum(p.numel() for p in net.parameters()) == 24 * 12 + 24 + convs + norms + 512 * 10 == 12_721_208


def test_the_third_convolution_has_a_shortcut():
    group = Sprint(3, 32, 10, depth=3).group1.eval()
    x = torch.randn(2, 24, 8, 8)
    y = group.norm1(group.pool(group.conv1(x)))
    inner = torch.nn.functional.batch_norm(
        group.conv3(group.norm2(group.conv2(y))), group.norm3.running_mean, group.norm3.running_var, eps=1e-12
    )
    torch.testing.assert_close(group(x), torch.nn.functional.gelu(inner + y))


def test_a_group_of_another_depth_is_refused():
    with pytest.raises(RecipeError, match="2 or 3 convolutions, not 4"):
        Sprint(3, 32, 10, depth=4)


@pytest.mark.parametrize("channels", [1, 3])
def test_whitened_patches_have_unit_covariance(channels):
    """Its own property, checked with numpy's covariance of what the layer puts out."""
    images = pictures(channels=channels)
    net = Sprint(channels, 12, 10)
    net.look_at(images)
    out = conv2d(images, net.whiten.weight).transpose(0, 1).flatten(1).detach().numpy()
    half = len(out) // 2
    np.testing.assert_allclose(np.cov(out[:half]), np.eye(half), atol=0.02)
    np.testing.assert_array_equal(out[half:], -out[:half])


def test_whitening_equals_numpy():
    images = pictures(50, 1)
    cut = np.lib.stride_tricks.sliding_window_view(images.numpy(), (2, 2), axis=(2, 3)).reshape(-1, 4)
    values, vectors = np.linalg.eigh(np.cov(cut.astype(float), rowvar=False, bias=True))
    expected = (vectors / np.sqrt(values + 5e-4)).T[::-1]
    found = whitening_filters(images).reshape(4, 4).numpy()
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-3, atol=1e-4)
    assert (np.take_along_axis(found, np.abs(found).argmax(1)[:, None], 1) > 0).all()


def test_looking_twice_gives_the_same_filters_and_trains_nothing():
    net = Sprint(3, 12, 10)
    before = {name: p.clone() for name, p in net.named_parameters() if name != "whiten.weight"}
    net.look_at(pictures())
    first = net.whiten.weight.clone()
    net.look_at(pictures())
    assert torch.equal(net.whiten.weight, first)
    assert all(torch.equal(p, before[name]) for name, p in net.named_parameters() if name in before)


def test_constant_images_have_finite_filters():
    assert torch.isfinite(whitening_filters(torch.ones(4, 3, 9, 9))).all()


def test_groups_begin_by_passing_their_input_on():
    net = Sprint(3, 32, 10)
    x = torch.randn(2, 24, 8, 8)
    torch.testing.assert_close(net.group1.conv1(x)[:, :24], x)
    wide = torch.randn(2, 256, 4, 4)
    torch.testing.assert_close(net.group3.conv2(wide), wide)


def test_head_has_unit_deviation_and_its_output_is_scaled():
    net = Sprint(3, 32, 10)
    assert float(net.head.weight.detach().std()) == pytest.approx(1, rel=1e-5)
    assert float(net(torch.randn(16, 3, 32, 32)).detach().std()) < 1


@pytest.mark.parametrize(("width", "widths"), [(1.0, (64, 256, 256)), (0.5, (32, 128, 128)), (0.01, (8, 8, 8))])
def test_widths_are_multiples_of_eight(width, widths):
    net = Sprint(3, 32, 10, width=width)
    assert tuple(group.conv2.out_channels for group in (net.group1, net.group2, net.group3)) == widths


def test_one_net_takes_every_size_from_nine_pixels():
    net = Sprint(3, 32, 10).eval()
    assert all(net(torch.randn(2, 3, size, size)).shape == (2, 10) for size in (9, 16, 24, 28, 33, 64))
    with pytest.raises(RecipeError, match="at least 9 pixels"):
        Sprint(3, 8, 10)


def test_without_whitening_the_first_layer_is_trained_like_the_others():
    net = Sprint(3, 12, 10, whiten=False)
    first = net.whiten.weight.clone()
    net.look_at(pictures())
    assert torch.equal(net.whiten.weight, first)
    assert net.whiten.weight.requires_grad
    assert net.trained_until() == {}


def test_without_an_identity_start_no_filter_passes_its_input_on():
    torch.manual_seed(0)
    x = torch.randn(2, 24, 8, 8)
    same, other = (Sprint(3, 32, 10, identity_start=start).group1.conv1 for start in (True, False))
    assert torch.equal(same(x)[:, :24], x)
    assert not torch.isclose(other(x)[:, :24], x).all((0, 2, 3)).any()
