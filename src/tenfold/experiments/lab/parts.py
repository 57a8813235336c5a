"""The lab's parts L1.1 to L3.6 as plain data: what the lab said, which arms are trained, and which are compared.

An arm is a recipe with changes; parts share arms, and an arm's runs are trained once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Pair = tuple[str, str]
"""(variant, baseline): names of arms."""

SIMPLENN, RESNET = "simplenn", "resnet20"


@dataclass(frozen=True)
class Arm:
    """A recipe and its changes, as dotted options; `net` says with which other arms it shares the machine."""

    recipe: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    net: str = SIMPLENN


@dataclass(frozen=True)
class Part:
    """One part. `said`: the lab's claim or figure; `figures`: its best validation accuracy (%) by arm.

    pairs: judged as one family (Holm). one_run: a single run of each arm tells all. look: what is looked at beside the
    runs, by name in looks.LOOKS. sweep: the option that the arms vary.
    """

    id: str
    title: str
    said: str
    arms: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    look: str | None = None
    one_run: bool = False
    sweep: str | None = None
    note: str = ""


RATES = (1.0, 0.1, 0.05, 0.01, 0.005, 0.001)
STRENGTHS = (1e-2, 1e-3, 1e-4, 1e-5, 0.0)
SCHEDULES: dict[str, Mapping[str, Any]] = {
    "step": {"schedule.every": 10},
    "linear": {},
    "halving": {"schedule.every": 10},
    "exponential": {"schedule.factor": 0.9},
    "cosine_restarts": {"schedule.period": 10.0, "schedule.stretch": 1},
    "cyclic": {"schedule.period": 10.0},
    "plateau": {"schedule.patience": 2},
}
"""The schedules of L3.4; what counts in epochs is for 30 of them, and shrinks with a shorter run."""

TUNED: dict[str, tuple[float, ...]] = {
    "sgd": (0.1, 0.2, 0.4, 0.8, 1.6),
    "adam": (1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
    "radam": (1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
}
"""The rates from which each optimiser of L3.5 gets its own, by short runs."""


def scheduled(name: str, options: Mapping[str, Any]) -> Arm:
    """ResNet-20 under another schedule, at a rate that a constant stretch stands (0.1, as the paper's)."""
    return Arm("resnet20-lab", {"schedule.name": name, "optimizer.lr": 0.1, **options}, RESNET)


def optimised(name: str, rate: float) -> dict[str, Any]:
    """The changes that choose an optimiser and its rate; what only SGD reads is left out elsewhere."""
    if name == "sgd":
        return {"optimizer.lr": rate}
    return {
        "optimizer.name": name,
        "optimizer.lr": rate,
        "optimizer.momentum": None,
        "optimizer.nesterov": None,
        "optimizer.weight_decay": 1e-4,
    }


ARMS: dict[str, Arm] = {
    "plain": Arm("simplenn-plain"),
    "no normalisation": Arm("simplenn-plain", {"preprocess.normalize": "none"}),
    "horizontal flip": Arm("simplenn"),
    "vertical flip": Arm("simplenn-plain", {"augment.vertical_flip": 0.5}),
    "step decay": Arm("simplenn-decay"),
    "crop": Arm("simplenn-augment"),
    "batch norm": Arm("simplenn-bn"),
    "lr 0.1": Arm("simplenn-bn-fast"),
    "swish": Arm("simplenn-swish"),
    **{f"lr={rate:g}": Arm("simplenn-bn", {"optimizer.lr": rate}) for rate in RATES},
    **{f"L2={strength:g}": Arm("simplenn-bn", {"optimizer.weight_decay": strength}) for strength in STRENGTHS},
    "resnet20": Arm("resnet20-lab", {}, RESNET),
    "softmax before the loss": Arm("resnet20-lab", {"model": "softmax", "ignore": ("softmax-before-loss",)}, RESNET),
    "norm after first only": Arm("resnet20-lab", {"model.norm_placement": "first"}, RESNET),
    **{name: scheduled(name, options) for name, options in SCHEDULES.items()},
    **{name: Arm("resnet20-lab", {"tuned": name}, RESNET) for name in TUNED},
}

PARTS: dict[str, Part] = {
    part.id: part
    for part in (
        Part("L1.1", "SimpleNN", "a LeNet-like net for 3×32×32: output [5, 10] for 5 images", look="layers"),
        Part("L1.2", "Sanity check: shapes and parameters", "82,006 parameters", look="parameters"),
        Part("L1.3", "Data, split, and equal normalisation", "45,000 train, 5,000 validation", look="data"),
        Part(
            "L1.4",
            "Preprocessing: normalisation, flips, crops",
            "normalisation prevents over-fitting; vertical flips help; a centre crop made the net fail",
            ("plain", "no normalisation", "horizontal flip", "vertical flip"),
            (("no normalisation", "plain"), ("horizontal flip", "plain"), ("vertical flip", "plain")),
            look="centre crop",
        ),
        Part("L1.5", "Devices", "cuda or cpu, with name, memory and driver", look="devices"),
        Part("L1.6", "Loss and optimiser", "cross-entropy; SGD 0.01, momentum 0.9, weight decay 1e-4", look="recipe"),
        Part("L1.7", "The training loop", "plain: best 65.50 %", ("plain",), figures={"plain": 65.50}),
        Part(
            "L1.8",
            "The loss before and in the first epoch",
            "the loss of epoch 0, 1.9319, explained by accuracy",
            ("plain",),
            look="initial loss",
            one_run=True,
        ),
        Part(
            "L1.9",
            "Step decay",
            "×0.1 every 10 epochs: best 69.94 %",
            ("horizontal flip", "step decay"),
            (("step decay", "horizontal flip"),),
            {"step decay": 69.94},
        ),
        Part(
            "L2.1",
            "Random crop",
            "best 65.94 %",
            ("horizontal flip", "crop"),
            (("crop", "horizontal flip"),),
            {"crop": 65.94},
        ),
        Part(
            "L2.2",
            "Batch norm after each convolution",
            "best 66.08 %: “+2 %”, from one run",
            ("crop", "batch norm"),
            (("batch norm", "crop"),),
            {"crop": 65.94, "batch norm": 66.08},
        ),
        Part(
            "L2.3",
            "Batch norm allows a larger learning rate",
            "lr 0.1: best 68.30 %",
            ("batch norm", "lr 0.1"),
            (("lr 0.1", "batch norm"),),
            {"batch norm": 66.08, "lr 0.1": 68.30},
        ),
        Part(
            "L2.4",
            "Swish instead of ReLU",
            "best 70.60 % (applied to the logits too: a bug)",
            ("lr 0.1", "swish"),
            (("swish", "lr 0.1"),),
            {"lr 0.1": 68.30, "swish": 70.60},
            note="tenfold's SimpleNN has no activation on its logits.",
        ),
        Part(
            "L2.5",
            "Learning-rate sweep",
            "best at 0.05 and 0.01",
            tuple(f"lr={rate:g}" for rate in RATES),
            sweep="optimizer.lr",
        ),
        Part(
            "L2.6",
            "L2-strength sweep",
            "accuracy falls as the strength grows",
            tuple(f"L2={strength:g}" for strength in STRENGTHS),
            sweep="optimizer.weight_decay",
        ),
        Part(
            "L3.1",
            "ResNet-20",
            "75 % at first, later about 83 %; the paper: 91.25 % (test)",
            ("resnet20",),
            figures={"resnet20": 83.0},
            look="resnet",
        ),
        Part(
            "L3.2",
            "Softmax before the loss, or not",
            "found by trying that removing it helps",
            ("resnet20", "softmax before the loss"),
            (("softmax before the loss", "resnet20"),),
            note="Cross-entropy takes logits and applies softmax itself. With a second softmax the net's outputs lie "
            "in 0…1, so that with C classes the loss cannot fall below ln(1 + (C − 1)/e): a bug, not a finding.",
        ),
        Part(
            "L3.3",
            "Where batch norm goes",
            "after the first convolution of each block only: overfitting, from one run",
            ("resnet20", "norm after first only"),
            (("norm after first only", "resnet20"),),
        ),
        Part(
            "L3.4",
            "Learning-rate schedules",
            "accuracy jumps whenever the rate drops",
            tuple(SCHEDULES),
            look="drops",
        ),
        Part(
            "L3.5",
            "SGD, Adam, RAdam",
            "Adam and RAdam near 83 %, SGD higher",
            tuple(TUNED),
            (("adam", "sgd"), ("radam", "sgd")),
            {"adam": 83.0, "radam": 83.0},
            look="tuning",
        ),
        Part("L3.6", "Test-set predictions as CSV", "customary; not in the report", ("resnet20",), look="predictions",
             one_run=True),
    )
}  # fmt: skip

TELLING = (
    *("L1.1", "L1.2", "L1.6", "L1.5", "L1.3"),
    *("L2.2", "L2.3", "L2.4", "L2.1", "L1.9", "L1.8", "L1.7", "L1.4", "L2.5"),
    "L4",
    *("L3.1", "L3.6", "L3.5", "L3.2", "L3.3", "L2.6", "L3.4"),
)
"""From the most telling part for its time to the least; L4 stands for the statements and mistakes."""
