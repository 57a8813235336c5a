"""Every optimiser: converges, is deterministic, resumes exactly, and equals its reference."""

import pytest
import torch
from torch import nn

from tenfold.recipe import OptimizerOptions
from tenfold.registry import defaults
from tenfold.training.optimisers import OPTIMISERS, buffers, build, set_rates
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


LEARNING_RATE = {"adagrad": 0.5}
SPARES_NORMS = [name for name in OPTIMISERS if "decay_norms" in defaults(OPTIMISERS[name])]


@pytest.mark.parametrize("name", OPTIMISERS)
def test_finds_the_minimum_of_a_quadratic(name):
    net, x, y = problem()
    optimizer = build(options(name, lr=LEARNING_RATE.get(name, 0.05), weight_decay=0.0), net)
    for step in range(15):  # a step of Lion is as long as its rate, so the rate must fall
        set_rates(optimizer, 1 - step / 15, 0.0)
        loss = descend(net, optimizer, x, y, 100)
    assert loss < 1e-4


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


def without_gradient(net: nn.Module, optimizer: torch.optim.Optimizer) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Each parameter before and after a step that only regularises."""
    before = [p.detach().clone() for p in net.parameters()]
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    return [(old, p.detach()) for old, p in zip(before, net.parameters(), strict=True)]


def test_decay_norms_false_spares_biases_and_norms():
    net = norm_net()
    optimizer = build(options("sgd", lr=0.5, weight_decay=0.1, decay_norms=False), net)
    for old, new in without_gradient(net, optimizer):
        torch.testing.assert_close(new, old * (1 if old.dim() == 1 else 1 - 0.5 * 0.1))


@pytest.mark.parametrize("name", SPARES_NORMS)
@pytest.mark.parametrize("decay_norms", [False, True])
def test_decay_reaches_biases_and_norms_only_on_request(name, decay_norms):
    net = norm_net()
    optimizer = build(options(name, lr=0.1, weight_decay=0.1, decay_norms=decay_norms), net)
    for old, new in without_gradient(net, optimizer):
        moved = not torch.equal(new, old)
        assert moved == (old.dim() > 1 or (decay_norms and bool(old.any())))


@pytest.mark.parametrize("name", SPARES_NORMS)
def test_l1_is_the_penalty_in_the_loss(name):
    """Against the penalty written into the loss, whose gradient autograd takes."""
    ends = []
    for written in (False, True):
        torch.manual_seed(0)
        net, x = norm_net(), torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(1))
        optimizer = build(options(name, lr=0.01, l1=0.0 if written else 0.03), net)
        for _ in range(5):
            loss = net(x).square().mean()
            if written:
                loss = loss + 0.03 * sum(p.abs().sum() for p in net.parameters() if p.dim() > 1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        ends.append([p.detach() for p in net.parameters()])
    for mine, reference in zip(*ends, strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-6)


def test_l1_empties_a_weight_that_the_loss_does_not_need():
    x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    ends = {}
    for l1 in (0.0, 0.2):
        net = nn.Linear(4, 1)
        with torch.no_grad():
            net.weight.fill_(0.5)
        optimizer = build(options("sgd", lr=0.05, momentum=0.0, weight_decay=0.0, l1=l1), net)
        for step in range(20):
            set_rates(optimizer, 1 - step / 20, 0.0)
            descend(net, optimizer, x, 2 * x[:, :1] + 0.05 * x[:, 1:2], 50)
        ends[l1] = net.weight.detach().abs().squeeze()
    assert float(ends[0.2][1:].max()) < 0.005 < float(ends[0.0][1])
    assert float(ends[0.2][0]) > 1.8


@pytest.mark.parametrize("norm", [0.5, 1e6])
def test_clipping_shortens_the_gradient_of_all_weights_together(norm):
    ends = []
    for clip in (0.0, norm):
        net, x, y = problem()
        optimizer = build(options("sgd", lr=1.0, momentum=0.0, weight_decay=0.0, clip_norm=clip), net)
        descend(net, optimizer, x, y, 1)
        ends.append(torch.cat([net.weight.detach().flatten(), net.bias.detach()]))
    whole, clipped = ends  # a step of rate 1 from 0 is the gradient
    torch.testing.assert_close(clipped, whole * min(1.0, norm / float(whole.norm())), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_clipping_works_with_every_optimiser(name):
    net, x, y = problem()
    descend(net, build(options(name, clip_norm=1e-12, weight_decay=0.0), net), x, y, 1)
    assert float(net.weight.grad.norm()) <= 1.01e-12


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_lion_is_the_papers_formula(decay):
    net, x, y = problem()
    optimizer = build(options("lion", lr=0.01, beta1=0.8, beta2=0.95, weight_decay=decay), net)
    weight, momentum = net.weight.detach().double(), torch.zeros(1, 4, dtype=torch.float64)
    for _ in range(8):
        optimizer.zero_grad()
        ((net(x) - y) ** 2).mean().backward()
        gradient = net.weight.grad.double()
        update = torch.sign(0.8 * momentum + 0.2 * gradient)
        weight = weight - 0.01 * (update + decay * weight)
        momentum = 0.95 * momentum + 0.05 * gradient
        optimizer.step()
        torch.testing.assert_close(net.weight.detach().double(), weight, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("adamw", lambda p: torch.optim.AdamW(p, lr=0.01, betas=(0.8, 0.9), weight_decay=0.1)),
        ("rmsprop", lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.9, momentum=0.5, weight_decay=0.1)),
        ("adagrad", lambda p: torch.optim.Adagrad(p, lr=0.01, weight_decay=0.1)),
    ],
)
def test_equals_torchs_plain_version(name, reference):
    values = {"beta1": 0.8, "beta2": 0.9, "momentum": 0.5}
    own = {key: value for key, value in values.items() if key in defaults(OPTIMISERS[name])}
    (mine, x, y), (other, _, _) = problem(), problem()
    descend(mine, build(options(name, lr=0.01, weight_decay=0.1, **own), mine), x, y, 20)
    descend(other, reference(other.parameters()), x, y, 20)
    torch.testing.assert_close(mine.weight, other.weight, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_remembers_as_many_numbers_as_it_says(name):
    net, x, y = problem()
    chosen = options(name)
    optimizer = build(chosen, net)
    descend(net, optimizer, x, y, 2)
    kept = [t for t in optimizer.state[net.weight].values() if torch.is_tensor(t) and t.shape == net.weight.shape]
    assert len(kept) == buffers(chosen)


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
