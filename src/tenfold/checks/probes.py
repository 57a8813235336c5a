"""One-batch probes: what a net does with a few images tells faults that no reading of it shows.

Those that only look (`look`) leave weights, buffers, gradients, modes and random state as they were, to the byte.
Those that train (`learns`) take a twin of the net with an optimiser of its own.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from tenfold.checks.rules import finding
from tenfold.checks.trace import still
from tenfold.errors import Finding
from tenfold.randomness import devices_of

Loss = Callable[[Tensor, Tensor], Tensor]
"""Logits float32 [N, C] and labels int64 [N] to one number."""


@dataclass(frozen=True)
class Case:
    """A net, a batch as the net sees it (pixels float32 [N, C, H, W], labels [N]), and the loss it is trained with."""

    model: nn.Module
    pixels: Tensor
    labels: Tensor
    loss: Loss


def look(case: Case) -> list[Finding]:
    """The probes that only look; each gives a finding or None."""
    infinite = unclean_input(case)
    if infinite:
        return [infinite]
    with untouched(case.model), judged_fairly(case):
        return [found for probe in (unrepeatable, mixed_samples, blank_input, summed_loss) if (found := probe(case))]


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Inside this block the net may be run; afterwards buffers, modes and every random state are as they were."""
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    states = random.getstate(), np.random.get_state()
    try:
        with still(model), torch.random.fork_rng(devices=devices_of(model)):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)


@contextmanager
def judged_fairly(case: Case) -> Iterator[None]:
    """Inside this block the batch norms judge by this batch's statistics: those of an untrained net know no data."""
    norms = [m for m in case.model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    try:
        with torch.no_grad():
            case.model(case.pixels)
        for norm in norms:
            norm.eval()
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def logits_of(case: Case, pixels: Tensor | None = None) -> Tensor:
    """What the net gives for the batch, or for other pixels."""
    with torch.no_grad():
        return case.model(case.pixels if pixels is None else pixels).float()  # type: ignore[no-any-return]


def unclean_input(case: Case) -> Finding | None:
    """NaN or infinity in what the net is given."""
    bad = int((~torch.isfinite(case.pixels)).flatten(1).any(1).sum())
    if not bad:
        return None
    return finding(
        "input-not-finite",
        f"{bad} of {len(case.pixels)} images hold NaN or infinity as the net sees them",
        "Seen after normalisation, in the first batch.",
        "Look for a deviation of 0 that images are divided by, and for broken files.",
    )


def unrepeatable(case: Case) -> Finding | None:
    """The same batch twice in evaluation mode."""
    first, second = logits_of(case), logits_of(case)
    if torch.equal(first, second) or not torch.isfinite(first).all():
        return None
    return finding(
        "eval-missing",
        "the net gives other outputs for the same images in evaluation mode",
        f"The largest difference of a logit is {float((first - second).abs().max()):.3g}.",
        "Pass training=self.training to F.dropout, or use nn.Dropout; draw nothing at random in evaluation mode.",
    )


def mixed_samples(case: Case) -> Finding | None:
    """The gradient of one image's loss by another image's pixels, which is 0 where samples are kept apart."""
    if any(isinstance(m, _BatchNorm) and not m.track_running_stats for m in case.model.modules()):
        return None  # such norms are meant to mix
    pixels = case.pixels.clone().requires_grad_()
    with torch.enable_grad():
        logits = case.model(pixels).float()
    if len(logits) != len(pixels):
        return mixed(f"{len(pixels)} images give {len(logits)} outputs.")
    if not logits.requires_grad:
        return None  # the images do not reach the output: blank_input tells
    for at in (0, len(pixels) - 1):
        with torch.enable_grad():
            loss = case.loss(logits[at : at + 1], case.labels[at : at + 1])
        slopes = torch.autograd.grad(loss, pixels, retain_graph=True, allow_unused=True, materialize_grads=True)
        others = [i for i in range(len(pixels)) if i != at and bool(slopes[0][i].any())]
        if others:
            return mixed(f"The loss of image {at} depends on the pixels of image {others[0]}.")
    return None


def mixed(evidence: str) -> Finding:
    """The finding of samples that are not kept apart."""
    return finding(
        "samples-mixed",
        "the net mixes the images of a batch",
        evidence,
        "Flatten with x.flatten(1), and never move or merge axis 0 in view, reshape, permute or a sum.",
    )


def blank_input(case: Case) -> Finding | None:
    """The same output for black images; a head of zeros, which is a known start, says nothing."""
    logits, blank = logits_of(case), logits_of(case, torch.zeros_like(case.pixels))
    if not torch.equal(logits, blank) or has_zero_head(case.model):
        return None
    loss = float(case.loss(logits, case.labels))
    return finding(
        "input-ignored",
        "the output is the same for the images and for blank ones",
        f"The loss is {loss:.4f} on both.",
        "Look where the images get lost: a result that is not used, a layer of zeros, an argument that is overwritten.",
    )


def has_zero_head(model: nn.Module) -> bool:
    """Whether the last layer's weights are all 0."""
    layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.modules.conv._ConvNd)]
    return bool(layers) and not bool(layers[-1].weight.detach().any())


def summed_loss(case: Case) -> Finding | None:
    """The loss of the whole batch against that of a quarter: a mean stays, a sum grows with the batch."""
    logits, few = logits_of(case), max(1, len(case.labels) // 4)
    whole, part = float(case.loss(logits, case.labels)), float(case.loss(logits[:few], case.labels[:few]))
    times = len(case.labels) / few
    if not part > 0 or not whole / part > 0.6 * times or times < 2:
        return None
    return finding(
        "loss-reduction",
        "the loss grows with the batch",
        f"{len(case.labels)} images: {whole:.3f}; the first {few}: {part:.3f}.",
        "Take the mean: reduction='mean', or divide by the number of images.",
    )


def differing(first: Tensor, second: Tensor) -> Finding | None:
    """Validation images fetched twice."""
    if torch.equal(first, second):
        return None
    changed = int((first != second).flatten(1).any(1).sum())
    return finding(
        "validation-augmented",
        "validation images differ when they are fetched again",
        f"{changed} of {len(first)} differ.",
        "Give validation and test images the transform without anything random.",
    )


def repeating(plain: Tensor, epochs: list[Tensor]) -> Finding | None:
    """The same images as several epochs see them: augmented, and always alike?"""
    if any(made.shape != plain.shape for made in epochs) or all(torch.equal(plain, made) for made in epochs):
        return None
    if any(not torch.equal(epochs[0], made) for made in epochs[1:]):
        return None
    return finding(
        "augmentation-repeats",
        "every epoch sees the same augmented images",
        f"{len(plain)} images are alike in {len(epochs)} epochs, and differ from the stored ones.",
        "Draw the augmentation anew in each epoch; in a DataLoader seed the workers differently (worker_init_fn).",
    )


def doubly_normalised(case: Case, entering: tuple[float, float]) -> Finding | None:
    """What reaches the first layer, as mean and deviation, where the images come normalised and the net does it again.

    Measured against the batch itself, so that no range of pixels is taken for the right one.
    """
    mean, std = float(case.pixels.mean()), float(case.pixels.std())
    normalised = abs(mean) < 1 and 0.4 < std < 2.5
    if not normalised or (abs(entering[0]) < 1 and 0.4 < entering[1] < 2.5):
        return None
    return finding(
        "normalisation-doubled",
        "the net normalises images that are normalised already",
        f"Mean {mean:.2f}, deviation {std:.2f} go in; {entering[0]:.2f} and {entering[1]:.2f} reach the first layer.",
        "Do it once: leave it out of the net, or give --preprocess.normalize none.",
    )


@dataclass(frozen=True)
class Learned:
    """What a twin did with one batch: the losses of its steps, and the names of parameters that never moved."""

    losses: tuple[float, ...]
    unmoved: tuple[str, ...]
    finished: bool


def learn(
    model: nn.Module,
    optimizer: Optimizer,
    step: Callable[[int], float],
    steps: int = 200,
    seconds: float = 10.0,
    enough: float = 0.2,
) -> Learned:
    """Train on one batch until the loss is `enough` of the first, the steps are done, or the time is up."""
    before = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    losses, began = list[float](), time.perf_counter()
    while len(losses) < steps and time.perf_counter() - began < seconds:
        losses.append(step(len(losses)))
        if len(losses) >= 3 and losses[-1] < enough * losses[0]:
            break
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    now = dict(model.named_parameters())
    still_there = [n for n, was in before.items() if id(now[n]) in held and torch.equal(was, now[n].detach())]
    return Learned(tuple(losses), tuple(still_there), len(losses) == steps)


def by_heart(learned: Learned, images: int) -> list[Finding]:
    """Whether one batch was learned, and every parameter moved."""
    found = []
    first, last = learned.losses[0], min(learned.losses[-5:])
    if learned.finished and last > 0.7 * first:
        found.append(
            finding(
                "cannot-overfit",
                f"{images} images cannot be learned by heart",
                f"The loss began at {first:.3f} and is {last:.3f} after {len(learned.losses)} steps on them alone.",
                "Look at the other findings first; then at labels, the last layer, and how the net joins its parts.",
            )
        )
    if learned.unmoved and len(learned.losses) >= 3:
        found.append(
            finding(
                "parameters-frozen",
                f"{len(learned.unmoved)} parameters did not move in {len(learned.losses)} steps",
                f"{', '.join(learned.unmoved[:4])}{', …' if len(learned.unmoved) > 4 else ''}: their gradient is 0 or "
                "missing.",
                "Look for detach(), torch.no_grad(), .data, or a layer whose result is not used.",
                layer=learned.unmoved[0].rpartition(".")[0] or None,
            )
        )
    return found


@dataclass(frozen=True)
class Flip:
    """An augmentation on images of every class: how a net calls each class without it, and with it."""

    name: str
    plain: Tensor
    changed: Tensor
    """Confusion matrices float [classes, classes]: rows are the true classes and sum to 1."""


def broken_labels(seen: Flip, classes: tuple[str, ...], remedy: str) -> Iterator[Finding]:
    """Classes that the net knows, and that the augmentation turns into another one that it knows."""
    for at, name in enumerate(classes):
        target = int(seen.changed[at].argmax())
        known = min(float(seen.plain[at, at]), float(seen.plain[target, target]))
        if target != at and known > 0.6 and float(seen.changed[at, target] - seen.plain[at, target]) > 0.5:
            yield finding(
                "augmentation-breaks-labels",
                f"{seen.name} makes '{name}' look like '{classes[target]}'",
                f"A net that calls {seen.plain[at, at]:.0%} of '{name}' right calls {seen.changed[at, target]:.0%} of "
                f"them '{classes[target]}' after it.",
                remedy,
            )
