"""The catalogue of rules: what each finds, why it matters, how bad it is, and how near to a root cause.

A detector makes its findings with `finding("zero-grad-missing", …)`; the catalogue fills in severity and why.
Detectors are in syntax (a script's source), script (a program observed), probes (one batch), running (the first steps)
and data (images and labels); one rule may have several.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from tenfold.errors import Finding, Severity, lookup


@dataclass(frozen=True)
class Rule:
    """What a rule teaches. `cause`: 0 explains others' symptoms, 1 is one fault among several, 2 may be a symptom."""

    severity: Severity
    title: str
    why: str
    cause: int = 1


RULES: dict[str, Rule] = {
    # crashes, explained
    "shape-mismatch": Rule(
        "error", "A layer gets a shape it was not built for", "The net cannot run on these images.", 0
    ),
    "device-mismatch": Rule("error", "Model and data on different devices", "The first step on a GPU would fail.", 0),
    "dtype-mismatch": Rule("error", "Data of a type that the layer or loss does not take", "The step fails.", 0),
    "label-out-of-range": Rule("error", "Labels outside 0 … classes − 1", "The loss has no logit for such a label.", 0),
    "crash": Rule("error", "The program failed", "Nothing after this line ran.", 0),
    # output and loss
    "softmax-before-loss": Rule(
        "error",
        "Softmax or sigmoid before cross-entropy",
        "Cross-entropy applies softmax itself; with a second one the loss stays above ln(1 + (C−1)/e).",
        0,
    ),
    "activation-on-logits": Rule(
        "error",
        "An activation on the logits",
        "Logits must be able to take any sign; a unit whose logit is cut off gets no gradient.",
        0,
    ),
    "wrong-loss": Rule(
        "error", "A loss that does not fit the output", "It is minimised by something else than right answers.", 0
    ),
    "loss-reduction": Rule(
        "warning", "A loss that is summed, not averaged", "Its gradient, and so the step, grows with what is summed.", 1
    ),
    "initial-loss": Rule(
        "warning", "An initial loss far from ln(classes)", "An untrained net should guess all classes alike.", 2
    ),
    "wrong-labels-shape": Rule(
        "error", "Labels of a shape or meaning that the loss reads otherwise", "It learns something else.", 0
    ),
    # data path
    "input-ignored": Rule("error", "The same loss on blank images", "The images do not reach the net's output.", 0),
    "samples-mixed": Rule(
        "error",
        "Samples of a batch are mixed with each other",
        "An image's output depends on its neighbours' pixels.",
        0,
    ),
    "labels-changed": Rule("error", "Labels changed in place", "Every later epoch trains on other labels.", 0),
    "normalisation-missing": Rule(
        "warning", "Images that are not normalised", "Large inputs need other rates and waste the first epochs.", 1
    ),
    "normalisation-doubled": Rule(
        "warning", "Images normalised twice", "Inputs are squeezed and shifted away from 0.", 0
    ),
    "normalisation-differs": Rule(
        "error",
        "Training and validation images normalised differently",
        "The net is judged on images unlike those it learns.",
        0,
    ),
    "input-not-finite": Rule("error", "NaN or infinity in the images", "One such pixel makes every weight NaN.", 0),
    "shuffle-off": Rule("warning", "Training images in a fixed order", "Batches of sorted classes undo each other.", 0),
    "validation-augmented": Rule(
        "warning", "Validation images augmented at random", "The same net gets another score each time.", 0
    ),
    "validation-in-training": Rule(
        "error", "Validation images among the training images", "The score measures memory.", 0
    ),
    "augmentation-repeats": Rule(
        "warning", "The same augmentation in every epoch or worker", "It adds far fewer images than meant.", 0
    ),
    "augmentation-breaks-labels": Rule(
        "warning", "An augmentation that makes one class look like another", "It teaches wrong labels.", 0
    ),
    "class-missing": Rule("warning", "A class missing from a split", "It cannot be learned, or is never judged.", 0),
    "class-index-shift": Rule("error", "Class numbers differ between splits", "Right answers count as wrong.", 0),
    "class-imbalance": Rule("note", "Classes of very different sizes", "Accuracy hides how the small ones fare.", 1),
    "wrong-labels": Rule("warning", "Labels that are probably wrong", "They are learned, or cost accuracy.", 1),
    "duplicates": Rule("warning", "Images that occur more than once", "Across splits they flatter the score.", 1),
    "unreadable-images": Rule("warning", "Images that cannot be read", "They are left out.", 1),
    "odd-images": Rule("note", "Constant, tiny or oddly sized images", "They teach nothing, or something else.", 1),
    # optimisation
    "zero-grad-missing": Rule("error", "Gradients are never cleared", "Every step also repeats all earlier ones.", 0),
    "step-missing": Rule(
        "error", "The optimiser never steps, or steps without gradients", "The weights stay as they are.", 0
    ),
    "parameters-forgotten": Rule(
        "error", "Parameters that the optimiser does not hold", "They stay at their random start.", 0
    ),
    "parameters-frozen": Rule("warning", "Parameters that do not move", "They stay as they began.", 1),
    "graph-broken": Rule("error", "The loss does not reach the parameters", "They get no gradient.", 0),
    "graph-kept": Rule("warning", "A loss added up with its graph", "Memory grows with each step until it ends.", 1),
    "scheduler-per-batch": Rule(
        "error", "A scheduler made for epochs, stepped at each batch", "The rate is gone within an epoch.", 0
    ),
    "scheduler-order": Rule("warning", "The scheduler steps before the optimiser", "The first rate is skipped.", 1),
    "scheduler-unused": Rule("warning", "A scheduler that never steps", "The rate stays as it is.", 1),
    "learning-rate-high": Rule(
        "error", "A learning rate far too high", "Steps jump over what they should descend into.", 1
    ),
    "momentum-high": Rule(
        "warning", "Averages of gradients that last too long", "Steps follow gradients long gone.", 0
    ),
    "clipping-late": Rule(
        "warning", "Gradients clipped where no step uses them", "Steps are as long as without clipping.", 0
    ),
    "learning-rate-low": Rule("warning", "A learning rate far too low", "Nothing is learned in the time there is.", 1),
    "learning-rate-dropped-early": Rule(
        "warning", "The learning rate drops while the loss still falls", "Progress ends early.", 1
    ),
    "decay-on-norms": Rule(
        "note", "Weight decay on batch norm and biases", "It pulls scales to 0 and regularises nothing.", 1
    ),
    "cannot-overfit": Rule(
        "warning", "One batch cannot be learned by heart", "Something is in the way of learning.", 2
    ),
    # modes and judging
    "eval-missing": Rule(
        "error", "Judged in training mode", "Dropout and batch norm act as in training: scores are noise.", 0
    ),
    "train-missing": Rule(
        "error", "Trained in evaluation mode", "Batch norm keeps its first statistics and dropout is off.", 0
    ),
    "gradients-in-evaluation": Rule("note", "Gradients recorded while judging", "It costs memory and time.", 1),
    "training-restarted": Rule(
        "error", "The net or its optimiser made anew while it trains", "What was learned or gathered is lost.", 0
    ),
    "accuracy-axis": Rule(
        "error", "Accuracy computed along the wrong axis", "The figure says nothing about the net.", 0
    ),
    "accuracy-count": Rule(
        "error", "Accuracy that does not count what it says", "The figure says nothing about the net.", 1
    ),
    "judged-net-differs": Rule(
        "error", "The net that is judged does not follow the trained one", "The figures are another net's.", 0
    ),
    "weights-not-kept": Rule(
        "warning", "Weights kept or loaded that are not the best ones", "What is judged at the end is another state.", 0
    ),
    "selected-on-test": Rule("warning", "Selected on the images that give the result", "The result flatters.", 1),
    # net
    "last-batch-small": Rule(
        "warning", "A last batch of one or a few images", "Batch norm fails on one image and is noise on few.", 1
    ),
    "norm-momentum": Rule(
        "error", "Batch norm's momentum the other way round", "Evaluation uses averages of too few batches.", 0
    ),
    "bias-before-norm": Rule("note", "A convolution's bias before batch norm", "The norm subtracts it again.", 1),
    "activation-missing": Rule(
        "warning", "Two layers without an activation between them", "Together they are one linear layer.", 1
    ),
    "activation-doubled": Rule(
        "warning", "Two activations in a row", "The second does nothing, or squeezes once more.", 1
    ),
    "dropout-before-norm": Rule(
        "warning", "Dropout before batch norm", "Its variance differs between training and judging.", 1
    ),
    "dropout-on-logits": Rule(
        "warning", "Dropout on the logits", "It is the answers that are dropped, not features.", 0
    ),
    "dropout-high": Rule("warning", "Dropout that leaves almost nothing", "Too little reaches the layers after it.", 0),
    "pooled-away": Rule("warning", "Maps pooled to almost nothing", "Where things are is lost before it is used.", 1),
    "bad-initialisation": Rule(
        "error", "Weights that begin constant or badly scaled", "Units stay alike, or signals die or explode.", 0
    ),
    # running
    "dead-units": Rule("warning", "Units that are never active", "They get no gradient and stay so.", 2),
    "saturated-units": Rule("warning", "Units stuck at the ends of their activation", "Almost no gradient passes.", 2),
    "gradient-vanishing": Rule("warning", "Gradients that vanish on the way back", "The first layers hardly learn.", 2),
    "gradient-exploding": Rule("warning", "Gradients that explode", "One step can undo all.", 2),
    "not-finite": Rule("error", "NaN or infinity in the loss or a layer", "Every later step is NaN.", 2),
    "loss-flat": Rule("warning", "A loss that does not fall", "Nothing is learned.", 2),
    "overfitting": Rule("note", "Validation gets worse while training gets better", "The net learns by heart.", 2),
    "underfitting": Rule("note", "Training accuracy itself is low", "The net, the rate or the time is too small.", 2),
}

ORDER: dict[str, int] = {"error": 0, "warning": 1, "note": 2}


def finding(
    rule: str,
    what: str,
    evidence: str,
    remedy: str,
    *,
    severity: Severity | None = None,
    file: str | None = None,
    line: int | None = None,
    layer: str | None = None,
) -> Finding:
    """A finding of a rule of the catalogue; severity: another than the rule's own."""
    known = lookup(RULES, rule, "rule")
    return Finding(rule, severity or known.severity, what, evidence, known.why, remedy, file, line, layer)


def check_names(rules: Iterable[str]) -> None:
    """RecipeError for a name that is no rule's."""
    for name in rules:
        lookup(RULES, name, "rule")


def ranked(findings: Iterable[Finding]) -> list[Finding]:
    """The likeliest root cause first: by severity, then causes before symptoms, then as found."""
    return sorted(findings, key=lambda f: (ORDER[f.severity], RULES[f.rule].cause))
