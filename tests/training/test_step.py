"""One training step: smoothed labels, and slices that give the gradient of the whole batch."""

import pytest
import torch
from torch import nn
from torch.nn.functional import log_softmax, one_hot

from tenfold import api
from tenfold.errors import RecipeError
from tenfold.training.backend import Backend
from tenfold.training.setup import prepare
from tenfold.training.step import NotFinite, train_step

CPU = Backend(torch.device("cpu"), "fp32", torch.contiguous_format, 1)


def net(norm: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    between = nn.BatchNorm2d(4) if norm else nn.Identity()
    return nn.Sequential(nn.Conv2d(3, 4, 3), between, nn.ReLU(), nn.Flatten(), nn.Linear(64, 5))


def batch(n: int = 10) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 3, 6, 6, generator=generator), torch.randint(5, (n,), generator=generator)


def step(model: nn.Module, *settings) -> tuple[float, int]:
    """One step of length 0: the gradients stay to be looked at."""
    return train_step(model, torch.optim.SGD(model.parameters(), lr=0.0), *batch(), CPU, *settings)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_loss_is_the_formula_on_smoothed_labels(smoothing):
    model, (images, labels) = net(), batch()
    target = (1 - smoothing) * one_hot(labels, 5) + smoothing / 5
    logits = model(images)
    expected = -(target * log_softmax(logits, 1)).sum(1).mean()
    loss, correct = step(model, smoothing)
    assert loss == pytest.approx(expected.item(), rel=1e-6)
    assert correct == int((logits.argmax(1) == labels).sum())


@pytest.mark.parametrize("micro_batch", [None, 3])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_loss_of_soft_targets_is_the_formula_and_the_largest_share_is_right(smoothing, micro_batch):
    model, (images, _) = net(), batch()
    targets = torch.rand(10, 5, generator=torch.Generator().manual_seed(3)).softmax(1)
    logits = model(images)
    smoothed = (1 - smoothing) * targets + smoothing / 5
    expected = -(smoothed * log_softmax(logits, 1)).sum(1).mean()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    loss, correct = train_step(model, optimizer, images, targets, CPU, smoothing, micro_batch)
    assert loss == pytest.approx(expected.item(), rel=1e-6)
    assert correct == int((logits.argmax(1) == targets.argmax(1)).sum())


def test_targets_of_one_class_each_are_its_labels():
    images, labels = batch()
    hard, soft = net(), net()
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in (hard, soft)]
    first = train_step(hard, optimizers[0], images, labels, CPU, 0.1)
    second = train_step(soft, optimizers[1], images, one_hot(labels, 5).float(), CPU, 0.1)
    assert second == (pytest.approx(first[0], rel=1e-6), first[1])
    for a, b in zip(hard.parameters(), soft.parameters(), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("micro_batch", [1, 3, 4, 5, 9, 10, 99])
def test_slices_give_the_gradient_of_the_whole_mean(micro_batch):
    whole, sliced = net(), net()
    first, second = step(whole, 0.1), step(sliced, 0.1, micro_batch)
    assert second == (pytest.approx(first[0], rel=1e-6), first[1])
    for a, b in zip(whole.parameters(), sliced.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_batch_norm_sees_each_slice_alone():
    images, labels = batch()
    ghost, expected = net(norm=True), net(norm=True)
    step(ghost, 0.0, 5)
    loss = sum(nn.functional.cross_entropy(expected(images[i : i + 5]), labels[i : i + 5]) for i in (0, 5)) / 2
    loss.backward()
    for a, b in zip(ghost.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)
    torch.testing.assert_close(ghost[1].running_mean, expected[1].running_mean)


def test_loss_of_a_later_slice_that_is_not_finite_takes_no_step():
    model, (images, labels) = net(), batch()
    images[-1] = float("inf")
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(NotFinite):
        train_step(model, torch.optim.SGD(model.parameters(), lr=1.0), images, labels, CPU, 0.0, 3)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize(("micro_batch", "slices"), [(4, 4), (7, 3)])
def test_slices_move_running_statistics_as_far_as_the_batch_would(micro_batch, slices, small):
    options = {**small, "model": {"norm": "batch"}}
    whole, sliced = (prepare(api.plan(**options, **more)).state.model for more in ({}, {"micro_batch": micro_batch}))
    assert whole.norm1.momentum == 0.1
    assert (1 - sliced.norm1.momentum) ** slices == pytest.approx(1 - 0.1)


def test_slices_as_large_as_the_batch_are_refused_or_left_out_aloud(small):
    with pytest.raises(RecipeError, match="micro_batch = 16 would have no effect: the batch has 16 images"):
        prepare(api.plan(**small, micro_batch=16))
    setup = prepare(api.plan("sprint", **small, model={"width": 0.125}))
    assert setup.recipe.micro_batch is None
    assert any("micro_batch 250 of the recipe is left out" in note for note in setup.notes)
