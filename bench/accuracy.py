"""Accuracy of named recipes on CIFAR-10 over seeds: each finished run becomes a small JSON, later calls add to them.

    python bench/accuracy.py --data ../shared/data/cifar10          trains what is missing, then prints the table
    python bench/accuracy.py --table                                only the table, from bench/results/

Validation: 5,000 of the 50,000 training images (split_seed 0); the test images are never opened.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from kept import circumstances, epoch_seconds, trained
from tenfold.runs import Run

RESULTS = Path(__file__).parent / "results" / "accuracy"
RECIPES = (
    "simplenn-plain",
    "simplenn",
    "simplenn-decay",
    "simplenn-lab",
    "simplenn-augment",
    "simplenn-bn",
    "simplenn-bn-fast",
    "simplenn-swish",
    "simplenn-best",
)


def result_file(recipe: str, seed: int, label: str) -> Path:
    """Where the figures of one run are kept."""
    return RESULTS / f"{recipe}{label}-seed{seed}.json"


def measure(recipe: str, seed: int, data: str, out: Path, label: str, threads: int | None) -> None:
    """Train one run (or continue it) and keep its figures."""
    folder = out / f"{recipe}{label}-seed{seed}"
    options: dict[str, Any] = {"data": data, "seed": seed}
    if threads:
        options["backend.threads"] = threads
    keep(trained(folder, recipe, **options), recipe, seed, result_file(recipe, seed, label))


def keep(run: Run, recipe: str, seed: int, file: Path) -> None:
    """Write the figures of a finished run."""
    best, epochs = run.best, run.epochs
    assert best is not None
    figures = {
        "recipe": recipe,
        "seed": seed,
        "epochs": len(epochs),
        "best_val_accuracy": best.val_accuracy,
        "best_epoch": best.epoch,
        "last_val_accuracy": epochs[-1].val_accuracy,
        "last_train_accuracy": epochs[-1].train_accuracy,
        "seconds": epoch_seconds(run),
        "backend": run.recipe.backend.model_dump(),
        **circumstances(run),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(figures, indent=2) + "\n")


def table() -> str:
    """Mean and standard deviation over the seeds of every recipe, as Markdown."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for file in sorted(RESULTS.glob("*.json")):
        groups.setdefault(file.stem.rsplit("-seed", 1)[0], []).append(json.loads(file.read_text()))
    known = {name: index for index, name in enumerate(RECIPES)}
    lines = ["| recipe | seeds | best validation | last epoch |", "|---|---|---|---|"]
    for name in sorted(groups, key=lambda n: (known.get(n, len(known)), n)):
        runs = groups[name]
        seeds = ", ".join(str(r["seed"]) for r in runs)
        cells = [spread([100 * r[key] for r in runs]) for key in ("best_val_accuracy", "last_val_accuracy")]
        lines.append(f"| `{name}` | {seeds} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    """Mean ± standard deviation."""
    deviation = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{deviation} %"


def main() -> None:
    """Train what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="cifar10", help="cifar10, or a path (an image folder of it, say)")
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--label", default="", help="added to the names of the results, for a variant")
    parser.add_argument("--threads", type=int, help="CPU threads of each run")
    parser.add_argument("--out", type=Path, default=Path("runs/accuracy"))
    parser.add_argument("--table", action="store_true", help="train nothing")
    chosen = parser.parse_args()
    for seed in chosen.seeds if not chosen.table else []:
        for recipe in chosen.recipes:
            if not result_file(recipe, seed, chosen.label).exists():
                measure(recipe, seed, chosen.data, chosen.out, chosen.label, chosen.threads)
    sys.stdout.write(table() + "\n")


if __name__ == "__main__":
    main()
