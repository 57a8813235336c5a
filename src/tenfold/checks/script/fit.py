"""Rules about over- and underfitting, from the program's own figures: right answers in training and in evaluation."""

import ast
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.optim import SGD

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.origins import origin
from tenfold.checks.script.seen import Call, Held, Place, Seen, length
from tenfold.checks.script.source import line, shown_code, tree, trees
from tenfold.errors import Finding

KNOWN, GAP = 0.95, 0.1
"""Training images are known by heart from the first share on; validation is worse if it lies by the second below."""
SHRINKS = 0.01
"""Weight decay that takes more of every weight in each step is too strong for anything to be learned."""
USUAL_DECAY = 0.01
"""Up to here it is no decay that is too strong, but the rate that it is multiplied by."""


@dataclass(frozen=True)
class Evaluation:
    """One evaluation: after how many steps, images judged, share of them right, mean loss where there is one."""

    step: int
    images: int
    right: float
    loss: float | None


def evaluations(seen: Seen) -> list[Evaluation]:
    """All evaluations whose right answers are known, in order."""
    phases: dict[int, list[Call]] = defaultdict(list)
    for call in seen.judging_calls():
        if call.right is not None and call.shape:
            phases[call.step].append(call)
    return [evaluation(step, calls) for step, calls in sorted(phases.items())]


def evaluation(step: int, calls: list[Call]) -> Evaluation:
    """Of the batches judged after one step."""
    images = sum(call.shape[0] for call in calls)
    losses = [call.loss for call in calls if call.loss is not None]
    right = sum((call.right or 0.0) * call.shape[0] for call in calls) / images
    return Evaluation(step, images, right, fmean(losses) if losses else None)


def overfitting(seen: Seen) -> Iterator[Finding]:
    """The training images are known by heart, and others far less."""
    training = [(x.right, x.value, x.step) for x in seen.training_losses() if x.right is not None][-10:]
    judged = [one for one in evaluations(seen) if training and one.step >= 0.7 * training[-1][2]]
    if len(training) < 10 or not judged or judged[-1].images < 50:
        return
    known, last = fmean(right for right, _, _ in training), judged[-1]
    chance = 2 * math.sqrt(0.25 / last.images)
    if known < KNOWN or last.right > known - GAP - chance:
        return
    best = min((one.loss for one in evaluations(seen) if one.loss is not None), default=None)
    worse = last.loss / best if best and last.loss else 1.0
    rose = f" Their loss is {last.loss:.3g}, and was {best:.3g}." if worse > 1.1 else ""
    place, images = few_images(seen)
    few = f" of {images:,} images" if images else ""
    yield finding(
        "overfitting",
        "The net learns its training images by heart",
        f"After {training[-1][2] + 1} steps {100 * known:.0f} % of the training batches{few} are right (loss "
        f"{fmean(value for _, value, _ in training):.2g}), and {100 * last.right:.0f} % of {last.images} others.{rose}",
        "Train on more images; augment them (flips, shifts, crops), add dropout or weight decay, or stop earlier.",
        severity="warning" if last.right < known - 0.25 or worse > 1.3 else None,
        **where(place),
    )


def few_images(seen: Seen) -> tuple[Place | None, int]:
    """Where the training images were made so few, else where they are trained on; and how many there are."""
    sizes = [size for fact in seen.loaders if fact.steps and (size := length(fact.loader.dataset))]
    distinct = len({h for call in seen.training_calls() for h in call.hashes})
    call = next(seen.training_calls(), None)
    for file, module in trees(seen):
        for node in ast.walk(module):
            limit = node.upper if isinstance(node, ast.Slice) else None
            if not isinstance(limit, ast.Constant) or not isinstance(limit.value, int):
                continue
            if limit.value in sizes or (not sizes and limit.value <= distinct <= 3 * limit.value):
                return Place(file, limit.lineno), limit.value
    return call.place if call else None, sizes[0] if sizes else 0


def decay_too_strong(seen: Seen) -> Iterator[Finding]:
    """Weight decay that undoes in a few steps what the gradients teach."""
    for held in seen.helds:
        shares = [shrinks(held, group) for group in held.optimizer.param_groups]
        strongest = held.optimizer.param_groups[shares.index(max(shares))]
        decay, flat = strongest.get("weight_decay", 0.0), all(p.dim() <= 1 for p in strongest["params"])
        if held.steps and max(shares) > SHRINKS and decay > USUAL_DECAY and (flat or not scale_free(seen)):
            yield finding(
                "decay-on-norms" if flat else "underfitting",
                f"Weight decay {decay:g} is far too strong",
                f"It takes {100 * max(shares):.2g} % of every weight in each step: half in {half(max(shares))} steps.",
                f"Try weight_decay={'0 for biases and norms' if flat else '5e-4'} in {shown_code(held.place)}"
                f"{line(held.place)}.",
                severity="warning",
                **where(decay_place(held, decay)),
            )
            return


def scale_free(seen: Seen) -> bool:
    """Whether norms follow at least half of the layers with weights: how long these are is of no account then."""
    layers = list(seen.model.modules()) if seen.model is not None else []
    weighty = [layer for layer in layers if any(p.dim() > 1 for p in layer.parameters(recurse=False))]
    norms = [layer for layer in layers if isinstance(layer, _NormBase | nn.GroupNorm | nn.LayerNorm)]
    return 2 * len(norms) >= len(weighty) > 0


def decay_place(held: Held, decay: float) -> Place | None:
    """Where a decay is written: as the value of a group, else where the optimiser got it."""
    file = held.place.file if held.place else ""
    for node in ast.walk(tree(file)) if file else ():
        for key, value in zip(node.keys, node.values) if isinstance(node, ast.Dict) else ():
            named = isinstance(key, ast.Constant) and key.value == "weight_decay"
            if named and isinstance(value, ast.Constant) and value.value == decay:
                return Place(file, value.lineno)
    return origin(held.stack, "weight_decay")


def few_batches(seen: Seen) -> Iterator[Finding]:
    """A loop over the starts of batches that ends at their number: range(0, n // size, size)."""
    for file, module in trees(seen):
        for node in ast.walk(module):
            if not isinstance(node, ast.Call) or ast.unparse(node.func) != "range" or len(node.args) != 3:
                continue
            stop, step = node.args[1], ast.unparse(node.args[2])
            if isinstance(stop, ast.BinOp) and isinstance(stop.op, ast.FloorDiv) and ast.unparse(stop.right) == step:
                yield finding(
                    "underfitting",
                    f"An epoch goes through 1/{step} of the images only",
                    f"`{ast.unparse(node)}` ends at the number of batches, and goes on by their size.",
                    f"Write `range({ast.unparse(node.args[0])}, {ast.unparse(stop.left)}, {step})` "
                    f"(line {node.lineno}).",
                    severity="warning",
                    **Place(file, node.lineno).where,
                )
                return


def half(share: float) -> int:
    """Steps in which half is gone."""
    return max(1, round(math.log(2) / share))


def shrinks(held: Held, group: dict[str, object]) -> float:
    """The share of a weight that decay takes in a step, momentum's echo included; 0 where it cannot be said."""
    rate, decay, momentum = (float(group.get(key) or 0) for key in ("lr", "weight_decay", "momentum"))  # type: ignore[arg-type]
    if isinstance(held.optimizer, SGD):
        return rate * decay / max(1 - momentum, 0.01)
    if type(held.optimizer).__name__ == "AdamW":
        return rate * decay
    return SHRINKS * 2 if type(held.optimizer).__name__ == "Adam" and decay >= 0.05 else 0.0


RULES = (decay_too_strong, few_batches)
SYMPTOMS = (overfitting,)
