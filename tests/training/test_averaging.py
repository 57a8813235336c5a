"""The average of the weights: its formula, batch norms' statistics with it, the net under training left to the bit."""

import pytest
import torch
from torch import nn

from tenfold import api
from tenfold.training.averaging import Average
from tenfold.training.setup import prepare
from tenfold.training.weights import load_weights


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 2))


def train(model: nn.Module, average: Average, steps: int) -> list[dict[str, torch.Tensor]]:
    """Weights after each step; the average follows as an optimiser's hook."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer.register_step_post_hook(average.update)
    seen = []
    for step in range(steps):
        optimizer.zero_grad()
        model(torch.randn(8, 3, 6, 6, generator=torch.Generator().manual_seed(step))).square().mean().backward()
        optimizer.step()
        seen.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
    return seen


@pytest.mark.parametrize("decay", [0.15, 0.9])
def test_is_the_formula_for_weights_and_running_statistics(decay):
    model = net()
    average = Average(model, decay)
    seen = train(model, average, 12)
    for name, tensor in average.tensors.items():
        if name.endswith("num_batches_tracked"):
            assert int(tensor) == 12
            continue
        expected = seen[0][name].double()
        for n, weights in enumerate(seen):
            share = min(decay, (1 + n) / (10 + n))
            expected = share * expected + (1 - share) * weights[name].double()
        torch.testing.assert_close(tensor.double(), expected, rtol=1e-5, atol=1e-6)
    assert "1.running_var" in average.tensors


def test_in_place_gives_the_average_and_then_the_net_to_the_bit():
    model = net()
    average = Average(model, 0.9)
    with average.in_place():
        assert torch.equal(model[0].weight, net()[0].weight), "there is no average yet"
    own = train(model, average, 5)[-1]
    with average.in_place():
        assert all(torch.equal(t, average.tensors[name]) for name, t in model.state_dict().items())
    with pytest.raises(KeyError), average.in_place():
        raise KeyError
    assert all(torch.equal(t, own[name]) for name, t in model.state_dict().items())


def test_restored_average_goes_on_to_the_bit():
    one, other = net().to(memory_format=torch.channels_last), net().to(memory_format=torch.channels_last)
    first, second = Average(one, 0.9), Average(other, 0.9)
    train(one, first, 5)
    other.load_state_dict(one.state_dict())
    second.restore({name: tensor.clone().contiguous() for name, tensor in first.state().items()})
    for average, model in ((first, one), (second, other)):
        train(model, average, 5)
    assert second.steps == 10
    assert all(torch.equal(t, second.tensors[name]) for name, t in first.tensors.items())


def test_validated_and_saved_weights_are_the_average(small, tmp_path):
    options = {**small, "model": {"norm": "batch"}, "optimizer": {"lr": 0.05}}
    plain = api.train(out=tmp_path, name="plain", quiet=True, **options)
    averaged = api.train(out=tmp_path, name="averaged", quiet=True, ema=0.9, **options)
    for a, b in zip(plain.epochs, averaged.epochs, strict=True):
        assert (a.train_loss, a.train_correct) == (b.train_loss, b.train_correct), "training itself is the same"
    assert [row.val_loss for row in plain.epochs] != [row.val_loss for row in averaged.epochs]
    result = api.evaluate(averaged, weights="last")
    assert result.metrics.loss == pytest.approx(averaged.epochs[-1].val_loss, rel=1e-5)
    moved = load_weights(averaged, "last").tensors["fc1.weight"] - load_weights(plain, "last").tensors["fc1.weight"]
    assert float(moved.abs().max()) > 1e-4


def test_fine_tuning_averages_from_the_weights_it_starts_from(small, trained, tmp_path):
    options = {**small, "epochs": 1, "weights": str(trained.path), "optimizer": {"lr": 1e-9}}
    run = api.train(out=tmp_path, name="tuned", quiet=True, ema=0.999, **options)
    assert run.epochs[0].val_loss == pytest.approx(trained.best.val_loss, rel=1e-3)


def test_off_costs_nothing(small):
    assert prepare(api.plan(**small)).state.average is None
