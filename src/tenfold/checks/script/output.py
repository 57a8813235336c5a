"""Rules about the net's output and its loss."""

import math
from collections.abc import Iterator

from tenfold.checks.rules import finding
from tenfold.checks.script.amounts import (
    counts,
    divided_by_classes,
    divided_twice,
    initial_loss,
    loss_reduction,
    outweighed,
    own_reduction,
    smooth,
    targets_sum,
)
from tenfold.checks.script.places import activation_place, loss_place
from tenfold.checks.script.seen import LossCall, Made, Place, Seen, first
from tenfold.checks.script.source import line, text
from tenfold.errors import Finding, Severity

SQUASHING = ("softmax", "sigmoid", "sigmoid_")
CUTTING = ("relu", "relu_", "relu6", "leaky_relu", "gelu", "silu", "elu", "tanh", "tanh_", "softplus", "selu", "mish",
           "hardtanh", "hardswish", "prelu")  # fmt: skip
FROM_LOGITS = ("cross_entropy", "binary_cross_entropy_with_logits")


def softmax_before_loss(seen: Seen) -> Iterator[Finding]:
    """The input of cross-entropy is already made of probabilities."""
    loss = first(seen.training_losses(), *FROM_LOGITS)
    if loss is None:
        return
    probabilities = loss.low >= 0 and loss.high <= 1 and abs(loss.row_sum[0] - 1) < 1e-3 > abs(loss.row_sum[1] - 1)
    named = loss.made is not None and loss.made.name in SQUASHING
    if not named and not (probabilities and len(loss.shape) == 2 and loss.shape[1] > 1):
        return
    made = loss.made if named else None
    place = activation_place(seen, made) if made and made.place else loss.place
    name = made.name.rstrip("_") if made else "softmax"
    classes = loss.shape[1] if len(loss.shape) > 1 else 2
    floor = math.log(1 + (classes - 1) / math.e)
    evidence = f"The loss gets values from {loss.low:.3f} to {loss.high:.3f}"
    if probabilities and loss.kind == "cross_entropy":
        evidence += f" whose rows sum to 1: it cannot fall below ln(1 + {classes - 1}/e) = {floor:.2f}"
    yield finding(
        "softmax-before-loss",
        f"{name} before {spoken(loss)}",
        f"{evidence}. The loss is `{text(loss.place)}`{line(loss.place)}.",
        f"{take_out(made, name, place)} {spoken(loss)} takes logits; for probabilities apply {name} where you predict.",
        layer=made.layer or None if made else None,
        **(place.where if place else {}),
    )


def spoken(loss: LossCall) -> str:
    """A loss's name as users know it."""
    return {
        "cross_entropy": "cross-entropy",
        "nll_loss": "NLLLoss",
        "mse_loss": "MSELoss",
        "binary_cross_entropy": "BCELoss",
        "binary_cross_entropy_with_logits": "BCEWithLogitsLoss",
    }.get(loss.kind, loss.kind)


def take_out(made: Made | None, name: str, place: Place | None) -> str:
    """Which line to change, and how."""
    if made is None or place is None:
        return f"Take the {name} out, and pass the logits to the loss."
    code = text(place)
    if made.layer and (name not in code.lower() or place != made.place):
        return f"Take the layer `{made.layer}` ({name}) out of the net, which is made in line {place.line}."
    return f"Take the {name} out of `{code}`{line(place)}."


def squashed_twice(seen: Seen) -> Iterator[Finding]:
    """A log_softmax, of the net's or of a loss that the program writes itself, takes an activation for logits."""
    if seen.squashed is None or seen.squashed[0].name.rstrip("_") not in SQUASHING + CUTTING:
        return
    made, under, (low, high) = seen.squashed
    name, place = made.name.rstrip("_"), activation_place(seen, made) or under
    yield finding(
        "softmax-before-loss" if name in SQUASHING else "activation-on-logits",
        f"{name} before log_softmax",
        f"The log_softmax gets values from {low:.3f} to {high:.3f}{line(under)}.",
        f"{take_out(made, name, place)} log_softmax takes logits.",
        layer=made.layer or None,
        **(place.where if place else {}),
    )


def activation_on_logits(seen: Seen) -> Iterator[Finding]:
    """The last thing before the loss is an activation."""
    losses = [loss for loss in seen.training_losses() if loss.kind in FROM_LOGITS]
    loss = losses[0] if losses else None
    if loss is None or loss.made is None or loss.made.name not in CUTTING:
        yield from never_negative(seen, losses)
        return
    made, name = loss.made, loss.made.name.rstrip("_")
    place = activation_place(seen, made)
    yield finding(
        "activation-on-logits",
        f"{name} on the logits",
        f"No logit is below {loss.low:.3f} (the highest is {loss.high:.3f}).",
        take_out(made, name, place),
        layer=made.layer or None,
        **(place.where if place else {}),
    )


def never_negative(seen: Seen, losses: list[LossCall]) -> Iterator[Finding]:
    """Logits of several classes of which none was ever below 0, whatever makes them so."""
    if len(losses) < 10 or losses[0].kind != "cross_entropy" or len(losses[0].shape) != 2 or losses[0].shape[1] < 3:
        return
    numbers, place = sum(math.prod(loss.shape) for loss in losses), seen.last_line or losses[0].place
    shares = all(abs(end - 1) < 1e-3 for loss in losses[:3] for end in loss.row_sum)
    if shares or any(loss.low < 0 for loss in losses) or not any(loss.high > 0 for loss in losses):
        return
    if any(x.call is None or math.prod(x.shape) != math.prod(x.call.output) for x in losses):
        return  # features are compared with others
    if seen.affine and all(x.call and x.call.lowest >= 0 for x in losses):
        return  # they could be below 0, and are not
    yield finding(
        "activation-on-logits",
        "No logit is ever below 0",
        f"Of {numbers:,} in {len(losses)} steps the lowest is {min(loss.low for loss in losses):.3g}. An absolute "
        "value, a square, an exponential or a clamp at the end does this.",
        "Let the last layer's numbers go into the loss as they are.",
        **(place.where if place else {}),
    )


def wrong_loss(seen: Seen) -> Iterator[Finding]:
    """A loss that is minimised by something else than right answers."""
    for loss in seen.training_losses()[:3]:
        place = loss_place(seen, loss)
        told = misfit(loss, place)
        if told is None:
            continue
        what, evidence, remedy, severity = told
        where = place.where if place else {}
        yield finding("wrong-loss", what, evidence, remedy, severity=severity, **where)
        return


def turned_round(seen: Seen) -> Iterator[Finding]:
    """A loss that is made as large as possible."""
    losses = [
        x
        for x in seen.training_losses()
        if x.kind in ("cross_entropy", "nll_loss", *FROM_LOGITS) and x.value > 0 and not x.own
    ]
    signs = [x for x in losses if abs(x.went + x.value) < 1e-5 * x.value]
    ascending = next((h for h in seen.helds if h.steps and h.optimizer.param_groups[0].get("maximize")), None)
    if len(losses) < 3 or (len(signs) < len(losses) and ascending is None) or (signs and ascending):
        return
    place = ascending.place if ascending else losses[0].place
    yield finding(
        "wrong-loss",
        "The loss is made larger, not smaller",
        f"It was {losses[0].value:.3g} and is {losses[-1].value:.3g} after {len(losses)} steps: "
        + ("the optimiser has maximize=True." if ascending else "what goes backward is minus the loss."),
        f"Leave {'maximize=True' if ascending else 'the minus'} out{line(place)}.",
        **(place.where if place else {}),
    )


def sign_lost(seen: Seen) -> Iterator[Finding]:
    """A cross-entropy of the program's own that is below 0: it makes the right class less likely."""
    losses = [step.loss for step in seen.steps if step.loss is not None]
    if seen.own_first is None or seen.own_targets is None or len(losses) < 3 or max(losses) >= 0:
        return
    place = seen.own_targets[2]
    yield finding(
        "wrong-loss",
        "The loss makes the right class less likely",
        f"It began at {losses[0]:.3g} and is {losses[-1]:.3g} after {len(losses)} steps; a cross-entropy is never "
        "below 0.",
        f"Put a minus before it: log-probabilities are below 0{line(place)}.",
        **(place.where if place else {}),
    )


def misfit(loss: LossCall, place: Place | None) -> tuple[str, str, str, Severity] | None:
    """What, evidence, remedy and severity."""
    columns = loss.shape[1] if len(loss.shape) > 1 else 1
    if loss.kind == "nll_loss" and (loss.high > 1e-4 or loss.row_sum[1] > -1e-3):
        softmax = loss.made is not None and loss.made.name == "softmax"
        remedy = (
            f"Use log_softmax in place of softmax{line(loss.made.place if loss.made else None)}: "
            "`F.log_softmax(…, dim=1)`."
            if softmax
            else f"Replace the loss by nn.CrossEntropyLoss() / F.cross_entropy{line(place)}, which takes logits."
        )
        given = "probabilities" if softmax else "logits"
        return (
            f"NLLLoss on {given}",
            f"It expects log-probabilities (all ≤ 0), and gets values from {loss.low:.3f} to {loss.high:.3f}.",
            remedy,
            "error",
        )
    if loss.kind == "kl_div" and loss.low >= 0 and loss.high > 0:
        return (
            "KLDivLoss on probabilities",
            f"It expects log-probabilities (all ≤ 0), and gets values from {loss.low:.3f} to {loss.high:.3f}.",
            f"Use F.log_softmax(…, dim=1) in place of softmax{line(loss.made.place if loss.made else place)}.",
            "error",
        )
    if loss.kind == "cross_entropy" and columns == 1 and len(loss.shape) == 2:
        return (
            "Cross-entropy on a single output",
            f"The net gives {list(loss.shape)}: one class is always right, and the loss is always 0.",
            "Give the last layer one output a class (2 for two classes), or use nn.BCEWithLogitsLoss() on floats.",
            "error",
        )
    if loss.kind in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss") and loss.distinct > 1 and loss.whole:
        if len(loss.target_shape) > 2 or loss.distinct > 1000 or loss.target_low < 0:
            return None
        one_hot = loss.target_rows == (1.0, 1.0) and loss.target_high == 1
        if len(loss.target_shape) == 2 and columns > 1 and not one_hot:  # corners of boxes, say, or pixels
            return None
        dense = loss.target_low == 0 and loss.target_high == loss.distinct - 1  # else likelier an age or a price
        return (
            f"{spoken(loss)} on {'one-hot classes' if one_hot else 'class numbers'}",
            f"The targets are whole numbers {loss.target_low:g} … {loss.target_high:g}, outputs {list(loss.shape)}.",
            f"Use nn.CrossEntropyLoss() on the logits [N, classes] and class numbers [N]{line(place)}.",
            "warning" if one_hot or dense else "note",  # a count is a choice as well
        )
    if loss.kind.startswith("binary_cross_entropy") and columns > 2 and loss.target_rows == (1.0, 1.0) and loss.whole:
        if loss.reduction == "none":  # a part of another loss, such as a focal one
            return None
        return (
            f"{spoken(loss)} on classes of which exactly one is right",
            f"Every row of the targets {list(loss.target_shape)} holds exactly one 1.",
            f"Use nn.CrossEntropyLoss() on the logits and class numbers [N]{line(place)}.",
            "note",  # one yes or no for each class is a choice as well; the maximum is the same
        )
    if loss.kind == "cross_entropy" and loss.target_shape == loss.shape and len(loss.shape) == 2:
        low, high = loss.target_rows
        if (high > 1.01 or low < 0.99) and not smooth(loss.target_rows, loss.target_low > 0) and not counts(loss):
            return (
                "Cross-entropy on labels of which several can be right",
                f"Rows of the targets sum to {low:g} … {high:g}, not to 1.",
                f"Use nn.BCEWithLogitsLoss(){line(place)}.",
                "error",
            )
    return None


def labels_broadcast(seen: Seen) -> Iterator[Finding]:
    """[N, 1] against [N] is compared as [N, N]."""
    for loss in seen.training_losses()[:3]:
        elementwise = loss.kind in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
        if elementwise and loss.shape != loss.target_shape and loss.shape[0] > 1:
            yield finding(
                "wrong-labels-shape",
                f"Outputs {list(loss.shape)} against targets {list(loss.target_shape)}",
                "torch broadcasts them: every output is compared with every target.",
                f"Bring both to one shape, as with `.squeeze(1)` on the outputs{line(loss.place)}.",
                **(loss.place.where if loss.place else {}),
            )
            return


RULES = (
    softmax_before_loss,
    squashed_twice,
    activation_on_logits,
    wrong_loss,
    turned_round,
    sign_lost,
    labels_broadcast,
    loss_reduction,
    divided_twice,
    outweighed,
    own_reduction,
    divided_by_classes,
    targets_sum,
    initial_loss,
)
