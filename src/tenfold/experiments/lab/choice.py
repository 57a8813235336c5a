"""What the lab will do: each part's cost at the speed measured here, and the most telling of them that fit the time."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tenfold.evidence.power import fewest_pairs
from tenfold.experiments.lab.costs import Pace, expected, measured
from tenfold.experiments.lab.parts import ARMS, PARTS, RESNET, SIMPLENN, TELLING, TUNED, Part, optimised
from tenfold.experiments.lab.plan import TRIAL_EPOCHS, Run, Terms, better_half, plan_of, run_of
from tenfold.experiments.statements import MISTAKES, STATEMENTS, Context
from tenfold.experiments.statements.answers import Experiment
from tenfold.recipe import Plan
from tenfold.reports.words import duration

Tell = Callable[[str], None]
Runs = Mapping[Run, float]
"""Runs, and the seconds of each."""


@dataclass(frozen=True)
class Item:
    """A part or statement to choose: the runs of each number of seeds, the fewest first, and the seconds beside."""

    id: str
    title: str
    runs: Mapping[int, Runs]
    beside: float = 0.0

    @property
    def least(self) -> float:
        """Seconds with the fewest seeds, where no run is shared."""
        return self.beside + sum(self.runs[min(self.runs)].values())


@dataclass(frozen=True)
class Choice:
    """What fits the time: the seeds of each item, the seconds in all, and (id, title, seconds) of what does not fit.

    reduced: (id, title) of what has fewer seeds than it would have.
    """

    seeds: dict[str, int]
    seconds: float
    left_out: list[tuple[str, str, float]] = field(default_factory=list)
    reduced: list[tuple[str, str]] = field(default_factory=list)


def choose(ids: Sequence[str], terms: Terms, tell: Tell) -> tuple[Choice, Pace | None]:
    """What fits the time; the pace is measured only where something is trained."""
    parts = [PARTS[id] for id in ids if id in PARTS]
    experiments = [experiment for id, experiment in {**STATEMENTS, **MISTAKES}.items() if id in ids]
    nets = {ARMS[name].net for part in parts for name in part.arms}
    if any(experiment.plans(context_of(terms, tell)) for experiment in experiments):
        nets |= {SIMPLENN}
    if nets:
        tell("Measuring how fast this machine trains …")
    pace = measured(nets, terms) if nets else None
    items = [part_item(part, terms, pace) for part in parts]
    items += [statement_item(experiment, terms, pace, tell) for experiment in experiments]
    return choose_items(items, terms.limit), pace


def part_item(part: Part, terms: Terms, pace: Pace | None) -> Item:
    """A part, with the runs of its arms."""
    runs = {count: run_seconds(part.arms, count, terms, pace) for count in seeds_of(part, terms)}
    beside = tuning_seconds(terms, pace) if part.look == "tuning" else 1.0 if part.look else 0.0
    return Item(part.id, part.title, runs, beside)


def statement_item(experiment: Experiment, terms: Terms, pace: Pace | None, tell: Tell) -> Item:
    """A statement or mistake; one that trains nothing over seeds has the most of them."""
    costs = {seeds: experiment.cost(context_of(terms, tell, seeds)) for seeds in terms.statement_seeds}
    runs = {seeds: {run_of(plan): expected(plan, pace) for plan in cost.plans} for seeds, cost in costs.items()}
    most = max(runs)
    varied = {seeds: found for seeds, found in runs.items() if seeds == most or found != runs[most]}
    return Item(experiment.id, experiment.statement, varied, costs[most].seconds)


def seeds_of(part: Part, terms: Terms) -> list[int]:
    """How many seeds each arm of the part may have, the fewest first."""
    if not part.arms:
        return [0]
    if part.one_run:
        return [1]
    if part.sweep is not None or ARMS[part.arms[0]].net == RESNET:
        return sorted({1, terms.few_seeds})
    least = fewest_pairs(max(1, len(part.pairs)))
    most = terms.seeds or max(least, terms.simplenn_seeds)
    return sorted({min(least, most), most})


def choose_items(items: Sequence[Item], limit: float | None) -> Choice:
    """First the fewest seeds of each item, in order of how telling they are (statements: the quickest first); then
    more seeds, in the same order.

    A run that two items need is paid once. limit: seconds.
    """
    rank = {id: at for at, id in enumerate(TELLING)}
    order = sorted(items, key=lambda item: (rank[item.id], 0.0) if item.id in rank else (rank["L4"], item.least))
    paid: set[Run] = set()
    taken: dict[str, int] = {}
    spent = 0.0

    def more(item: Item, seeds: int) -> float:
        beside = 0.0 if item.id in taken else item.beside
        return beside + sum(seconds for run, seconds in item.runs[seeds].items() if run not in paid)

    def take(item: Item, seeds: int) -> bool:
        nonlocal spent
        cost = more(item, seeds)
        if limit is not None and spent + cost > limit:
            return False
        spent += cost
        taken[item.id] = seeds
        paid.update(item.runs[seeds])
        return True

    fewest = {item.id: min(item.runs) for item in order}
    left_out = [(item.id, item.title, more(item, fewest[item.id])) for item in order if not take(item, fewest[item.id])]
    chosen = [item for item in order if item.id in taken]
    short = [item for item in chosen if not all(take(item, seeds) for seeds in sorted(item.runs)[1:])]
    return Choice(taken, spent, left_out, [(item.id, item.title) for item in short])


def run_seconds(names: Iterable[str], count: int, terms: Terms, pace: Pace | None) -> Runs:
    """The runs of these arms over so many seeds, and the seconds of each."""
    plans = {name: plan_of(ARMS[name], terms) for name in names}
    keys = {name: name if "tuned" in ARMS[name].changes else run_of(plan)[0] for name, plan in plans.items()}
    each = {keys[name]: expected(plan, pace) for name, plan in plans.items()}
    return {(key, seed): seconds for key, seconds in each.items() for seed in range(count)}


def tuning_seconds(terms: Terms, pace: Pace | None) -> float:
    """What the runs take that try learning rates."""
    seconds, rates = 0.0, rates_tried(terms)
    for epochs in TRIAL_EPOCHS[terms.quick]:
        seconds += sum(expected(plan, pace) for plan in trials(terms, rates, epochs).values())
        rates = {name: better_half(dict.fromkeys(found, 0.0)) for name, found in rates.items()}
    return seconds


def rates_tried(terms: Terms) -> dict[str, list[float]]:
    """The rates with which each optimiser's trials begin."""
    return {name: list(rates[:2] if terms.quick else rates) for name, rates in TUNED.items()}


def trials(terms: Terms, rates: Mapping[str, Sequence[float]], epochs: int) -> dict[tuple[str, float], Plan]:
    """A short run for each optimiser and rate."""
    return {
        (name, rate): plan_of(ARMS[name], terms, {name: optimised(name, rate)}).override({"epochs": epochs})
        for name, found in rates.items()
        for rate in found
    }


def context_of(terms: Terms, tell: Tell, seeds: int | None = None) -> Context:
    """What the statements' experiments get; seeds: as many as the terms allow, unless given."""
    return Context(terms.source, terms.out / "runs", terms.quick, seeds or terms.simplenn_seeds, tell)


def announce(choice: Choice, terms: Terms, tell: Tell) -> None:
    """What will be done in how long, and what will not."""
    hours = f" ({choice.seconds / 3600:.1f} hours)" if choice.seconds >= 3600 else ""
    limit = f" of {duration(terms.limit)}" if terms.limit else ""
    tell(
        f"{len(choice.seeds)} parts, expected to take {duration(choice.seconds)}{hours}{limit} at the speed measured; "
        "what is there already is not trained again."
    )
    for id, title, seconds in choice.left_out:
        tell(f"left out: {id} {title} ({duration(seconds)})")
    if choice.reduced:
        tell(f"with fewer seeds, to fit: {', '.join(id for id, _ in choice.reduced)}")
