"""All rules over the facts, and which findings stay: a cause hides the symptoms that it explains."""

import traceback

from tenfold.checks.rules import RULES as RULES_KNOWN
from tenfold.checks.rules import ranked
from tenfold.checks.script import (
    averages,
    carrying,
    counting,
    crash,
    data,
    falling,
    fit,
    latest,
    modes,
    net,
    optimisation,
    output,
    plateau,
    rates,
    restarted,
    said,
    schedule,
    settings,
    single,
    smoothing,
    tables,
    tallies,
)
from tenfold.checks.script.seen import Seen
from tenfold.errors import Finding

RULES = (
    *crash.RULES, *net.RULES, *output.RULES, *single.RULES, *smoothing.RULES, *optimisation.RULES, *rates.RULES,
    *restarted.RULES, *settings.RULES, *averages.RULES, *fit.RULES, *plateau.PLATEAU, *schedule.RULES, *falling.FALLING,
    *modes.RULES,
    *counting.RULES, *said.SAID, *latest.RULES, *tallies.RULES, *tables.RULES, *carrying.RULES, *data.RULES,
    *net.SYMPTOMS, *fit.SYMPTOMS,
)  # fmt: skip

SYMPTOMS = {
    "loss-flat", "initial-loss", "dead-units", "saturated-units", "gradient-vanishing", "gradient-exploding",
    "not-finite",
    "cannot-overfit", "underfitting", "overfitting", "learning-rate-low",
}  # fmt: skip
"""What a root cause explains."""
EXPLAINS: dict[str, set[str]] = {
    "input-not-finite": {"learning-rate-high", "normalisation-differs", "not-finite"},
    "normalisation-doubled": {"normalisation-differs", "validation-augmented"},
    "bad-initialisation": {"learning-rate-high", "activation-doubled"},
    "loss-reduction": {"learning-rate-high", "not-finite"},
    "zero-grad-missing": {"learning-rate-high"},
    "wrong-loss": {"wrong-labels-shape", "learning-rate-high"},
    "wrong-labels": {
        "loss-flat",
        "cannot-overfit",
        "underfitting",
        "overfitting",
        "learning-rate-low",
        "augmentation-breaks-labels",
    },
    "parameters-forgotten": {"parameters-frozen"},
    "parameters-frozen": {"gradient-vanishing"},
    "initial-loss": {
        "dead-units",
        "gradient-vanishing",
        "gradient-exploding",
        "not-finite",
        "learning-rate-high",
        "learning-rate-low",
    },
    "dead-units": {"learning-rate-low", "gradient-vanishing", "cannot-overfit", "loss-flat"},
    "gradient-vanishing": {"cannot-overfit", "loss-flat"},
    "gradient-exploding": {"cannot-overfit", "loss-flat"},
    "saturated-units": {"cannot-overfit", "loss-flat"},
    "pooled-away": {"cannot-overfit"},
    "activation-missing": {"cannot-overfit"},
    "normalisation-missing": {"gradient-vanishing", "learning-rate-high", "learning-rate-low", "initial-loss"},
    "shuffle-off": {"class-missing", "normalisation-differs"},
    "scheduler-per-batch": {"scheduler-order", "learning-rate-dropped-early"},
    "learning-rate-dropped-early": {"scheduler-order"},
    "labels-changed": {"label-out-of-range"},
    "scheduler-unused": {"learning-rate-low"},
    "momentum-high": {"learning-rate-high"},
    "clipping-late": {"learning-rate-high"},
    "step-missing": {
        "graph-broken",
        "scheduler-order",
        "scheduler-per-batch",
        "scheduler-unused",
        "learning-rate-high",
    },
    "accuracy-axis": {"accuracy-count", "shape-mismatch"},
    "class-missing": {"not-finite"},
    "softmax-before-loss": {"input-ignored"},
}
"""Findings that another one explains."""


def findings(seen: Seen) -> list[Finding]:
    """What the rules find, the likeliest root cause first, without what others explain."""
    found: list[Finding] = []
    for rule in RULES:
        try:
            found += list(rule(seen))
        except Exception:
            seen.faults.append(traceback.format_exc())
    return ranked(explained(found))


def explained(found: list[Finding]) -> list[Finding]:
    """Without symptoms of a cause that was found, and each rule once a line."""
    rules = {finding.rule for finding in found if finding.severity != "note"}
    causes = {rule for rule in rules if RULES_KNOWN[rule].cause == 0}
    hidden = {symptom for rule in rules for symptom in EXPLAINS.get(rule, ())}
    if causes:
        hidden |= SYMPTOMS
    if "learning-rate-high" in rules - hidden:
        hidden |= SYMPTOMS - {"learning-rate-low"}
    once = {(f.rule, f.file, f.line, None if f.line else f.layer): f for f in reversed(found)}
    return [finding for finding in reversed(once.values()) if finding.rule not in hidden]
