"""Every model: parameter count, shape, all gradients, samples kept apart, save and load, repeatable from its seed."""

import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d, cross_entropy

from tenfold.datasets.preprocessing import Preprocessing
from tenfold.errors import RecipeError
from tenfold.models import MODELS, blocks, build
from tenfold.models.blocks import ACTIVATIONS, HEADS, NORMS, Dropout, seed_dropout
from tenfold.models.resnet import PLACEMENTS, SHORTCUTS
from tenfold.randomness import generator
from tenfold.recipe import ModelOptions
from tenfold.registry import defaults
from tenfold.training.weights import Weights

PARAMETERS = {
    "simplenn": 82_006,
    "resnet20": 269_722,
    "resnet32": 464_154,
    "resnet44": 658_586,
    "resnet56": 853_018,
    "resnet110": 1_727_962,
    "sprint": 1_972_792,
    "mobilenet": 3_217_226,
    "squeezenet": 730_570,
    "vgg11": 9_228_362,
}
"""At 10 classes and 3×32×32: lab.md, L1.2 and L3.1; He et al. 2016, table 6 (0.27, 0.46, 0.66, 0.85, 1.7 M); sprint
by hand in test_sprint.py, the last three from their tables in test_convnets.py."""

CHOICES = {
    "norm": NORMS,
    "activation": ACTIVATIONS,
    "head_activation": HEADS,
    "shortcut": SHORTCUTS,
    "norm_placement": PLACEMENTS,
}
VARIANTS = [
    (name, {option: value})
    for name, function in MODELS.items()
    for option, values in CHOICES.items()
    if option in defaults(function)
    for value in values
]


def model(name: str, size: int = 32, classes: int = 10, seed: int = 0, **options):
    filled = {**defaults(MODELS[name]), **options}
    return build(ModelOptions(name=name, **filled), 3, size, classes, seed)


def test_every_model_has_a_published_count():
    assert set(PARAMETERS) == set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_parameter_count(name):
    assert sum(p.numel() for p in model(name).parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("size", [16, 32, 47, 64])
def test_shape(name, size):
    assert model(name, size, classes=7)(torch.randn(2, 3, size, size)).shape == (2, 7)


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_every_trained_parameter_gets_a_gradient(name, options):
    net = model(name, 16, **options)
    cross_entropy(net(torch.randn(8, 3, 16, 16)), torch.arange(8)).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters() if p.requires_grad)


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_samples_do_not_mix(name, options):
    net = model(name, 16, **options).eval()
    images = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
    outputs = net(images)[1]  # weighted, as those of a softmax always sum to 1
    (gradient,) = torch.autograd.grad((outputs * torch.arange(1.0, 11.0)).sum(), images)
    assert gradient[1].abs().sum() > 0
    assert gradient[0].abs().sum() == gradient[2].abs().sum() == 0


@pytest.mark.parametrize("name", MODELS)
def test_same_seed_same_weights_and_global_state_untouched(name):
    before = torch.random.get_rng_state()
    first, again, other = model(name, seed=1), model(name, seed=1), model(name, seed=2)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters()))
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


@pytest.mark.parametrize("name", MODELS)
def test_save_and_load_give_the_same_outputs(name, tmp_path):
    from tenfold.runs import Run
    from tenfold.training.weights import load_weights

    net = model(name, norm="batch").eval()
    options = ModelOptions(name=name, **{**defaults(MODELS[name]), "norm": "batch"})
    preprocessing = Preprocessing(32, None, (0.5,) * 3, (0.25,) * 3)
    classes = tuple("abcdefghij")
    Weights(net.state_dict(), options, classes, preprocessing, 3).save(tmp_path / "weights/best.safetensors")
    loaded = load_weights(Run(tmp_path))
    images = torch.randn(4, 3, 32, 32)
    assert torch.equal(loaded.build()(images), net(images))
    assert (loaded.classes, loaded.preprocessing, loaded.epoch) == (classes, preprocessing, 3)


def test_simplenn_follows_the_image_size():
    assert model("simplenn").fc1.in_features == 576
    assert model("simplenn", 28).fc1.in_features == 400
    with pytest.raises(RecipeError, match="at least 12 pixels"):
        model("simplenn", 11)
    assert model("simplenn", 12)(torch.randn(1, 3, 12, 12)).shape == (1, 10)


def test_simplenn_ends_in_bare_logits():
    logits = model("simplenn")(torch.randn(200, 3, 32, 32))
    assert bool((logits < 0).any())
    assert bool((logits > 0).any())


def test_simplenn_width_and_adaptive_pool():
    assert model("simplenn", width=2.0).conv1.out_channels == 16
    assert model("simplenn", adaptive_pool=True)(torch.randn(1, 3, 28, 28)).shape == (1, 10)
    plain, pooled = model("simplenn"), model("simplenn", adaptive_pool=True)
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(pooled(images), plain(images))


@pytest.mark.parametrize("height", [3, 6, 13])
@pytest.mark.parametrize("width", [5, 9, 12])
def test_means_of_areas_are_adaptive_pooling(height, width):
    x = torch.randn(2, 3, height, width, dtype=torch.float64)
    torch.testing.assert_close(blocks.area_means(x, 6), adaptive_avg_pool2d(x, 6))


@pytest.mark.parametrize("activation", blocks.MONOTONE)
def test_pooling_before_a_monotone_activation_changes_no_bit(activation):
    quick, plain = model("simplenn", activation=activation), model("simplenn", activation=activation)
    plain.monotone = False
    images = torch.randn(16, 3, 32, 32)
    for net in (quick, plain):
        cross_entropy(net(images), torch.arange(16) % 10).backward()
    assert torch.equal(quick(images), plain(images))
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(quick.parameters(), plain.parameters()))


def test_unknown_activation_lists_near_ones():
    with pytest.raises(RecipeError, match="Did you mean 'relu'"):
        model("simplenn", activation="rellu")


def test_dropout_draws_from_its_generator():
    layer = Dropout(0.25).train()
    x = torch.ones(4, 5000)
    with pytest.raises(RuntimeError, match="no generator"):
        layer(x)
    seed_dropout(layer, generator(0, "dropout"))
    out = layer(x)
    seed_dropout(layer, generator(0, "dropout"))
    assert torch.equal(layer(x), out)
    assert out.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert float(out.mean()) == pytest.approx(1.0, abs=0.02)
    assert torch.equal(layer.eval()(x), x)
