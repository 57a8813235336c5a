"""Statements 1.4 and 1.5: how fast a net converges with dropout, and what dropout adds to other regularisers."""

from collections.abc import Sequence

import numpy as np

from tenfold.evidence.power import FEWEST_PAIRS
from tenfold.evidence.statistics import interval, sign_flip_p
from tenfold.experiments.groups import Group
from tenfold.experiments.statements import trainings
from tenfold.experiments.statements.answers import Context, Experiment, Found, Table
from tenfold.experiments.statements.drawings import loss_curves
from tenfold.experiments.statements.trainings import always_helps, over_seeds, seeds_for, told, undecided
from tenfold.experiments.verdicts import judge_family
from tenfold.recipe import Plan
from tenfold.runs import Epoch

DROPOUT = 0.2


def with_and_without(context: Context) -> dict[str, Plan]:
    """simplenn-augment, and with dropout after its hidden linear layers."""
    return {
        "without dropout": trainings.plan(context, "simplenn-augment"),
        f"dropout {DROPOUT}": trainings.plan(context, "simplenn-augment", model__dropout=DROPOUT),
    }


def convergence(context: Context) -> Found:
    """Epochs until the validation loss is as low as every run gets, paired by seed."""
    found = trainings.groups(context, with_and_without(context))
    plain, dropped = found.values()
    curves = {name: group.epochs() for name, group in found.items()}
    level = max((lowest(rows) for runs in curves.values() for rows in runs.values()), default=0.0)
    needed = {name: {seed: epochs_to(rows, level) for seed, rows in runs.items()} for name, runs in curves.items()}
    both = [seed for seed in needed[plain.name] if seed in needed[dropped.name]]
    further = np.array([needed[dropped.name][seed] - needed[plain.name][seed] for seed in both])
    low_high, p = interval(further), sign_flip_p(further)
    said = "" if low_high is None else f", 95 % interval {low_high[0]:+.2f} to {low_high[1]:+.2f}, p = {p:.2g}"
    evidence = (
        f"The validation loss that every run reached is {level:.3f}. Without dropout it took "
        f"{mean_of(needed[plain.name])} epochs, with dropout {DROPOUT} {mean_of(needed[dropped.name])}"
        f" ({mean_of(dict(enumerate(further)), '+')} by pairs{said}; {len(both)} pairs). "
        "The loss is that on validation images, where no unit is left out in either arm; the training loss itself is "
        "higher with dropout, since units are missing."
    )
    rows = tuple((name, group_seeds(needed[name]), mean_of(needed[name])) for name in found)
    header = ("arm", "epochs of each seed", "mean")
    table = Table(header, rows, f"Epochs until the validation loss is {level:.3f}, between epochs in a straight line")
    return Found(
        slower_without(low_high, p, len(both)),
        evidence,
        (table,),
        {"convergence.png": loss_curves(curves, "Validation loss with and without dropout", level)},
    )


def slower_without(low_high: tuple[float, float] | None, p: float, pairs: int) -> str:
    """The answer from the interval of dropout's further epochs."""
    if low_high is None or pairs < FEWEST_PAIRS or p >= 0.05 or low_high[0] <= 0 <= low_high[1]:
        return undecided(pairs)
    return "false" if low_high[0] > 0 else "true"


def lowest(rows: Sequence[Epoch]) -> float:
    """The lowest validation loss of a run."""
    return min(row.val_loss for row in rows if row.val_loss is not None)


def epochs_to(rows: Sequence[Epoch], level: float) -> float:
    """Epochs until the validation loss first is at most `level`; between two epochs it falls in a straight line."""
    before: float | None = None
    for row in rows:
        loss = row.val_loss
        assert loss is not None
        if loss <= level:
            return float(row.epoch) if before is None else row.epoch - 1 + (before - level) / (before - loss)
        before = loss
    raise ValueError(f"the loss {level} was never reached")


def mean_of(values: dict[int, float], sign: str = "") -> str:
    """The mean with two digits, a dash where there is none."""
    return f"{np.mean(list(values.values())):{sign}.2f}" if values else "–"


def group_seeds(values: dict[int, float]) -> str:
    """Each seed's figure."""
    return ", ".join(f"{value:.2f}" for value in values.values())


def on_top(context: Context) -> dict[str, Plan]:
    """Dropout on top of weight decay alone, and of weight decay with augmentation."""
    return {
        "decay": trainings.plan(context, "simplenn-plain"),
        "decay + dropout": trainings.plan(context, "simplenn-plain", model__dropout=DROPOUT),
        "decay + augmentation": trainings.plan(context, "simplenn-augment"),
        "decay + augmentation + dropout": trainings.plan(context, "simplenn-augment", model__dropout=DROPOUT),
    }


def regularisers(context: Context) -> Found:
    """Each of them with dropout against itself without."""
    found = trainings.groups(context, on_top(context), seeds_for(context, 2))
    decay, decay_dropout, augmented, augmented_dropout = found.values()
    judgements = judge_family([(decay_dropout, decay), (augmented_dropout, augmented)])
    evidence = (
        f"Dropout {DROPOUT} on top of weight decay 1e-4: {told(judgements[0])} On top of weight decay and augmentation "
        f"(random crop and flip): {told(judgements[1])} Whether it helps depends on how much the net overfits without: "
        f"without dropout, training accuracy is {ahead(decay)} above validation accuracy with decay alone, "
        f"{ahead(augmented)} with augmentation."
    )
    return Found(
        always_helps(judgements),
        evidence,
        (trainings.table(found, f"SimpleNN with and without dropout {DROPOUT} after the hidden linear layers"),),
        {"dropout.png": trainings.forest_of(judgements, "the same without dropout", "What dropout adds")},
    )


def ahead(group: Group) -> str:
    """Training minus validation accuracy after the last epoch, mean over seeds, in points."""
    rows = [rows[-1] for rows in group.epochs().values()]
    differences = [row.train_accuracy - row.val_accuracy for row in rows if row.val_accuracy is not None]
    return f"{100 * np.mean(differences):+.1f} points" if differences else "–"


EXPERIMENTS = (
    Experiment(
        "1.4",
        "Without dropout a CNN converges more slowly.",
        "false",
        convergence,
        (2.0, 5.0),
        lambda context: over_seeds(with_and_without(context), context.seeds),
    ),
    Experiment(
        "1.5",
        "Dropout on top of another regulariser always helps.",
        "true",
        regularisers,
        (2.0, 5.0),
        lambda context: over_seeds(on_top(context), seeds_for(context, 2)),
    ),
)
