"""Statements 1.1 and 1.2: what batch norm computes, and who writes the backward pass."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tenfold.experiments.statements.answers import Context, Experiment, Found, Table
from tenfold.experiments.statements.nets import untrained
from tenfold.models.blocks import ACTIVATIONS, activation
from tenfold.randomness import generator
from tenfold.recipe import ModelOptions

STEP = 1e-6
"""Finite differences: where the error of the formula and that of rounding (double precision) are both small."""
CHECKED = 40
"""Weights of each layer whose gradient is checked by finite differences."""


def batch_norm(_context: Context) -> Found:
    """The layer's output beside x − μ and beside (x − μ) / √(σ² + ε)."""
    x = maps()
    layer = nn.BatchNorm2d(x.shape[1]).double().train()
    output = layer(x)
    mean = x.mean((0, 2, 3), keepdim=True)
    variance = x.var((0, 2, 3), unbiased=False, keepdim=True)
    formulas = {
        "x − μ": x - mean,
        "(x − μ) / √(σ² + ε)": (x - mean) / torch.sqrt(variance + layer.eps),
    }
    away = {name: (output - values).abs().max().item() for name, values in formulas.items()}
    only_mean, whole = away.values()
    rows = tuple((name, f"{difference:.2g}") for name, difference in away.items())
    answer = "true" if only_mean < whole else "false"
    return Found(
        answer,
        f"A batch of {len(x)} maps with 8 channels of different means and deviations went through torch's BatchNorm2d "
        f"in training mode (double precision). Its output differs from x − μ by up to {only_mean:.2f}, from "
        f"(x − μ) / √(σ² + ε) by at most {whole:.1g}, which is rounding. So each channel is also divided by its "
        "deviation; after that a learned scale and shift follow, which begin as 1 and 0.",
        (Table(("formula", "largest difference"), rows, "BatchNorm2d's output against two formulas"),),
    )


def maps() -> Tensor:
    """Maps float64 [16, 8, 12, 12], each channel with a mean and deviation of its own."""
    draw = generator(0, "statement 1.1")
    deviations = torch.linspace(0.5, 4.0, 8).view(1, 8, 1, 1)
    means = torch.linspace(-3.0, 5.0, 8).view(1, 8, 1, 1)
    return (torch.randn(16, 8, 12, 12, generator=draw, dtype=torch.float64) * deviations + means).double()


def autograd(_context: Context) -> Found:
    """The gradient that loss.backward() gives, against (loss(w + h) − loss(w − h)) / 2h."""
    rows, worst = [], 0.0
    for options in (ModelOptions(), ModelOptions(norm="batch", activation="swish")):
        net = untrained(options, 16).double()
        error, checked = compare_gradients(net)
        worst = max(worst, error)
        name = f"SimpleNN, {options.activation or 'relu'}{', batch norm' if options.norm else ''}"
        rows.append((name, f"{checked}", f"{error:.1g}"))
    passed = [name for name in ACTIVATIONS if checked_by_torch(activation(name))]
    answer = "false" if worst < 1e-4 and len(passed) == len(ACTIVATIONS) else "true"
    return Found(
        answer,
        "No backward pass was written by hand: one call of loss.backward() gave all gradients. Each was checked by "
        "moving a weight up and down a little and looking how the loss changes (double precision). The largest "
        f"relative difference is {worst:.1g}. torch's own gradcheck also accepts the activations "
        f"{', '.join(passed)}. A backward pass by hand is needed only for an operation that torch does not have.",
        (
            Table(
                ("net", "weights checked", "largest relative difference"), tuple(rows), "Autograd against differences"
            ),
        ),
    )


def compare_gradients(net: nn.Module) -> tuple[float, int]:
    """The largest difference over weights of every layer, as a share of its largest gradient, and how many."""
    draw = generator(0, "statement 1.2")
    images = torch.randn(8, 3, 16, 16, generator=draw, dtype=torch.float64)
    labels = torch.randint(10, (8,), generator=draw)

    def loss() -> Tensor:
        return cross_entropy(net(images), labels)

    loss().backward()
    worst, count = 0.0, 0
    for weights in net.parameters():
        assert weights.grad is not None
        flat = weights.data.view(-1)
        places = torch.randperm(flat.numel(), generator=draw)[:CHECKED]
        differences = torch.stack([slope(loss, flat, int(at)) for at in places])
        scale = weights.grad.abs().max().clamp(min=1e-8)
        worst = max(worst, ((differences - weights.grad.view(-1)[places]).abs().max() / scale).item())
        count += len(places)
    return worst, count


@torch.no_grad()
def slope(loss: Callable[[], Tensor], flat: Tensor, at: int) -> Tensor:
    """How fast the loss rises with one weight: a central difference."""
    before = flat[at].item()
    flat[at] = before + STEP
    above = loss()
    flat[at] = before - STEP
    below = loss()
    flat[at] = before
    return (above - below) / (2 * STEP)


def checked_by_torch(module: nn.Module) -> bool:
    """torch.autograd.gradcheck on numbers away from the kink of ReLU."""
    x = torch.linspace(-2.05, 2.0, 12, dtype=torch.float64).requires_grad_()
    return torch.autograd.gradcheck(lambda x: module(x.clone()), (x,), raise_exception=False)


EXPERIMENTS = (
    Experiment("1.1", "Batch norm only subtracts the mean.", "false", batch_norm, (0.1, 0.1)),
    Experiment("1.2", "PyTorch needs backward passes written by hand.", "false", autograd, (2.0, 2.0)),
)
