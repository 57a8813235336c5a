"""Rules about nets with a single output for two classes: [N, 1] or [N], a sigmoid, and a threshold."""

import math
from collections.abc import Iterator

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.places import activation_place, loss_place
from tenfold.checks.script.seen import LossCall, Seen
from tenfold.checks.script.source import line, shown_code
from tenfold.errors import Finding

BINARY = "binary_cross_entropy_with_logits"
FAR = 20.0
"""Weights that make one of two classes count so many times as much as the other, and more than the images did."""


def softmax_of_one(seen: Seen) -> Iterator[Finding]:
    """A softmax over a single number is 1, whatever the net computes."""
    if seen.lone is None:
        return
    (made, shape), place = seen.lone, activation_place(seen, seen.lone[0])
    yield finding(
        "softmax-before-loss",
        "softmax over a single output",
        f"{shown_code(place)} gets {list(shape)}: the softmax of one number is 1, so that nothing is learned.",
        f"Take it out, and use nn.BCEWithLogitsLoss(){line(place)}; or give the last layer two outputs.",
        layer=made.layer or None,
        **where(place),
    )


def outputs_spread(seen: Seen) -> Iterator[Finding]:
    """A loss of the program's own that takes [N, 1] and [N] together to [N, N]."""
    if seen.spread is None:
        return
    outputs, targets, place = seen.spread
    yield finding(
        "wrong-labels-shape",
        f"Outputs {list(outputs)} against targets {list(targets)}",
        f"{shown_code(place)} makes [{outputs[0]}, {outputs[0]}] of them: every output meets every target.",
        f"Bring both to one shape, as with `.squeeze(1)` on the outputs{line(place)}.",
        **where(place),
    )


def class_of_one(seen: Seen) -> Iterator[Finding]:
    """The place of the largest of one number is 0."""
    for pick in seen.picks.values():
        if pick.kind == "choose" and len(pick.shape) == 2 and pick.shape[0] > 1 == pick.shape[1] and pick.dim:
            yield finding(
                "accuracy-axis",
                "The class is chosen among one number",
                f"{shown_code(pick.place)} gets {list(pick.shape)}: the answer is class 0 for every image.",
                f"With one logit an image, write `outputs.squeeze(1) > 0`{line(pick.place)}.",
                **where(pick.place),
            )
            return


def threshold_of_logits(seen: Seen) -> Iterator[Finding]:
    """Logits are taken for probabilities."""
    if not any(loss.kind == BINARY for loss in seen.training_losses()):
        return
    pick = next((pick for pick in seen.picks.values() if pick.kind == "threshold"), None)
    if pick is not None:
        yield finding(
            "accuracy-count",
            "Logits are compared with a threshold for probabilities",
            f"{shown_code(pick.place)} compares numbers below 0 or above 1: BCEWithLogitsLoss takes logits, and a "
            "probability of 0.5 is a logit of 0.",
            f"Compare `torch.sigmoid(outputs)` with it, or the logits with 0{line(pick.place)}.",
            severity="warning",
            **where(pick.place),
        )


def positive_weight(seen: Seen) -> Iterator[Finding]:
    """pos_weight makes one of two classes count for nearly nothing."""
    losses = [loss for loss in seen.training_losses() if loss.kind == BINARY and loss.positive and loss.whole]
    share = positives(losses)
    if not losses or losses[0].positive is None or not 0 < share < 1 or not math.isfinite(losses[0].positive):
        return
    place = loss_place(seen, losses[0])
    before, after = share / (1 - share), losses[0].positive * share / (1 - share)
    if abs(math.log(after)) < math.log(FAR) or abs(math.log(after)) < abs(math.log(before)) + math.log(2):
        return
    yield finding(
        "class-imbalance",
        f"pos_weight leaves {'the positive' if after < 1 else 'the negative'} class out",
        f"It is {losses[0].positive:.3g}, and {share:.0%} of the labels are 1: all of them together weigh "
        f"{after:.2g} times as much as the others.",
        f"It is the number of 0s over the number of 1s: {(1 - share) / share:.3g} here{line(place)}.",
        severity="error",
        **where(place),
    )


def positives(losses: list[LossCall]) -> float:
    """The share of 1s among the targets of these losses."""
    kept = [loss.target for loss in losses if loss.target is not None]
    return sum(float(target.sum()) for target in kept) / max(1, sum(target.numel() for target in kept))


RULES = (softmax_of_one, outputs_spread, class_of_one, threshold_of_logits, positive_weight)
