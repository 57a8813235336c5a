"""Does a search find what the full grid finds, for a fifth of its time? SimpleNN on CIFAR-10, rate × weight decay.

    python bench/search.py --data ../shared/data/cifar10 [--seeds 3] [--trials 30] [--out runs/search-bench]

The grid is the lab's: six rates by five strengths of L2, each over the seeds. The search has the same ranges, and its
finalists as many fresh seeds. Both tell seconds (of all epochs of all runs together) and images; the runs of the last
comparison, the best of each on eight seeds, count for neither. A call that was stopped continues.
"""

import argparse
import csv
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tenfold
from kept import epoch_seconds
from tenfold.errors import TenfoldError
from tenfold.evidence.power import FEWEST_PAIRS
from tenfold.experiments.studies import Study
from tenfold.runs import Run, write_atomic
from tenfold.training.environment import processor

RESULT = Path(__file__).parent / "results" / "search.json"
RATES, STRENGTHS = (1.0, 0.1, 0.05, 0.01, 0.005, 0.001), (1e-2, 1e-3, 1e-4, 1e-5, 0.0)
RANGES = {"optimizer.lr": "0.001..1", "optimizer.weight_decay": "1e-6..1e-2"}


def costs(runs: Iterable[Run]) -> dict[str, float]:
    """Seconds and images of all epochs of these runs."""
    several = list({run.path.resolve(): run for run in runs}.values())
    images = sum(row.train_total for run in several for row in run.epochs)
    return {"runs": len(several), "seconds": round(sum(map(epoch_seconds, several)), 1), "images": images}


def runs_of(study: Study) -> list[Run]:
    """Every run of the study, those of a search's trials too; one that failed before its first epoch has no rows."""
    found = [run for group in study.groups for run in group.runs.values()]
    trials = study.folder / "trials.csv"
    if trials.exists():
        with trials.open(newline="", encoding="utf-8") as file:
            found += [Run(Path(row["run"])) for row in csv.DictReader(file)]
    return [run for run in found if (run.path / "recipe.json").exists()]


def best_of(study: Study) -> tuple[dict[str, Any], float]:
    """The options and the mean of the study's best group."""
    best = max(study.groups, key=lambda group: group.mean or 0.0)
    recipe = next(iter(best.runs.values())).recipe.optimizer
    return {"optimizer.lr": recipe.lr, "optimizer.weight_decay": recipe.weight_decay}, best.mean or 0.0


def measure(data: str, epochs: int, seeds: int, trials: int, out: Path, pairs: int) -> dict[str, Any]:
    """Grid, search, and the best of both against each other."""
    common: dict[str, Any] = {"data": data, "epochs": epochs, "tell": print}
    over = {"optimizer.lr": RATES, "optimizer.weight_decay": STRENGTHS}
    grid = tenfold.sweep("simplenn", over, seeds=seeds, out=out / "grid", **common)
    search = tenfold.sweep("simplenn", RANGES, search="tpe", trials=trials, confirm=seeds, out=out / "search", **common)
    (points, means), figures = (
        zip(*map(best_of, (search, grid)), strict=True),
        [costs(runs_of(s)) for s in (search, grid)],
    )
    found: dict[str, Any] = {
        name: {"best": point, "mean": mean, **cost}
        for name, point, mean, cost in zip(("search", "grid"), points, means, figures, strict=True)
    }
    judged = tenfold.compare(
        "simplenn", "simplenn", a_options=points[0], b_options=points[1], seeds=pairs, out=out / "compared", **common
    )
    share = {key: round(figures[0][key] / figures[1][key], 3) for key in ("seconds", "images")}
    return {**found, "search / grid": share, "notes": search.notes, "verdict": judged.judgements[0].text()}


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--pairs", type=int, default=FEWEST_PAIRS + 2)
    parser.add_argument("--out", type=Path, default=Path("runs/search-bench"))
    chosen = vars(parser.parse_args())
    try:
        found = {"processor": processor(), **{k: str(v) for k, v in chosen.items() if k != "out"}, **measure(**chosen)}
    except TenfoldError as error:
        sys.exit(str(error))
    write_atomic(RESULT, json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
