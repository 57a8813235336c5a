"""Computing in bf16 throughout: what the net sees, and that its float32 masters are back afterwards."""

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from tenfold.training.backend import LAYOUTS, Backend, halved

WHOLE = Backend(torch.device("cpu"), "bf16_all", LAYOUTS["channels_last"], 1)


def net() -> nn.Module:
    """Two linear layers that share their weight, behind a convolution and a batch norm."""
    torch.manual_seed(0)
    made = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 8), nn.Linear(8, 8))
    made[4].weight = made[3].weight
    return made


def test_weights_but_those_of_norms_are_bf16_inside_and_the_masters_again_outside():
    made = net()
    masters = dict(made.named_parameters())
    with halved(made):
        kinds = {name: p.dtype for name, p in made[0]._parameters.items()}
        assert kinds == {"weight": torch.bfloat16, "bias": torch.bfloat16}
        assert made[3].weight is made[4].weight
        assert made[1].weight is masters["1.weight"]
    assert all(p is masters[name] for name, p in made.named_parameters())
    with pytest.raises(ZeroDivisionError), halved(made):
        raise ZeroDivisionError
    assert all(p is masters[name] for name, p in made.named_parameters())


def test_it_computes_and_learns_as_with_bf16_weights_put_in_by_torch():
    made, x, labels = net(), torch.randn(5, 3, 3, 3), torch.randint(8, (5,))
    logits = WHOLE.logits(made, x)
    assert logits.dtype == torch.float32
    cross_entropy(logits, labels).backward()
    found = [p.grad for p in made.parameters()]
    other = net()
    small = {name: p.bfloat16() for name, p in other.named_parameters() if not name.startswith("1.")}
    wanted = functional_call(other, small, (x.bfloat16(),)).float()
    cross_entropy(wanted, labels).backward()
    assert torch.equal(logits, wanted)
    for gradient, p in zip(found, other.parameters(), strict=True):
        assert gradient.dtype == torch.float32
        assert torch.equal(gradient, p.grad)
