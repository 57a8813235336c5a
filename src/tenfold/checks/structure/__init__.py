"""Static rules on a net's graph: what is wrong before any number is learned.

    examine(trace(model, pixels))          every rule over the graph; a rule gives findings, none where all is well

activations, layers, starts     rules over the graph
parameters                      rules on what the optimiser holds and the last batch, each by itself
reading                         what the rules read a graph with

The rules know the manners of published nets: linear bottlenecks, dropout in Wide ResNets, zero heads, pooled logits.
"""

from collections.abc import Callable, Iterable

from tenfold.checks.structure.activations import cut_logits, doubled, linear_pairs, squashed_output, thrown_away
from tenfold.checks.structure.layers import (
    dropout_into_norm,
    dropped_logits,
    heavy_dropout,
    lone_numbers,
    needless_bias,
    norm_momentum,
    pooled_away,
)
from tenfold.checks.structure.starts import bad_start, grouped_start, silent_norms
from tenfold.checks.trace import Graph
from tenfold.errors import Finding


def examine(graph: Graph) -> list[Finding]:
    """Every static rule over the graph of a net that is trained with cross-entropy on its output."""
    return [found for rule in RULES_OF_GRAPHS for found in rule(graph)]


RULES_OF_GRAPHS: tuple[Callable[[Graph], Iterable[Finding]], ...] = (
    squashed_output,
    cut_logits,
    linear_pairs,
    thrown_away,
    doubled,
    dropout_into_norm,
    pooled_away,
    bad_start,
    grouped_start,
    silent_norms,
    lone_numbers,
    norm_momentum,
    heavy_dropout,
    dropped_logits,
    needless_bias,
)
