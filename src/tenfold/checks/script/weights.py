"""Rules about classes of different sizes, and the weights that should make up for them."""

import ast
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from torch.utils.data import WeightedRandomSampler

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.places import loss_place
from tenfold.checks.script.seen import Loader, Place, Seen
from tenfold.checks.script.source import called, line, shown_code, trees
from tenfold.checks.script.splits import labels_of, trained_and_judged
from tenfold.errors import Finding


def counted(seen: Seen, training: list[Loader]) -> Counter[int]:
    """How many training images each class has, or of those that were seen."""
    labels = [label for one in training for label in labels_of(one.loader.dataset)]
    if not labels:
        losses = [loss for loss in seen.training_losses() if len(loss.target_shape) == 1]
        labels = [int(label) for loss in losses for label in loss.labels]
    return Counter(labels)


def imbalance(seen: Seen) -> Iterator[Finding]:
    """Some classes are ten times as large as others, and nothing is done about it."""
    training, judged = trained_and_judged(seen)
    weighted = any(loss.weighted for loss in seen.losses) or any(map(sampled, training))
    counts = Counter(label for one in training for label in labels_of(one.loader.dataset))
    if weighted or len(counts) < 2 or max(counts.values()) < 10 * min(counts.values()):
        return
    many, few = counts.most_common()[0], counts.most_common()[-1]
    others = Counter(label for one in judged for label in labels_of(one.loader.dataset))
    others = others or Counter(int(v) for c in seen.judging_calls() if c.labels is not None for v in c.labels)
    even = len(others) == len(counts) and max(others.values()) < 3 * min(others.values())
    yield finding(
        "class-imbalance",
        "Classes of very different sizes",
        f"Class {many[0]} has {many[1]:,} training images, class {few[0]} has {few[1]:,}."
        + (" The images judged hold all classes alike." if even else ""),
        "Report recall per class; weigh the loss (`weight=`) or draw with a WeightedRandomSampler.",
        severity="warning" if even else None,
        **where(training[0].place if training else None),
    )


def class_unheard(seen: Seen) -> Iterator[Finding]:
    """A class that training images have, and that the loss gives no weight or ignores."""
    training, _ = trained_and_judged(seen)
    counts = counted(seen, training)
    loss = next((x for x in seen.training_losses() if x.kind in ("cross_entropy", "nll_loss")), None)
    if loss is None or len(loss.shape) != 2 or len(counts) < 2:
        return
    weightless = [c for c in counts if c < len(loss.weights) and loss.weights[c] == 0]
    ignored = [loss.ignored] if loss.ignored in counts and 0 <= loss.ignored < loss.shape[1] else []
    for unheard, how, remedy in (
        (weightless, "has weight 0 in the loss", "Weights are above 0, as `counts.sum() / (len(counts) * counts)` is"),
        (ignored, "is ignored by the loss", f"Leave `ignore_index={loss.ignored}` out"),
    ):
        if 0 < len(unheard) < len(counts):
            place = (weights_place(seen, "weight") if unheard is weightless else None) or loss_place(seen, loss)
            yield finding(
                "class-imbalance",
                f"Class {unheard[0]} {how}",
                f"{sum(counts[c] for c in unheard):,} of {counts.total():,} training images teach nothing.",
                f"{remedy}{line(place)}, unless the class is meant to be left out.",
                severity="error",
                **where(place),
            )
            return


def sampled(fact: Loader) -> bool:
    """Whether a loader draws by weights."""
    return isinstance(getattr(fact.loader, "sampler", None), WeightedRandomSampler)


def upside_down(seen: Seen) -> Iterator[Finding]:
    """Classes that have more images weigh more."""
    training, _ = trained_and_judged(seen)
    counts = counted(seen, training)
    loss = next((x for x in seen.training_losses() if len(x.weights) > 1), None)
    if loss is not None and grows(counts, dict(enumerate(loss.weights))):
        place = weights_place(seen, "weight") or loss.place
        yield inverted(counts, dict(enumerate(loss.weights)), "the loss", place)
        return
    if loss is not None and (order := misplaced(counts, dict(enumerate(loss.weights)))):
        yield permuted(counts, loss.weights, order, weights_place(seen, "weight") or loss.place)
        return
    for fact in training:
        if sampled(fact):
            yield from sampler(seen, fact)


def sampler(seen: Seen, fact: Loader) -> Iterator[Finding]:
    """The weights by which a loader draws its images."""
    labels, drawn = labels_of(fact.loader.dataset), fact.loader.sampler.weights.tolist()
    place = weights_place(seen, "WeightedRandomSampler") or fact.place
    if len(drawn) < len(fact.loader.dataset):
        yield finding(
            "class-imbalance",
            "The sampler draws only the first images",
            f"It has {len(drawn)} weights for {len(fact.loader.dataset):,} images: weights are one for each image, not "
            "one for each class.",
            f"Give each image the weight of its class: `weights[labels]`{line(place)}.",
            severity="error",
            **where(place),
        )
        return
    labels = labels or alike(drawn)
    if labels and len(labels) == len(drawn):
        weights = dict(zip(labels, drawn))
        if grows(Counter(labels), weights):
            yield inverted(Counter(labels), weights, "the sampler", place)


def alike(drawn: Sequence[float]) -> list[int]:
    """Images numbered by their weights, where few differ: those of a class are alike."""
    kinds = {weight: number for number, weight in enumerate(sorted(set(drawn)))}
    return [kinds[weight] for weight in drawn] if 1 < len(kinds) <= 50 else []


def grows(counts: Counter[int], weights: dict[int, float]) -> bool:
    """Whether weights rise with the number of images, where those differ much."""
    known = [(counts[c], weights[c]) for c in counts if weights.get(c, 0) > 0 and counts[c] >= 1]
    if len(known) < 2 or sum(n for n, _ in known) < 50:
        return False
    sizes, heavy = [n for n, _ in known], [w for _, w in known]
    if max(sizes) < 1.7 * min(sizes) or max(heavy) < 1.4 * min(heavy):
        return False
    most, least = known[sizes.index(max(sizes))], known[sizes.index(min(sizes))]
    return most[1] > 1.3 * least[1] and correlation([math.log(n) for n in sizes], [math.log(w) for w in heavy]) > 0.7


def misplaced(counts: Counter[int], weights: dict[int, float]) -> list[int]:
    """The classes in the order in which the weights would fit 1/n or 1/√n, if they fit in no other; else nothing."""
    known = [c for c in sorted(counts) if weights.get(c, 0) > 0]
    if len(known) < 3 or sum(counts[c] for c in known) < 200:
        return []
    for power in (1.0, 0.5):
        by_size, by_weight = sorted(known, key=lambda c: -counts[c]), sorted(known, key=lambda c: weights[c])
        fitting = [weights[w] * counts[c] ** power for c, w in zip(by_size, by_weight)]
        as_given = [weights[c] * counts[c] ** power for c in known]
        if max(fitting) < 1.35 * min(fitting) and max(as_given) > 2.5 * min(as_given):
            return [c for _, c in sorted(zip(by_weight, by_size))]
    return []


def permuted(counts: Counter[int], weights: Sequence[float], order: list[int], place: Place | None) -> Finding:
    """The finding."""
    given = ", ".join(f"{c}: {weights[c]:.2g} ({counts[c]:,} seen)" for c in sorted(counts)[:8] if c < len(weights))
    return finding(
        "class-imbalance",
        "The weights of the loss are those of other classes",
        f"{given}. They would fit 1 over the number of images if classes came as {', '.join(map(str, order[:12]))}. "
        f"{shown_code(place)} makes them.",
        f"The loss reads them by class number: make them in the order 0 … {len(weights) - 1}{line(place)}.",
        severity="error",
        **where(place),
    )


def correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Of two series."""
    middle, centre = sum(one) / len(one), sum(other) / len(other)
    both = sum((a - middle) * (b - centre) for a, b in zip(one, other))
    alone = math.sqrt(sum((a - middle) ** 2 for a in one) * sum((b - centre) ** 2 for b in other))
    return both / alone if alone else 0.0


def inverted(counts: Counter[int], weights: dict[int, float], of: str, place: Place | None) -> Finding:
    """The finding."""
    many, few = counts.most_common()[0], counts.most_common()[-1]
    return finding(
        "class-imbalance",
        f"The weights of {of} are upside down: classes with more images weigh more",
        f"Class {many[0]} with {many[1]:,} images weighs {weights[many[0]]:.3g}, class {few[0]} with {few[1]:,} weighs "
        f"{weights[few[0]]:.3g}. {shown_code(place)} makes them.",
        f"Divide by the counts instead: `weight = counts.sum() / (len(counts) * counts)`{line(place)}.",
        severity="error",
        **where(place),
    )


def weights_place(seen: Seen, name: str) -> Place | None:
    """Where the weights are computed that a loss or a sampler is given."""
    for file, tree in trees(seen):
        nodes = list(ast.walk(tree))
        for call in (n for n in nodes if isinstance(n, ast.Call)):
            given: Any = next((k.value for k in call.keywords if k.arg == "weight" == name), None)
            if given is None and called(call) == name and (call.args or call.keywords):
                given = call.args[0] if call.args else call.keywords[0].value
            if given is None and name == "weight" and called(call) in ("CrossEntropyLoss", "NLLLoss") and call.args:
                given = call.args[0]
            if given is None or isinstance(given, ast.Constant):
                continue
            return computed(file, nodes, given, call.lineno)
    return None


def computed(file: str, nodes: list[ast.AST], given: ast.expr, at: int, depth: int = 4) -> Place:
    """The line of a division or product that a value comes from, else the line where it is used."""
    if depth and not any(isinstance(n, ast.BinOp) for n in ast.walk(given)):
        names = [ast.unparse(n) for n in ast.walk(given) if isinstance(n, ast.Name | ast.Attribute)]
        for name in names:
            made = [
                n for n in nodes if isinstance(n, ast.Assign) and name in map(ast.unparse, n.targets) and n.lineno <= at
            ]
            if made and not re.fullmatch(r"torch|np|numpy|nn|device|labels?|y|targets?", name):
                last = max(made, key=lambda n: n.lineno)
                return computed(file, nodes, last.value, last.lineno, depth - 1)
            function = next((n for n in nodes if isinstance(n, ast.FunctionDef) and n.name == name), None)
            if function is not None:
                ends = [n for n in ast.walk(function) if isinstance(n, ast.Return) and n.value is not None]
                inner = [n for n in ast.walk(function) if isinstance(n, ast.Assign)]
                if ends and ends[-1].value is not None:
                    return computed(file, list(inner), ends[-1].value, ends[-1].lineno, depth - 1)
    return Place(file, at)


WEIGHTS = (imbalance, class_unheard, upside_down)
