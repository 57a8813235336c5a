"""Test accuracy and time of final recipes: trained on all 50,000 images, the test set opened once a seed.

    python bench/final.py --recipe sprint --data ../shared/data/cifar10      trains what is missing, then the table
    python bench/final.py --table                                            only the table, from bench/results/

Each finished seed becomes a small JSON under bench/results/final/; later calls add to them, and a training that was
stopped is continued. Seeds begin at 100: none of them was seen while the recipes were developed (on 45,000/5,000).
What was measured before a change of the code that alters the time lies in `earlier/`, out of the tables.
The time is the wall clock of everything after Python's start: reading the data, measuring the backend where that is
not remembered, whitening, all epochs with their checkpoints, the report, and judging the 10,000 test images, with
test-time augmentation where the recipe has it. Nothing else should run meanwhile.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from kept import begun, circumstances, epoch_seconds, trained
from tenfold import api
from tenfold.errors import TenfoldError
from tenfold.runs import write_atomic

RESULTS = Path(__file__).parent / "results" / "final"
FIRST_SEED = 100


def measure(recipe: str, seed: int, data: str, out: Path) -> dict[str, Any]:
    """Train one seed, or continue it, and open the test set."""
    folder = out / f"{recipe}-seed{seed}"
    resumed, began = begun(folder), time.perf_counter()
    run = trained(folder, recipe, data=data, seed=seed, train_on="train+val")
    result = api.evaluate(run, split="test", weights="last")
    seconds = time.perf_counter() - began
    return {
        "recipe": recipe,
        "seed": seed,
        "options": run.recipe.model_dump(exclude={"data", "name"}),
        "test_accuracy": result.metrics.accuracy,
        "test_accuracy_views": result.views.accuracy if result.views else None,
        "test_openings": result.opening,
        "epoch_seconds": epoch_seconds(run),
        "seconds": None if resumed else round(seconds, 1),
        **circumstances(run),
    }


def table() -> str:
    """A row a seed and the mean, for every recipe, processor and precision, as Markdown."""
    parts, groups = [], dict[tuple[str, str, str, int], list[dict[str, Any]]]()
    for run in (json.loads(file.read_text()) for file in sorted(RESULTS.glob("*-seed*.json"))):
        backend = run["options"]["backend"]
        of = run["recipe"], run["processor"], backend["precision"], backend["threads"]
        groups.setdefault(of, []).append(run)
    for (name, processor, precision, threads), runs in sorted(groups.items()):
        parts.append(f"`{name}`, {processor}, {precision}, {threads} threads")
        lines = ["| seed | test, plain | test, several views | minutes |", "|---|---|---|---|"]
        lines += [row(str(run["seed"]), *figures(run)) for run in runs]
        columns = [[value for value in column if value is not None] for column in zip(*map(figures, runs), strict=True)]
        lines.append(row("mean", *(statistics.mean(column) if column else None for column in columns)))
        if len(runs) > 1:
            lines.append(row("SD", *(statistics.stdev(column) if len(column) > 1 else None for column in columns)))
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def figures(run: dict[str, Any]) -> tuple[float, float | None, float | None]:
    """Accuracies in percent, and minutes."""
    views, seconds = run["test_accuracy_views"], run["seconds"]
    return 100 * run["test_accuracy"], views and 100 * views, seconds and seconds / 60


def row(name: str, *values: float | None) -> str:
    """One line of the table."""
    plain, views, minutes = values
    cells = ["" if value is None else f"{value:.2f} %" for value in (plain, views)]
    return f"| {name} | {cells[0]} | {cells[1]} | {'' if minutes is None else f'{minutes:.1f}'} |"


def main() -> None:
    """Train what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="sprint")
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--first", type=int, default=FIRST_SEED, help="the first of them")
    parser.add_argument("--out", type=Path, default=Path("runs/final"))
    parser.add_argument("--table", action="store_true", help="train nothing")
    chosen = parser.parse_args()
    try:
        for seed in range(chosen.first, chosen.first + chosen.seeds) if not chosen.table else []:
            file = RESULTS / f"{chosen.recipe}-seed{seed}.json"
            if not file.exists():
                found = measure(chosen.recipe, seed, chosen.data, chosen.out)
                write_atomic(file, json.dumps(found, indent=2) + "\n")
    except TenfoldError as error:
        sys.exit(str(error))
    print(table())


if __name__ == "__main__":
    main()
