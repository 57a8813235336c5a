"""Statement 1.7: dead units, and the stability of training, with ReLU and with leaky ReLU."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

from tenfold.evidence.power import FEWEST_PAIRS
from tenfold.evidence.statistics import Floats, interval, sign_flip_p
from tenfold.experiments.groups import Group
from tenfold.experiments.statements import trainings
from tenfold.experiments.statements.answers import Context, Experiment, Found, Table
from tenfold.experiments.statements.drawings import loss_curves
from tenfold.experiments.statements.nets import batches, trained, validation_images
from tenfold.experiments.statements.trainings import over_seeds, undecided
from tenfold.recipe import Plan
from tenfold.runs import Epoch


def plans(context: Context) -> dict[str, Plan]:
    """SimpleNN with both activations."""
    return {
        "ReLU": trainings.plan(context, "simplenn-plain"),
        "leaky ReLU": trainings.plan(context, "simplenn-plain", model__activation="leaky_relu"),
    }


def leaky(context: Context) -> Found:
    """Dead units after training, and two measures of stability: between seeds, and from epoch to epoch."""
    found = trainings.groups(context, plans(context))
    relu, other = found.values()
    dead = {name: dead_shares(group) for name, group in found.items()}
    losses = {name: last_losses(group) for name, group in found.items()}
    ratio, low_high = variance_ratio(losses["leaky ReLU"], losses["ReLU"])
    jumps = {name: {seed: jumpiness(rows) for seed, rows in group.epochs().items()} for name, group in found.items()}
    calmer = np.array([jumps[other.name][s] - jumps[relu.name][s] for s in jumps[relu.name] if s in jumps[other.name]])
    between = "" if low_high is None else f" (95 % interval {low_high[0]:.2f} to {low_high[1]:.2f})"
    by_epochs = interval(calmer)
    range_ = "" if by_epochs is None else f" (95 % interval {by_epochs[0]:+.4f} to {by_epochs[1]:+.4f})"
    none_dead = "" if max(dead["ReLU"], default=0) else "At this rate ReLU leaves none dead that could be fixed. "
    evidence = (
        f"Units that are never active on the validation images: {np.mean(dead['ReLU']):.1%} with ReLU, where they get "
        f"no gradient any more, {np.mean(dead['leaky ReLU']):.1%} with leaky ReLU, where a hundredth of it "
        "passes: such units are not dead. "
        f"{none_dead}Stability is another matter: the variance of the final training loss over "
        f"seeds with leaky ReLU is {ratio:.2f} times that with ReLU{between}, and the validation loss jumps by "
        f"{mean(calmer):+.4f} nats more from epoch to epoch{range_}. {len(calmer)} pairs of runs."
    )
    rows = tuple(
        (
            name,
            f"{np.mean(dead[name]):.2%}",
            f"{np.mean(losses[name]):.4f}",
            f"{np.std(losses[name], ddof=1):.4f}" if len(losses[name]) > 1 else "–",
            f"{mean(list(jumps[name].values())):.4f}",
        )
        for name in found
    )
    header = (
        "activation",
        "never active",
        "final training loss",
        "its deviation over seeds",
        "jumps of validation loss",
    )
    return Found(
        more_stable(low_high, calmer),
        evidence,
        (Table(header, rows, "SimpleNN; jumps: mean distance from the line through the epochs before and after"),),
        {
            "leaky.png": loss_curves(
                {name: g.epochs() for name, g in found.items()}, "Validation loss of both activations"
            )
        },
    )


def more_stable(ratio: tuple[float, float] | None, calmer: Floats) -> str:
    """The answer: true where leaky ReLU is shown to be calmer, false where it is shown not to be."""
    if ratio is None or len(calmer) < FEWEST_PAIRS:
        return undecided(len(calmer))
    low_high, p = interval(calmer), sign_flip_p(calmer)
    shown = low_high is not None and p < 0.05
    if low_high is not None and (ratio[1] < 1 or (shown and low_high[1] < 0)):
        return "true"
    if low_high is not None and (ratio[0] > 1 or (shown and low_high[0] > 0)):
        return "false"
    return "inconclusive"


def mean(values: Sequence[float] | Floats) -> float:
    """NaN where there are none."""
    return float(np.mean(values)) if len(values) else float("nan")


def dead_shares(group: Group) -> list[float]:
    """For each run, the share of its units that are active on none of the validation images."""
    runs = [group.runs[seed] for seed, value in group.accuracies.items() if value is not None]
    if not runs:
        return []
    pixels, labels = validation_images(runs[0], 5000)
    return [dead_share(trained(run), pixels, labels) for run in runs]


@torch.inference_mode()
def dead_share(net: nn.Module, pixels: Tensor, labels: Tensor) -> float:
    """The share of channels and hidden units whose activation never gets a positive number."""
    highest: list[Tensor] = []
    call = 0

    def watch(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal call
        x = inputs[0]
        most = x.amax((0, 2, 3)) if x.dim() == 4 else x.amax(0)
        if call == len(highest):
            highest.append(most.clone())
        else:
            highest[call] = torch.maximum(highest[call], most)
        call += 1

    hooks = [m.register_forward_pre_hook(watch) for m in net.modules() if isinstance(m, nn.ReLU | nn.LeakyReLU)]
    for part, _ in batches(pixels, labels):
        call = 0
        net.eval()(part)
    for hook in hooks:
        hook.remove()
    units = torch.cat(highest)
    return (units <= 0).float().mean().item()


def last_losses(group: Group) -> list[float]:
    """The training loss of every run's last epoch."""
    return [rows[-1].train_loss for rows in group.epochs().values()]


def variance_ratio(a: Sequence[float], b: Sequence[float]) -> tuple[float, tuple[float, float] | None]:
    """Variance of a over that of b, with its 95 % interval (F distribution); None under 2 runs each."""
    if min(len(a), len(b)) < 2:
        return float("nan"), None
    ratio = float(np.var(a, ddof=1) / np.var(b, ddof=1))
    freedom = len(a) - 1, len(b) - 1
    return ratio, (ratio / float(stats.f.isf(0.025, *freedom)), ratio / float(stats.f.isf(0.975, *freedom)))


def jumpiness(rows: Sequence[Epoch]) -> float:
    """How far the validation loss strays from a straight line through its neighbours, mean over the epochs."""
    losses = np.array([np.nan if row.val_loss is None else row.val_loss for row in rows])
    if len(losses) < 3:
        return float("nan")
    return float(np.abs(losses[1:-1] - (losses[:-2] + losses[2:]) / 2).mean())


EXPERIMENTS = (
    Experiment(
        "1.7",
        "Leaky ReLU fixes dead units, so training gets more stable.",
        "false in its second half",
        leaky,
        (3.0, 15.0),
        lambda context: over_seeds(plans(context), context.seeds),
    ),
)
