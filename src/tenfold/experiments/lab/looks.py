"""What the lab looks at beside its runs: layers, data, devices, the loss before training, jumps, the test set."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import torch

from tenfold.checks.preflight import feature_mismatch
from tenfold.checks.rules import finding
from tenfold.datasets.preprocessing import Preprocessing
from tenfold.errors import Finding, RunError, counted
from tenfold.evidence import evaluation
from tenfold.experiments.groups import Group
from tenfold.experiments.lab.parts import ARMS, SCHEDULES
from tenfold.experiments.lab.plan import Terms, better_half, plan_of
from tenfold.models import build
from tenfold.models.inspection import Inspection, inspect_model
from tenfold.recipe import ModelOptions, Plan, Recipe
from tenfold.reports import rates
from tenfold.reports.lab import Line, Table
from tenfold.reports.pictures import drops
from tenfold.reports.words import percent, size
from tenfold.runs import Run, write_atomic
from tenfold.training.backend import open_backend
from tenfold.training.environment import environment
from tenfold.training.loader import Images
from tenfold.training.resolve import check_options
from tenfold.training.setup import Setup, prepare
from tenfold.training.step import evaluate
from tenfold.training.weights import load_weights

LAYERS = {"conv1": 600, "conv2": 1152, "fc1": 69240, "fc2": 10164, "fc3": 850}
"""The lab's parameter counts of SimpleNN, 82,006 in all."""
RESNETS = {"A": (269_722, 40.55), "B": (272_474, 40.81)}
"""Parameters and millions of multiply-adds by shortcut: derived from the paper's text (He et al. 2016)."""
CROP = 24
"""Pixels of the centre crop that makes the net fail."""
ALIKE = 0.1
"""Channel means of normalised images may differ by this many deviations between splits."""


Tried = dict[str, dict[int, dict[float, float | None]]]
"""What learning rates reached in short runs, by optimiser, epochs and rate; None where a run failed."""


@dataclass
class Bench:
    """What there is to look at: the lab's terms, the groups of runs by arm, and rates that were tried."""

    terms: Terms
    groups: dict[str, Group]
    tried: Tried
    setups: dict[int, Setup] = field(default_factory=dict)

    def setup(self, crop: int = 0) -> Setup:
        """The plain recipe, ready to train, its data read; nothing is measured."""
        if crop not in self.setups:
            plan = plan_of(ARMS["plain"], self.terms).override({"augment.center_crop": crop}, "recipe")
            self.setups[crop] = prepare(plan.override({"backend.choice": "reference"}, "recipe"))
        return self.setups[crop]

    def first_run(self, arm: str) -> Run | None:
        """A run of the arm that finished."""
        group = self.groups.get(arm)
        if group is None:
            return None
        return next((group.runs[seed] for seed, value in group.accuracies.items() if value is not None), None)


@dataclass(frozen=True)
class Look:
    """What was seen: sentences, tables, pictures, and (tenfold's figure, verdict) for the first table."""

    texts: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    lines: tuple[Line, ...] = ()


def line(found: str, verdict: str = "", title: str = "", said: str = "", interval: str = "") -> Line:
    """A line of the first table; the part's own title and claim are filled in where they are left out."""
    return Line("", title, said, found, interval, verdict)


def inspected(options: ModelOptions, batch: int = 5) -> Inspection:
    """The net for ten classes at 32 pixels, seen by hooks on a dummy batch."""
    settled = check_options(Plan.of(Recipe(model=options)), []).recipe.model
    return inspect_model(build(settled, 3, 32, 10, 0), 3, 32, batch)


def layers(_bench: Bench) -> Look:
    """SimpleNN, layer by layer."""
    seen = inspected(ModelOptions(name="simplenn"))
    rows = [
        (str(number), layer.name, layer.kind, " × ".join(map(str, layer.output[1:])))
        for number, layer in enumerate(seen.layers, 1)
    ]
    right = seen.output == (5, 10)
    told = "ReLU is applied after pooling: it commutes with the maximum, and sees a quarter of the numbers."
    return Look(
        (told,),
        (Table("Every call of a layer, in order", ("#", "layer", "kind", "output of an image"), rows, words=4),),
        lines=(line(f"output {list(seen.output)}", "as in the lab" if right else "differs from the lab"),),
    )


def parameters(_bench: Bench) -> Look:
    """Parameters by hooks on a dummy batch of 5, beside the lab's."""
    seen = inspected(ModelOptions(name="simplenn"))
    found = {layer.name: layer.parameters for layer in seen.layers if layer.parameters}
    shapes = {layer.name: list(layer.output) for layer in seen.layers}
    rows = [(name, f"{LAYERS.get(name, 0):,}", f"{count:,}", str(shapes[name])) for name, count in found.items()]
    rows.append(("all", f"{sum(LAYERS.values()):,}", f"{seen.parameters:,}", str(list(seen.output))))
    right = found == LAYERS
    return Look(
        ("Forward hooks recorded the output of each layer for a dummy batch of 5 images on the net's own device.",),
        (Table("Parameters", ("layer", "the lab", "tenfold", "output"), rows),),
        lines=(line(f"{seen.parameters:,} parameters", "as in the lab" if right else "differs from the lab"),),
    )


def data(bench: Bench) -> Look:
    """Splits, fingerprint, and whether training and validation images are normalised alike."""
    setup = bench.setup()
    dataset, splits = setup.dataset, setup.splits
    rows = [
        (part, f"{len(rows):,}", f"{min(dataset.counts(rows)):,} to {max(dataset.counts(rows)):,}")
        for part, rows in splits.items()
    ]
    texts = [
        *([f"Found at {Path(dataset.where).name}."] if dataset.where else []),
        *dataset.notes,
        f"Fingerprint (SHA-256 over contents, labels and classes) {dataset.fingerprint[:16]}…; the split depends on "
        "split_seed alone, so that all seeds are judged on the same images.",
    ]
    own, lab = setup.preprocessing, replace(setup.preprocessing, mean=(0.0,) * 3, std=(1.0,) * 3)
    train, val = (Images(dataset, splits[part], torch.device("cpu")) for part in ("train", "val"))
    shown, flags = [], []
    for name, judged in (("tenfold: one transform for both", own), ("the lab: none for validation", lab)):
        ours, theirs = means(train, own), means(val, judged)
        flagged = normalisation_differs(ours, theirs)
        flags.append(flagged)
        shown.append((name, numbers(ours), numbers(theirs), "flagged" if flagged else "alike"))
    header = ("normalisation", "training: channel means", "validation: channel means", "check")
    caption = "Channel means after normalisation, in deviations"
    flagged = flags[1]
    if flagged:
        texts.append(f"The check flags the lab's way: {flagged.what}. {flagged.evidence} {flagged.remedy}")
    texts += cost_of_normalisation(bench, setup)
    found = ", ".join(f"{len(rows):,} {part}" for part, rows in splits.items())
    return Look(
        tuple(texts),
        (
            Table("Images", ("split", "images", "of each class"), rows),
            Table(caption, header, shown, words=4),
        ),
        lines=(line(f"{found} images; normalised alike", "as it should be" if flags[0] is None else "flagged"),),
    )


def means(images: Images, preprocessing: Preprocessing) -> list[float]:
    """The channel means of up to 2,000 images after preprocessing."""
    taken, _ = images.take(torch.arange(min(2000, len(images))))
    return [float(value) for value in preprocessing.normalize(preprocessing.crop(taken)).mean((0, 2, 3))]


def normalisation_differs(train: list[float], val: list[float]) -> Finding | None:
    """A finding where validation images are normalised unlike training images; values in deviations."""
    gap = max(abs(a - b) for a, b in zip(train, val, strict=True))
    if gap <= ALIKE:
        return None
    return finding(
        "normalisation-differs",
        "training and validation images are normalised differently",
        f"Their channel means differ by up to {gap:.2f}; of images normalised alike by less than {ALIKE}.",
        "Give the training's transform without augmentation to the validation images too.",
    )


def cost_of_normalisation(bench: Bench, setup: Setup) -> list[str]:
    """What the lab's way costs: the plain run's accuracy on validation images that are not normalised."""
    run = bench.first_run("plain")
    if run is None:
        return []
    weights, backend = (
        load_weights(run),
        open_backend("cpu", run.recipe.backend.model_copy(update={"precision": "fp32"})),
    )
    model = backend.place(weights.build())
    images = Images(setup.dataset, setup.splits["val"], backend.device)
    raw = replace(weights.preprocessing, mean=(0.0,) * 3, std=(1.0,) * 3)
    right = {}
    for name, used in (("alike", weights.preprocessing), ("raw", raw)):
        _, correct = evaluate(model, images, used, backend, lambda: None)
        right[name] = correct / len(images)
    return [
        f"Measured on the run {run.name}: {percent(right['alike'])} of the validation images are right when they are "
        f"normalised as in training, {percent(right['raw'])} when they are not."
    ]


def numbers(values: list[float]) -> str:
    """Signed, two decimals."""
    return ", ".join(f"{value:+.2f}" for value in values)


def centre_crop(bench: Bench) -> Look:
    """Why a centre crop of the training images makes SimpleNN fail, with numbers and remedies."""
    told = feature_mismatch(bench.setup(CROP))
    if told is None:
        return Look((f"A centre crop to {CROP} pixels fits this net.",))
    text = f"A centre crop to {CROP}×{CROP}, which failed in the lab: {told.what}. {told.evidence} {told.remedy}"
    found = line(told.what, "shown", f"Centre crop to {CROP}×{CROP}", "made the net fail; never explained")
    return Look((text,), lines=(found,))


def devices(_bench: Bench) -> Look:
    """Every device that tenfold sees here."""
    names = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    facts = {name: environment(torch.device(name)) for name in names}
    rows = [
        (name, fact["device_name"], size(fact["device_memory"]), fact["driver"] or "–") for name, fact in facts.items()
    ]
    told = "A model on one device and a batch on another is among the lab's mistakes below L4."
    header = ("device", "name", "memory", "driver")
    return Look((told,), (Table("", header, rows, words=4),), lines=(line("; ".join(row[1] for row in rows)),))


def recipe(bench: Bench) -> Look:
    """The options of the plain recipe."""
    made = plan_of(ARMS["plain"], bench.terms).recipe
    rows = [
        ("loss", "cross-entropy"),
        ("optimiser", made.optimizer.name.upper()),
        ("learning rate", f"{made.optimizer.lr:g}"),
        ("momentum", f"{made.optimizer.momentum:g}"),
        ("weight decay", f"{made.optimizer.weight_decay:g}"),
        ("batch", str(made.batch)),
        ("epochs", str(made.epochs)),
    ]
    lab = (made.optimizer.lr, made.optimizer.momentum, made.optimizer.weight_decay, made.batch, made.epochs)
    same = lab == (0.01, 0.9, 1e-4, 128, 30)
    found = f"batch {made.batch}, {made.epochs} epochs, the rest as there"
    told = "as in the lab" if same else "shortened (--quick)"
    return Look((), (Table("", ("option", "value"), rows, words=2),), lines=(line(found, told),))


def initial_loss(bench: Bench) -> Look:
    """The loss of the untrained net, and the mean over the first epoch, which is something else."""
    run = bench.first_run("plain")
    if run is None:
        return Look(("The run failed.",))
    classes = len(run.read("data.json")["classes"])
    first, told = run.epochs[0], run.read("data.json")["initial_loss"]
    text = (
        f"{told} The lab's 1.9319 is the mean training loss over the first epoch, in which the net already learned: "
        f"here that mean is {first.train_loss:.4f}, at {percent(first.train_accuracy)} training accuracy. Accuracy "
        f"does not explain a loss: a net that gives all {classes} classes the same probability has the loss "
        f"ln({classes}) = {math.log(classes):.3f}, whichever class it then calls."
    )
    return Look((text,), lines=(line(told, "explained"),))


def resnet(_bench: Bench) -> Look:
    """ResNet-20's parameters and multiply-adds, with shortcuts of option A and B."""
    rows, right = [], True
    for shortcut, (known, millions) in RESNETS.items():
        seen = inspected(ModelOptions(name="resnet20", shortcut=shortcut))
        counted = seen.multiply_adds / 1e6
        right = right and seen.parameters == known and abs(counted - millions) < 0.005
        rows.append((f"option {shortcut}", f"{known:,}", f"{seen.parameters:,}", f"{millions:.2f}", f"{counted:.2f}"))
    header = ("shortcut", "paper: parameters", "tenfold", "paper: million multiply-adds", "tenfold")
    found = line(
        f"{rows[0][2]} parameters, {rows[0][4]} M multiply-adds",
        "as in the paper" if right else "differs from the paper",
        "ResNet-20, option A: counts",
        "269,722 parameters, 40.55 M multiply-adds (paper)",
    )
    return Look((), (Table("Counted at 32×32 pixels, 10 classes", header, rows),), lines=(found,))


def jumps(bench: Bench) -> Look:
    """Whether accuracy jumps where the rate drops: the change at drops beside the change at other epochs."""
    rows, curves, at_drops, elsewhere = [], {}, [], []
    for name in SCHEDULES:
        group = bench.groups.get(name)
        if group is None or not group.values:
            continue
        runs = list(group.epochs().values())
        curves[name] = runs[0]
        here: list[float] = []
        there: list[float] = []
        for epochs in runs:
            marked = {row.epoch for row in drops(epochs)}
            for before, after in pairwise(epochs):
                change = 100 * ((after.val_accuracy or 0) - (before.val_accuracy or 0))
                (here if after.epoch in marked else there).append(change)
        at_drops += here
        elsewhere += there
        told = [f"{fmean(values):+.2f}" if values else "–" for values in (here, there)]
        rows.append((name, f"{len(here)}", *told))
    header = ("schedule", "drops", "change at a drop", "change from any other epoch to the next")
    found = f"at a drop {fmean(at_drops):+.2f} points" if at_drops else "no drop"
    found += f", elsewhere {fmean(elsewhere):+.2f}" if elsewhere else ""
    supported = bool(at_drops and elsewhere and fmean(at_drops) > fmean(elsewhere) and fmean(at_drops) > 0)
    verdict = "no verdict" if not at_drops else "as the lab saw" if supported else "not seen here"
    picture = rates.accuracies_and_rates(
        curves, "Validation accuracy (blue) and learning rate (green) of each schedule"
    )
    return Look(
        ("A drop is a fall of the rate by 30 % or more between level stretches; dashed lines mark them.",),
        (Table("Mean change of validation accuracy (points)", header, rows),),
        {"Validation accuracy under each schedule, with the drops of the learning rate marked": picture},
        (line(found, verdict, "Accuracy where the rate drops", "accuracy jumps whenever the rate drops"),),
    )


def tuning(bench: Bench) -> Look:
    """The rates that were tried for each optimiser."""
    rows = []
    for name, rounds in bench.tried.items():
        first, last = next(iter(rounds.values())), list(rounds.values())[-1]
        best = better_half(last)[0]
        for rate in first:
            told = [reached(round[rate]) if rate in round else "" for round in rounds.values()]
            rows.append((name, f"{rate:g}", *told, "chosen" if rate == best else ""))
    caption = "Short runs of one seed that gave each optimiser its rate: the better half goes on"
    lengths = next(iter(bench.tried.values()), {})
    header = ("optimiser", "learning rate", *(f"after {counted(epochs, 'epoch')}" for epochs in lengths), "")
    return Look((), (Table(caption, header, rows),))


def reached(accuracy: float | None) -> str:
    """A trial's validation accuracy."""
    return "failed" if accuracy is None else percent(accuracy)


def predictions(bench: Bench) -> Look:
    """Test-set predictions of ResNet-20: the test set is opened once, and what was found is kept."""
    run = bench.first_run("resnet20")
    if run is None:
        return Look(("The run failed.",))
    if not (run.path / "predictions_test.csv").exists() or not (run.path / "evaluation_test.json").exists():
        evaluation.evaluate(run, "test").save(run)
    metrics = run.read("evaluation_test.json")["metrics"]
    text = (run.path / "predictions_test.csv").read_text(encoding="utf-8")
    write_atomic(bench.terms.out / "resnet20-test-predictions.csv", text)
    header, *rows = [row.split(",") for row in text.splitlines()[:6]]
    found = f"{metrics['total']:,} images, {percent(metrics['accuracy'])} right"
    return Look(
        ("resnet20-test-predictions.csv beside this page; the opening of the test set is recorded in the run folder.",),
        (Table("Its first rows", header, rows, words=3),),
        lines=(line(found, "written"),),
    )


def looked(name: str, bench: Bench) -> Look:
    """What is to be seen under that name; a damaged run is told on the page, and the lab goes on."""
    try:
        return LOOKS[name](bench)
    except RunError as error:
        return Look((f"This could not be looked at: {error}",))


LOOKS: dict[str, Callable[[Bench], Look]] = {
    "layers": layers,
    "parameters": parameters,
    "data": data,
    "centre crop": centre_crop,
    "devices": devices,
    "recipe": recipe,
    "initial loss": initial_loss,
    "resnet": resnet,
    "drops": jumps,
    "tuning": tuning,
    "predictions": predictions,
}
