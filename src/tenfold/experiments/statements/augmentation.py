"""Statement 1.3: a flip where it keeps the label, and where it changes it."""

from pathlib import Path

from tenfold.experiments.statements import trainings
from tenfold.experiments.statements.answers import Context, Experiment, Found
from tenfold.experiments.statements.trainings import always_helps, over_seeds, seeds_for, told
from tenfold.experiments.verdicts import judge_family
from tenfold.recipe import Plan

QUICK_ARROWS = 10
"""Epochs of the quick form: arrows are fewer than shapes."""


def plans(context: Context) -> dict[str, Plan]:
    """With and without horizontal flips, on the context's data and on arrows."""
    here = Path(context.data).name
    arrows = {"data": "arrows", **({"epochs": QUICK_ARROWS} if context.quick else {})}
    return {
        f"no flip, {here}": trainings.plan(context, "simplenn-plain"),
        f"flip, {here}": trainings.plan(context, "simplenn"),
        "no flip, arrows": trainings.plan(context, "simplenn-plain", **arrows),
        "flip, arrows": trainings.plan(context, "simplenn", **arrows),
    }


def flips(context: Context) -> Found:
    """Each data set with the flip against itself without."""
    found = trainings.groups(context, plans(context), seeds_for(context, 2))
    plain, flipped, plain_arrows, flipped_arrows = found.values()
    judgements = judge_family([(flipped, plain), (flipped_arrows, plain_arrows)])
    evidence = (
        f"On {Path(context.data).name}, where a mirrored picture keeps its label: {told(judgements[0])} On arrows, "
        "whose classes are left, right, up and down, the flip gives half of all left and right arrows the wrong label, "
        f"and no net can then be expected to be right on more than 75 % of all: {told(judgements[1])} An augmentation "
        "has to preserve the label."
    )
    return Found(
        always_helps(judgements),
        evidence,
        (trainings.table(found, "SimpleNN with and without random horizontal flips"),),
        {"flips.png": trainings.forest_of(judgements, "the same without", "What a horizontal flip does")},
    )


EXPERIMENTS = (
    Experiment(
        "1.3",
        "Augmentation always helps.",
        "false",
        flips,
        (3.0, 10.0),
        lambda context: over_seeds(plans(context), seeds_for(context, 2)),
    ),
)
