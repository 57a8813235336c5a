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


def is_png(content):
    return content.startswith(b"\x89PNG") and len(content) > 10_000


def test_separable_convolutions_cost_what_the_formula_says(context):
    answer = STATEMENTS["1.8"](context)
    assert answer.answer == "true"
    for channels, counted, formula, timed in answer.tables[0].rows:
        assert counted == formula == f"{9 * int(channels) / (9 + int(channels)):.3f}"
        assert float(timed) > 0
    assert is_png(answer.pictures["separable.png"])


def test_squeezenet_computes_early(context):
    answer = STATEMENTS["1.9"](context)
    assert answer.answer == "false"
    assert "730,570" in answer.evidence
    rows = answer.tables[0].rows
    assert sum(int(row[2].replace(",", "")) for row in rows) == 730_570
    assert sum(int(row[4].replace(",", "")) for row in rows) == 23_434_240
    assert "41% of the 23.4 M" in answer.evidence
    assert is_png(answer.pictures["squeezenet.png"])
