"""SGD, Adam and RAdam on ResNet-20 and CIFAR-10, each at the best of five rates: the lab's L3.5, kept run by run.

    python bench/optimisers.py --data ../shared/data/cifar10 [--seeds 0 1 2] [--out runs/optimisers]
    python bench/optimisers.py --table                              only the table, from bench/results/

A rate is tried in a run of 3 epochs (seed 0), the better three of five in one of 10; the best by the last epoch's
validation accuracy is trained for 30 over the seeds. Trials are kept in results/optimiser-trials/, runs beside those of
accuracy.py; what is there is not trained again, so that several calls, on several machines, make one table. About 8
hours on two cores with AVX2 only.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from accuracy import keep, result_file, spread
from kept import begun
from tenfold import api
from tenfold.errors import TenfoldError
from tenfold.evidence.statistics import interval
from tenfold.experiments.lab.parts import TUNED, optimised
from tenfold.experiments.lab.plan import TRIAL_EPOCHS, better_half
from tenfold.experiments.many import fastest_split, train_many
from tenfold.recipe import Plan
from tenfold.runs import Run

RECIPE = "resnet20-lab"
TRIALS = Path(__file__).parent / "results" / "optimiser-trials"
METRIC = "last_val_accuracy"
Wanted = dict[Path, tuple[int, dict[str, Any]]]
"""Result files, and the seed and options of the run that fills each."""


ROUNDS = TRIAL_EPOCHS[False]


def trials(name: str) -> list[dict[float, Path]]:
    """Where the figures of an optimiser's trials are kept, by rate, of each round whose rates are known."""
    rates, rounds = list(TUNED[name]), []
    for epochs in ROUNDS:
        rounds.append({rate: TRIALS / f"{name}-{rate:g}-{epochs}.json" for rate in rates})
        if not whole(rounds[-1]):
            break
        rates = better_half({rate: accuracy(file) for rate, file in rounds[-1].items()})
    return rounds


def whole(files: dict[float, Path]) -> bool:
    """Whether a round has all of its figures."""
    return all(file.exists() for file in files.values())


def best_rates() -> dict[str, float]:
    """The best rate of each optimiser, as far as all of its trials are there."""
    last = {name: found[-1] for name in TUNED if len(found := trials(name)) == len(ROUNDS) and whole(found[-1])}
    return {name: max(files, key=lambda rate: accuracy(files[rate])) for name, files in last.items()}


def accuracy(file: Path) -> float:
    """The last epoch's validation accuracy, 0..1."""
    return float(json.loads(file.read_text())[METRIC])


def run_file(name: str, rate: float, seed: int) -> Path:
    """Where a run's figures are kept; SGD at the recipe's own rate is the recipe."""
    own = (name, rate) == ("sgd", api.plan(RECIPE).recipe.optimizer.lr)
    return result_file(RECIPE, seed, "" if own else f"-{name}-{rate:g}")


def train(wanted: Wanted, data: str, out: Path) -> None:
    """Train what has no figures yet, side by side, and keep each run's figures as it ends."""
    missing = {file: run for file, run in wanted.items() if not file.exists()}
    folders = {out / file.stem: file for file in missing}
    plans: dict[Path, Plan] = {
        folder: api.plan(RECIPE, data=data, seed=missing[file][0], **missing[file][1])
        for folder, file in folders.items()
    }

    def kept(line: str) -> None:
        print(line, flush=True)
        for folder, file in folders.items():
            if begun(folder) and not file.exists() and len(Run(folder).epochs) == plans[folder].recipe.epochs:
                keep(Run(folder), RECIPE, missing[file][0], file)

    if plans:
        train_many(plans, fastest_split(next(iter(plans.values()))).best, kept)
        kept(f"{len(plans)} runs ended.")


def table(seeds: list[int]) -> Iterator[str]:
    """The trials, then the runs at the best rates and their differences from SGD."""
    told = " | ".join(f"rate: after {epochs} epochs" for epochs in ROUNDS)
    yield f"| optimiser | {told} | best rate | seeds | after 30 epochs | difference from SGD |"
    yield "|---" * (5 + len(ROUNDS)) + "|"
    rates = best_rates()
    for name in TUNED:
        rounds = [*trials(name), *[{}] * len(ROUNDS)][: len(ROUNDS)]
        tried = " | ".join(map(reached, rounds))
        found = finished(name, rates, seeds)
        beside = finished("sgd", rates, seeds)
        pairs = np.array([100 * (found[seed] - beside[seed]) for seed in found if seed in beside])
        mean = spread([100 * value for value in found.values()]) if found else ""
        told = f"{pairs.mean():+.2f}{between(pairs)}" if name != "sgd" and len(pairs) else ""
        rate = f"{rates[name]:g}" if name in rates else ""
        yield f"| {name} | {tried} | {rate} | {', '.join(map(str, found))} | {mean} | {told} |"


def reached(files: dict[float, Path]) -> str:
    """The figures of a round that are there."""
    return ", ".join(f"{rate:g}: {100 * accuracy(files[rate]):.2f} %" for rate in sorted(files) if files[rate].exists())


def finished(name: str, rates: dict[str, float], seeds: list[int]) -> dict[int, float]:
    """The accuracies of an optimiser's runs that are there, by seed."""
    files = {seed: run_file(name, rates[name], seed) for seed in seeds} if name in rates else {}
    return {seed: accuracy(file) for seed, file in files.items() if file.exists()}


def between(pairs: np.ndarray[Any, Any]) -> str:
    """The 95 % interval of a mean difference, where there is one."""
    found = interval(pairs)
    return f" ({found[0]:+.2f} to {found[1]:+.2f})" if found else ""


def main() -> None:
    """Try the rates, train the best, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/optimisers"))
    parser.add_argument("--table", action="store_true", help="train nothing")
    chosen = parser.parse_args()
    try:
        if not chosen.table:
            for at, epochs in enumerate(ROUNDS):
                files = {(name, rate): file for name in TUNED for rate, file in trials(name)[at].items()}
                tried = {file: (0, {**optimised(*key), "epochs": epochs}) for key, file in files.items()}
                train(tried, chosen.data, chosen.out)
            best = {(seed, name): rate for seed in chosen.seeds for name, rate in best_rates().items()}
            runs = {run_file(n, rate, seed): (seed, optimised(n, rate)) for (seed, n), rate in best.items()}
            train(runs, chosen.data, chosen.out)
    except TenfoldError as error:
        sys.exit(str(error))
    print("\n".join(table(chosen.seeds)))


if __name__ == "__main__":
    main()
