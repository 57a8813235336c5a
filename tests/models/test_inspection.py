"""Inspection: the lab's figures, and counts against derivations by hand."""

import pytest
import torch
from torch import nn

from tenfold import api
from tenfold.models.inspection import inspect_model


def test_simplenn_shows_the_figures_of_the_lab():
    seen = api.inspect("simplenn", batch=5)
    assert [layer.parameters for layer in seen.layers if layer.parameters] == [600, 1152, 69240, 10164, 850]
    assert seen.parameters == 82_006
    assert (seen.input, seen.output) == ((5, 3, 32, 32), (5, 10))
    by_name = {layer.name: layer for layer in seen.layers}
    assert by_name["conv1"].output == (5, 8, 28, 28)
    assert by_name["conv1"].multiply_adds == 28 * 28 * 8 * 3 * 25
    assert by_name["conv2"].multiply_adds == 12 * 12 * 16 * 8 * 9
    assert by_name["fc1"].multiply_adds == 576 * 120
    assert seen.multiply_adds == sum(layer.multiply_adds for layer in seen.layers) == 716_328


def test_grouped_convolution_counts_its_share():
    net = nn.Sequential(nn.Conv2d(8, 16, 3, groups=4, padding=1, bias=False))
    assert inspect_model(net, 8, 10).multiply_adds == 10 * 10 * 16 * (8 // 4) * 9


def test_module_used_twice_counts_its_parameters_once():
    shared = nn.Conv2d(3, 3, 1)
    seen = inspect_model(nn.Sequential(shared, shared), 3, 4)
    assert [layer.parameters for layer in seen.layers] == [12, 0]
    assert seen.parameters == 12


def test_inspection_leaves_the_net_as_it_was():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    inspect_model(net, 3, 8)
    assert net.training
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())


def test_activation_memory_is_what_autograd_keeps():
    seen = inspect_model(nn.Sequential(nn.Linear(4, 4), nn.Sigmoid(), nn.Flatten()), 1, 4, batch=2)
    # Linear keeps its input [2, 1, 4, 4], Sigmoid its output of the same size: 32 floats each.
    assert seen.memory.activations == 2 * 32 * 4
    assert seen.memory.weights == 20 * 4


def test_options_reach_the_net():
    assert api.inspect("simplenn", model={"norm": "batch"}).parameters == 82_006 + 2 * (8 + 16)
    assert api.inspect("simplenn", image_size=64, classes=3).output == (5, 3)


def test_bad_batch_is_refused():
    with pytest.raises(Exception, match="at least 1"):
        api.inspect("simplenn", batch=0)
