"""The lab's ten statements and its mistakes, each with an experiment that runs.

answer = STATEMENTS["1.1"](Context("cifar10", Path("runs"), quick=False, seeds=8, tell=print))
answer.answer, answer.evidence                                # "false", "A batch of 16 maps …"
"""

from tenfold.errors import lookup
from tenfold.experiments.statements import (
    augmentation,
    costs,
    dropout,
    layers,
    mistakes,
    sparsity,
    start,
    surface,
    units,
)
from tenfold.experiments.statements.answers import Answer, Context, Cost, Experiment, Table

__all__ = ["MISTAKES", "STATEMENTS", "Answer", "Context", "Cost", "Table", "cost"]

STATEMENTS: dict[str, Experiment] = {
    one.id: one
    for module in (layers, augmentation, dropout, sparsity, units, costs, surface)
    for one in module.EXPERIMENTS
}

MISTAKES: dict[str, Experiment] = {one.id: one for module in (mistakes, start) for one in module.EXPERIMENTS}


def cost(id: str, context: Context) -> Cost:
    """What the experiment of a statement or mistake will take."""
    return lookup({**STATEMENTS, **MISTAKES}, id, "statement or mistake").cost(context)
