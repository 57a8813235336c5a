"""Rules about the scale of the images."""

import ast
import math
import re
from collections.abc import Callable, Iterable, Iterator

import torch

from tenfold.checks.rules import finding
from tenfold.checks.script.augmentation import images_erased
from tenfold.checks.script.mixing import run
from tenfold.checks.script.modes import where
from tenfold.checks.script.samples import labels_of_call
from tenfold.checks.script.seen import Call, Place, Seen
from tenfold.checks.script.source import around, called, line, shown_code, statement, trees
from tenfold.checks.script.splits import dataset_place, transform_place
from tenfold.errors import Finding

DIVIDES = re.compile(r"/=? *\(?255|div_?\(255|/=? *\(?256|\* *\(?1(\.0)? */ *255|ToTensor|to_tensor|127\.5|/=? *\w*MAX")
SHIFTS = re.compile(r"Normalize\(|normalize\(|- *\(?\w*\.?(mean|mu|avg|m)\w*\b.*/|standardi[sz]e|- 0?\.\d+\)? */", re.I)
FLOATS = re.compile(r"\.float\(\)|float32|astype\(|torch\.float|\bto_tensor|\"f4\"|'f4'|FloatTensor")
TENSORS = re.compile(r"(from_numpy|as_tensor|torch\.tensor|FloatTensor)\((?!.*(lab|targ|\by)).*")
NOT_IMAGES = re.compile(r"argmax|print\(|==|loss|\.item\(|accuracy")
FETCHES = re.compile(r"__getitem__|transform|__call__|collate|preprocess|prepare|forward|step|train|fit|batch")
PIXELS = 50
"""Rows of more numbers may be pixels."""


def mean_of(calls: list[Call], value: Callable[[Call], float]) -> float:
    """Over the first five calls."""
    return sum(map(value, calls[:5])) / max(1, len(calls[:5]))


def bytes_wrapped(seen: Seen) -> Iterator[Finding]:
    """Arithmetic with bytes that leaves their range."""
    if seen.wrapped is not None:
        place, share = seen.wrapped
        yield finding(
            "normalisation-missing",
            "Pixels are bytes where they are shifted or scaled, and wrap round at 0 and 255",
            f"{share:.0%} of what {shown_code(place)} gives: 3 - 5 is 254 there.",
            f"Make them floating-point numbers first: `.float()`{line(place)}.",
            severity="error",
            **where(place),
        )


def normalisation(seen: Seen) -> Iterator[Finding]:
    """Images as bytes, divided or shifted twice."""
    calls = [call for call in seen.training_calls() if of_images(call)]
    calls = [call for call in calls if len(call.shape) == len(calls[0].shape)]
    if calls:
        yield from inside_again(seen, calls[0])
    if not calls or seen.reads_norm:
        return
    low, high = min(c.low for c in calls[:5]), max(c.high for c in calls[:5])
    mean, std = mean_of(calls, lambda c: c.mean), mean_of(calls, lambda c: c.std)
    seen_so = f"The net gets pixels from {low:.4g} to {high:.4g}, mean {mean:.3g}, deviation {std:.3g}."
    again = max(seen.scaled.values(), key=lambda fact: fact[1], default=(None, 0, ""))
    if again[1] > 1:
        last = calls[-1]
        yield finding(
            "normalisation-doubled",
            "The same images are normalised again and again, in place",
            f"{shown_code(again[0])} changes a part of the data itself; first mean {calls[0].mean:.3g} and deviation "
            f"{calls[0].std:.3g}, lately {last.mean:.3g} and {last.std:.3g}.",
            f"Write it without the underscore, as `.sub(…).div(…)`{line(again[0])}: that makes new tensors.",
            **where(again[0]),
        )
    elif flattened(calls[0]) and not calls[0].whole:  # such may be any numbers
        return
    elif (low >= 0 and high > 20) or (high > 300 and high > -20 * low):
        if seen.entering is not None and seen.entering[1] < 5:  # the net does it itself
            return
        place = written(seen, TENSORS) or written(seen, FLOATS) or calls[0].place
        yield finding(
            "normalisation-missing",
            "The images are not normalised",
            seen_so,
            "Divide them by 255 and subtract their mean, as `images = (images / 255 - 0.5) / 0.25`, in training and "
            f"evaluation alike{line(place)}.",
            **where(place),
        )
    elif not flattened(calls[0]):
        yield from doubled(seen, calls, (low, high, mean, std), seen_so)


def of_images(call: Call) -> bool:
    """Whether a net got images: maps, or as many columns as these have pixels that are no other net's output."""
    return len(call.shape) == 4 or flattened(call)


def flattened(call: Call) -> bool:
    """Whether they came as rows of pixels."""
    return len(call.shape) == 2 and call.shape[1] > PIXELS and not call.fed


def inside_again(seen: Seen, call: Call) -> Iterator[Finding]:
    """The net takes a mean and a deviation out of images that come without them."""
    images = call.images
    if (
        seen.first is None
        or len(seen.inputs) != 1
        or images is None
        or not (abs(call.mean) < 0.45 and 0.6 < call.std < 1.6 and call.low < -0.4)
    ):
        return
    _, ran = run(seen.first, images[:8])
    for one in ran[:6]:
        inside = one.result.shape == images[:8].shape and one.name in SCALES
        if inside and float(one.result.mean()) < -0.7 and float(one.result.std()) > 1.8:
            yield finding(
                "normalisation-doubled",
                "The net normalises images that are normalised already",
                f"They come with mean {call.mean:.2f} and deviation {call.std:.2f}; after {shown_code(one.place)} they "
                f"have {float(one.result.mean()):.2f} and {float(one.result.std()):.2f}.",
                f"Do it once: here or where the images are loaded{line(one.place)}.",
                **where(one.place),
            )
            return


SCALES = ("div", "__truediv__", "true_divide", "sub", "__sub__", "mul", "__mul__")


def doubled(
    seen: Seen, calls: list[Call], values: tuple[float, float, float, float], seen_so: str
) -> Iterator[Finding]:
    """Divided by 255 twice, or shifted and scaled twice."""
    low, high, mean, std = values
    if grey(calls[0]) and (place := large_constants(seen)):
        yield finding(
            "normalisation-missing",
            "Mean and deviation of pixels from 0 to 255 are taken out of images from 0 to 1",
            f"{seen_so} All images are nearly one grey: {shown_code(place)}.",
            f"Divide both by 255 there{line(place)}, or leave out the division of the images.",
            **where(place),
        )
    elif 0 < max(-low, high) < 0.03 or grey(calls[0]):
        place = written(seen, DIVIDES) or calls[0].place
        yield finding(
            "normalisation-doubled",
            "The images are divided by 255 twice",
            f"{seen_so} All images are nearly one grey.",
            f"Take one of the divisions out: {shown_code(place)}{line(place)}.",
            **where(place),
        )
    elif shifted_twice(low, high, mean, std):
        place = written(seen, SHIFTS) or calls[0].place
        yield finding(
            "normalisation-doubled",
            "The images are normalised twice",
            f"{seen_so} Images of mean 0 and deviation 1, normalised once more by mean {-mean / std:.2f} and deviation "
            f"{1 / std:.2f}, look so.",
            f"Take one of the two normalisations out: {shown_code(place)}{line(place)}.",
            **where(place),
        )


def large_constants(seen: Seen) -> Place | None:
    """Where a mean or deviation is written as a number that only pixels from 0 to 255 have."""
    for file, tree in trees(seen):
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign | ast.AnnAssign | ast.Expr | ast.Return) and node.value is not None:
                numbers = [n.value for n in ast.walk(node.value) if isinstance(n, ast.Constant)]
                large = [n for n in numbers if isinstance(n, int | float) and 20 < n < 200]
                if large and re.search(r"mean|\bmu\b|std|sigma|norm", ast.unparse(node), re.I):
                    return Place(file, node.lineno)
    return None


def grey(call: Call) -> bool:
    """Whether each channel is one value almost everywhere, alike in all images, and far from 0 against what is left."""
    if call.images is None or call.images.dim() != 4 or min(call.images.shape[2:]) < 2:
        return False
    values = call.images.float()
    spread, levels = values.std((2, 3)).median(0).values, values.mean((2, 3))
    level = levels.median(0).values.abs()
    alike = len(levels) < 2 or bool((levels.std(0) < 0.25 * level).any())  # else each image has a colour of its own
    return alike and 0 < float(spread.max()) < 0.03 and bool((level > 8 * spread).any())


def shifted_twice(low: float, high: float, mean: float, std: float) -> bool:
    """Whether these are pixels 0 … 1 of some mean and deviation, both taken out twice.

    Of mean m and deviation s, they come to mean -m/s and deviation 1/s, and lie within the images of 0 and 1.
    """
    if std < 1.1 or mean > -0.7:
        return False
    m, s = -mean / std, 1 / std
    if std >= 2.5 and 0.05 < m < 0.9:
        ends = ((0 - m) / s - m) / s, ((1 - m) / s - m) / s
        return low > 1.3 * ends[0] and high < 1.3 * ends[1] + 1
    return abs(low + 3) < 0.02 and abs(high - 1) < 0.02  # by 0.5 and 0.5, twice


def written(seen: Seen, pattern: re.Pattern[str]) -> Place | None:
    """The line that matches, of several the last one that images pass: in a transform or a loop, else in the file."""
    found: list[tuple[int, int, Place]] = []
    for number, (file, tree) in enumerate(trees(seen)):
        for node in ast.walk(tree):
            if not isinstance(node, ast.stmt) or hasattr(node, "body") or isinstance(node, ast.Import | ast.ImportFrom):
                continue
            code = ast.unparse(node)
            if pattern.search(code) and not NOT_IMAGES.search(code):
                names = [n.name for n in around(node) if isinstance(n, ast.FunctionDef)]
                late = any(FETCHES.search(name) for name in names) or any(isinstance(n, ast.For) for n in around(node))
                found.append((int(late), -number, Place(file, node.lineno)))
    return max(found, key=lambda one: (one[0], one[1], one[2].line), default=(0, 0, None))[2]


def normalisation_differs(seen: Seen) -> Iterator[Finding]:
    """The net is judged on images of another scale than those it learns."""
    training, judging = (by_loader(calls) for calls in (seen.training_calls(), seen.judging_calls()))
    if not training or any(times > 1 for _, times, _ in seen.scaled.values()):
        return
    for calls in judging:
        if any(scaled_alike(scale(one), scale(calls)) for one in training) or classes_alike(training, calls[:5]):
            continue
        if any(images_erased(seen)):  # they are scaled alike, as far as there is anything
            return
        (mean, std), (other, spread), place = scale(training[-1]), scale(calls), scaling_place(seen, calls[0])
        yield finding(
            "normalisation-differs",
            "Images of the evaluation are scaled otherwise than those of training",
            f"Training: mean {mean:.3g}, deviation {std:.3g}; evaluation: mean {other:.3g}, deviation {spread:.3g}.",
            f"Give the images of the evaluation{line(place)} the same normalisation as those of training.",
            **where(place),
        )
        return


def classes_alike(training: list[list[Call]], judged: list[Call]) -> bool:
    """Whether training images of the classes that are judged first are scaled as these: some come class by class."""
    classes = [labels for call in judged if (labels := labels_of_call(call)) is not None]
    for calls in training if classes else ():
        told = [(c.images, labels) for c in calls if c.images is not None and (labels := labels_of_call(c)) is not None]
        own = [images[torch.isin(labels, torch.cat(classes))].float().flatten() for images, labels in told]
        if own and len(one := torch.cat(own)) and scaled_alike((float(one.mean()), float(one.std())), scale(judged)):
            return True
    return False


def by_loader(calls: Iterable[Call]) -> list[list[Call]]:
    """Calls that got images, by the loader that these came from: two trainings, say, or validation and test."""
    found: dict[int, list[Call]] = {}
    for call in (c for c in calls if of_images(c)):
        found.setdefault(id(call.batch.loader) if call.batch else 0, []).append(call)
    return list(found.values())


def scale(calls: list[Call]) -> tuple[float, float]:
    """Mean and deviation of the images of the first five calls."""
    return mean_of(calls, lambda c: c.mean), mean_of(calls, lambda c: c.std)


def scaled_alike(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether two means and deviations are near enough; also where they say nothing."""
    (mean, std), (middle, spread) = one, other
    if not (std > 0 and spread > 0 and math.isfinite(mean + middle)):
        return True
    return abs(mean - middle) <= 0.5 * max(std, spread) and 1 / 1.7 < std / spread < 1.7


def scaling_place(seen: Seen, call: Call) -> Place | None:
    """Where the images of the evaluation are scaled: their transform, else what makes them, else the net's call."""
    if call.batch and (place := transform_place(call.batch.loader)):
        return place
    if place := only_in_training(seen):
        return place
    made = dataset_place(call.batch.loader) if call.batch else None
    named: list[Place] = []
    for file, tree in trees(seen):
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                targets, code = " ".join(map(ast.unparse, node.targets)), ast.unparse(node.value)
                judged = re.search(r"val|test|held|dev", targets, re.I) and not re.search("train", targets)
                if judged and re.search(r"Compose|ToTensor|/ *255|Normalize|mean|std|\.float\(\)", code):
                    named.append(Place(file, node.lineno))
    place = named[-1] if named else call.place
    return made if made is not None and constructor(made) and constructor(made) == constructor(place) else place


def constructor(place: Place | None) -> str:
    """What a statement gives a name to by calling it: `test = Photos(…)`; empty if it does not."""
    found = statement(place)
    return called(found.value) if isinstance(found, ast.Assign) and isinstance(found.value, ast.Call) else ""


def only_in_training(seen: Seen) -> Place | None:
    """Where images are scaled under a condition that says training: `if self.train: x = (x - mean) / std`."""
    for file, tree in trees(seen):
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and re.search("train|augment", ast.unparse(node.test)) and not node.orelse:
                scaled = [n for n in node.body if SHIFTS.search(code := ast.unparse(n)) or DIVIDES.search(code)]
                if scaled:
                    return Place(file, scaled[0].lineno)
    return None


def not_finite_input(seen: Seen) -> Iterator[Finding]:
    """NaN or infinity in the images."""
    call = next((c for c in seen.calls if c.shape and not math.isfinite(c.mean)), None)
    if call and (call.batch or not call.number):
        at = f", batch {call.batch.number}" if call.batch else ""
        place = written(seen, DIVISIONS) or call.place
        yield finding(
            "input-not-finite",
            "The images hold NaN or infinity",
            f"In call {call.number + 1} of the net{at}. A pixel divided by a deviation of 0 gives it.",
            f"Add a small number to what you divide by (`/ (std + 1e-6)`){line(place)}, or take the broken images out.",
            **where(place),
        )


DIVISIONS = re.compile(r"/=? *\(?[^/]*(std|sd|sigma|dev|var|norm|max|scale|range|ptp)|\.log\(|log10\(|sqrt\(")


def input_ignored(seen: Seen) -> Iterator[Finding]:
    """All images of a batch are the same."""
    calls = [c for c in seen.training_calls() if len(c.shape) > 1 and c.shape[0] > 1]
    same = [c for c in calls if c.same]
    if len(same) >= 2 and len(same) > 0.5 * len(calls):
        call = same[0]
        blank = f"every pixel is {call.low:g}" if call.low == call.high else "they differ in no pixel"
        place = written(seen, CUTS) if call.low == call.high else None
        yield finding(
            "input-ignored",
            "All images of a batch are alike",
            f"{len(same)} of {len(calls)} training batches: {blank}.",
            "Look at what makes the images: an integer division (`//`), a wrong index, or a cast that cuts to 0"
            f"{line(place)}.",
            **where(place or call.place),
        )
    elif calls and (place := levels_lost(seen, calls[0])):
        yield finding(
            "input-ignored",
            "Almost nothing is left of the images: they hold two or three values",
            f"{shown_code(place)} cuts off what lies between them.",
            f"Divide as floating-point numbers: `images / 255`, with no whole numbers before or after{line(place)}.",
            severity="warning",
            **where(place),
        )
    elif seen.blind:
        yield finding(
            "input-ignored",
            "The net gives the same output for blank images",
            "An untrained copy gave equal outputs for a batch and for zeros"
            + (f"; behind {shown_code(seen.blinded)} they are the same." if seen.blinded else "."),
            "Look at what happens to the images inside forward()"
            + (
                f"{line(seen.blinded)}: the mean of what a norm gives is the same for all images."
                if seen.blinded
                else "."
            ),
            **where(seen.blinded or (calls[0].place if calls else None)),
        )


def levels_lost(seen: Seen, call: Call) -> Place | None:
    """Where whole numbers are made of levels between 0 and 1, if the images show it."""
    values = call.images[:8].unique() if call.images is not None and len(call.shape) == 4 else ()
    return written(seen, TO_WHOLE) if 1 < len(values) <= 3 else None


TO_WHOLE = re.compile(r"// *\(?25[56]|/ *255.*(uint8|\.long\(|\.int\(|int64|byte)")
CUTS = re.compile(r"// *255|/ *255.*(uint8|\.long\(|\.int\(|int64|byte)|(uint8|int64|int32|\.long\(\)|\.int\(\)|byte)")
SCALE = (bytes_wrapped, not_finite_input, input_ignored, normalisation, normalisation_differs)
