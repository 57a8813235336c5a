"""Reading a net's graph: what an operation reads when others are looked through, the last activation, names."""

from collections.abc import Iterator, Sequence

from tenfold.checks.trace import Graph, Op


def sources(op: Op, through: Sequence[str]) -> Iterator[tuple[Op, list[Op]]]:
    """What an operation reads when kinds in `through` are looked through, each with what was passed on the way."""
    waiting = [(read, list[Op]()) for read in op.reads]
    while waiting:
        read, passed = waiting.pop()
        if read.kind in through:
            waiting += [(deeper, [*passed, read]) for deeper in read.reads]
        else:
            yield read, passed


def last_activation(graph: Graph) -> Op | None:
    """The activation whose result is the net's output, shapes and factors aside."""
    op = graph.output
    while op is not None and op.kind in ("shape", "scale", "dropout") and op.reads:
        op = op.reads[0]
    return op if op is not None and op.kind == "activation" else None


def owner(op: Op) -> str:
    """The part of the net that holds a layer."""
    return op.layer.rpartition(".")[0]


def names(ops: Sequence[Op], most: int = 4) -> str:
    """The first few layers' names."""
    return ", ".join(op.named for op in ops[:most]) + (", …" if len(ops) > most else "")
