"""ResNet: the paper's counts and shapes, its shortcuts against plain slicing and padding."""

import pytest
import torch
from torch.nn.functional import pad

from tenfold.errors import RecipeError
from tenfold.models.inspection import inspect_model
from tenfold.models.resnet import PadShortcut, ResNet20, ResNet56, Subsample


def test_multiply_adds_and_maps_are_the_papers():
    seen = inspect_model(ResNet20(3, 32, 10), 3, 32)
    assert seen.multiply_adds == 40_551_040
    outputs = {layer.name: layer.output[1:] for layer in seen.layers}
    assert outputs["stage1.2.conv2"] == (16, 32, 32)
    assert outputs["stage2.2.conv2"] == (32, 16, 16)
    assert outputs["stage3.2.conv2"] == (64, 8, 8)
    assert sum(layer.kind in ("Conv2d", "Linear") for layer in seen.layers) == 20


def test_option_b_is_the_published_count():
    seen = inspect_model(ResNet20(3, 32, 10, shortcut="B"), 3, 32)
    assert (seen.parameters, round(seen.multiply_adds / 1e6, 2)) == (272_474, 40.81)


def test_without_shortcuts_only_the_sums_are_missing():
    plain, residual = ResNet20(3, 32, 10, shortcut="none"), ResNet20(3, 32, 10)
    assert plain.state_dict().keys() == residual.state_dict().keys()
    plain.load_state_dict(residual.state_dict())
    images = torch.randn(2, 3, 32, 32)
    assert not torch.allclose(plain(images), residual(images))


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("side", [7, 8])
def test_pad_shortcut_is_slicing_and_padding(side, layout):
    images = torch.randn(3, 4, side, side).contiguous(memory_format=layout)
    mine, plain = images.clone().requires_grad_(), images.clone().requires_grad_()
    ours, expected = PadShortcut(8, 2)(mine), pad(plain[:, :, ::2, ::2], (0, 0, 0, 0, 0, 4))
    assert torch.equal(ours, expected)
    weights = torch.randn_like(expected)
    (ours * weights).sum().backward()
    (expected * weights).sum().backward()
    assert torch.equal(mine.grad, plain.grad)


def test_gradient_of_the_pad_shortcut_against_finite_differences():
    images = torch.randn(2, 2, 5, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: Subsample.apply(x, 4, 2), images)


def test_norm_placement_first_leaves_one_norm_a_block():
    def norms(net):
        return [name for name, module in net.named_modules() if isinstance(module, torch.nn.BatchNorm2d)]

    assert len(norms(ResNet20(3, 32, 10))) == 19
    assert len(norms(ResNet20(3, 32, 10, norm_placement="first"))) == 9
    assert all(name.endswith("norm1") for name in norms(ResNet20(3, 32, 10, shortcut="B", norm_placement="first")))


def test_he_initialisation_keeps_the_variance():
    weights = ResNet56(3, 32, 10).stage3[5].conv2.weight
    assert float(weights.detach().std()) == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)


@pytest.mark.parametrize("options", [{"shortcut": "C"}, {"norm_placement": "last"}])
def test_unknown_choice_is_an_error(options):
    with pytest.raises(RecipeError, match=r"There is no (shortcut|norm placement)"):
        ResNet20(3, 32, 10, **options)
