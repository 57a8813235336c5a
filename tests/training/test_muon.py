"""Muon against a plain numpy version of its paper's pseudocode, and its property: every direction moves equally far."""

import numpy as np
import pytest
import torch
from torch import nn

from tenfold.recipe import OptimizerOptions
from tenfold.registry import defaults
from tenfold.training.muon import orthogonalised
from tenfold.training.optimisers import OPTIMISERS, build


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Conv2d(5, 4, 2), nn.Flatten(), nn.Linear(36, 2))


def options(**values) -> OptimizerOptions:
    return OptimizerOptions(name="muon", **{**defaults(OPTIMISERS["muon"]), "weight_decay": 0.0, **values})


def numpy_orthogonalised(matrix: np.ndarray, steps: int) -> np.ndarray:
    x = matrix / np.linalg.norm(matrix)
    turned = x.shape[0] > x.shape[1]
    x = x.T if turned else x
    for _ in range(steps):
        x = 3.4445 * x - 4.7750 * x @ x.T @ x + 2.0315 * x @ x.T @ x @ x.T @ x
    return x.T if turned else x


@pytest.mark.parametrize("nesterov", [False, True])
def test_equals_numpy(nesterov):
    model = net()
    settings = {"momentum": 0.6, "ns_steps": 4, "bias_lr": 0.3, "head_lr": 0.2, "weight_decay": 0.01}
    optimizer = build(options(lr=0.1, nesterov=nesterov, **settings), model)
    weights = {name: p.detach().double().numpy().copy() for name, p in model.named_parameters()}
    momentum = {name: np.zeros_like(w) for name, w in weights.items()}
    for turn in range(4):
        generator = torch.Generator().manual_seed(turn)
        for name, parameter in model.named_parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
            gradient, w = parameter.grad.double().numpy(), weights[name]
            if w.ndim == 4:
                momentum[name] = 0.6 * momentum[name] + gradient
                ahead = gradient + 0.6 * momentum[name] if nesterov else momentum[name]
                update = numpy_orthogonalised(ahead.reshape(len(w), -1), 4).reshape(w.shape)
                weights[name] = w * np.sqrt(len(w)) / np.linalg.norm(w) - 0.1 * update
            else:
                lr = 0.3 if w.ndim == 1 else 0.2
                gradient = gradient + 0.01 / lr * w
                momentum[name] = 0.85 * momentum[name] + gradient
                weights[name] = w - lr * (gradient + 0.85 * momentum[name])
        optimizer.step()
    for name, parameter in model.named_parameters():
        np.testing.assert_allclose(parameter.detach().numpy(), weights[name], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (32, 32), (64, 576)])
def test_five_steps_bring_every_singular_value_near_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalised(matrix, 5))
    # A square random matrix has singular values near 0, which five steps do not lift.
    least = 0.0 if shape[0] == shape[1] else 0.5
    assert least < float(values.min())
    assert float(values.max()) < 1.5
    assert 0.7 < float(values.median()) < 1.3


def test_singular_vectors_stay():
    """The property that makes it a direction of descent: U and V of the gradient, only its singular values change."""
    matrix = torch.randn(6, 30, generator=torch.Generator().manual_seed(1))
    u, _, vt = torch.linalg.svd(matrix, full_matrices=False)
    middle = u.T @ orthogonalised(matrix, 5) @ vt.T
    torch.testing.assert_close(middle, torch.diag(middle.diagonal()), atol=1e-4, rtol=0)


def test_zero_gradient_moves_nothing_but_the_length():
    assert torch.equal(orthogonalised(torch.zeros(4, 9), 5), torch.zeros(4, 9))


def test_filters_are_scaled_to_a_fixed_length():
    model = net()
    with torch.no_grad():
        model[0].weight.mul_(100)
    optimizer = build(options(lr=1e-12), model)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    assert float(model[0].weight.detach().norm()) == pytest.approx(5**0.5, rel=1e-5)


def test_only_filters_are_orthogonalised():
    groups = build(options(lr=0.24, bias_lr=0.1, head_lr=0.2), net()).param_groups
    shapes = {group["lr"]: [p.dim() for p in group["params"]] for group in groups}
    assert shapes == {0.24: [4, 4], 0.1: [1, 1, 1, 1, 1], 0.2: [2]}
    assert [group["orthogonal"] for group in groups] == [True, False, False]


def test_without_newton_schulz_steps_the_momentum_is_brought_to_length_1():
    matrix = torch.randn(4, 9, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(orthogonalised(matrix, 0), matrix / matrix.norm())
