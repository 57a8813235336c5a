"""MobileNet, SqueezeNet, VGG-11: counts by arithmetic from their tables, and their own properties."""

import pytest
import torch

from tenfold.errors import RecipeError
from tenfold.models import MODELS, mobilenet, squeezenet, vgg
from tenfold.models.inspection import inspect_model
from tenfold.registry import defaults

CONVNETS = ("mobilenet", "squeezenet", "vgg11")


def conv(before: int, after: int, kernel: int, side: int, groups: int = 1) -> tuple[int, int, int]:
    """Weights, outputs' channels and multiply-adds of a convolution whose output has `side` pixels."""
    weights = before // groups * after * kernel**2
    return weights, after, weights * side**2


def mobilenet_layers() -> list[tuple[int, int, int]]:
    side, before, layers = 32, mobilenet.FIRST, [conv(3, mobilenet.FIRST, 3, 32)]
    for after, stride in mobilenet.BLOCKS:
        side //= stride
        layers += [conv(before, before, 3, side, groups=before), conv(before, after, 1, side)]
        before = after
    return layers


def squeezenet_layers() -> list[tuple[int, int, int]]:
    side, before, layers = 32, squeezenet.FIRST, [conv(3, squeezenet.FIRST, 3, 32)]
    for stage in squeezenet.STAGES:
        side //= 2
        for squeeze, expand in stage:
            layers += [conv(before, squeeze, 1, side), conv(squeeze, expand, 1, side), conv(squeeze, expand, 3, side)]
            before = 2 * expand
    return layers


def vgg_layers() -> list[tuple[int, int, int]]:
    before, layers = 3, []
    for index, stage in enumerate(vgg.STAGES):
        for after in stage:
            layers.append(conv(before, after, 3, 32 // 2**index))
            before = after
    return layers


@pytest.mark.parametrize(
    ("name", "layers", "features", "parameters", "bare", "work"),
    [
        ("mobilenet", mobilenet_layers(), 1024, 3_217_226, 3_206_282, 46_354_432),
        ("squeezenet", squeezenet_layers(), 512, 730_570, 727_626, 23_434_240),
        ("vgg11", vgg_layers(), 512, 9_228_362, 9_225_610, 152_769_536),
    ],
)
def test_counts_follow_from_the_table(name, layers, features, parameters, bare, work):
    """Without norm each channel has a bias, with it a scale and an offset. squeezenet's 727,626 and vgg11's 9,225,610
    are torchvision's features (722,496 and 9,220,480) and a head of 5,130."""
    weights, channels = sum(w for w, _, _ in layers), sum(c for _, c, _ in layers)
    head = features * 10 + 10
    assert (weights + 2 * channels + head, weights + channels + head) == (parameters, bare)
    assert sum(work for _, _, work in layers) + features * 10 == work
    seen = inspect_model(MODELS[name](3, 32, 10), 3, 32)
    assert (seen.parameters, seen.multiply_adds, seen.output) == (parameters, work, (5, 10))
    assert inspect_model(MODELS[name](3, 32, 10, norm="none"), 3, 32).parameters == bare


def test_a_separable_block_does_its_share_of_a_full_convolution():
    block = mobilenet.Separable(64, 128, 1, "batch", "relu")
    full = torch.nn.Conv2d(64, 128, 3, padding=1)
    ratio = inspect_model(block, 64, 8).multiply_adds / inspect_model(full, 64, 8).multiply_adds
    assert ratio == pytest.approx(1 / 128 + 1 / 9)


def test_a_fire_module_joins_both_expansions():
    fire = squeezenet.Fire(16, 8, 24, "none", "relu")
    squeezed = fire.squeeze(x := torch.randn(2, 16, 5, 5))
    out = fire(x)
    assert torch.equal(out[:, :24], fire.expand1(squeezed))
    assert torch.equal(out[:, 24:], fire.expand3(squeezed))


@pytest.mark.parametrize("name", CONVNETS)
@pytest.mark.parametrize("channels", [1, 4])
def test_other_channel_counts_and_an_untrained_guess(name, channels):
    logits = MODELS[name](channels, 32, 10, width=0.25)(torch.randn(8, channels, 32, 32)).detach()
    assert logits.shape == (8, 10)
    assert float(logits.abs().max()) < 1


@pytest.mark.parametrize("name", CONVNETS)
def test_widths_are_multiples_of_eight(name):
    convs = [m for m in MODELS[name](3, 32, 10, width=0.3).modules() if isinstance(m, torch.nn.Conv2d)]
    assert all(m.out_channels % 8 == 0 for m in convs)


@pytest.mark.parametrize("name", CONVNETS)
def test_dropout_stands_before_the_head(name):
    net = MODELS[name](3, 32, 10, dropout=0.5)
    assert net.dropout.probability == 0.5
    assert defaults(MODELS[name]) == {"norm": "batch", "activation": "relu", "width": 1.0, "dropout": 0.0}


@pytest.mark.parametrize(("name", "smallest"), [("vgg11", 16), ("squeezenet", 8)])
def test_too_small_images_are_refused(name, smallest):
    assert MODELS[name](3, smallest, 10, width=0.1)(torch.randn(2, 3, smallest, smallest)).shape == (2, 10)
    with pytest.raises(RecipeError, match=f"{name} needs images of at least {smallest} pixels; these have 5"):
        MODELS[name](3, 5, 10)


@pytest.mark.parametrize("name", CONVNETS)
def test_unknown_norm_lists_near_ones(name):
    with pytest.raises(RecipeError, match="Did you mean 'batch'"):
        MODELS[name](3, 32, 10, norm="bach")
