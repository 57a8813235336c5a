"""Do two ways to compute leave accuracy the same? Two sets of options of one recipe, paired by seed.

    python bench/equivalence.py --label bf16 --data ../shared/data/cifar10 --recipe simplenn-augment --epochs 10 \\
        --arm-a backend.precision=bf16 --arm-b backend.precision=fp32          trains what is missing, then prints
    python bench/equivalence.py --table                                        only the tables, from bench/results/

Each finished run becomes a small JSON under bench/results/equivalence/LABEL/; later calls add to them, and continue an
unfinished run where it stopped. Judged on validation, at the last epoch: nothing is selected. A training that had to
stop (a loss that is not finite, say) is kept as crashed, with the reason. Positive differences: arm A is better.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from kept import circumstances, epoch_seconds, trained
from tenfold import api
from tenfold.errors import RecipeError, TenfoldError, TrainingError
from tenfold.evidence.comparison import compare
from tenfold.evidence.power import forecast
from tenfold.runs import Run, write_atomic

RESULTS = Path(__file__).parent / "results" / "equivalence"
ARMS = ("a", "b")
SAME = ("recipe", "data", "fingerprint", "epochs")
"""What all runs of one comparison share; the arms differ only in their options."""


def options_of(text: str) -> dict[str, Any]:
    """'backend.precision=fp32 batch=64' as options; values are JSON where they can be."""
    options = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if not equals or name in ("data", "epochs", "seed"):
            raise RecipeError(
                f"'{word}' cannot be an option of one arm.", "Give NAME=VALUE; data, epochs and seeds are common."
            )
        try:
            options[name] = json.loads(value)
        except json.JSONDecodeError:
            options[name] = value
    return options


def train(chosen: argparse.Namespace) -> None:
    """Train what is missing, seed by seed, both arms in turn; options of both are checked before."""
    arms = {"a": options_of(chosen.arm_a), "b": options_of(chosen.arm_b)}
    common = {"data": chosen.data, **({"epochs": chosen.epochs} if chosen.epochs else {})}
    epochs = {arm: api.plan(chosen.recipe, **common, **options).recipe.epochs for arm, options in arms.items()}
    print(forecast(chosen.error, chosen.images, chosen.seeds, chosen.delta))
    for seed in range(chosen.seeds):
        for arm in ARMS:
            file = RESULTS / chosen.label / f"{arm}-seed{seed}.json"
            wanted = {"recipe": chosen.recipe, "epochs": epochs[arm], "options": arms[arm]}
            if file.exists():
                refuse_other(file, wanted)
            else:
                folder = chosen.out / f"{chosen.label}-{arm}-seed{seed}"
                figures = measure(folder, chosen.recipe, {**common, **arms[arm], "seed": seed})
                write_atomic(file, json.dumps({**wanted, "arm": arm, "seed": seed, **figures}, indent=2) + "\n")


def refuse_other(file: Path, wanted: dict[str, Any]) -> None:
    """A kept result of other options must not pass for this run's."""
    kept = json.loads(file.read_text())
    other = [name for name, value in wanted.items() if kept[name] != value]
    if other:
        raise RecipeError(f"{file} is of another {' and '.join(other)}.", "Choose another --label.")


def measure(folder: Path, recipe: str, options: dict[str, Any]) -> dict[str, Any]:
    """Train one run, or continue it; its figures, accuracy None where it crashed."""
    try:
        run, crashed = trained(folder, recipe, **options), None
    except TrainingError as error:
        run, crashed = Run.open(folder), error.what
    return {
        "last_val_accuracy": None if crashed else run.epochs[-1].val_accuracy,
        "crashed": crashed,
        "images": run.read("data.json")["splits"]["val"]["total"],
        "seconds": epoch_seconds(run),
        "backend": run.recipe.backend.model_dump(),
        **circumstances(run),
    }


def table(label: str, delta_points: float) -> str:
    """The runs of one comparison, a row a seed, and the verdict, as Markdown."""
    kept = [json.loads(file.read_text()) for file in sorted((RESULTS / label).glob("*-seed*.json"))]
    if not kept:
        raise RecipeError(f"There are no results of '{label}' yet.", "Train them: leave --table out.")
    differing = [name for name in SAME if len({run[name] for run in kept}) > 1]
    if differing:
        raise RecipeError(f"The runs of '{label}' differ in {', '.join(differing)}.", "Compare like with like.")
    arms = {arm: {run["seed"]: run for run in kept if run["arm"] == arm} for arm in ARMS}
    seeds = sorted(set(arms["a"]) & set(arms["b"]))
    about = "`{label}`: {recipe} on {data}, {epochs} epochs, {images:,} validation images"
    lines = [
        about.format(label=label, **kept[0]),
        "",
        f"| seed | A: {written(arms['a'])} | B: {written(arms['b'])} | A − B (points) | seconds A | seconds B |",
        "|---|---|---|---|---|---|",
        *(row(seed, arms["a"][seed], arms["b"][seed]) for seed in seeds),
    ]
    if seeds:
        a, b = ({seed: runs[seed]["last_val_accuracy"] for seed in seeds} for runs in arms.values())
        lines += ["", compare(a, b, delta_points).text()]
    return "\n".join([*lines, *doubts(arms, len(kept) - 2 * len(seeds))])


def doubts(arms: dict[str, dict[int, dict[str, Any]]], alone: int) -> list[str]:
    """What the reader must know beside the verdict."""
    told = [f"Runs that wait for their partner: {alone}."] if alone else []
    for arm, runs in arms.items():
        resolved = {json.dumps(run["backend"]) for run in runs.values()}
        if len(resolved) > 1:
            told.append(f"The runs of {arm.upper()} computed in {len(resolved)} ways: {'; '.join(sorted(resolved))}.")
    return told


def written(arm: dict[int, dict[str, Any]]) -> str:
    """The options of an arm, as they were given."""
    options = next(iter(arm.values()))["options"] if arm else {}
    return " ".join(f"{name}={value}" for name, value in options.items()) or "as the recipe says"


def row(seed: int, a: dict[str, Any], b: dict[str, Any]) -> str:
    """One pair."""
    x, y = a["last_val_accuracy"], b["last_val_accuracy"]
    cells = ["crashed" if value is None else f"{value:.2%}" for value in (x, y)]
    difference = "" if x is None or y is None else f"{100 * (x - y):+.2f}"
    return f"| {seed} | {cells[0]} | {cells[1]} | {difference} | {a['seconds']:.0f} | {b['seconds']:.0f} |"


def main() -> None:
    """Train what is missing, print the table and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--label", help="the comparison's name; with --table, unset: all")
    parser.add_argument("--recipe", default="simplenn-augment")
    parser.add_argument(
        "--arm-a", default="", help='options, "backend.precision=bf16 batch=64"; unset: as the recipe says'
    )
    parser.add_argument("--arm-b", default="", help="options of the arm to compare with")
    parser.add_argument("--seeds", type=int, default=8, help="pairs: seeds 0, 1, …; a verdict needs 6")
    parser.add_argument("--data", default="cifar10", help="cifar10, shapes, or a path")
    parser.add_argument("--epochs", type=int, help="unset: the recipe's")
    parser.add_argument("--delta", type=float, default=0.5, help="margin of equivalence in points")
    parser.add_argument("--error", type=float, default=0.3, help="expected error in 0..1, for the forecast of power")
    parser.add_argument("--images", type=int, default=5000, help="validation images, for the forecast of power")
    parser.add_argument("--out", type=Path, default=Path("runs/equivalence"))
    parser.add_argument("--table", action="store_true", help="train nothing")
    chosen = parser.parse_args()
    if not (chosen.table or chosen.label):
        parser.error("--label names the folder of the results")
    try:
        if not chosen.table:
            train(chosen)
        labels = [chosen.label] if chosen.label else sorted(p.name for p in RESULTS.glob("*") if p.is_dir())
        print("\n\n".join(table(label, chosen.delta) for label in labels))
    except TenfoldError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
