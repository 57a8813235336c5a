"""How many times faster is tenfold end to end than the plain PyTorch script and the best of its peers? In one run.

    python bench/peers/install.py                             once: every peer in an environment of its own
    python bench/ratios.py --data ../shared/data/cifar10      about 25 quiet minutes; continues a stopped run
    python bench/ratios.py --table                            only the tables, from bench/results/ratios-*.json
    python bench/ratios.py --data PATH --accuracy --seeds 8   does SimpleNN learn as much as in the plain script?

Every contender (contenders.py, peers/) trains SimpleNN on all images and ResNet-20 on the first few, with the same
net, batch of 128, crop (pad 4), flip and SGD, in fp32 and in bf16 where it offers it; tenfold on the backend that it
measures in this sitting (an empty cache is made for it). They take turns, round by round, each time in a new process
whose first epoch is warm-up; images/s with input pipeline and step, without validation; medians over all measured
epochs. Nothing else should run meanwhile. To save time, what runs on JAX sees a quarter of the images, and peers
slower than half of the best one are left out after the first round.

Figures are kept in bench/results/ratios-NAME.json after each process, and ratios are only made between figures of one
such file, measured on one machine with one set of options. A run that was stopped goes on when called again; it then
had several sittings, which its table tells, since a shared machine is not equally fast in all of them. Peak MiB is of
a contender's process, without the workers that it forks.

--accuracy trains tenfold and the plain script on SimpleNN with seeds 0, 1, … for equal epochs, on the same images
and judged on the same, keeps each run in bench/results/ratios-accuracy/, and judges the pairs; a verdict needs 6.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contenders import PEERS, PLAIN, TENFOLD, Contender, check_installed, train
from peers.install import ENVIRONMENTS
from tenfold.cores import usable_cores
from tenfold.errors import RunError, TenfoldError
from tenfold.evidence.comparison import compare
from tenfold.runs import write_atomic
from tenfold.training.environment import processor

RESULTS = Path(__file__).parent / "results"
ACCURACY = RESULTS / "ratios-accuracy"
ALL = (TENFOLD, PLAIN, *PEERS)
PEER_NAMES = {peer.name for peer in PEERS}
NETS = {"simplenn": "SimpleNN", "resnet20": "ResNet-20"}
WANTED = {"simplenn": {"plain": 4.0, "best peer": 1.5}, "resnet20": {"plain": 3.0, "best peer": 2.5}}

Run = dict[str, Any]
"""A saved run: machine, cores, settings, sittings, figures (one line of each process), memory."""
Arm = tuple[str, str]
"""A contender's name and its precision."""
Line = dict[str, Any]
"""What one process measured."""


def file_of(name: str) -> Path:
    """Where a run is kept."""
    return RESULTS / f"ratios-{name}.json"


def keep(file: Path, content: Any) -> None:
    """Write JSON, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(file, json.dumps(content, indent=2) + "\n")


def opened(chosen: argparse.Namespace) -> Run:
    """The run of that name, new or continued; RunError if what is kept is of another machine or other options."""
    images = {"simplenn": chosen.images, "resnet20": chosen.resnet_images}
    own = {
        "machine": processor(),
        "cores": usable_cores(),
        "settings": {"rounds": chosen.rounds, "epochs": chosen.epochs, "images": images},
    }
    file = file_of(chosen.name)
    run: Run = json.loads(file.read_text()) if file.exists() else {**own, "sittings": [], "figures": [], "memory": {}}
    other = [f"{name} was {run[name]}" for name, value in own.items() if run[name] != value]
    if other:
        told = f"{file} is of another run ({'; '.join(other)}), and figures of two runs make no ratio."
        raise RunError(told, "Give another --name, or that run's options.")
    return run


def jobs(run: Run) -> Iterator[tuple[int, str, Contender, str]]:
    """Round, net, contender and precision of every process that the run still lacks; figures may come meanwhile."""
    done = {(line["round"], line["net"], line["contender"], line["precision"]) for line in run["figures"]}
    for number in range(1, run["settings"]["rounds"] + 1):
        for net in NETS:
            left_out = hopeless(run, net) if number > 1 else set()
            for contender in ALL:
                for precision in contender.precisions:
                    arm = contender.name, precision
                    if (number, net, *arm) not in done and arm not in left_out:
                        yield number, net, contender, precision


def hopeless(run: Run, net: str) -> set[Arm]:
    """The peers that the first round showed to be slower than half of the best one."""
    first = grouped([line for line in run["figures"] if line["round"] == 1], net)
    medians = {arm: median(lines) for arm, lines in first.items() if arm[0] in PEER_NAMES}
    return {arm for arm, rate in medians.items() if rate < max(medians.values()) / 2}


def measure(chosen: argparse.Namespace) -> None:
    """Run what is missing, keeping each process's figures."""
    run, missing = opened(chosen), 0
    check_installed(ALL, chosen.envs)
    if next(jobs(run), None):
        run["sittings"].append(time.strftime("%Y-%m-%d %H:%M"))
    for number, net, contender, precision in jobs(run):
        line = train(contender, chosen, net=net, precision=precision, **sizes(run["settings"], net, contender))
        if line is None:
            missing += 1
            continue
        about = {"round": number, "contender": contender.name, "sitting": len(run["sittings"])}
        run["figures"].append(about | line)
        keep(file_of(chosen.name), run)
        told = ", ".join(f"{rate:,.0f}" for rate in line["images_per_second"])
        sys.stderr.write(f"round {number} {net} {contender.name} {precision}: {told} images/s\n")
    if not run["memory"]:
        run["memory"] = memory(chosen.data)
        keep(file_of(chosen.name), run)
    if missing:
        sys.stderr.write(f"{missing} processes failed; call again to try them once more.\n")


def sizes(settings: dict[str, Any], net: str, contender: Contender) -> dict[str, int]:
    """How much one process trains on; accuracy is only of interest where the epochs are whole."""
    images = round(contender.share * settings["images"][net])
    return {"images": images, "epochs": settings["epochs"], "judge": 5000 if net == "simplenn" else 500}


def memory(data: Path) -> dict[str, int]:
    """MiB: peak resident of a fresh one-epoch `tenfold train` with everything it writes, and CIFAR-10's images."""
    program = """
import resource, sys, tenfold
tenfold.train("simplenn-augment", data=sys.argv[1], epochs=1, out=sys.argv[2], quiet=True)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", program, str(data), folder]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return {"peak_MiB": int(done.stdout.split()[-1]), "uint8_images_MiB": round(60_000 * 3 * 32 * 32 / 2**20)}


def grouped(figures: list[Line], net: str) -> dict[Arm, list[Line]]:
    """The lines of one net by contender and precision."""
    groups: dict[Arm, list[Line]] = {}
    for line in figures:
        if line["net"] == net:
            groups.setdefault((line["contender"], line["precision"]), []).append(line)
    return groups


def rates(lines: list[Line]) -> list[float]:
    """Images/s of all measured epochs."""
    return [rate for line in lines for rate in line["images_per_second"]]


def median(lines: list[Line]) -> float:
    """Images/s in the middle of all measured epochs."""
    return statistics.median(rates(lines))


def table(run: Run) -> str:
    """Machine, options, a table a net, the ratios, memory."""
    settings = run["settings"]
    about = [
        f"{run['machine']}, {run['cores']} cores; batch 128, crop (pad 4) and flip; {settings['rounds']} rounds in "
        f"turn, each of {settings['epochs'] - 1} measured epochs after one of warm-up; medians.",
        f"Measured in {sittings(run['sittings'])}.",
    ]
    missing = sum(1 for _ in jobs(run))
    if missing:
        about.append(f"Unfinished: {missing} or fewer processes are missing, and ratios are to what is here.")
    parts = ["\n".join(about), *(table_of(run, net) for net in NETS if grouped(run["figures"], net))]
    if run["memory"]:
        held = "Peak memory of `tenfold train`: {peak_MiB} MiB, of which {uint8_images_MiB} MiB are CIFAR-10's images."
        parts.append(held.format(**run["memory"]))
    return "\n\n".join(parts)


def sittings(began: list[str]) -> str:
    """When, and a warning where the run was stopped in between."""
    if len(began) == 1:
        return f"one sitting, {began[0]}"
    return f"{len(began)} sittings ({'; '.join(began)}): the machine may not have been equally fast in all of them"


def table_of(run: Run, net: str) -> str:
    """One net's figures as Markdown, fastest first, and its two ratios."""
    groups, settings = grouped(run["figures"], net), run["settings"]
    medians = {arm: median(lines) for arm, lines in groups.items()}
    own = next((rate for (name, _), rate in medians.items() if name == TENFOLD.name), None)
    whole = settings["images"][net]
    columns = ["", "precision", "images/s", "lowest – highest", "tenfold / it", "epochs × images", "peak MiB"]
    columns += [f"validation after {settings['epochs']} epochs"] * (net == "simplenn")
    lines = [
        f"{NETS[net]}, {whole:,} images an epoch",
        "",
        f"| {' | '.join(columns)} |",
        "|---" * len(columns) + "|",
        *(
            f"| {' | '.join(row(arm, own, groups[arm], whole)[: len(columns)])} |"
            for arm in sorted(medians, key=lambda arm: -medians[arm])
        ),
    ]
    return "\n".join([*lines, "", *([] if own is None else verdicts(net, medians, own))])


def row(arm: Arm, own: float | None, lines: list[Line], whole: int) -> list[str]:
    """One contender in one precision; accuracy where its epochs were whole."""
    measured, (name, precision) = rates(lines), arm
    if name == TENFOLD.name:
        precision = "; ".join(sorted({computed(line["backend"]) for line in lines}))
    accuracy = statistics.mean(line["val_accuracy"] for line in lines)
    return [
        name,
        precision,
        f"{median(lines):,.0f}",
        f"{min(measured):,.0f} – {max(measured):,.0f}",
        "" if own is None else f"{own / median(lines):.2f}",
        f"{len(measured)} × {lines[0]['images']:,}",
        f"{max(line['peak_memory_MiB'] for line in lines):,}",
        f"{accuracy:.1%}" if lines[0]["images"] == whole else "",
    ]


def computed(backend: dict[str, Any]) -> str:
    """A measured backend in a few words."""
    return "{precision}, {layout}, {kernels} kernels, {threads} threads".format(**backend)


def verdicts(net: str, medians: dict[Arm, float], own: float) -> list[str]:
    """tenfold / plain script in fp32 and tenfold / best peer, with what is wanted."""
    against = {
        "plain": [arm for arm in medians if arm == (PLAIN.name, "fp32")],
        "best peer": sorted((arm for arm in medians if arm[0] in PEER_NAMES), key=lambda arm: medians[arm])[-1:],
    }
    told = []
    for what, arms in against.items():
        for arm in arms:
            ratio, wanted = own / medians[arm], WANTED[net][what]
            met = "met" if ratio >= wanted else "missed"
            told.append(f"- tenfold / {what} ({' '.join(arm)}): {ratio:.2f}; at least {wanted:g} wanted: {met}")
    return told


def pair(chosen: argparse.Namespace) -> None:
    """Train tenfold and the plain script with each seed, where that has not been done."""
    check_installed((PLAIN,), chosen.envs)
    for seed in range(chosen.seeds):
        for contender in (TENFOLD, PLAIN):
            file = ACCURACY / f"{contender.name}-epochs{chosen.epochs}-seed{seed}.json"
            if file.exists():
                continue
            options = {"net": "simplenn", "precision": contender.precisions[0], "seed": seed, "epochs": chosen.epochs}
            if chosen.threads:
                options["threads"] = chosen.threads
            line = train(contender, chosen, images=chosen.images, **options)
            if line is not None:
                keep(file, {"contender": contender.name, "epochs": chosen.epochs, "machine": processor(), **line})
                sys.stderr.write(f"seed {seed} {contender.name}: {line['val_accuracy']:.2%}\n")


def accuracy_table(epochs: int, delta: float) -> str:
    """Validation accuracy of each seed, and what the pairs say."""
    kept = [json.loads(file.read_text()) for file in sorted(ACCURACY.glob(f"*-epochs{epochs}-seed*.json"))]
    arms = {c.name: {r["seed"]: r for r in kept if r["contender"] == c.name} for c in (TENFOLD, PLAIN)}
    seeds = sorted(set(arms["tenfold"]) & set(arms["plain"]))
    if not seeds:
        raise RunError(f"There is no pair of runs of {epochs} epochs yet.", "Train them: leave --table out.")
    pairs = {seed: [arms[name][seed]["val_accuracy"] for name in ("tenfold", "plain")] for seed in seeds}
    images = sorted({run["images"] for run in kept})
    if len(images) > 1:
        raise RunError(f"The runs of {epochs} epochs saw {images} images an epoch.", f"Remove those in {ACCURACY}.")
    ours, plains = ({seed: pairs[seed][arm] for seed in seeds} for arm in (0, 1))
    return "\n".join(
        [
            f"SimpleNN, {epochs} epochs of {images[0]:,} images, validation accuracy on the same 5,000",
            "",
            "| seed | tenfold | plain script | difference (points) |",
            "|---|---|---|---|",
            *(f"| {seed} | {a:.2%} | {b:.2%} | {100 * (a - b):+.2f} |" for seed, (a, b) in pairs.items()),
            "",
            compare(ours, plains, delta, ("tenfold", "plain")).text(),
        ]
    )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="CIFAR-10 in the extracted binary layout")
    parser.add_argument("--name", help="of the run (default 1); with --table, unset: all")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--epochs", type=int, help="of each process (default 3, the first is warm-up; --accuracy: 5)")
    parser.add_argument("--images", type=int, default=45_000, help="SimpleNN's epoch")
    parser.add_argument("--resnet-images", type=int, default=1280, help="ResNet-20's epoch")
    parser.add_argument("--envs", type=Path, default=ENVIRONMENTS, help="where the peers are installed")
    parser.add_argument("--limit", type=int, default=900, help="seconds that one process may take")
    parser.add_argument("--table", action="store_true", help="measure nothing")
    parser.add_argument("--accuracy", action="store_true", help="compare SimpleNN's accuracy instead of speed")
    parser.add_argument("--seeds", type=int, default=8, help="pairs of --accuracy")
    parser.add_argument("--delta", type=float, default=0.5, help="margin of equivalence in points, for --accuracy")
    parser.add_argument("--threads", type=int, help="cores of each training of --accuracy")
    chosen = parser.parse_args()
    if not (chosen.table or chosen.data):
        parser.error("--data names the folder that holds CIFAR-10")
    if chosen.epochs is None:
        chosen.epochs = 5 if chosen.accuracy else 3
    if chosen.epochs < 2:
        parser.error("--epochs 2 is the least: the first is warm-up")
    return chosen


def speed_tables(name: str | None) -> str:
    """The tables of one run, or of all."""
    files = [file_of(name)] if name else sorted(RESULTS.glob("ratios-*.json"))
    missing = [file for file in files if not file.exists()]
    if missing or not files:
        raise RunError(f"There is no {missing[0] if missing else 'run'} yet.", "Measure: leave --table out.")
    return "\n\n".join(f"### {file.stem}\n\n{table(json.loads(file.read_text()))}" for file in files)


def work(chosen: argparse.Namespace) -> None:
    """Measure what is missing. An empty cache: a backend that was measured in a busy hour is not taken over."""
    with tempfile.TemporaryDirectory() as chosen.cache:
        if chosen.accuracy:
            pair(chosen)
        else:
            measure(chosen)


def main() -> None:
    """Measure what is missing, print."""
    chosen = arguments()
    try:
        if not chosen.table:
            chosen.name = chosen.name or "1"
            work(chosen)
        print(accuracy_table(chosen.epochs, chosen.delta) if chosen.accuracy else speed_tables(chosen.name))
    except TenfoldError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
