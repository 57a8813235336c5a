"""The lab's 17 SimpleNN trainings of 30 epochs on CIFAR-10: how long do they take in all? Goal: 20 minutes.

    python bench/lab_runs.py --data ../shared/data/cifar10 [--epochs 30] [--out runs/lab-runs]

Six steps (plain, flip, crop, batch norm, batch norm at 0.1, Swish), six learning rates, five L2 strengths, side by
side as tenfold.experiments.many finds fastest. The time is the wall clock from the first start to the last report,
with validation, checkpoints, pictures and pages, and includes finding out how to share the cores. A call that was
stopped continues, and then tells no total. Nothing else should run meanwhile.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from tenfold import api
from tenfold.errors import TenfoldError
from tenfold.experiments.many import fastest_split, train_many
from tenfold.runs import write_atomic
from tenfold.training.environment import processor

RESULT = Path(__file__).parent / "results" / "lab-runs.json"
STEPS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("simplenn-plain", {}),
    "flip": ("simplenn", {}),
    "crop": ("simplenn-augment", {}),
    "bn": ("simplenn-augment", {"model.norm": "batch"}),
    "bn-lr0.1": ("simplenn-augment", {"model.norm": "batch", "optimizer.lr": 0.1}),
    "bn-swish": ("simplenn-augment", {"model.norm": "batch", "model.activation": "swish"}),
}
RATES = (1.0, 0.1, 0.05, 0.01, 0.005, 0.001)
STRENGTHS = (1e-2, 1e-3, 1e-4, 1e-5, 0.0)


def runs() -> dict[str, tuple[str, dict[str, Any]]]:
    """Recipe and options of each of the 17."""
    rates = {f"lr{rate:g}": ("simplenn-augment", {"optimizer.lr": rate}) for rate in RATES}
    strengths = {f"l2-{s:g}": ("simplenn-augment", {"optimizer.weight_decay": s}) for s in STRENGTHS}
    return {**STEPS, **rates, **strengths}


def main() -> None:
    """Train all, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--out", type=Path, default=Path("runs/lab-runs"))
    chosen = parser.parse_args()
    fresh, began = not chosen.out.exists(), time.perf_counter()
    try:
        plans = {
            chosen.out / name: api.plan(recipe, data=chosen.data, epochs=chosen.epochs, **options)
            for name, (recipe, options) in runs().items()
        }
        splits = fastest_split(plans[chosen.out / "crop"])
        outcomes = train_many(plans, splits.best, print)
    except TenfoldError as error:
        sys.exit(str(error))
    minutes = (time.perf_counter() - began) / 60 if fresh else None
    figures = {
        "processor": processor(),
        "epochs": chosen.epochs,
        "minutes": minutes and round(minutes, 2),
        "split": {f"{split.processes} × {split.threads} threads": round(rate) for split, rate in splits.rates},
        "runs": {
            folder.name: {
                "failure": outcome.failure,
                "last_val_accuracy": None if outcome.failure else outcome.run.epochs[-1].val_accuracy,
                "seconds": None if outcome.failure else round(sum(row.seconds for row in outcome.run.epochs), 1),
                "backend": None if outcome.failure else outcome.run.recipe.backend.model_dump(),
            }
            for folder, outcome in outcomes.items()
        },
    }
    write_atomic(RESULT, json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
