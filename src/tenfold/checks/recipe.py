"""Checking a recipe that is ready to be trained: the cheap part before every training, the rest for `tenfold check`.

preflight(setup)      under a second: static rules, and probes that only look
thorough(setup)       one batch learned by heart, augmentation against labels, the first steps observed
"""

import time
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from tenfold.augmentations import Chance, augment
from tenfold.checks import probes
from tenfold.checks.preflight import feature_mismatch, initial_loss
from tenfold.checks.probes import Case
from tenfold.checks.rules import finding
from tenfold.checks.structure import examine, parameters, starts
from tenfold.checks.trace import Graph, trace
from tenfold.checks.watching import Watcher, not_finite
from tenfold.datasets.dataset import Progress, silent
from tenfold.errors import Finding
from tenfold.models import build
from tenfold.models.blocks import seed_dropout
from tenfold.models.simplenn import SimpleNN
from tenfold.randomness import generator, seeded_init
from tenfold.recipe import AugmentOptions
from tenfold.training.loop import descend
from tenfold.training.setup import Setup
from tenfold.training.step import NotFinite

FEW, BATCH = 8, 32
"""Images that probes look at, and that a twin learns by heart."""

LESSONS = 800
"""Steps of the net that augmentation is tried on, 12 epochs of fewer images at most; on CIFAR-10 it then knows 63 %."""

SCHOOL = 2.5
"""Times the limit of the other parts, for that net; on a quiet machine it needs one."""

SIDE = 32
"""Pixels of the images that augmentation is tried on."""

CLASSES = 100
"""With more classes than this, too few images are left of each to tell what an augmentation does."""


def preflight(setup: Setup) -> list[Finding]:
    """What every run is checked for before it starts; the initial loss is among it unless the images do not fit."""
    mismatch = feature_mismatch(setup)
    if mismatch:
        return [mismatch]
    case = looked_at(setup, FEW)
    graph = trace(case.model, case.pixels)
    found = [initial_loss(setup, sum(op.multiply_adds for op in graph.layers))]
    found += [*examine(graph), *parameters.unused(graph), *parameters.hidden_layers(graph)]
    found += held(setup)
    fading = starts.fading(graph)
    if fading and all(one.rule != fading.rule for one in found):
        found.append(fading)
    return found + probes.look(case) + of_input(case, graph, setup)


def held(setup: Setup) -> list[Finding]:
    """The rules on what the optimiser holds and how the images divide into batches."""
    model, optimizer, recipe = setup.state.model, setup.state.optimizer, setup.recipe
    found = [
        *parameters.unheld(model, optimizer),
        *parameters.small_last_batch(model, len(setup.loader.images), recipe.batch),
    ]
    if recipe.optimizer.decay_norms:
        found += parameters.decayed_norms(model, optimizer, "Give --optimizer.decay-norms False.")
    return found


def of_input(case: Case, graph: Graph, setup: Setup) -> list[Finding]:
    """The rules on what reaches the net: normalised as declared, validation as it is stored, augmentation anew."""
    images, _ = setup.loader.images.take(torch.arange(min(FEW, len(setup.loader.images))))
    judged = setup.validation or setup.loader.images
    some = torch.arange(min(FEW, len(judged)))
    found = [
        otherwise_normalised(setup, images),
        probes.differing(judged.take(some)[0], judged.take(some)[0]),
        probes.repeating(*seen_in_epochs(setup)),
    ]
    if graph.layers and setup.recipe.preprocess.normalize != "none":
        found.append(probes.doubly_normalised(case, graph.layers[0].entering))
    return [one for one in found if one]


def looked_at(setup: Setup, count: int) -> Case:
    """A plain twin of the net with the same weights, and training images as it would see them, not augmented."""
    images, labels = setup.loader.images.take(setup.loader.positions(0, 0)[:count])
    pixels = setup.preprocessing.normalize(setup.preprocessing.crop(images), setup.backend.layout)
    loss = partial(cross_entropy, label_smoothing=setup.recipe.label_smoothing)
    return Case(twin(setup), pixels, labels, loss)


def twin(setup: Setup) -> nn.Module:
    """The net made anew, computed by torch alone, with the weights that it has now."""
    own, size = setup.preprocessing, setup.preprocessing.size
    model = build(setup.recipe.model, own.channels, size, len(setup.dataset.classes), setup.recipe.seed)
    model.to(setup.backend.device, memory_format=setup.backend.layout)  # type: ignore[call-overload]
    model.load_state_dict(setup.state.model.state_dict())
    return model.train()


def otherwise_normalised(setup: Setup, images: Tensor) -> Finding | None:
    """What the net sees against the declared (x/255 − mean)/std, computed the slow way."""
    own = setup.preprocessing
    seen = own.normalize(images).double().cpu()
    mean, std = (torch.tensor(values).double().view(1, -1, 1, 1) for values in (own.mean, own.std))
    expected = (images.double().cpu() / 255 - mean) / std
    difference = float((seen - expected).abs().max())
    if difference < 1e-3 * max(1.0, float(expected.abs().max())):
        return None
    return finding(
        "normalisation-differs",
        "images reach the net otherwise than declared",
        f"The largest difference from (x/255 − mean)/std is {difference:.3g}.",
        "Report this: tenfold's normalisation is at fault.",
    )


def seen_in_epochs(setup: Setup, epochs: int = 3, count: int = 16) -> tuple[Tensor, list[Tensor]]:
    """Some training images as they are stored (cropped), and as each of the first epochs sees them."""
    loader = setup.loader
    chosen = loader.positions(0, 0)[:count]
    plain = loader.preprocessing.crop(loader.images.take(chosen)[0])
    made = []
    for epoch in range(epochs):
        order = torch.cat([loader.positions(epoch, step) for step in range(loader.steps)])
        places = [int((order == position).nonzero()) for position in chosen]
        steps = {place // loader.size for place in places[:4]}  # of each step a whole batch is made: few will do
        batches = {step: loader.batch(epoch, step)[0] for step in steps}
        made.append(torch.stack([batches[place // loader.size][place % loader.size] for place in places[:4]]))
    return plain[:4], made


def thorough(setup: Setup, steps: int, seconds: float, progress: Progress = silent) -> tuple[list[Finding], list[str]]:
    """The probes that train: findings, and what was done. `setup` is used up by the observed steps.

    seconds: a limit for each of the three parts.
    """
    found, seen = by_heart(setup, seconds)
    more, told = augmented(setup, seconds, progress)
    observed, line = first_steps(setup, steps, seconds, progress)
    return [*found, *more, *observed], [*seen, *told, line]


def by_heart(setup: Setup, seconds: float) -> tuple[list[Finding], list[str]]:
    """Let a twin learn one batch with Adam, which asks little of the rate."""
    case = looked_at(setup, BATCH)
    optimizer = torch.optim.Adam([p for p in case.model.parameters() if p.requires_grad], lr=1e-3)

    def step(number: int) -> float:
        seed_dropout(case.model, generator(0, "probe", number, device=str(setup.backend.device)))
        optimizer.zero_grad(set_to_none=True)
        loss = cross_entropy(case.model(case.pixels).float(), case.labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    learned = probes.learn(case.model, optimizer, step, seconds=seconds)
    last = f"{learned.losses[0]:.2f} to {learned.losses[-1]:.2f} in {len(learned.losses)} steps"
    return probes.by_heart(learned, len(case.labels)), [f"{len(case.labels)} images learned by heart: loss {last}"]


def augmented(setup: Setup, seconds: float, progress: Progress) -> tuple[list[Finding], list[str]]:
    """What the flips, and the rest together, do to classes that a small net has learned without them."""
    options, classes = setup.recipe.augment, setup.dataset.classes
    flips = [name for name in ("horizontal_flip", "vertical_flip") if getattr(options, name)]
    trials = {name: AugmentOptions(**{name: 1.0}) for name in flips}
    rest = options.model_copy(update=dict.fromkeys(("horizontal_flip", "vertical_flip", "mixup", "cutmix"), 0.0))
    if rest != AugmentOptions(crop_padding=rest.crop_padding, horizontal_flip_mode=rest.horizontal_flip_mode):
        trials["the augmentation"] = rest
    if not trials or len(classes) > CLASSES or setup.preprocessing.channels != 3:
        return [], []
    net = schooled(setup, SCHOOL * seconds, progress)
    plain = confusion(net, setup, AugmentOptions())
    found = []
    for name, options in trials.items():
        remedy = f"Leave it out: --augment.{name.replace('_', '-')} 0." if name in flips else "Make it weaker."
        changed = confusion(net, setup, options)
        found += list(probes.broken_labels(probes.Flip(name.replace("_", " "), plain, changed), classes, remedy))
    return found, [f"augmentation against labels: a small net knows {plain.diag().mean():.0%} of the classes' images"]


def small_pixels(setup: Setup, images: Tensor) -> Tensor:
    """Images uint8 as float32 [n, C, 32, 32], normalised."""
    pixels = setup.preprocessing.normalize(images)
    return pixels if pixels.shape[-1] == SIDE else interpolate(pixels, (SIDE, SIDE), mode="bilinear", antialias=True)


def schooled(setup: Setup, seconds: float, progress: Progress) -> nn.Module:
    """SimpleNN with batch norm, trained for at most so many seconds on training images that are not augmented."""
    images, classes = setup.loader.images, len(setup.dataset.classes)
    with seeded_init(0):
        net = SimpleNN(setup.preprocessing.channels, SIDE, classes, norm="batch").to(setup.backend.device)
    optimizer = torch.optim.Adam(net.parameters())
    began = time.perf_counter()
    order = torch.randperm(len(images), generator=generator(0, "probe"))
    batches = order.split(128)
    steps = min(12 * len(batches), LESSONS)
    for number in range(steps):
        if time.perf_counter() - began > seconds:
            break
        progress("learning without augmentation", number, steps)
        taken, labels = images.take(batches[number % len(batches)])
        if len(labels) < 2:
            continue
        optimizer.param_groups[0]["lr"] = 3e-3 * (1 - number / steps)
        optimizer.zero_grad(set_to_none=True)
        cross_entropy(net(small_pixels(setup, setup.preprocessing.crop(taken))), labels).backward()
        optimizer.step()
    return net.eval()


def confusion(net: nn.Module, setup: Setup, options: AugmentOptions) -> Tensor:
    """Shares float [classes, classes]: how the net calls up to 2,000 validation images of each true class."""
    images, classes = setup.validation or setup.loader.images, len(setup.dataset.classes)
    counts = torch.zeros(classes, classes)
    for at, rows in enumerate(images.spread(2000).split(500)):
        taken, labels = images.take(rows)
        chance = Chance(generator(0, "probe", at), 0, torch.zeros(len(labels)))
        made = augment(setup.preprocessing.crop(taken), replace_modes(options), chance)
        with torch.no_grad():
            called = net(small_pixels(setup, made)).argmax(1)
        counts.index_put_((labels.cpu(), called.cpu()), torch.ones(len(labels)), accumulate=True)
    return counts / counts.sum(1, keepdim=True).clamp(min=1)


def replace_modes(options: AugmentOptions) -> AugmentOptions:
    """The same with flips drawn for each image alone."""
    return options.model_copy(update={"horizontal_flip_mode": "random"})


def first_steps(setup: Setup, steps: int, seconds: float, progress: Progress) -> tuple[list[Finding], str]:
    """Train the first steps under observation, each of them looked at, until the time is up."""
    found: list[Finding] = []
    watcher = Watcher(setup.state.model, setup.state.optimizer, found.append, every=1).attach()
    began, losses = time.perf_counter(), list[float]()
    try:
        while len(losses) < steps and (len(losses) < 2 or time.perf_counter() - began < seconds):
            progress("first steps", len(losses), steps)
            epoch, step = divmod(len(losses), setup.loader.steps)
            images, labels = setup.loader.batch(epoch, step)
            losses.append(descend(setup, epoch, step, images, labels)[0])
            watcher.loss(losses[-1])
    except NotFinite:
        watcher.report(not_finite(setup.state.model, watcher.given, len(losses)))
    finally:
        watcher.remove()
    if not losses:
        return found, "the first step failed"
    limit = "" if len(losses) == steps else f" of {steps}, as many as {seconds:.0f} s allow"
    return found, f"the first {len(losses)} steps{limit}: loss {losses[0]:.3f} to {losses[-1]:.3f}"
