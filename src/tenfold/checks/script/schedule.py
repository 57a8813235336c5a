"""Rules about learning-rate schedulers."""

import ast
import copy
import re
from collections.abc import Iterator
from itertools import pairwise
from statistics import fmean

from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LRScheduler,
    MultiplicativeLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    StepLR,
)

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.origins import origin
from tenfold.checks.script.seen import Held, Place, Scheduled, Seen, length
from tenfold.checks.script.source import line, name_at, receiver, shown_code, trees
from tenfold.errors import Finding

FOR_EPOCHS = (StepLR, MultiStepLR, ExponentialLR, CosineAnnealingLR, PolynomialLR, MultiplicativeLR, LambdaLR)
GONE = 0.1
"""A rate below this share of the first one within an epoch is gone."""
LEFT = 0.011
"""So much of the highest rate is what schedules end with: a hundredth, or a little more where the peak was not seen."""


DROP, EARLY, SETTLED, FALLING = 0.2, 0.3, 9, 0.97
"""A rate that drops to so much of itself at once, in the first part of the training, after some steps, while the loss
of the last ones is below that of those before by more than the rest.
"""


def scheduler_rules(seen: Seen) -> Iterator[Finding]:
    """Stepped per batch, too early, before the optimiser, or never."""
    for fact in seen.schedulers:
        name = receiver(fact.stepped_at, "step", name_at(fact.place, "scheduler"))
        kind = type(fact.scheduler).__name__
        held = seen.held_of(fact.scheduler.optimizer)
        loaders = [held.loader] if held and held.loader else seen.loaders
        epoch = max((length(one.loader) for one in loaders if one.steps), default=0)
        if per_batch(fact) and epoch != 1 and isinstance(fact.scheduler, FOR_EPOCHS):
            rates = simulated(fact, epoch or len(fact.at))
            planned = planned_batches(seen, held)
            gone = rates and min(rates) < GONE * full_rate(fact, rates)
            one_epoch = 0 < planned <= epoch  # of which the schedule may well be
            told: int = getattr(fact.scheduler, "T_max", 0) or getattr(fact.scheduler, "total_iters", 0)
            meant = one_epoch or (not epoch and told >= len(fact.at))  # it ends with all its batches
            if (gone or drops_at_once(fact, rates, planned)) and not warms_up(rates) and not meant:
                yield finding(
                    "scheduler-per-batch",
                    f"`{name}` ({kind}) steps after every batch",
                    f"The rate goes from {rates[0]:.3g} to {min(rates):.3g} within {len(rates)} batches"
                    + (", one epoch." if epoch else "."),
                    f"Move `{name}.step()`{line(fact.stepped_at)} out of the loop over batches, to the epoch's end.",
                    **where(fact.stepped_at),
                )
                return
        elif isinstance(fact.scheduler, StepLR | MultiStepLR | ExponentialLR) and seen.ended == "script":
            yield from early(fact, name)
        if fact.at and fact.at[0] == 0:
            yield finding(
                "scheduler-order",
                f"`{name}` steps before the optimiser",
                f"{shown_code(fact.stepped_at)} came before the first step of the optimiser.",
                f"Move `{name}.step()`{line(fact.stepped_at)} to the end of the epoch, after the loop over batches.",
                **where(fact.stepped_at),
            )
        each = [fact.at.count(step) for step in sorted(set(fact.at))]
        if len(each) > 1 and min(each) > 1 and not inside(fact, seen):
            yield finding(
                "scheduler-per-batch",
                f"`{name}` ({kind}) steps {min(each)} times after each epoch",
                f"{len(fact.at)} steps of the schedule stand beside {len(each)} epochs: it runs that much faster.",
                f"Step it once{line(fact.stepped_at)}.",
                severity="warning",
                **where(fact.stepped_at),
            )
        passes = max((one.passes for one in seen.loaders if one.steps), default=0)
        if not fact.rates and seen.steps and (seen.ended == "script" or passes > 1) and not inside(fact, seen):
            rate = fact.scheduler.optimizer.param_groups[0]["lr"]
            call = f"`{name}.step(validation_loss)` after each evaluation"
            if kind != "ReduceLROnPlateau":
                call = f"`{name}.step()` after `optimizer.step()` if it counts batches, else at the end of each epoch"
            yield finding(
                "scheduler-unused",
                f"`{name}` ({kind}) never steps",
                f"The rate stayed at {rate:.3g}.",
                f"Write {call}.",
                severity="error" if rate == 0 else None,
                **where(fact.place),
            )


def gone_early(seen: Seen) -> Iterator[Finding]:
    """Whoever lowers it, the rate is gone after a small part of the batches that the program goes through."""
    loads = any(one.steps for one in seen.loaders)
    for held in seen.helds:
        rates = held.rates[: in_line(held.rates, held.whole)] if loads else held.rates
        planned = planned_batches(seen, held) or len(rates) * held.micro  # so many at least
        peak = rates.index(max(rates)) if rates else 0
        gone = next((i for i in range(peak, len(rates)) if rates[i] <= LEFT * rates[peak]), None)
        if gone is None or gone < 4 or not rates[peak] or max(rates[gone:]) > LEFT * rates[peak] or compounds(held):
            continue
        batches = gone * held.micro
        over = not loads and held is not seen.helds[-1] and gone >= len(rates) - 2  # a phase that ends with its rate
        if batches < 0.6 * planned and not over:
            yield finding(
                "learning-rate-dropped-early",
                f"The rate is gone after {batches:,} of {planned:,} batches",
                f"It began at {rates[0]:.3g}, was {rates[peak]:.3g} at its highest, and is {rates[gone]:.2g} from step "
                f"{gone + 1} on" + (f"; a step is made of {held.micro} batches." if held.micro > 1 else "."),
                "Step the schedule as often as it was sized for: once for each step of the optimiser.",
                **where(lowering(seen) or held.stepped_at),
            )
            return


def dropped_early(seen: Seen) -> Iterator[Finding]:
    """Whoever lowers it, the rate drops once to a small part early in the training, while the loss still falls."""
    for held in seen.helds:
        planned, rates = planned_batches(seen, held), held.rates[: held.whole or len(held.rates)]
        drops = [i for i, (a, b) in enumerate(pairwise(rates), 1) if 0 < b <= DROP * a]
        losses = [step.loss for step in seen.steps if step.held is held and step.loss is not None][: len(rates)]
        if (
            not drops
            or len(losses) < len(rates)
            or any(fact.scheduler.optimizer is held.optimizer for fact in seen.schedulers)
        ):
            continue
        at = drops[0]
        if not SETTLED <= at <= len(rates) - 3 or max(rates[at:]) > rates[at] or at * held.micro > EARLY * planned:
            continue
        third = max(3, at // 3)
        if not fmean(losses[at - third : at]) < FALLING * fmean(losses[at - 2 * third : at - third]):
            continue
        yield finding(
            "learning-rate-dropped-early",
            f"The rate drops to {rates[at]:.2g} after {at * held.micro:,} of {planned:,} batches",
            f"It was {rates[at - 1]:.2g}, and the loss was still falling: from {fmean(losses[:third]):.3g} to "
            f"{fmean(losses[at - third : at]):.3g}"
            + (f"; a step is made of {held.micro} batches." if held.micro > 1 else "."),
            "Look at what the schedule counts: it should count what it was sized in, batches, steps or epochs.",
            **where(lowering(seen) or held.stepped_at),
        )
        return


def in_line(rates: list[float], whole: int | None) -> int:
    """How many rates count: those of whole epochs, and those that go on falling by the same amount at each step."""
    if whole is None:
        return len(rates)
    while 3 <= whole < len(rates) and abs(rates[whole] - 2 * rates[whole - 1] + rates[whole - 2]) < 1e-3 * max(rates):
        whole += 1
    return whole


def never_warm(seen: Seen) -> Iterator[Finding]:
    """A warm-up that is longer than the training: the rate never comes near what was asked for."""
    batches, passes = planned_batches(seen), max((one.passes for one in seen.loaders if one.steps), default=0)
    first = {fact.place: fact for fact in reversed(seen.schedulers)}  # of several trials only the first is seen whole
    for fact in reversed(first.values()):
        base = float(fact.scheduler.optimizer.param_groups[0].get("initial_lr", 0.0))
        one = isinstance(fact.scheduler, OneCycleLR)  # which rises from a twenty-fifth of its highest rate
        base = float(fact.scheduler.optimizer.param_groups[0].get("max_lr", base)) if one else base
        if not batches or not 0 < base < 1 or inside(fact, seen) or not fact.stepped_at:
            continue
        planned = batches if per_batch(fact) else passes
        rates = simulated(fact, planned)
        if planned < 3 or len(rates) < planned or not (rates[0] if one else 2 * rates[0]) < max(rates) < 0.3 * base:
            continue
        by_batch = [] if per_batch(fact) else simulated(fact, batches)
        fits = max(by_batch, default=0.0) > 0.9 * base  # it counts batches
        place = fact.stepped_at if fits else fact.place
        yield finding(
            "learning-rate-low",
            f"The warm-up does not end: the rate reaches {max(rates):.2g} of {base:.2g}",
            f"It began at {rates[0]:.2g}, and the training has {planned:,} steps of the schedule.",
            f"Step the schedule after every batch{line(place)}: its warm-up is over after "
            f"{by_batch.index(max(by_batch)) + 1:,} of {batches:,}."
            if fits
            else f"Let it warm up for a twentieth to a tenth of them: {max(1, planned // 20)} to "
            f"{max(1, planned // 10)}{line(place)}.",
            **where(place),
        )
        return


def warm_up_compounds(seen: Seen) -> Iterator[Finding]:
    """A warm-up multiplies the rate by its share of the warm-up, step after step, instead of the rate asked for."""
    held = next(filter(compounds, seen.helds), None)
    if held is None:
        return
    asked, place = held.optimizer.defaults["lr"], lowering(seen)
    first = ", ".join(f"{rate:.2g}" for rate in held.rates[:4])
    yield finding(
        "learning-rate-low",
        f"The rate falls while it should warm up: {min(held.rates):.2g} of {asked:.2g} is left",
        f"The optimiser is made with lr={asked:g}; its first steps had {first}: factors of the rate itself, not of "
        "what was asked for.",
        f"Set it anew from the rate asked for: `group['lr'] = {asked:g} * factor`{line(place)}.",
        severity="error",
        **where(place or held.stepped_at),
    )


def compounds(held: Held) -> bool:
    """Whether the first rate is a small share of the one asked for, the next ones are ever smaller, and so it stays."""
    asked, rates = held.optimizer.defaults.get("lr"), held.rates
    if not isinstance(asked, float) or len(rates) < 10 or not 0 < rates[0] <= 0.5 * asked:
        return False
    fell = next((i for i, (a, b) in enumerate(pairwise(rates)) if b >= a), 0)
    return fell >= 4 and max(rates[fell:]) <= 0.1 * rates[0]


def rate_for_factor(seen: Seen) -> Iterator[Finding]:
    """LambdaLR multiplies the rate by what its function gives, and that is a rate itself."""
    for fact in seen.schedulers:
        if not isinstance(fact.scheduler, LambdaLR) or inside(fact, seen):
            continue
        base, rates = float(fact.scheduler.base_lrs[0]), [fact.first_rate, *fact.rates]
        planned = simulated(fact, (planned_batches(seen) if per_batch(fact) else 0) or 10 * len(rates))
        peak = max(planned)
        warming = peak > 2 * rates[0] and planned.index(peak) > 0.9 * len(planned)
        if not 0 < base < 0.5 or peak > 0.1 * base or warming:  # a base of 1 is meant
            continue
        yield finding(
            "learning-rate-low",
            f"LambdaLR makes the rate {rates[0]:.2g} of {base:.2g}",
            f"It multiplies the optimiser's rate by what its function gives, which begins at {rates[0] / base:.2g}.",
            f"Let the function give a share of the rate: 1 at its highest, with no rate in it{line(fact.place)}.",
            **where(fact.place),
        )
        return


def gone_by_scheduler(seen: Seen) -> Iterator[Finding]:
    """A scheduler of torch's that steps with the optimiser has no rate left long before the end."""
    for fact in seen.schedulers:
        held = seen.held_of(fact.scheduler.optimizer)
        batches = planned_batches(seen, held)
        if held is None or inside(fact, seen) or not (per_batch(fact) or per_part(fact, held)):
            continue
        planned = batches if per_part(fact, held) else batches // held.micro
        rates = simulated(fact, planned)
        if not rates or len(rates) < planned:
            continue
        peak = rates.index(max(rates))
        gone = 1 + max((i for i, rate in enumerate(rates) if rate > LEFT * rates[peak]), default=peak - 1)
        if gone == len(rates) or not 4 <= gone <= 0.6 * planned:
            continue
        yield finding(
            "learning-rate-dropped-early",
            f"The rate is gone after {gone:,} of {planned:,} steps",
            f"It was {rates[peak]:.3g} at its highest, and is {rates[gone]:.2g} from there on.",
            f"Give the schedule as many steps as the training has: {planned:,}{line(fact.place)}."
            if per_batch(fact)
            else f"Step it once for each step of the optimiser, not for each of its {held.micro} batches.",
            **where(fact.place if per_batch(fact) else fact.stepped_at),
        )
        return


def lowering(seen: Seen) -> Place | None:
    """Where a scheduler steps, torch's or the program's own, or else where a rate is written."""
    steps = [fact.stepped_at for fact in seen.schedulers if fact.stepped_at]
    for pattern in (r"sched\w*\.step\(", r"\[['\"]lr['\"]\] [*/]?="):
        for file, tree in trees(seen):
            written = (n for n in ast.walk(tree) if isinstance(n, ast.Expr | ast.Assign | ast.AugAssign))
            lines = sorted(node.lineno for node in written if re.search(pattern, ast.unparse(node)))
            steps += [Place(file, number) for number in lines]
    return steps[0] if steps else None


def planned_batches(seen: Seen, held: Held | None = None) -> int:
    """How many batches a training goes through, an optimiser's or else the longest; 0 where it came to no end."""
    loader = max((one for one in seen.loaders if one.steps), key=lambda one: one.steps, default=None)
    loader = held.loader if held and held.loader else loader
    if loader is None and seen.ended == "script":  # no loader was cut short: these were all steps
        return max((held.steps * held.micro for held in seen.helds), default=0)
    if loader is None or seen.ended != "script":
        return 0
    data, place = loader.loader.dataset, loader.place
    alike = [one for one in seen.loaders if one.steps and one.place == place and one.loader.dataset is data]
    several = [loader, *(one for one in alike if one is not loader)]  # made anew for every epoch
    trainings = sum(one.steps > 0 and (one.loader is None or one.loader in several) for one in seen.helds)
    return sum(one.passes for one in several) * length(loader.loader) // trainings if trainings else 0


def per_part(fact: Scheduled, held: Held) -> bool:
    """Whether it steps at every batch, of which several make a step of the optimiser."""
    return held.micro > 1 and len(fact.at) >= 0.8 * held.micro * (held.whole or held.steps)


def per_batch(fact: Scheduled) -> bool:
    """Whether it steps as often as its optimiser."""
    gaps = [b - a for a, b in pairwise(fact.at)]
    return len(gaps) >= 4 and sum(gap == 1 for gap in gaps) > 0.8 * len(gaps)


def simulated(fact: Scheduled, steps: int) -> list[float]:
    """The rates of so many steps from where it began: those seen, then those of a copy."""
    rates = [fact.first_rate, *fact.rates][:steps]
    if len(rates) >= steps or isinstance(fact.scheduler, ReduceLROnPlateau):
        return rates
    twin = copy.deepcopy(fact.scheduler)
    twin.optimizer.step = lambda *_: None
    while len(rates) < min(steps, 5000):
        try:
            type(twin).step(twin)
        except Exception:  # a function of the program's that knows no further step
            break
        rates.append(float(twin.optimizer.param_groups[0]["lr"]))
    return rates


def full_rate(fact: Scheduled, rates: list[float]) -> float:
    """The rate of which little should not be left: the highest, or where factors are free what they multiply."""
    return float(fact.scheduler.base_lrs[0]) if isinstance(fact.scheduler, LambdaLR) else max(fact.first_rate, *rates)


def drops_at_once(fact: Scheduled, rates: list[float], planned: int) -> bool:
    """Whether the drops that a schedule counts are over within an epoch of many, as if they counted epochs."""
    if not isinstance(fact.scheduler, StepLR | MultiStepLR) or planned < 3 * len(rates):
        return False
    drops = [i for i, (a, b) in enumerate(pairwise(rates)) if b < 0.6 * a]
    return bool(drops) and drops[0] < 0.05 * planned and drops[0] + 1 < planned / len(rates)


def warms_up(rates: list[float]) -> bool:
    """Whether the lowest rate comes before the highest."""
    full = next(index for index, rate in enumerate(rates) if rate >= 0.99 * max(rates))
    return rates.index(min(rates)) < full


def early(fact: Scheduled, name: str) -> Iterator[Finding]:
    """The rate is gone after a small part of the epochs."""
    rates, total = fact.rates, len(fact.rates)
    gone = next((index for index, rate in enumerate(rates) if rate <= LEFT * fact.first_rate), None)
    if gone is not None and total >= 5 and gone + 1 < 0.5 * total:
        yield finding(
            "learning-rate-dropped-early",
            f"`{name}` has lowered the rate to {rates[gone]:.2g} after {gone + 1} of {total} epochs",
            f"It began at {fact.first_rate:.3g}; the other {total - gone - 1} epochs hardly move the weights.",
            f"Drop it at about 1/2 and 3/4 of the epochs: {total // 2} and {3 * total // 4}{line(fact.place)}.",
            **where(drop_place(fact)),
        )


def drop_place(fact: Scheduled) -> Place | None:
    """Where the epochs of the drops are written."""
    name, position = DROPS.get(type(fact.scheduler).__name__, ("gamma", 1))
    return origin(fact.stack, name, position)


DROPS = {"StepLR": ("step_size", 1), "MultiStepLR": ("milestones", 1)}
"""The argument that says when a rate drops, and its position."""


def inside(fact: Scheduled, seen: Seen) -> bool:
    """Whether another scheduler steps it."""
    parts: list[LRScheduler] = []
    for other in seen.schedulers:
        parts += getattr(other.scheduler, "_schedulers", [])
    return any(part is fact.scheduler for part in parts)


RULES = (scheduler_rules, gone_early, dropped_early, gone_by_scheduler, rate_for_factor, never_warm, warm_up_compounds)
