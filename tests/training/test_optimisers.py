"""Every optimiser: converges, is deterministic, resumes exactly, and equals its reference."""

import pytest
import torch
from torch import nn

from tenfold.recipe import OptimizerOptions
from tenfold.registry import defaults
from tenfold.training.optimisers import OPTIMISERS, build, set_rates
from tenfold.training.state import State


def options(name: str, **values) -> OptimizerOptions:
    return OptimizerOptions(name=name, **{**defaults(OPTIMISERS[name]), **values})


def problem(seed: int = 0) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    net = nn.Linear(4, 1)
    with torch.no_grad():
        net.weight.zero_()
        net.bias.zero_()
    x = torch.randn(64, 4, generator=generator)
    return net, x, x @ torch.tensor([[1.0], [-2.0], [3.0], [0.5]]) + 0.7


def descend(net, optimizer, x, y, steps: int) -> float:
    for _ in range(steps):
        loss = ((net(x) - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


@pytest.mark.parametrize("name", OPTIMISERS)
def test_finds_the_minimum_of_a_quadratic(name):
    net, x, y = problem()
    assert descend(net, build(options(name, lr=0.05, weight_decay=0.0), net), x, y, 1500) < 1e-4


@pytest.mark.parametrize("name", OPTIMISERS)
def test_is_deterministic(name):
    ends = []
    for _ in range(2):
        net, x, y = problem()
        descend(net, build(options(name), net), x, y, 20)
        ends.append(net.weight.detach().clone())
    assert torch.equal(*ends)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_resumes_to_the_bit(name):
    net, x, y = problem()
    state = State(net, build(options(name), net))
    descend(net, state.optimizer, x, y, 10)
    tensors = {key: tensor.clone() for key, tensor in state.tensors().items()}
    descend(net, state.optimizer, x, y, 10)

    other, x, y = problem()
    restored = State(other, build(options(name), other))
    descend(other, restored.optimizer, x, y, 3)
    restored.restore(tensors, state.progress.to_dict())
    descend(other, restored.optimizer, x, y, 10)
    assert all(torch.equal(a, restored.tensors()[key]) for key, a in state.tensors().items())


@pytest.mark.parametrize("name", OPTIMISERS)
def test_resumes_to_the_bit_in_channels_last(name):
    """Fused kernels walk memory: a restored buffer must lie as its weight does."""

    def net() -> State:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(64, 2)).to(memory_format=torch.channels_last)
        return State(model, build(options(name), model))

    x = torch.randn(8, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    y = torch.zeros(8, 2)
    one, other = net(), net()
    descend(one.model, one.optimizer, x, y, 5)
    other.restore({key: t.clone().contiguous() for key, t in one.tensors().items()}, one.progress.to_dict())
    for state in (one, other):
        descend(state.model, state.optimizer, x, y, 5)
    assert all(torch.equal(a, other.tensors()[key]) for key, a in one.tensors().items())


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_is_the_textbook_formula(nesterov):
    net, x, y = problem()
    weight = net.weight.detach().clone()
    velocity = torch.zeros_like(weight)
    optimizer = build(options("sgd", lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=nesterov), net)
    for _ in range(5):
        optimizer.zero_grad()
        ((net(x) - y) ** 2).mean().backward()
        gradient = net.weight.grad + 0.01 * weight
        velocity = 0.9 * velocity + gradient
        weight = weight - 0.1 * (gradient + 0.9 * velocity if nesterov else velocity)
        optimizer.step()
        torch.testing.assert_close(net.weight.detach(), weight)


def norm_net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))


def test_decay_norms_false_spares_biases_and_norms():
    net = norm_net()
    before = [p.detach().clone() for p in net.parameters()]
    optimizer = build(options("sgd", lr=0.5, weight_decay=0.1, decay_norms=False), net)
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for old, parameter in zip(before, net.parameters(), strict=True):
        torch.testing.assert_close(parameter.detach(), old * (1 if old.dim() == 1 else 1 - 0.5 * 0.1))


@pytest.mark.parametrize("name", OPTIMISERS)
def test_frozen_parameters_are_left_out(name):
    net = norm_net()
    net[1].weight.requires_grad = False
    held = [p for group in build(options(name), net).param_groups for p in group["params"]]
    assert {id(p) for p in held} == {id(p) for p in net.parameters() if p.requires_grad}


class Partly(nn.Linear):
    """A linear layer whose bias is trained for two epochs."""

    def trained_until(self) -> dict[str, int]:
        return {"bias": 2}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_parameter_with_an_end_falls_linearly_and_then_needs_no_gradient(name):
    net = Partly(4, 1)
    optimizer = build(options(name), net)
    base = {g["params"][0].dim(): g["lr"] for g in optimizer.param_groups}
    for epoch, share in ((0.0, 1.0), (0.5, 0.75), (1.5, 0.25), (2.0, 0.0), (9.0, 0.0), (1.0, 0.5)):
        set_rates(optimizer, 0.1, epoch)
        rates = {g["params"][0].dim(): g["lr"] for g in optimizer.param_groups}
        assert rates == {2: pytest.approx(0.1 * base[2]), 1: pytest.approx(share * base[1])}
        assert net.bias.requires_grad == (epoch < 2)
        assert net.weight.requires_grad


def test_adam_first_step_moves_each_weight_by_the_learning_rate():
    net, x, y = problem()
    optimizer = build(options("adam", lr=0.01, weight_decay=0.0), net)
    descend(net, optimizer, x, y, 1)
    torch.testing.assert_close(net.weight.abs(), torch.full((1, 4), 0.01), rtol=1e-4, atol=0)
