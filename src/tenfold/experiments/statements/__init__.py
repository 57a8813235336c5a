"""The lab's ten statements and its mistakes, each with an experiment that runs.

answer = STATEMENTS["1.1"](Context("cifar10", Path("runs"), quick=False, seeds=8, tell=print))
answer.answer, answer.evidence                                # "false", "A batch of 16 maps …"
"""

from tenfold.errors import lookup
from tenfold.experiments.statements import costs, layers
from tenfold.experiments.statements.answers import Answer, Context, Cost, Experiment, Table

__all__ = ["MISTAKES", "STATEMENTS", "Answer", "Context", "Cost", "Table", "cost"]

STATEMENTS: dict[str, Experiment] = {one.id: one for one in (*layers.EXPERIMENTS, *costs.EXPERIMENTS)}

MISTAKES: dict[str, Experiment] = {}


def cost(id: str, context: Context) -> Cost:
    """What the experiment of a statement or mistake will take."""
    return lookup({**STATEMENTS, **MISTAKES}, id, "statement or mistake").cost(context)
