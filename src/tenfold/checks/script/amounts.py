"""How large a loss is: summed or divided, outweighed by what is added, and what the first one should be."""

import math
from collections.abc import Iterator
from statistics import median

from tenfold.checks.rules import finding
from tenfold.checks.script.places import loss_place, start_place
from tenfold.checks.script.seen import LossCall, Seen, first
from tenfold.checks.script.source import line
from tenfold.errors import Finding

OUTWEIGHS = 5.0
"""What is added to a loss that does not fall is so many times as large, in every step."""


def loss_reduction(seen: Seen) -> Iterator[Finding]:
    """The loss is summed, and goes backward as it is."""
    loss = next((x for x in seen.training_losses() if x.shape and x.shape[0] > 1 and not x.own and summed(x)), None)
    if loss is None:
        return
    mean, place = loss.went / loss.shape[0], loss_place(seen, loss)
    yield finding(
        "loss-reduction",
        "The loss is summed over the batch",
        f"{loss.went:.2f} for a batch of {loss.shape[0]}: {mean:.3f} an image.",
        f'Take reduction="sum" out, or divide the loss by the batch size before backward{line(place)}.',
        **(place.where if place else {}),
    )


def divided_twice(seen: Seen) -> Iterator[Finding]:
    """Each image's loss is weighed by a share, all of which sum to 1, and the mean is taken all the same."""
    losses = [x for x in seen.training_losses() if x.reduction == "none" and x.value > 0 and x.shape][:10]
    several = any(held.micro > 1 for held in seen.helds)  # then each may well be divided by their number
    shares = [x.went / x.value * x.shape[0] for x in losses if x.shape[0] >= 8]
    if several or not len(losses) == len(shares) >= 5 or not all(0.6 < share < 1.6 for share in shares):
        return
    one, place = losses[0], losses[0].place
    yield finding(
        "loss-reduction",
        "The loss is divided by the batch size twice",
        f"{one.went:.3g} went backward for a batch of {one.shape[0]}, where the mean of an image's loss was "
        f"{one.value:.3g}: weights that sum to 1 are a mean already.",
        f"Take the sum of what is weighed, or weights whose mean is 1{line(place)}.",
        **(place.where if place else {}),
    )


def outweighed(seen: Seen) -> Iterator[Finding]:
    """What the program adds to its only loss, a penalty say, is many times as large, and the loss stays, or comes to
    what guessing costs.
    """
    losses = [loss for loss in seen.training_losses() if loss.kind == "cross_entropy" and loss.value > 0][:60]
    steps = {loss.step for loss in seen.losses if loss.backward}
    if len(losses) < 20 or len(steps) < len(seen.training_losses()) or len(losses[0].shape) != 2:
        return
    times = [loss.went / loss.value for loss in losses]
    scaled = max(times) < 1.1 * min(times)  # by a factor, as for half precision
    kept = sum(loss.value for loss in losses[-5:]) / sum(loss.value for loss in losses[:5])
    guesses = all(abs(loss.value / math.log(loss.shape[1]) - 1) < 0.05 for loss in losses[-10:])
    if min(times) < OUTWEIGHS or scaled or not (guesses or 0.95 < kept < 1.05):
        return
    yield finding(
        "loss-reduction",
        "What is added to the loss outweighs it",
        f"{losses[0].went:.3g} went backward where the cross-entropy was {losses[0].value:.3g}, and in the last of "
        f"{len(losses)} steps {losses[-1].went:.3g} where it was {losses[-1].value:.3g}: nothing is learned of the "
        "labels.",
        f"Take the mean of what is added, not its sum, or a far smaller factor{line(seen.backward_at)}.",
        **(seen.backward_at.where if seen.backward_at else {}),
    )


def summed(loss: LossCall) -> bool:
    """Whether what went backward is the sum over the images, by the loss itself or by what followed."""
    if loss.reduction == "sum":
        return loss.went == loss.value
    if loss.value <= 0:
        return False
    times, images, each = loss.went / loss.value, loss.shape[0], numbers_each(loss)
    weighed = loss.reduction == "none" and images >= 16  # each image's loss by a weight of about 1, and summed

    def fits(count: int) -> bool:
        return abs(times / count - 1) < 1e-5 or (weighed and 0.4 < times / count < 2.5)

    mean = each > 1 and fits(each)  # the sum over the numbers of an image, and the mean over the images
    return (fits(images) or fits(images * each)) and not mean


def numbers_each(loss: LossCall) -> int:
    """How many numbers without reduction a loss gives for one image."""
    return math.prod(loss.shape[2:] if loss.kind in ("cross_entropy", "nll_loss") else loss.shape[1:])


def own_reduction(seen: Seen) -> Iterator[Finding]:
    """A cross-entropy of the program's own that takes the mean over classes too, or the sum over the batch."""
    if seen.own_first is None or seen.log_softmax is None or len(seen.log_softmax[0]) != 2 or seen.loaded:
        return
    (images, classes), place = seen.log_softmax
    value, guess = seen.own_first, math.log(max(classes, 1))
    if classes < 3 or images < 4:
        return
    exact, images, place = seen.own_scale or ("", images, place)
    if exact == "mean" or (not exact and abs(value * classes / guess - 1) < 0.3):
        how, remedy = "the mean over the classes too", "`.sum(dim=1).mean()` in place of `.mean()`"
    elif exact == "sum" or (not exact and abs(value / images / guess - 1) < 0.3):
        how, remedy = "the sum over the batch", "`.sum(dim=1).mean()` in place of `.sum()`"
    else:
        return
    yield finding(
        "loss-reduction",
        f"The loss is {how}",
        f"The first one is {value:.3g}; ln({classes}) = {guess:.2f} is what guessing costs an image, and "
        f"{'divided by' if 'mean' in how else 'times'} {classes if 'mean' in how else images} that is "
        f"{guess / classes if 'mean' in how else guess * images:.3g}.",
        f"Take the sum over the classes and the mean over the images: {remedy}{line(place)}.",
        severity="warning",
        **(place.where if place else {}),
    )


def divided_by_classes(seen: Seen) -> Iterator[Finding]:
    """A cross-entropy of the program's own whose sum is divided by as many as there are classes, not images."""
    own = [loss for loss in seen.training_losses() if loss.own and loss.went and len(loss.shape) == 2][:10]
    if len(own) < 5 or seen.loaded:
        return
    images, classes = own[0].shape
    times = median(loss.went / loss.value for loss in own if loss.value)
    if images < 3 * classes or not 0.7 < times * classes / images < 1.4:
        return
    yield finding(
        "initial-loss",
        f"The loss is {times:.2g} times a cross-entropy",
        f"Of {images} images and {classes} classes that is about {images} / {classes}: the sum over the images is "
        "divided by as many as there are classes.",
        f"Divide the sum over the images by the sum of their own weights, `weight[labels].sum()`{line(own[0].place)}.",
        severity="warning",
        **(own[0].place.where if own[0].place else {}),
    )


def smooth(rows: tuple[float, float], everywhere: bool) -> bool:
    """Whether targets with these sums of rows, above 0 `everywhere`, are smoothed ones that were not shared out."""
    return everywhere and rows[1] - rows[0] < 1e-3 and abs(rows[0] - 1) > 0.05


def counts(loss: LossCall) -> bool:
    """Whether its targets are how often each class was named, as by votes, and no shares of them."""
    return loss.target_low >= 0 and loss.target_high > 1 and loss.target_rows[0] > 1


def targets_sum(seen: Seen) -> Iterator[Finding]:
    """Votes in place of shares, or smoothed labels of which each row sums to another number than 1."""
    losses = [x for x in seen.training_losses()[:1] if x.kind == "cross_entropy" and x.target_shape == x.shape]
    votes = next((x for x in losses if len(x.shape) == 2 and counts(x)), None)
    if votes is not None:
        (low, high), classes = votes.target_rows, votes.shape[1]
        yield finding(
            "initial-loss",
            f"The loss is {low:.3g} to {high:.3g} times a cross-entropy",
            f"Rows of its targets sum to {low:.3g} … {high:.3g}, not to 1; the first is {votes.value:.3g}, where "
            f"ln({classes}) = {math.log(classes):.2f} is what guessing costs. So the gradients are as many times too "
            "large, and images count by their votes.",
            f"Divide each row by its sum: `targets / targets.sum(1, keepdim=True)`{line(votes.place)}.",
            **(votes.place.where if votes.place else {}),
        )
        return
    given = [(x.target_rows, x.target_low > 0, x.place) for x in losses if len(x.shape) == 2]
    for rows, everywhere, place in [*given, *([seen.own_targets] if seen.own_targets else [])]:
        if smooth(rows, everywhere):
            yield finding(
                "initial-loss",
                f"The loss is {rows[0]:.3g} times a cross-entropy",
                f"Every row of its targets sums to {rows[0]:.3g}, not to 1, so that guessing costs as many times ln C.",
                "Share the smoothing out: eps / (classes - 1) for each other class, or use "
                f"nn.CrossEntropyLoss(label_smoothing=eps){line(place)}.",
                **(place.where if place else {}),
            )
            return


def initial_loss(seen: Seen) -> Iterator[Finding]:
    """The first loss is far above that of a guess."""
    loss = first(seen.training_losses(), "cross_entropy", "nll_loss")
    if loss is None or loss.step or loss.reduction != "mean" or len(loss.shape) < 2 or loss.shape[1] < 2:
        return
    if loss.call is not None and loss.call.told:  # a margin makes the right answer harder, as ArcFace's
        return
    guess = math.log(loss.shape[1])
    if loss.value <= 2 * guess + 1 or not math.isfinite(loss.value) or seen.loaded:
        return
    yield finding(
        "initial-loss",
        f"The first loss is {loss.value:.2f}",
        f"ln({loss.shape[1]}) = {guess:.2f} is what guessing costs; logits go from {loss.low:.3g} to {loss.high:.3g}.",
        "Scale the images to about mean 0 and deviation 1, and leave the layers' own initialisation.",
        **((start_place(seen) or loss.place).where if loss.place else {}),
    )
