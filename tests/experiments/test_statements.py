"""The statements' experiments: each computation against its truth."""

import pytest
import torch
from torch import nn

from tenfold.errors import RecipeError
from tenfold.experiments.statements import MISTAKES, STATEMENTS, Context, cost, layers


@pytest.fixture
def context(tmp_path):
    return Context(data="shapes", out=tmp_path, quick=True, seeds=1, tell=lambda line: None)


def test_every_experiment_says_what_it_costs(context):
    for name, experiment in {**STATEMENTS, **MISTAKES}.items():
        assert experiment.id == name
        assert cost(name, context).seconds > 0
    with pytest.raises(RecipeError, match=r"statement or mistake '1\.11'"):
        cost("1.11", context)


def test_batch_norm_divides_by_the_deviation_too(context):
    answer = STATEMENTS["1.1"](context)
    assert answer.answer == answer.lab == "false"
    only_mean, whole = (float(row[1]) for row in answer.tables[0].rows)
    assert only_mean > 1
    assert whole < 1e-12


def test_autograd_is_right(context):
    answer = STATEMENTS["1.2"](context)
    assert answer.answer == "false"
    assert all(float(row[2]) < 1e-4 for row in answer.tables[0].rows)


def test_a_wrong_gradient_is_seen():
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, gradient):
            return 3 * gradient

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3 * 16 * 16, 10)

        def forward(self, x):
            return Wrong.apply(self.linear(x.flatten(1)))

    assert layers.compare_gradients(Net().double())[0] > 0.1
