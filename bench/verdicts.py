"""Are tenfold's verdicts what they promise? Comparisons simulated from the accuracies of many real runs.

    python bench/verdicts.py               simulates from the pool in bench/results/verdicts/, prints, keeps the table
    python bench/verdicts.py --train 64    trains 64 seeds of both arms first, as far as they are not in the pool
    python bench/verdicts.py --table       prints the table that was kept, as Markdown

A pool is what one seed after the other reached in two arms that differ in their activation. How comparisons are drawn
from it, and what is counted: tenfold.evidence.simulation. Takes some minutes.
"""

import argparse
import json
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from kept import circumstances
from tenfold import api
from tenfold.evidence.power import planned_deviation
from tenfold.evidence.simulation import Kind, Pool, rates
from tenfold.runs import Epoch, Run, write_atomic
from tenfold.training.environment import environment
from tenfold.training.loop import fit
from tenfold.training.setup import Setup, prepare

RESULTS = Path(__file__).parent / "results"
POOL = RESULTS / "verdicts" / "pool-simplenn-shapes.json"
RESULT = RESULTS / "verdicts.json"
KINDS: tuple[Kind, ...] = ("independent", "paired")
PAIRS = (6, 8, 12, 20)
FIXED = {"threads": 1, "precision": "fp32", "layout": "channels_last", "kernels": "torch", "compile": False}
COMMON = {
    "data": "shapes",
    "epochs": 2,
    "model.norm": "batch",
    "optimizer.lr": 0.05,
    **{f"backend.{name}": value for name, value in FIXED.items()},
}
ARMS = {"relu": {"model.activation": "relu"}, "swish": {"model.activation": "swish"}}


class Silent:
    """An observer that says nothing."""

    def step(self, setup: Setup) -> None:
        """After a step."""

    def epoch(self, setup: Setup, row: Epoch, best: bool) -> None:
        """After an epoch."""


def train(seeds: int, out: Path, file: Path = POOL) -> None:
    """Train what the pool lacks; its file is written anew after every run."""
    kept: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"arms": {arm: {} for arm in ARMS}}
    for seed in range(seeds):
        for arm, own in ARMS.items():
            if str(seed) not in kept["arms"][arm]:
                run = trained(out, f"{arm}-{seed}", {**COMMON, **own, "seed": seed})
                kept["arms"][arm][str(seed)] = run.epochs[-1].val_accuracy
                kept |= {"recipe": "simplenn", "options": COMMON, "differ in": ARMS, **circumstances(run)}
                write_atomic(file, json.dumps(kept, indent=1) + "\n")
                print(f"{arm} seed {seed}: {run.epochs[-1].val_accuracy:.2%}", flush=True)


def trained(out: Path, name: str, options: dict[str, Any]) -> Run:
    """A run without pictures and page: its figures are all that is wanted."""
    setup = prepare(api.plan("simplenn", **options))
    documents = {
        "data.json": {"name": setup.dataset.name, "fingerprint": setup.dataset.fingerprint},
        "environment.json": environment(setup.backend.device),
    }
    run = Run.create(out, name, setup.plan, documents)
    fit(setup, run, Silent())
    return run


def kept_pool() -> Pool:
    """The pool of real runs."""
    arms = json.loads(POOL.read_text())["arms"]
    seeds = sorted(set.intersection(*(set(arm) for arm in arms.values())), key=int)
    return Pool(*(np.array([arms[arm][seed] for seed in seeds]) for arm in ARMS))


def simulate(simulations: int) -> dict[str, Any]:
    """Every kind and number of pairs, the slow ones first; a line for each."""
    pool, found = kept_pool(), {}
    wanted = [(kind, pairs) for pairs in reversed(PAIRS) for kind in KINDS]
    with ProcessPoolExecutor() as workers:
        futures = {workers.submit(rates, pool, kind, pairs, simulations): (kind, pairs) for kind, pairs in wanted}
        for future in as_completed(futures):
            found[futures[future]] = future.result()
            print(*futures[future], "; ".join(future.result().missed()) or "as promised", flush=True)
    ordered = [found[kind, pairs] for kind in KINDS for pairs in PAIRS]
    return {
        "seeds": len(pool.a),
        "means": [float(pool.a.mean()), float(pool.b.mean())],
        "deviations": [float(pool.a.std(ddof=1)), float(pool.b.std(ddof=1))],
        "correlation": float(np.corrcoef(pool.a, pool.b)[0, 1]),
        "planned deviation of a pair": planned_deviation(1 - float(pool.a.mean()), 1000),
        "rates": [{**asdict(one), "missed": one.missed()} for one in ordered],
    }


def cells(one: dict[str, Any]) -> list[str]:
    """A line of the table."""
    shares = [f"{one[name]:.1%}" for name in ("false_verdicts", "coverage", "false_equivalence")]
    powers = [f"{p['found']:.0%} ({p['forecast']:.0%})" for p in one["power"]]
    return [one["kind"], str(one["pairs"]), *shares, *powers]


def columns(one: dict[str, Any]) -> list[str]:
    """The table's head."""
    effects = [f"effect {p['effect_points'] / one['deviation_points']:g} SD: found (forecast)" for p in one["power"]]
    return ["draw", "pairs", "false verdicts", "intervals cover", "false equivalence", *effects]


def show(found: dict[str, Any]) -> None:
    """The table in the terminal."""
    table = Table(*columns(found["rates"][0]), title="Verdicts against the truth", box=None)
    for one in found["rates"]:
        table.add_row(*cells(one))
    Console(width=160).print(table)


def markdown(found: dict[str, Any]) -> str:
    """The table for docs/evidence.md."""
    lines = [columns(found["rates"][0]), ["---"] * len(columns(found["rates"][0])), *map(cells, found["rates"])]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Train if asked to, simulate, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=0, metavar="SEEDS")
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--table", action="store_true")
    chosen = parser.parse_args()
    if chosen.table:
        print(markdown(json.loads(RESULT.read_text())))
        return
    with tempfile.TemporaryDirectory() as place:
        train(chosen.train, Path(place))
    found = simulate(chosen.simulations)
    write_atomic(RESULT, json.dumps(found, indent=1) + "\n")
    show(found)


if __name__ == "__main__":
    main()
