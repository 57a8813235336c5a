"""The lab, run: measured, announced, trained as far as it is not there, looked at, and written as one page.

lab = run_lab(Terms(quick=True), print)
lab.path                                                      # lab/lab.html
"""

import shlex
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tenfold.errors import TenfoldError, counted
from tenfold.experiments import arms as trained_arms
from tenfold.experiments.groups import Group, accuracy_of, group_of
from tenfold.experiments.lab.choice import Choice, Tell, announce, choose, context_of, rates_tried, trials
from tenfold.experiments.lab.costs import Pace, expected
from tenfold.experiments.lab.looks import Bench, Tried
from tenfold.experiments.lab.parts import ARMS, PARTS, RESNET, SIMPLENN, optimised
from tenfold.experiments.lab.plan import TRIAL_EPOCHS, Run, Terms, better_half, plan_of, run_of, wanted
from tenfold.experiments.lab.sections import answered, facts, section
from tenfold.experiments.many import Outcome, train_many
from tenfold.experiments.statements import MISTAKES, STATEMENTS, Answer
from tenfold.experiments.statements.trainings import arms_of
from tenfold.recipe import Plan
from tenfold.reports.lab import Page, Section, write_lab
from tenfold.reports.words import duration

Named = tuple[str, Plan]
"""What to call a run, and what it trains."""


@dataclass
class Lab:
    """What was made: the page's figures and where it lies; `choice` says what was left out."""

    page: Page
    path: Path
    choice: Choice


@dataclass
class Work:
    """The lab on its way: what fits, the pace, and what has been trained."""

    terms: Terms
    choice: Choice
    pace: Pace | None
    tell: Tell
    total: float
    began: float = field(default_factory=time.perf_counter)
    done: float = 0.0
    arms: dict[str, trained_arms.Arm] = field(default_factory=dict)
    outcomes: dict[str, dict[int, Outcome]] = field(default_factory=dict)
    tried: Tried = field(default_factory=dict)
    tuned: dict[str, Mapping[str, object]] = field(default_factory=dict)
    trained: set[Run] = field(default_factory=set)

    @property
    def runs(self) -> Path:
        """Where the runs lie."""
        return self.terms.out / "runs"

    def left(self) -> str:
        """Time left, from what is done so far; by the forecast until a tenth is done."""
        share = min(1.0, self.done / self.total) if self.total > 0 else 1.0
        spent = time.perf_counter() - self.began
        seconds = max(0.0, self.total - self.done) * (spent / self.done if share > 0.1 else 1.0)
        return f"lab: {share:.0%} done, about {duration(seconds)} left"

    def after(self, seconds: float, line: str) -> None:
        """A piece of work of so many forecast seconds is done; its line, with the lab's time left."""
        self.done += seconds
        self.tell(f"{line}; {self.left()}")


def run_lab(terms: Terms, tell: Tell) -> Lab:
    """Run the parts that were asked for, as far as they fit the time, and write the page."""
    ids = wanted(terms.only, [*STATEMENTS, *MISTAKES])
    choice, pace = choose(ids, terms, tell)
    announce(choice, terms, tell)
    work = Work(terms, choice, pace, tell, choice.seconds)
    train(work, SIMPLENN)
    answers = answer_statements(work)
    tune(work)
    train(work, RESNET)
    return written(work, answers)


def train(work: Work, net: str) -> None:
    """All runs of the chosen parts' arms of this net; seed by seed, the most telling part first."""
    chosen = [PARTS[id] for id in work.choice.seeds if id in PARTS]
    wanted_runs = {
        (name, seed): None
        for part in chosen
        for seed in range(work.choice.seeds[part.id])
        for name in part.arms
        if ARMS[name].net == net
    }
    if work.pace is None:
        return
    for name in dict.fromkeys(name for name, _ in wanted_runs):
        work.arms[name] = settled(work, name, plan_of(ARMS[name], work.terms, work.tuned))
    folders = {(name, seed): work.arms[name].folder(work.runs, seed) for name, seed in wanted_runs}
    runs: dict[Path, Named] = {}
    for (name, seed), folder in folders.items():  # a point of a sweep may be an arm of another name
        runs.setdefault(folder, (f"{name}, seed {seed}", work.arms[name].plan.override({"seed": seed})))
    work.trained |= {run_of(plan_of(ARMS[name], work.terms).override({"seed": seed})) for name, seed in wanted_runs}
    if net == SIMPLENN:
        for folder, run in statement_runs(work).items():
            runs.setdefault(folder, run)
    outcomes = train_runs(work, net, runs) if runs else {}
    for (name, seed), folder in folders.items():
        work.outcomes.setdefault(name, {})[seed] = outcomes[folder]


def statement_runs(work: Work) -> dict[Path, Named]:
    """What the chosen statements train, where it shares the machine as SimpleNN's runs do; they train the rest."""
    found: dict[Path, Named] = {}
    for id, experiment in {**STATEMENTS, **MISTAKES}.items():
        context = context_of(work.terms, work.tell, work.choice.seeds.get(id))
        plans = experiment.plans(context) if id in work.choice.seeds else ()
        kinds = {run_of(plan)[0]: plan for plan in plans}
        try:
            arms, split = arms_of(context, kinds) if kinds else ({}, None)
        except TenfoldError:  # told where the statement is answered
            continue
        if work.pace is None or split != work.pace.splits.get(SIMPLENN):
            continue
        for plan in plans:
            arm, seed = arms[run_of(plan)[0]], plan.recipe.seed
            found[arm.folder(work.runs, seed)] = (f"{id}, seed {seed}", arm.plan.override({"seed": seed}))
        work.trained |= {run_of(plan) for plan in plans}
    return found


def train_runs(work: Work, net: str, runs: Mapping[Path, Named]) -> dict[Path, Outcome]:
    """These runs, side by side as is fastest for the net."""
    assert work.pace is not None
    plans = {folder: plan for folder, (_, plan) in runs.items()}
    names = {folder: name for folder, (name, _) in runs.items()}
    work.tell(f"{net}: {len(plans)} runs, {work.pace.splits[net].text()}.")
    each = sum(expected(plan, work.pace) for plan in plans.values()) / len(plans)
    return train_many(plans, work.pace.splits[net], teller(work, each), names, page=not work.terms.quick)


def settled(work: Work, name: str, plan: Plan) -> trained_arms.Arm:
    """The arm with nothing left open."""
    assert work.pace is not None
    return trained_arms.resolve(name, plan, work.pace.splits[ARMS[name].net].threads)


def teller(work: Work, each: float) -> Tell:
    """Hears a line for every run that ended; what was there already is no longer ahead."""

    def hear(line: str) -> None:
        there, _, rest = line.partition(" of ")
        if rest.endswith("runs are there already."):
            work.total -= int(there) * each
            work.tell(line)
        else:
            work.after(each, line.partition(", about ")[0])

    return hear


def tune(work: Work) -> None:
    """The learning rate of each optimiser of L3.5: the best of short runs, of which the better half becomes longer."""
    if not any(PARTS[id].look == "tuning" for id in work.choice.seeds if id in PARTS) or work.pace is None:
        return
    rates = rates_tried(work.terms)
    for epochs in TRIAL_EPOCHS[work.terms.quick]:
        found = tried(work, trials(work.terms, rates, epochs), epochs)
        for name, reached in found.items():
            work.tried.setdefault(name, {})[epochs] = reached
        rates = {name: better_half(reached) for name, reached in found.items()}
    work.tuned = {name: optimised(name, best[0]) for name, best in rates.items()}


def tried(work: Work, plans: Mapping[tuple[str, float], Plan], epochs: int) -> dict[str, dict[float, float | None]]:
    """One round of trials: the last epoch's accuracy by optimiser and rate; None where a run failed."""
    arms = {key: settled(work, key[0], plan) for key, plan in plans.items()}
    folders = {key: arm.folder(work.runs, 0) for key, arm in arms.items()}
    work.tell(f"{len(plans)} runs of {counted(epochs, 'epoch')}, to give each optimiser its learning rate.")
    runs = {
        folders[name, rate]: (f"{name} at {rate:g}", arm.plan.override({"seed": 0}))
        for (name, rate), arm in arms.items()
    }
    outcomes = train_runs(work, RESNET, runs)
    found: dict[str, dict[float, float | None]] = {}
    for (name, rate), folder in folders.items():
        outcome = outcomes[folder]
        found.setdefault(name, {})[rate] = accuracy_of(outcome.run, "last") if outcome.failure is None else None
    return found


def answer_statements(work: Work) -> dict[str, Answer | str]:
    """The statements and mistakes that fit; a text where an experiment could not run."""
    answers: dict[str, Answer | str] = {}
    for id, experiment in {**STATEMENTS, **MISTAKES}.items():
        if id not in work.choice.seeds:
            continue
        context = context_of(work.terms, work.tell, work.choice.seeds[id])
        cost = experiment.cost(context)
        try:
            answers[id] = experiment(context)
            told = f"{id} {experiment.statement}: {answers[id].answer}"  # type: ignore[union-attr]
        except TenfoldError as error:
            if error.exit_code > 2:  # a signal: the same command continues
                raise
            answers[id] = told = f"{id} could not be answered: {error}"
        new = {run_of(plan): expected(plan, work.pace) for plan in cost.plans}
        work.after(cost.seconds + sum(seconds for run, seconds in new.items() if run not in work.trained), told)
        work.trained |= set(new)
    return answers


def groups(work: Work, count: int, names: Iterable[str], best: bool) -> dict[str, Group]:
    """The groups of these arms over the first `count` seeds."""
    metric = "best" if best else "last"
    return {
        name: group_of(work.arms[name], {s: work.outcomes[name][s] for s in range(count)}, metric)  # type: ignore[arg-type]
        for name in names
    }


def written(work: Work, answers: Mapping[str, Answer | str]) -> Lab:
    """The page and its files."""
    all_groups = {
        name: group_of(work.arms[name], dict(sorted(outcomes.items()))) for name, outcomes in work.outcomes.items()
    }
    bench = Bench(work.terms, all_groups, work.tried)
    made: list[Section] = []
    for id, part in PARTS.items():
        if id in work.choice.seeds:
            last, best = (groups(work, work.choice.seeds[id], part.arms, flag) for flag in (False, True))
            made.append(section(part, last, best, bench))
    statements = [answered(one, answers[id]) for id, one in STATEMENTS.items() if id in answers]
    mistakes = [answered(one, answers[id]) for id, one in MISTAKES.items() if id in answers]
    page = Page(
        title="The lab: construct, train and optimise CNN models",
        intro=intro(work.terms),
        made=facts(work.terms, all_groups, command(), time.perf_counter() - work.began, shares(work)),
        parts=made,
        statements=statements,
        mistakes=mistakes,
        left_out=left_out(work),
    )
    path = write_lab(page, work.terms.out)
    work.after(work.total - work.done, "looked at, drawn and written")
    return Lab(page, path, work.choice)


def shares(work: Work) -> str:
    """How the runs shared the machine."""
    if work.pace is None:
        return "nothing was trained"
    return "; ".join(f"{net}: {split.text()}" for net, split in work.pace.splits.items())


def command() -> str:
    """What was typed."""
    return shlex.join(["tenfold", *sys.argv[1:]])


def intro(terms: Terms) -> list[str]:
    """What the page is."""
    told = [
        "Every part of a university lab on convolutional nets, run again: each figure comes from runs on disk, and "
        "each comparison from several seeds, with its interval and a verdict that can also be “inconclusive”."
    ]
    if terms.quick:
        told.append(
            "This is the quick lab: small built-in data, short runs, small batches, smaller images for ResNet-20. "
            "It shows how each question is answered; its figures are not CIFAR-10's, so they do not judge the lab's."
        )
    return told


def left_out(work: Work) -> list[tuple[str, str, str]]:
    """What is not on the page, or with fewer seeds, and why."""
    limit = duration(work.terms.limit) if work.terms.limit else ""
    found = [
        (id, title, f"would take {duration(seconds)}; does not fit {limit} (--hours)")
        for id, title, seconds in work.choice.left_out
    ]
    found += [
        (id, title, f"fewer seeds ({work.choice.seeds[id]}), to fit {limit}") for id, title in work.choice.reduced
    ]
    if work.terms.only:
        found.append(("", "all other parts", f"only {', '.join(work.terms.only)} was asked for"))
    return found
