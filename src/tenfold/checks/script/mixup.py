"""Mixed images (mixup, cutmix) whose labels are not mixed alike: the shares are measured in the pixels."""

import ast
import re
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.samples import plain_parts, target_of, whole
from tenfold.checks.script.seen import Call, LossCall, Place, Seen
from tenfold.checks.script.smoothing import unsmoothed
from tenfold.checks.script.source import line, trees
from tenfold.checks.script.tags import LABELLED
from tenfold.errors import Finding

FAR = 0.12
"""So much of a label may be another's before it counts."""


def labels_mixed(seen: Seen) -> Iterator[Finding]:
    """Images are mixed in some shares, and their labels in others."""
    far: list[float] = []
    mixed: list[float] = []
    place: Place | None = None
    for call in seen.training_calls():
        losses = [loss for loss in seen.losses if loss.call is call]
        shares = shares_of(call, losses)
        labels = next((p for p in plain_parts(call) if whole(p)), None) if shares is not None else None
        if shares is None or labels is None or not losses or len(labels) != len(shares):
            continue
        classes = max(int(labels.max()) + 1, losses[0].shape[-1] if len(losses[0].shape) == 2 else 0)
        told = target_of(losses, classes)
        if told is None or told.shape != (len(labels), classes):
            continue
        told = unsmoothed(told)
        expected = shares @ F.one_hot(labels, classes).float()
        far.append(float((told - expected).abs().sum(1).mean() / 2))
        mixed.append(float((1 - torch.minimum(shares.max(1).values, told.gather(1, labels[:, None])[:, 0])).mean()))
        place = place or losses[0].place
    if len(far) < 3 or sum(mixed) / len(mixed) < 0.05 or sum(far) / len(far) < FAR:
        return
    at = mixing(seen) or place
    yield finding(
        "wrong-labels",
        "Images are mixed, and their labels are not mixed alike",
        f"In {len(far)} batches the labels in the loss differ from the shares that the pixels show by "
        f"{sum(far) / len(far):.0%}; {sum(mixed) / len(mixed):.0%} of an image or its label is another's on average.",
        "Use the same λ and the same order for both: `loss = lam * ce(out, y) + (1 - lam) * ce(out, y[order])` where "
        f"`x = lam * x + (1 - lam) * x[order]`{line(at)}.",
        severity="error",
        **where(at),
    )


def shares_of(call: Call, losses: list[LossCall]) -> Tensor | None:
    """How much of which image of its batch each image of a call holds [N, N]; None where it is made of others.

    Plain images count where their labels are shares of two classes.
    """
    given = call.images
    if given is None:
        return None
    plain = next((p for p in plain_parts(call) if p.shape == given.shape and p.is_floating_point()), None)
    if plain is None or len(plain) < 4:
        return None
    if torch.equal(plain, given):
        target = losses[0].target if len(losses) == 1 else None
        two = target is not None and target.dim() == 2 and int((target != 0).sum(1).max()) == 2
        return torch.eye(len(plain)) if two else None
    x, u = plain.flatten(1).double(), given.flatten(1).double()
    if not bool(torch.isfinite(x).all() and torch.isfinite(u).all()):
        return None
    if x.shape[1] < 2 * len(x):
        return None
    weights = torch.linalg.lstsq(x.T, u.T).solution.T
    if float((weights @ x - u).norm()) < 1e-3 * float(u.norm()):
        weights = torch.where(weights.abs() < 1e-3, 0, weights)
        fair = bool(((weights != 0).sum(1) <= 2).all()) and bool(((weights.sum(1) - 1).abs() < 0.01).all())
        return weights.float() if fair and bool((weights >= 0).all()) else None
    return pasted(plain.flatten(1), given.flatten(1))


def pasted(plain: Tensor, given: Tensor) -> Tensor | None:
    """The shares where parts of other images were pasted in."""
    shares = torch.zeros(len(plain), len(plain))
    for i, image in enumerate(given):
        other = image != plain[i]
        shares[i, i] = 1 - float(other.float().mean())
        if bool(other.any()):
            j = next((j for j in range(len(plain)) if torch.equal(plain[j][other], image[other])), None)
            if j is None:
                return None
            shares[i, j] += float(other.float().mean())
    return shares


def mixing(seen: Seen) -> Place | None:
    """The line that mixes labels, or should: the one with both λ and labels, else the one with λ."""
    found: list[tuple[bool, Place]] = []
    for file, tree in trees(seen):
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign | ast.Return | ast.Expr):
                code = ast.unparse(node)
                if re.search(r"lam|alpha|beta|ratio|mix|gamma|share", code) and "*" in code:
                    labelled = bool(LABELLED.search(code) or re.search("loss|criterion|entropy", code))
                    found.append((labelled, Place(file, node.lineno)))
    return max(found, key=lambda one: one[0], default=(False, None))[1]


MIXED = (labels_mixed,)
