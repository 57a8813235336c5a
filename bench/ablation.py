"""What does each trick of `sprint` buy? Shortened trainings, each without one of them, paired by seed.

    python bench/ablation.py --data ../shared/data/cifar10      trains what is missing, seed by seed, then the table
    python bench/ablation.py --data … --arms whole fp32         only these
    python bench/ablation.py --table                            only the table, from bench/results/ablation/

3 epochs of 45,000 images instead of 10, the first on 20 pixels; validation accuracy of the last epoch on 5,000. Every
finished run becomes a small JSON, later calls add to them and continue what was stopped. All arms compute alike, in
fp32 with gradients from bf16; left open, an arm may be given another way. Two minutes a run on two cores of an Intel
Xeon with AMX, two hours for six seeds of all arms. Equivalence can be shown by six; a difference only by nine, since
the exact test's p, at least 2/2ⁿ, is adjusted for nine arms.
"""

import argparse
import json
import sys
from pathlib import Path
from statistics import fmean, median
from typing import Any

from equivalence import measure
from tenfold.errors import RecipeError, TenfoldError
from tenfold.evidence.comparison import Comparison, adjust, compare
from tenfold.runs import write_atomic

RESULTS = Path(__file__).parent / "results" / "ablation"
ARITHMETIC = {
    "backend.precision": "bf16_grad",
    "backend.layout": "channels_last",
    "backend.kernels": "native",
    "backend.compile": False,
    "backend.threads": 2,
}
SHORT = {"epochs": 3, "curriculum": ((20, 1),), "tta": "none"}
WITHOUT: dict[str, tuple[str, dict[str, Any]]] = {
    "whole": ("sprint, shortened", {}),
    "whitening": ("the first layer's filters trained like the others", {"model.whiten": False}),
    "identity": ("convolutions begin at random", {"model.identity_start": False}),
    "alternating": ("a mirror image by chance, not every other epoch", {"augment.horizontal_flip_mode": "random"}),
    "smoothing": ("labels of 1", {"label_smoothing": 0.0}),
    "small": ("all epochs on 32 pixels", {"curriculum": ()}),
    "slices": ("batch norm over all 2,000 images", {"micro_batch": None}),
    "offsets": ("batch norms' offsets at a 64th of their rate", {"optimizer.bias_lr": 106 / 64}),
    "orthogonal": (
        "filters move along the momentum as it is, at a rate of its own",
        {"optimizer.ns_steps": 0, "optimizer.lr": 0.75},  # seed 0: 76.1 % at 0.24, 82.3 at 0.75, 75.3 at 1.5, 56 at 2.9
    ),
    "fp32": ("everything in bf16, which tenfold's check refuses of an unknown net", {"backend.precision": "bf16_all"}),
}
"""Each arm: what is different, and the options that make it so."""


def train(data: str, arms: list[str], seeds: int, out: Path) -> None:
    """Train what is missing, all arms of a seed before the next."""
    for seed in range(seeds):
        for arm in arms:
            _, options = WITHOUT[arm]
            file = RESULTS / f"{arm}-seed{seed}.json"
            if file.exists():
                continue
            wanted = {**SHORT, **ARITHMETIC, **options, "data": data, "seed": seed}
            figures = measure(out / f"{arm}-seed{seed}", "sprint", wanted)
            RESULTS.mkdir(parents=True, exist_ok=True)
            write_atomic(file, json.dumps({"arm": arm, "seed": seed, "options": options, **figures}, indent=2) + "\n")
            sys.stderr.write(f"{arm}, seed {seed}: {told(figures)}, {figures['seconds']:.0f} s\n")


def told(run: dict[str, Any]) -> str:
    """A run's accuracy, or why it has none."""
    return f"crashed ({run['crashed']})" if run["crashed"] else f"{run['last_val_accuracy']:.2%}"


def table() -> str:
    """An arm a row, the one that costs most first, with what it lost against the whole."""
    arms: dict[str, dict[int, dict[str, Any]]] = {}
    for file in sorted(RESULTS.glob("*-seed*.json")):
        run = json.loads(file.read_text())
        expected = {**ARITHMETIC, **run["options"]}
        if any(expected[name] != run["backend"][name.removeprefix("backend.")] for name in ARITHMETIC):
            raise RecipeError(f"{file.name} was computed otherwise than the rest.", "Delete it, and train it again.")
        arms.setdefault(run["arm"], {})[run["seed"]] = run
    whole = arms.pop("whole", {})
    found = {arm: compared(arm, runs, whole) for arm, runs in arms.items() if set(runs) & set(whole)}
    if not found:
        raise RecipeError("There is no pair of runs yet.", "Train them: leave --table out.")
    judged = dict(zip(found, adjust(list(found.values())), strict=True))
    rows = [row(arm, judged[arm], arms[arm]) for arm in sorted(judged, key=lambda arm: judged[arm].difference or 0)]
    about = f"`sprint`, {SHORT['epochs']} epochs, {whole[min(whole)]['images']:,} validation images; p adjusted by Holm"
    head = ["| without | then | accuracy | difference (points, 95 %) | seeds | seconds | verdict |", "|---" * 7 + "|"]
    seconds = median(run["seconds"] for run in whole.values())
    mean = fmean(run["last_val_accuracy"] for run in whole.values() if not run["crashed"])
    return "\n".join([about, "", *head, f"| nothing | | {mean:.2%} | | {len(whole)} | {seconds:.0f} | |", *rows])


def compared(arm: str, runs: dict[int, dict[str, Any]], whole: dict[int, dict[str, Any]]) -> Comparison:
    """An arm against the whole, over the seeds of both."""
    a, b = ({s: some[s]["last_val_accuracy"] for s in sorted(set(runs) & set(whole))} for some in (runs, whole))
    return compare(a, b, names=(arm, "whole"))


def row(arm: str, one: Comparison, runs: dict[int, dict[str, Any]]) -> str:
    """An arm's figures."""
    difference = "" if one.difference is None else f"{100 * one.difference:+.2f}"
    if one.interval is not None:
        difference += " ({:+.2f} to {:+.2f})".format(*(100 * end for end in one.interval))
    mean = "" if one.means is None else f"{one.means[0]:.2%}"
    seconds = median(run["seconds"] for run in runs.values())
    return f"| {arm} | {WITHOUT[arm][0]} | {mean} | {difference} | {one.pairs} | {seconds:.0f} | {one.verdict} |"


def main() -> None:
    """Train what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="CIFAR-10 in the extracted binary layout")
    parser.add_argument("--arms", nargs="+", choices=list(WITHOUT), default=list(WITHOUT))
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--table", action="store_true", help="train nothing")
    chosen = parser.parse_args()
    if not (chosen.table or chosen.data):
        parser.error("--data names the folder that holds CIFAR-10")
    try:
        if not chosen.table:
            train(chosen.data, chosen.arms, chosen.seeds, chosen.out)
        print(table())
    except TenfoldError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
