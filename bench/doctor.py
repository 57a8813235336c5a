"""How good is the doctor? `tenfold check` over programs with a known bug, their fixed twins, and healthy programs.

    python bench/doctor.py                    every program that is not yet judged, then the tables
    python bench/doctor.py --sets healthy     only these sets: folders of bench/doctor/
    python bench/doctor.py --anew             all again
    python bench/doctor.py --at-once 1        one program at a time
    python bench/doctor.py --table            only the tables, from bench/results/doctor/
    python bench/doctor.py --remedies         trains buggy, remedied and fixed programs, and compares their accuracy

Each finished program's findings are kept in bench/results/doctor/SET.json; later calls add to them, and judge anew what
has been changed since. A pair's right answers: `rules` in its truth.json; the others name a `row` of doctor.md.
"""

import argparse
import hashlib
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tenfold.runs import write_atomic

PROGRAMS = Path(__file__).parent / "doctor"
RESULTS = Path(__file__).parent / "results" / "doctor"
SETS = (
    "healthy",
    "healthy2",
    "pairs",
    "pairs2",
    "pairs3",
    "pairs4",
    "pairs5",
    "pairs6",
    "heldout",
    "heldout2",
    "heldout3",
    "heldout4",
    "heldout5",
    "heldout6",
    "heldout7",
    "heldout8",
    "heldout9",
    "heldout10",
    "heldout11",
    "heldout12",
    "heldout13",
    "heldout14",
    "heldout15",
)
"""Healthy programs, development pairs, and pairs written without sight of the rules: heldout before any of them (it
serves for development since; its first score is kept in heldout-first.json), heldout2 to heldout15 once the one before
was spent."""

SECONDS, NEAR = 300.0, 3
"""The time limit of a program, and how many lines beside the bug still count as its line."""

ROWS: dict[str, tuple[str, ...]] = {
    "softmax or sigmoid before cross-entropy": ("softmax-before-loss",),
    "activation on the logits": ("activation-on-logits",),
    "initial loss": (
        "initial-loss",
        "loss-reduction",
        "bad-initialisation",
        "wrong-labels-shape",
        "label-out-of-range",
    ),
    "same loss on zeroed input": ("input-ignored",),
    "cannot overfit one batch": ("cannot-overfit", "graph-broken", "loss-flat", "wrong-labels", "dropout-high"),
    "samples mix": ("samples-mixed",),
    "no zero_grad": ("zero-grad-missing",),
    "parameters unmoved": (
        "parameters-forgotten",
        "parameters-frozen",
        "step-missing",
        "graph-broken",
        "judged-net-differs",
    ),
    "unstable evaluation": ("eval-missing", "train-missing", "gradients-in-evaluation", "norm-momentum"),
    "a last batch of 1": ("last-batch-small", "norm-momentum"),
    "redundant conv bias": ("bias-before-norm",),
    "missing or doubled activation": (
        "activation-missing",
        "activation-doubled",
        "dropout-before-norm",
        "dropout-on-logits",
        "pooled-away",
    ),
    "constant or badly scaled init": ("bad-initialisation", "initial-loss"),
    "flatten mismatch": ("shape-mismatch",),
    "CPU/GPU or dtype mismatch": ("device-mismatch", "dtype-mismatch"),
    "normalisation missing, doubled": (
        "normalisation-missing",
        "normalisation-doubled",
        "normalisation-differs",
        "input-not-finite",
    ),
    "validation augmented": ("validation-augmented",),
    "flip or crop breaks labels": ("augmentation-breaks-labels",),
    "the same augmentation": ("augmentation-repeats",),
    "duplicates between splits": ("duplicates", "validation-in-training"),
    "class missing in a split": ("class-missing", "class-index-shift"),
    "class imbalance, suspected wrong labels": ("class-imbalance", "wrong-labels"),
    "dead ReLUs": ("dead-units", "saturated-units", "bad-initialisation"),
    "vanishing or exploding gradient": ("gradient-vanishing", "gradient-exploding", "not-finite", "clipping-late"),
    "learning rate too high or low": (
        "learning-rate-high",
        "learning-rate-low",
        "scheduler-unused",
        "momentum-high",
    ),
    "learning rate decayed too early": ("learning-rate-dropped-early", "scheduler-per-batch"),
    "weight decay on batch-norm": ("decay-on-norms",),
    "over- and underfitting": ("overfitting", "underfitting", "dropout-high"),
    "best-epoch validation accuracy sold": ("selected-on-test",),
    "the model in the wrong mode": ("eval-missing", "train-missing"),
    "accuracy from wrong axis": ("accuracy-axis", "accuracy-count"),
    "loss tensor accumulated with its graph": ("graph-kept",),
    "scheduler stepped before the optimiser": ("scheduler-order",),
    "labels changed in place": ("labels-changed",),
    "net or optimiser made anew": ("training-restarted",),
    "without shuffling": ("shuffle-off",),
    "loss does not fit the output": ("wrong-loss", "wrong-labels-shape"),
    "label out of range": ("label-out-of-range",),
    "an nhwc array is viewed as nchw": ("samples-mixed",),
    "accuracy from the wrong axis": ("accuracy-axis", "accuracy-count"),
    "accuracy computed along the wrong axis": ("accuracy-axis", "accuracy-count"),
    "accuracy computed from the wrong axis": ("accuracy-axis", "accuracy-count"),
    "a loss tensor accumulated with its graph": ("graph-kept",),
    "a scheduler stepped per batch or before the optimiser": ("scheduler-per-batch", "scheduler-order"),
    "in-place labels": ("labels-changed",),
    "shuffling off": ("shuffle-off",),
    "wrong loss for the output": ("wrong-loss", "wrong-labels-shape"),
    "a validation set that is augmented or trained on": ("validation-augmented", "validation-in-training"),
    "train()/eval() forgotten": ("eval-missing", "train-missing", "norm-momentum"),
    "last batch of 1": ("last-batch-small", "norm-momentum"),
    "missing activation": ("activation-missing",),
    "normalisation missing or doubled": ("normalisation-missing", "normalisation-doubled", "normalisation-differs"),
    "same augmentation in every": ("augmentation-repeats",),
    "weights the wrong way round": ("class-imbalance",),
    "test set used to select": ("selected-on-test",),
    "best weights kept by reference": ("weights-not-kept",),
    "in-place change of labels": ("labels-changed",),
    "the script's own crash": (
        "shape-mismatch",
        "device-mismatch",
        "dtype-mismatch",
        "label-out-of-range",
        "wrong-labels-shape",
        "last-batch-small",
        "crash",
    ),
}
"""Part of a row of doctor.md, or of the list of bugs that it was made from, to the rules that name its causes."""

Findings = list[dict[str, Any]]


def right_answers(truth: dict[str, Any]) -> tuple[str, ...]:
    """The rules that count as the root cause; empty for a row that the table does not have."""
    if "rules" in truth:
        return tuple(truth["rules"])
    row = truth["row"].lower()
    return next((rules for part, rules in ROWS.items() if part.lower() in row or row in part.lower()), ())


def programs(kind: str) -> list[Path]:
    """All programs of a set, in order."""
    if kind.startswith("healthy"):
        return sorted((PROGRAMS / kind).glob("*.py"))
    return sorted(file for name in ("buggy", "fixed") for file in (PROGRAMS / kind).glob(f"*/{name}.py"))


def name_of(program: Path) -> str:
    """pairs/SLUG/buggy.py → SLUG/buggy; healthy/NAME.py → NAME."""
    return program.stem if program.parent.name.startswith("healthy") else f"{program.parent.name}/{program.stem}"


def run(words: list[str], folder: Path) -> tuple[subprocess.CompletedProcess[str] | None, float]:
    """A process in an empty folder (None if it took too long), and its seconds."""
    paths = os.pathsep.join(filter(None, [str(Path(__file__).parents[1] / "src"), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    began = time.perf_counter()
    try:
        done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return None, SECONDS
    return done, time.perf_counter() - began


def judge(program: Path) -> dict[str, Any]:
    """What `tenfold check` says of a program: its findings, or why there are none."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "tenfold", "check", "--format", "json", str(program)]
        done, seconds = run(words, Path(folder))
    outcome: dict[str, Any] = {"sha256": digest(program), "seconds": round(seconds, 1), "findings": []}
    if done is None:
        return {**outcome, "failed": f"still running after {SECONDS:.0f} s"}
    try:
        found = json.loads(done.stdout)["findings"]
    except (ValueError, KeyError):
        return {**outcome, "failed": (done.stderr.strip().splitlines() or ["it said nothing"])[-1]}
    kept = ("rule", "severity", "what", "line", "remedy")
    return {**outcome, "findings": [{key: one.get(key) for key in kept} for one in found]}


def digest(program: Path) -> str:
    """Of the program and of the modules beside it."""
    beside = [program] if program.parent.name.startswith("healthy") else sorted(program.parent.glob("*.py"))
    others = ("buggy", "fixed", "remedied")
    parts = [file.read_bytes() for file in beside if file == program or file.stem not in others]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def kept(kind: str) -> dict[str, Any]:
    """The outcomes of a set that earlier calls left."""
    file = RESULTS / f"{kind}.json"
    return json.loads(file.read_text()) if file.exists() else {}


def complete(
    kind: str,
    wanted: Iterable[Path],
    measure: Callable[[Path], dict[str, Any]],
    stale: Callable[[Path, Any], bool],
    at_once: int,
) -> dict[str, Any]:
    """Measure what is not kept, so many at once, writing each outcome as it comes; returns all wanted outcomes."""
    names = {name_of(program): program for program in wanted}
    outcomes = {name: value for name, value in kept(kind).items() if name in names and not stale(names[name], value)}
    missing = [program for name, program in names.items() if name not in outcomes]
    RESULTS.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(at_once) as pool:
        for program, outcome in zip(missing, pool.map(measure, missing)):
            outcomes[name_of(program)] = outcome
            write_atomic(RESULTS / f"{kind}.json", json.dumps(dict(sorted(outcomes.items())), indent=1) + "\n")
            print(f"{kind} {len(outcomes)}/{len(names)} {name_of(program)}", file=sys.stderr)
    return outcomes


def place(findings: Findings, rules: tuple[str, ...], line: int) -> tuple[int | None, bool]:
    """Rank of the first right rule, from 0 (None: missed), and whether a right rule names the bug's line."""
    ranks = [rank for rank, one in enumerate(findings) if one["rule"] in rules]
    near = any(abs((findings[rank]["line"] or -99) - line) <= NEAR for rank in ranks)
    return (ranks[0] if ranks else None), near


def tell(outcome: dict[str, Any]) -> str:
    """What was found, in one line."""
    rules = [f"{one['rule']}:{one['line']}" for one in outcome["findings"][:4]]
    return outcome.get("failed") or ", ".join(rules) or "nothing"


def share(count: int, of: int) -> str:
    """7 of 9 (78 %)."""
    return f"{count} of {of} ({100 * count / of:.0f} %)" if of else "none"


def show_bugs(kind: str, outcomes: dict[str, Any], console: Console) -> None:
    """Recall of a set of pairs, and each bug whose root cause did not stand first."""
    table = Table("program", "right", "found instead, or before", title=f"{kind}: root cause not first")
    first = three = lines = judged = 0
    for program in (file for file in programs(kind) if file.stem == "buggy" and name_of(file) in outcomes):
        truth, outcome = json.loads((program.parent / "truth.json").read_text()), outcomes[name_of(program)]
        rules = right_answers(truth)
        if not rules:
            table.add_row(program.parent.name, f"no rules for the row '{truth['row']}'", "not counted")
            continue
        rank, near = place(outcome["findings"], rules, truth["line"])
        judged, lines = judged + 1, lines + near
        first, three = first + (rank == 0), three + (rank is not None and rank < 3)
        if rank != 0:
            table.add_row(program.parent.name, f"{rules[0]}:{truth['line']}", tell(outcome))
    console.print(f"{kind}: root cause first {share(first, judged)}, among the first three {share(three, judged)}")
    console.print(f"{kind}: and on the line of the bug (±{NEAR}) {share(lines, judged)}")
    console.print(table)


def show_false(title: str, outcomes: dict[str, Any], console: Console) -> None:
    """False alarms of programs that are right."""
    table = Table("program", "found", title=f"{title}: errors and warnings")
    counts = {"error": 0, "warning": 0}
    for name, outcome in outcomes.items():
        loud = [one for one in outcome["findings"] if one["severity"] in counts]
        for severity in counts:
            counts[severity] += any(one["severity"] == severity for one in loud)
        if loud or "failed" in outcome:
            table.add_row(name, tell({**outcome, "findings": loud}))
    told = [f"with at least one {severity} {share(count, len(outcomes))}" for severity, count in counts.items()]
    console.print(f"{title}: {', '.join(told)}")
    if table.rows:
        console.print(table)


def show(kind: str, console: Console) -> None:
    """The tables of one set, from what is kept."""
    outcomes = kept(kind)
    if kind.startswith("healthy"):
        show_false(kind, outcomes, console)
    else:
        show_bugs(kind, outcomes, console)
        show_false(f"{kind}, fixed twins", {n: o for n, o in outcomes.items() if n.endswith("/fixed")}, console)
    seconds = sorted(outcome["seconds"] for outcome in outcomes.values())
    if seconds:
        told = f"{seconds[len(seconds) // 2]:.0f} s a program in the middle, {seconds[-1]:.0f} s at most"
        console.print(f"{kind}: {len(outcomes)} programs, {told}\n")


def accuracy(program: Path) -> dict[str, Any]:
    """The accuracy that a program prints last; None where it fails or says none."""
    with tempfile.TemporaryDirectory() as folder:
        done, _ = run([sys.executable, str(program)], Path(folder))
    said = re.search(r"accuracy: (\d\.\d+)\s*$", done.stdout) if done and done.returncode == 0 else None
    return {"sha256": digest(program), "accuracy": float(said[1]) if said else None}


def same(remedied: float | None, fixed: float | None, images: int) -> bool:
    """Within 3 points, or within the 95 % interval of the difference of two shares of so many images."""
    if remedied is None or fixed is None:
        return False
    deviation = math.sqrt((fixed * (1 - fixed) + remedied * (1 - remedied)) / images)
    return abs(remedied - fixed) <= max(0.03, 1.96 * deviation)


def show_remedies(console: Console, at_once: int) -> None:
    """Run what is not kept, and compare the remedied programs with their fixed twins."""
    folders = [file.parent for file in sorted((PROGRAMS / "pairs").glob("*/remedied.py"))]
    wanted = [folder / f"{name}.py" for folder in folders for name in ("buggy", "remedied", "fixed")]
    found = complete("remedies", wanted, accuracy, lambda program, kept: digest(program) != kept["sha256"], at_once)
    table, good = Table("pair", "buggy", "remedied", "fixed", "as the fixed twin"), 0
    for folder in folders:
        values = [found[f"{folder.name}/{name}"]["accuracy"] for name in ("buggy", "remedied", "fixed")]
        within = same(values[1], values[2], json.loads((folder / "truth.json").read_text())["images"])
        good += within
        table.add_row(folder.name, *("–" if v is None else f"{v:.4f}" for v in values), "yes" if within else "no")
    console.print(table)
    console.print(f"remedied to the accuracy of the fixed twin: {share(good, len(folders))}")


def main() -> None:
    """Judge what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for flag in ("anew", "table", "remedies"):
        parser.add_argument(f"--{flag}", action="store_true")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--at-once", type=int, default=2)
    chosen = parser.parse_args()
    console = Console()
    if chosen.remedies:
        return show_remedies(console, chosen.at_once)
    for kind in chosen.sets:
        if not chosen.table:
            stale = (lambda *_: True) if chosen.anew else (lambda program, kept: digest(program) != kept["sha256"])
            complete(kind, programs(kind), judge, stale, chosen.at_once)
        show(kind, console)


if __name__ == "__main__":
    main()
