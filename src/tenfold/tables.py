"""Results as tables in the terminal."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tenfold.datasets.dataset import Dataset
from tenfold.deploy.predict import Predictions
from tenfold.evidence.evaluation import Evaluation
from tenfold.models.inspection import Inspection, Memory
from tenfold.reports.words import milliseconds
from tenfold.runs import Run
from tenfold.session import backend_words, headline
from tenfold.training.range_test import RangeTest
from tenfold.training.speed import Speed
from tenfold.training.tuning import Choice, Trial

if TYPE_CHECKING:  # scipy and matplotlib come with it
    from tenfold.checks.audit import Audit
    from tenfold.experiments.groups import Together
    from tenfold.experiments.lab.run import Lab
    from tenfold.experiments.studies import Study

MOST_CLASSES = 20
"""A confusion matrix of more classes is left to the picture."""


BUSY = 1.5
"""A middle half of steps that is wider tells of a machine that others use."""


def console() -> Console:
    """Where tables go; wider than a pipe's 80 columns, so that no cell is cut."""
    screen = Console(highlight=False)
    return screen if screen.is_terminal else Console(highlight=False, width=200)


def table(title: str, columns: list[str], rows: list[list[str]], words: int = 1) -> Table:
    """A plain table; the first `words` columns are text, the rest numbers. Cells are text, not markup."""
    made = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        made.add_column(escape(column), justify="left" if index < words else "right", overflow="fold")
    for row in rows:
        made.add_row(*map(escape, row))
    return made


def percent(share: float | None) -> str:
    """0.5 → '50.00 %'; a dash where there is nothing."""
    return "–" if share is None else f"{100 * share:.2f} %"


def size(count: int | None) -> str:
    """Bytes in the unit that fits."""
    if count is None:
        return "–"
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} B"


def show_study(study: "Study") -> None:
    """`tenfold compare`, `ablate`, `sweep`: every group's mean ± half of its interval, then the verdicts."""
    screen, best = console(), max(study.groups, key=lambda group: group.mean or 0.0, default=None)
    rows = []
    for group in study.groups:
        half = "" if group.interval is None else f"± {50 * (group.interval[1] - group.interval[0]):.2f}"
        failed = len(group.accuracies) - len(group.values)
        singles = " ".join("–" if value is None else f"{100 * value:.2f}" for value in group.accuracies.values())
        mark = "best" if study.kind in ("sweep", "search") and group is best else f"{failed} failed" if failed else ""
        rows.append([group.name, singles, percent(group.mean), half, mark])
    columns = ["", "validation accuracy of each seed (%)", "mean", "95 % interval", ""]
    screen.print(table(study.title, columns, rows, words=2))
    for judgement in study.judgements:
        screen.print(f"\n{judgement.text()}", markup=False, soft_wrap=True)
    if not study.judgements:
        for group in study.groups:
            for trouble in group.troubles:
                screen.print(f"{group.name}, {trouble}", markup=False, soft_wrap=True)
    for note in study.notes:
        screen.print(note, markup=False, soft_wrap=True)
    screen.print(f"\nfiles: {study.folder}", markup=False)


def show_lab(made: "Lab") -> None:
    """`tenfold lab`: what the lab said and what was found, line by line."""
    screen = console()
    rows = [[one.id, one.title, one.said, one.found, one.interval, one.verdict] for one in made.page.lines]
    columns = ["part", "what", "the lab", "tenfold", "95 % interval", "verdict"]
    screen.print(table("", columns, rows, words=6))
    for id, title, why in made.page.left_out:
        screen.print(f"left out: {id} {title}: {why}", markup=False)
    screen.print(f"page: {made.path}", markup=False)


def show_evaluation(result: Evaluation) -> None:
    """`tenfold evaluate`."""
    screen, metrics, classes = console(), result.metrics, result.dataset.classes
    for note in result.notes:
        screen.print(note, markup=False)
    screen.print(
        f"{result.split} split of {result.dataset.name}, {result.weights} weights (epoch {result.epoch})", markup=False
    )
    screen.print(
        f"accuracy {percent(metrics.accuracy)} ({metrics.correct:,}/{metrics.total:,})  loss {metrics.loss:.4f}",
        markup=False,
    )
    if result.views is not None:
        screen.print(result.views.text())
    screen.print(
        f"calibration error {percent(metrics.calibration_error)} (mean distance of confidence from accuracy, 15 bins)\n"
    )
    support = [sum(row) for row in metrics.confusion]
    rows = [
        [name, f"{n:,}", percent(p), percent(r)]
        for name, n, p, r in zip(classes, support, metrics.precision, metrics.recall)
    ]
    screen.print(table("", ["class", "images", "precision", "recall"], rows))
    if len(classes) <= MOST_CLASSES:
        rows = [[name, *map(str, row)] for name, row in zip(classes, metrics.confusion, strict=True)]
        screen.print(table("\nis ↓  called →", ["", *(name[:10] for name in classes)], rows))
    if result.opening:
        times = "once" if result.opening == 1 else f"{result.opening} times"
        screen.print(f"\nThe test set of this run has now been opened {times}; recorded in its test_openings.json.")


def show_predictions(found: Predictions, out: Path | None) -> None:
    """`tenfold predict`: what could not be read goes to standard error."""
    for note in found.notes:
        print(note, file=sys.stderr)
    for skipped in found.skipped:
        print(f"not read: {skipped.path}: {skipped.reason}", file=sys.stderr)
    if out is None:
        sys.stdout.write(found.csv())
        return
    counts = {name: found.names.count(name) for name in found.classes}
    screen = console()
    screen.print(table("", ["class", "images"], [[name, f"{n:,}"] for name, n in counts.items() if n]))
    screen.print(f"{len(found.paths):,} predictions in {out}", markup=False)
    if found.skipped:
        screen.print(f"{len(found.skipped)} file{'s' * (len(found.skipped) > 1)} could not be read.")


def show_inspection(name: str, seen: Inspection) -> None:
    """`tenfold inspect`."""
    screen = console()
    rows = [
        [
            layer.name,
            layer.kind,
            str(list(layer.output)),
            f"{layer.parameters:,}" if layer.parameters else "",
            f"{layer.multiply_adds:,}" if layer.multiply_adds else "",
            percent(layer.multiply_adds / seen.multiply_adds) if layer.multiply_adds else "",
        ]
        for layer in seen.layers
    ]
    columns = ["layer", "kind", "output", "parameters", "multiply-adds", "share"]
    screen.print(table(f"{name}, input {list(seen.input)}", columns, rows, words=3))
    screen.print(f"\noutput {list(seen.output)}", markup=False)
    screen.print(f"{seen.parameters:,} parameters; {seen.multiply_adds:,} multiply-adds an image")
    screen.print(step_memory("for a training step with this batch in fp32", seen.memory))


def print_json(values: dict[str, Any]) -> None:
    """One JSON object on standard output."""
    print(json.dumps(values, indent=2))


def show_speed(seen: Speed, picture: Path) -> None:
    """`tenfold bench`."""
    screen, (pace, how) = console(), headline(seen)
    name = seen.recipe.model.name
    low, high = map(milliseconds, seen.quartiles)
    screen.print(f"{name}: {seen.parameters:,} parameters, {seen.multiply_adds:,} multiply-adds an image", markup=False)
    for line in (f"{seen.data}: {how}", *seen.notes, pace):
        screen.print(line, markup=False)
    screen.print(f"median of {seen.steps} steps after a warm-up; the middle half took {low} to {high}")
    if seen.quartiles[1] > BUSY * seen.quartiles[0]:
        screen.print("Steps differ that much where other programs run too: measure again once they are done.")
    screen.print()
    screen.print(table("", ["part", "ms", "share"], part_rows(seen.parts)))
    show_ceilings(screen, seen)
    if seen.choice is not None and seen.choice.trials:
        show_trials(screen, seen.choice)
    show_memory(screen, seen)
    screen.print(f"picture: {picture}", markup=False)


def part_rows(parts: dict[str, float]) -> list[list[str]]:
    """Each part of a step, and all together."""
    total = sum(parts.values())
    return [[name, f"{1e3 * s:.3f}", percent(s / total)] for name, s in {**parts, "all parts": total}.items()]


def show_ceilings(screen: Console, seen: Speed) -> None:
    """How near the training comes to what matrix products reach."""
    screen.print(f"\n{seen.work:,.1f} GFLOP/s of net work: images/s × multiply-adds × 3 passes × 2 operations")
    names = {kind: f"{kind}, as this training" if kind == seen.own else kind for kind in seen.ceilings}
    rows = [[names[kind], f"{rate:,.0f}", percent(seen.reached[kind])] for kind, rate in seen.ceilings.items()]
    screen.print(table("", ["matrix product of 2048³", "GFLOP/s", "reached"], rows))
    if seen.reached[seen.own] > 1:
        screen.print("above 100 %: kernels such as Winograd's compute fewer products than are counted")


def show_trials(screen: Console, choice: Choice) -> None:
    """The backends that were compared, the fastest first, those that were not timed last."""
    when = "measured before" if choice.cached else f"measured in {choice.seconds:.1f} s"
    screen.print(f"\nbackend: {choice.gain:.2f} times plain fp32 in forward and backward passes, {when}")
    if choice.crowded:
        screen.print("Other programs had the cores meanwhile: these times are chance, the likeliest was taken.")
    trials = sorted(choice.trials, key=lambda trial: -(trial.images_per_second or 0))
    rows = [[*trial_words(trial, choice), rate(trial.images_per_second)] for trial in trials]
    screen.print(table("", ["candidate", "threads", "", "images/s"], rows, words=3))


def trial_words(trial: Trial, choice: Choice) -> list[str]:
    """A candidate, its threads, and what became of it."""
    lost = trial.rejected or ("in doubt" if choice.crowded else "overtaken")
    verdict = "chosen" if trial.backend == choice.options else lost
    return [backend_words(trial.backend), str(trial.backend["threads"]), verdict]


def rate(images_per_second: float | None) -> str:
    """Images/s; a dash where nothing was timed."""
    return "–" if images_per_second is None else f"{images_per_second:,.0f}"


def show_memory(screen: Console, seen: Speed) -> None:
    """The peaks that were seen, and what a step holds by the net's shapes."""
    allocated = f", on the device {size(seen.peak_allocated)}" if seen.peak_allocated is not None else ""
    screen.print(f"\nmemory: this process held at most {size(seen.peak_resident)}{allocated}")
    screen.print(step_memory("for a step in fp32, by the net's shapes", seen.step_memory))


def step_memory(what: str, memory: Memory) -> str:
    """What a training step holds, and of what it consists."""
    parts = ", ".join(f"{name} {size(count)}" for name, count in asdict(memory).items())
    return f"{size(memory.total)} {what}: {parts}"


def show_data(dataset: Dataset, counts: dict[str, list[int]], picture: Path) -> None:
    """`tenfold show data`."""
    screen = console()
    n, c, h, w = dataset.images.shape
    screen.print(
        f"{dataset.name}: {n:,} images of {h}×{w} pixels, {c} channels, {len(dataset.classes)} classes", markup=False
    )
    if dataset.where:
        screen.print(f"found at {dataset.where}", markup=False)
    for note in dataset.notes:
        screen.print(note, markup=False)
    rows = [[name, *(f"{column[i]:,}" for column in counts.values())] for i, name in enumerate(dataset.classes)]
    rows.append(["all", *(f"{sum(column):,}" for column in counts.values())])
    screen.print(table("", ["class", *counts], rows))
    for skipped in dataset.skipped[:10]:
        screen.print(f"unreadable: {skipped.path}: {skipped.reason}", markup=False)
    if len(dataset.skipped) > 10:
        screen.print(f"… {len(dataset.skipped)} unreadable files in all")
    screen.print(f"fingerprint {dataset.fingerprint}\npicture: {picture}", markup=False)


def show_range(seen: RangeTest, picture: Path) -> None:
    """`tenfold find-lr`."""
    screen = console()
    lowest = min(range(len(seen.smooth)), key=lambda index: seen.smooth[index])
    end = "where it diverged" if seen.diverged else "the highest"
    screen.print(
        f"{len(seen.losses)} steps, rates {seen.rates[0]:.3g} to {seen.rates[-1]:.3g} ({end}); the smoothed loss began "
        f"at {seen.smooth[0]:.4f} and was lowest, {seen.smooth[lowest]:.4f}, at {seen.rates[lowest]:.3g}"
    )
    screen.print(f"It fell most steeply at the suggestion: {seen.option}\npicture: {picture}", markup=False)


def show_schedule(seen: dict[float, float], picture: Path) -> None:
    """`tenfold show schedule`."""
    rates = list(seen.values())
    ends = f"{rates[0]:.4g} at first, {max(rates):.4g} at most, {rates[-1]:.4g} at last"
    console().print(f"learning rate: {ends}\npicture: {picture}", markup=False)


def show_list(what: str, found: dict[str, Any]) -> None:
    """`tenfold list`."""
    if what == "recipes":
        made = table("", ["recipe", "what it is"], [[name, about] for name, about in found.items()], words=2)
    elif what == "models":
        options = [", ".join(f"{k}={v}" for k, v in entry["options"].items()) for entry in found.values()]
        rows = [[name, entry["about"], text] for (name, entry), text in zip(found.items(), options)]
        made = table("", ["model", "what it is", "options"], rows, words=3)
    else:
        columns = ["run", "data", "epochs", "best val", "last val", "seed", "state"]
        made = table("", columns, run_rows(list(found.values())), words=2)
    console().print(made)
    if not found:
        console().print("No runs here; `tenfold train` makes one. --out FOLDER looks elsewhere.")


def run_rows(runs: list[Run]) -> list[list[str]]:
    """Every run; runs of one recipe on the same data below a line with their mean ± half of its 95 % interval."""
    from tenfold.experiments.groups import alike, together  # scipy comes with it

    rows = []
    for group in alike(runs):
        single = [run_row(run) for run in group]
        for several in together(group):
            rows.append(group_row(several))
            single = [[f"  {name}", *cells] for name, *cells in single]
        rows += single
    return rows


def group_row(group: "Together") -> list[str]:
    """Several seeds of one recipe in the list; of unfinished and damaged ones, only how many they are."""
    from tenfold.reports.words import mean_and_half

    state = f"mean of {len(group.last)}" + (f", {group.left_out} left out" if group.left_out else "")
    recipe = group.runs[0].recipe
    figures = [mean_and_half(values) for values in (group.best, group.last)]
    return [group.title, Path(recipe.data).name, str(recipe.epochs), *figures, "", state]


def run_row(run: Run) -> list[str]:
    """One run in the list; a damaged one is listed too."""
    try:
        recipe, epochs, best = run.recipe, run.epochs, run.best
    except Exception as error:
        return [run.name, "", "", "", "", "", f"damaged: {str(error).splitlines()[0]}"]
    last = epochs[-1].val_accuracy if epochs else None
    state = "finished" if run.finished else "unfinished"
    best_accuracy = best.val_accuracy if best else None
    done = f"{len(epochs)}/{recipe.epochs}"
    return [run.name, Path(recipe.data).name, done, percent(best_accuracy), percent(last), str(recipe.seed), state]


def show_info(facts: dict[str, Any]) -> None:
    """`tenfold info`."""
    screen = console()
    screen.print(table("", ["", ""], [[key, str(value)] for key, value in facts.items() if key != "devices"], words=2))
    rows = [
        [name, d["name"], size(d["memory"]), d["driver"] or "–", *(f"{rate:,.0f}" for rate in d["rates"].values())]
        for name, d in facts["devices"].items()
    ]
    screen.print(table("", ["device", "name", "memory", "driver", "fp32 GFLOP/s", "bf16 GFLOP/s"], rows, words=2))
    screen.print("GFLOP/s: measured, a matrix product of 2048 × 2048")


def show_audit(found: "Audit", text: str, folder: Path) -> None:
    """`tenfold audit`: class counts, findings as paragraphs, the lists, and where everything is."""
    screen, data = console(), found.dataset
    screen.print(
        f"{data.name}: {len(data.labels):,} images, read at {data.image_size} pixels, {len(data.classes)} classes",
        markup=False,
    )
    if len(data.classes) <= MOST_CLASSES:
        rows = [[name, *(f"{part.get(name, 0):,}" for part in found.counts.values())] for name in data.classes]
        screen.print(table("", ["class", *found.counts], rows))
    for note in (*data.notes, *found.notes):
        screen.print(note, markup=False, soft_wrap=True)
    screen.print(f"\n{text}", markup=False, soft_wrap=True)
    if found.lists:
        lists = [[f"{name}.csv", listed.title, f"{len(listed.rows):,}"] for name, listed in found.lists.items()]
        screen.print("", table("", ["list", "what it holds", "lines"], lists, words=2), sep="\n")
    times = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in found.seconds.items())
    screen.print(f"\ntime: {times}\npage: {folder / 'audit.html'}", markup=False, soft_wrap=True)
