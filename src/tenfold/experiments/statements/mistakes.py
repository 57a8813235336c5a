"""The lab's mistakes that training shows: an activation on the logits, softmax before the loss, one seed."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from tenfold.checks.rules import RULES
from tenfold.evidence.power import FEWEST_PAIRS
from tenfold.experiments.groups import Group
from tenfold.experiments.statements import trainings
from tenfold.experiments.statements.answers import Context, Experiment, Found, Table
from tenfold.experiments.statements.nets import batches, trained, validation_images
from tenfold.experiments.statements.trainings import over_seeds, told, undecided
from tenfold.experiments.verdicts import Judgement, judge_family
from tenfold.recipe import Plan
from tenfold.reports.style import BLUE, GREEN, INK, MUTED, ORANGE, WIDTH, drawing, figure, png

CLAIM = 0.02
"""The lab's "+2 %", read off one run of each arm."""


def rule(name: str) -> str:
    """The rule of the checks that names a mistake, with why it matters."""
    return f"tenfold's rule {name}: {RULES[name].why}"


def wrong_head(context: Context, activation: str, known: str) -> Plan:
    """SimpleNN with an activation on its logits, which the check before training would stop."""
    return trainings.plan(context, "simplenn-augment", model__head_activation=activation, ignore=(known,))


def heads(context: Context) -> dict[str, Plan]:
    """SimpleNN as it should be, and with SiLU (the lab's Swish) or ReLU on its logits."""
    return {
        "logits": trainings.plan(context, "simplenn-augment"),
        "SiLU on the logits": wrong_head(context, "silu", "activation-on-logits"),
        "ReLU on the logits": wrong_head(context, "relu", "activation-on-logits"),
    }


def activation_on_logits(context: Context) -> Found:
    """Accuracy, the lowest output, and the classes that are never answered."""
    found = trainings.groups(context, heads(context))
    right, silu, relu = found.values()
    judgements = judge_family([(silu, right), (relu, right)])
    outputs = {name: all_outputs(group) for name, group in found.items()}
    rows = tuple(
        (name, f"{lowest(several):.2f}", f"{np.mean([dead(each) for each in several]):.1f}")
        for name, several in outputs.items()
        if several
    )
    evidence = (
        f"{told(judgements[0])} {told(judgements[1])} Logits as they should be went down to "
        f"{lowest(outputs[right.name]):.1f} on the validation images; SiLU cannot give less than −0.28, ReLU not "
        "less than 0, so that a net can hardly say that something is not a cat. An output that ReLU holds at 0 for all "
        f"images gets no gradient and stays so: {np.mean([dead(each) for each in outputs[relu.name]]):.1f} of the "
        f"classes on average. {rule('activation-on-logits')}"
    )
    header = ("output", "lowest value", "classes whose output is never above 0")
    return Found(
        shown_by(judgements),
        evidence,
        (
            trainings.table(found, "SimpleNN with and without an activation on its logits"),
            Table(header, rows, "Outputs on the validation images, mean over seeds"),
        ),
        {"activation-on-logits.png": trainings.forest_of(judgements, "plain logits", "An activation on the logits")},
    )


def shown_by(judgements: Sequence[Judgement]) -> str:
    """Whether the figures show the damage."""
    if any(one.comparison.verdict == "hurts" for one in judgements):
        return "shown"
    return undecided(min(one.comparison.pairs for one in judgements))


def all_outputs(group: Group) -> list[Tensor]:
    """Outputs [n, classes] on the validation images, of each run that finished."""
    runs = [group.runs[seed] for seed, value in group.accuracies.items() if value is not None]
    if not runs:
        return []
    pixels, labels = validation_images(runs[0], 5000)
    with torch.inference_mode():
        nets = [trained(run) for run in runs]
        return [torch.cat([net(part) for part, _ in batches(pixels, labels)]) for net in nets]


def lowest(outputs: Sequence[Tensor]) -> float:
    """The lowest output of any run."""
    return min((float(each.min()) for each in outputs), default=math.nan)


def dead(outputs: Tensor) -> int:
    """How many classes have an output that is above 0 for no image."""
    return int((outputs.amax(0) <= 0).sum())


def with_softmax(context: Context) -> dict[str, Plan]:
    """SimpleNN with its logits, or their softmax, given to cross-entropy."""
    return {
        "logits": trainings.plan(context, "simplenn-augment"),
        "softmax before the loss": wrong_head(context, "softmax", "softmax-before-loss"),
    }


def softmax_before_loss(context: Context) -> Found:
    """Accuracy, and how near the loss comes to its floor."""
    found = trainings.groups(context, with_softmax(context))
    right, wrong = found.values()
    judgements = judge_family([(wrong, right)])
    runs = [group for group in wrong.runs.values() if group.epochs]
    classes = len(runs[0].read("data.json")["classes"]) if runs else 10
    reached = {name: lowest_loss(group) for name, group in found.items()}
    evidence = (
        f"{told(judgements[0])} Cross-entropy applies softmax itself. Probabilities lie between 0 and 1, so even a net "
        f"that is sure and right has a loss of ln(1 + (C−1)/e) = {floor(classes):.3f} for C = {classes} classes; "
        f"the lowest training loss of an epoch was {reached[wrong.name]:.3f} with softmax, {reached[right.name]:.3f} "
        "without. The gradient is small as well: it passes two softmaxes, and outputs that differ little give little. "
        f"So this is a bug to diagnose, not a finding. {rule('softmax-before-loss')}"
    )
    return Found(
        shown_by(judgements),
        evidence,
        (trainings.table(found, "SimpleNN with logits, and with softmax before cross-entropy"),),
        {"softmax-before-loss.png": draw_losses(found, floor(classes))},
    )


def floor(classes: int) -> float:
    """The lowest cross-entropy that probabilities, taken for logits, can reach."""
    return math.log(1 + (classes - 1) / math.e)


def lowest_loss(group: Group) -> float:
    """The lowest training loss of any epoch of any run."""
    return min((row.train_loss for rows in group.epochs().values() for row in rows), default=math.nan)


@drawing()
def draw_losses(found: dict[str, Group], lowest: float) -> bytes:
    """The training loss of every run, and the floor."""
    made = figure(WIDTH, 3.8, "Training loss with logits, and with softmax before the loss")
    axes = made.add_subplot()
    for (name, group), colour in zip(found.items(), (BLUE, ORANGE), strict=True):
        for number, rows in enumerate(group.epochs().values()):
            losses = [row.train_loss for row in rows]
            label = name if number == 0 else None
            axes.plot(range(1, len(losses) + 1), losses, color=colour, linewidth=1.2, label=label)
    axes.axhline(lowest, color=MUTED, linewidth=0.9, linestyle=(0, (4, 4)), label=f"ln(1 + (C−1)/e) = {lowest:.3f}")
    axes.set(xlabel="epoch", ylabel="training loss (nats)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="best", labelcolor=MUTED)
    return png(made)


def with_norm(context: Context) -> dict[str, Plan]:
    """The lab's step from random crops to batch norm."""
    return {
        "without batch norm": trainings.plan(context, "simplenn-augment"),
        "batch norm": trainings.plan(context, "simplenn-bn"),
    }


def one_seed(context: Context) -> Found:
    """What one run of each arm would have said, for every choice of the two runs."""
    found = trainings.groups(context, with_norm(context))
    without, norm = found.values()
    judgements = judge_family([(norm, without)])
    single = differences(norm.values, without.values)
    same = [abs(a - b) for group in found.values() for a, b in itertools.combinations(group.values, 2)]
    mean = float(np.mean(single)) if single else math.nan
    wrong = share([one * mean <= 0 for one in single])
    far = share([abs(one - mean) >= CLAIM / 2 for one in single])
    evidence = (
        f"All {len(single)} pairs of one run with and one without batch norm: differences {low_high(single)} points, "
        f"mean {100 * mean:+.2f}. {wrong} of the pairs have the wrong sign, {far} are a point or more off. Two runs "
        f"of one arm, which differ in their seed only, are up to {100 * max(same, default=math.nan):.2f} points "
        f"apart, and {share([one >= 0.005 for one in same])} of such pairs by half a point or more: a difference like "
        f'that between one run and another says nothing. With all seeds: {told(judgements[0])} The lab read "+2 %" for '
        "batch norm from one run of each, 65.94 and 66.08 %."
    )
    enough = min(len(norm.values), len(without.values)) >= FEWEST_PAIRS
    shown = bool(same) and max(same) >= 0.005
    return Found(
        "no verdict" if not enough else "shown" if shown else "not shown",
        evidence,
        (trainings.table(found, "simplenn-augment with and without batch norm"),),
        {"one-seed.png": draw_pairs(single, mean)} if single else {},
    )


def differences(a: Sequence[float], b: Sequence[float]) -> list[float]:
    """Each of a minus each of b."""
    return [x - y for x, y in itertools.product(a, b)]


def share(true: Sequence[bool]) -> str:
    """'12 %'; a dash where there is nothing."""
    return f"{np.mean(true):.0%}" if true else "–"


def low_high(values: Sequence[float]) -> str:
    """'+1.20 to +3.40', in points."""
    return f"{100 * min(values):+.2f} to {100 * max(values):+.2f}" if values else "–"


@drawing()
def draw_pairs(single: Sequence[float], mean: float) -> bytes:
    """Each pair's difference, in order."""
    made = figure(WIDTH, 3.4, "What one seed of each arm would have said: batch norm's gain")
    axes = made.add_subplot()
    points = 100 * np.sort(single)
    colours = [GREEN if one * mean > 0 else ORANGE for one in points]
    axes.bar(range(1, len(points) + 1), points, color=colours, width=0.8)
    axes.axhline(100 * mean, color=INK, linewidth=1, linestyle=(0, (4, 4)), label=f"mean {100 * mean:+.2f}")
    axes.axhline(0, color=MUTED, linewidth=0.9)
    axes.set(xlabel="pair of runs, sorted; orange: wrong sign", ylabel="difference (points)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="upper left", labelcolor=MUTED)
    return png(made)


EXPERIMENTS = (
    Experiment(
        "activation-on-logits",
        "An activation on the logits: Swish, and ReLU, applied to the output of the last layer too.",
        "not noticed; 70.60 % with Swish",
        activation_on_logits,
        (3.0, 15.0),
        lambda context: over_seeds(heads(context), context.seeds),
    ),
    Experiment(
        "softmax-before-loss",
        "Softmax before the loss: the net's last layer is softmax, and the loss is cross-entropy.",
        "found by trying that removing it helps",
        softmax_before_loss,
        (2.0, 5.0),
        lambda context: over_seeds(with_softmax(context), context.seeds),
    ),
    Experiment(
        "one-seed",
        "Conclusions from one seed: one run of each arm, and the higher figure wins.",
        "batch norm brings +2 %",
        one_seed,
        (2.0, 5.0),
        lambda context: over_seeds(with_norm(context), context.seeds),
    ),
)
