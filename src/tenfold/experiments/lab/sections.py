"""Sections of the lab's page: a part's groups, judgements and looks; a statement's answer; how all was made."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch

from tenfold.evidence.comparison import points
from tenfold.experiments.groups import Group
from tenfold.experiments.lab.looks import Bench, Look, looked
from tenfold.experiments.lab.parts import Part
from tenfold.experiments.lab.plan import Terms
from tenfold.experiments.statements import Answer
from tenfold.experiments.statements.answers import Experiment
from tenfold.experiments.studies import forest_row
from tenfold.experiments.verdicts import Judgement, judge_all
from tenfold.reports import evidence
from tenfold.reports.lab import Line, Section, Table
from tenfold.reports.words import duration, percent, size
from tenfold.training.environment import environment


def section(part: Part, last: Mapping[str, Group], best: Mapping[str, Group], bench: Bench) -> Section:
    """A part with all its evidence. last, best: the groups of its arms by last and best validation accuracy."""
    seen = looked(part.look, bench) if part.look else Look()
    judgements = judged(part, last)
    verdicts = [
        " ".join([f"{one.comparison.headline()}.{one.comparison.crashes()}", *one.caveats]) for one in judgements
    ]
    troubles = [f"{group.name}, {trouble}" for group in last.values() for trouble in group.troubles]
    shown = bool(part.arms) and not part.one_run
    tables = [*([accuracies(part, last, best)] if shown else []), *([pairs_table(judgements)] if judgements else [])]
    texts = [*([part.note] if part.note else []), *seen.texts, *verdicts, *(troubles if shown else [])]
    return Section(
        part.id,
        part.title,
        part.said,
        texts,
        [*tables, *seen.tables],
        {**(drawn(part, last, judgements) if shown else {}), **seen.pictures},
        lines(part, last, best, judgements, seen, bench.terms),
        figures={"arms": [arm_figures(last[name], best[name]) for name in part.arms],
                 "judgements": [{**asdict(j.comparison), "verdict": j.comparison.verdict} for j in judgements]},
    )  # fmt: skip


def judged(part: Part, groups: Mapping[str, Group]) -> list[Judgement]:
    """The part's pairs, each variant against its baseline, adjusted as one family (all pairs have one baseline)."""
    if not part.pairs:
        return []
    baseline = part.pairs[0][1]
    return judge_all([groups[variant] for variant, _ in part.pairs], groups[baseline])


def arm_figures(last: Group, best: Group) -> dict[str, object]:
    """An arm's accuracies for lab.json."""
    return {
        "name": last.name,
        "last": {str(seed): value for seed, value in last.accuracies.items()},
        "best": {str(seed): value for seed, value in best.accuracies.items()},
        "runs": {str(seed): str(run.path) for seed, run in last.runs.items()},
        "troubles": list(last.troubles),
    }


def accuracies(part: Part, last: Mapping[str, Group], best: Mapping[str, Group]) -> Table:
    """Mean ± half interval of the best and last validation accuracy, beside the lab's figure."""
    rows = [
        (
            name,
            f"{part.figures[name]:.2f} %" if name in part.figures else "–",
            spread(best[name]),
            spread(last[name]),
            str(len(last[name].values)) + (f" ({len(last[name].accuracies)} tried)" if last[name].troubles else ""),
        )
        for name in part.arms
    ]
    header = ("arm", "the lab, best", "best validation", "last epoch", "seeds")
    return Table("Validation accuracy: mean ± half of its 95 % interval over the seeds", header, rows)


def spread(group: Group) -> str:
    """'71.31 ± 0.30 %'; a single run has no interval."""
    if group.mean is None:
        return "no run finished"
    if group.interval is None:
        return f"{100 * group.mean:.2f} %"
    half = (group.interval[1] - group.interval[0]) / 2
    return f"{100 * group.mean:.2f} ± {100 * half:.2f} %"


def pairs_table(judgements: Sequence[Judgement]) -> Table:
    """Every comparison in figures."""
    rows = []
    for one in judgements:
        found = one.comparison
        rows.append(
            (
                f"{found.names[0]} against {found.names[1]}",
                f"{points(found.difference)}" if found.difference is not None else "–",
                interval_words(one),
                f"{found.p_adjusted:.2g}",
                f"{found.better:.2f}",
                str(found.pairs),
                found.verdict,
            )
        )
    header = ("comparison", "difference (points)", "95 % interval", "p (Holm)", "P(A>B)", "pairs", "verdict")
    return Table("Paired by seed, last epoch", header, rows)


def interval_words(one: Judgement) -> str:
    """'+0.12 to +1.40'; a dash under two pairs."""
    found = one.comparison.interval
    return "–" if found is None else f"{points(found[0])} to {points(found[1])}"


def drawn(part: Part, groups: Mapping[str, Group], judgements: Sequence[Judgement]) -> dict[str, bytes]:
    """Forest plot, sweep, curves."""
    made: dict[str, bytes] = {}
    if part.sweep:
        at = {float(name.partition("=")[2]): groups[name].values for name in part.arms}
        best = max(at, key=lambda value: sum(at[value]) / len(at[value]) if at[value] else -1.0)
        what = f"Validation accuracy against {part.sweep}: every run, and the means joined"
        made[what] = evidence.sweep(at, part.sweep, f"{part.id} {part.title}", best)
    rows = [forest_row(one) for one in judgements if one.comparison.pairs > 1]
    if rows:
        title = f"{part.id} {part.title}"
        made["Difference of each variant, with its interval"] = evidence.forest(rows, judgements[0].b.name, title)
    if any(group.values for group in groups.values()) and part.look != "drops":
        curves = {name: group.epochs() for name, group in groups.items()}
        made["Validation accuracy over the epochs"] = evidence.bands(curves, f"{part.id} {part.title}: curves")
    return made


def lines(
    part: Part,
    last: Mapping[str, Group],
    best: Mapping[str, Group],
    judgements: Sequence[Judgement],
    seen: Look,
    terms: Terms,
) -> list[Line]:
    """The part's lines of the first table."""
    made = [comparison_line(one) for one in judgements]
    if part.sweep:
        made.append(sweep_line(last))
    own = [name for name in part.arms if name in part.figures and (not part.pairs or name == part.pairs[0][0])]
    made += [figure_line(name, best[name], part.figures[name], terms) for name in own]
    made += seen.lines
    return [replace(one, id=part.id, title=one.title or part.title, said=one.said or part.said) for one in made]


def comparison_line(one: Judgement) -> Line:
    """A judgement as one line."""
    a, b, found = one.a, one.b, one.comparison
    difference = f"{points(found.difference)} points" if found.difference is not None else "no whole pair"
    told = f"{difference} (last epoch {percent(a.mean)} against {percent(b.mean)})"
    within = f", ±{found.delta_points:g}" if found.verdict == "equivalent" else ""
    return Line("", f"{a.name} against {b.name}", "", told, interval_words(one), f"{found.verdict}{within}")


def sweep_line(groups: Mapping[str, Group]) -> Line:
    """Where the sweep is best."""
    finished = {name: group for name, group in groups.items() if group.mean is not None}
    if not finished:
        return Line("", "", "", "no run finished", "", "no verdict")
    order = sorted(finished, key=lambda name: -(finished[name].mean or 0))
    told = ", then ".join(f"{name} ({percent(finished[name].mean)})" for name in order[:2])
    failed = [name for name in groups if name not in finished]
    told += f"; {', '.join(failed)} did not finish" if failed else ""
    seeds = max(len(group.values) for group in finished.values())
    return Line("", "", "", f"best at {told}", "", f"no verdict: {seeds} run{'s' * (seeds > 1)} each")


def figure_line(name: str, group: Group, lab: float, terms: Terms) -> Line:
    """The best validation accuracy beside the lab's figure; other data cannot judge it."""
    found = f"{name}: best {percent(group.mean)} over {len(group.values)} seed{'s' * (len(group.values) != 1)}"
    if group.interval is None or group.mean is None:
        return Line("", f"{name}: accuracy", f"best {lab:.2f} %", found, "", "no verdict")
    low, high = (100 * value for value in group.interval)
    told = f"{low:.2f} to {high:.2f} %"
    verdict = "above the lab" if lab < low else "below the lab" if lab > high else "as in the lab"
    if terms.quick or terms.source != "cifar10":
        verdict = "other data"
    return Line("", f"{name}: accuracy", f"best {lab:.2f} %", found, told, verdict)


def answered(experiment: Experiment, answer: Answer | str) -> Section:
    """A statement or mistake with the lab's answer and tenfold's; a text says why there is none."""
    id = experiment.id
    if isinstance(answer, str):
        found = Line(id, experiment.statement, experiment.lab, "–", "", "not answered")
        return Section(id, experiment.statement, experiment.lab, (answer,), lines=(found,), answer="not answered")
    tables = [Table(table.caption, table.header, table.rows) for table in answer.tables]
    found = Line(id, answer.statement, answer.lab, answer.answer, "", agreement(answer.answer, answer.lab))
    pictures = dict(answer.pictures)
    return Section(
        id, answer.statement, answer.lab, (answer.evidence,), tables, pictures, (found,), answer.answer,
        {"seconds": answer.seconds},
    )  # fmt: skip


def agreement(answer: str, lab: str) -> str:
    """Whether both answers are the same; an open one agrees with none."""
    if answer not in ("true", "false"):
        return answer
    return "agrees with the lab" if lab.startswith(answer) else "differs from the lab"


def facts(
    terms: Terms, groups: Mapping[str, Group], command: str, seconds: float, sharing: str
) -> list[tuple[str, str]]:
    """How the page was made: machine, versions, data, seeds, time."""
    found = environment(torch.device("cpu"))
    seeds = sorted({seed for group in groups.values() for seed in group.accuracies})
    runs = sum(len(group.values) for group in groups.values())
    failed = sum(len(group.accuracies) - len(group.values) for group in groups.values())
    made = [
        ("command", command),
        ("made", time.strftime("%Y-%m-%d %H:%M")),
        ("tenfold", commit(found["tenfold"])),
        ("versions", f"Python {found['python']}, PyTorch {found['torch']}, NumPy {found['numpy']}"),
        ("machine", f"{found['processor']}, {found['cores']} cores, {size(found['memory'])}"),
        ("data", terms.source if "/" not in terms.source else terms.source.rstrip("/").rpartition("/")[2]),
        ("seeds", f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else ", ".join(map(str, seeds)) or "–"),
        ("runs", f"{runs}, beside those of the statements" + (f"; {failed} failed" if failed else "")),
        ("sharing", sharing),
        ("time", f"{duration(seconds)} for this call; runs that were there already took theirs before"),
    ]
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return [*made, *([("GPU", ", ".join(gpus))] if gpus else [])]


def commit(version: str) -> str:
    """The version, and the commit where tenfold runs from a clone of its own."""
    here = Path(__file__)
    try:
        if not git(here.parent, "ls-files", here.name):
            return version
        return f"{version}, commit {git(here.parent, 'log', '-1', '--format=%h of %as')}"
    except (OSError, subprocess.SubprocessError):
        return version


def git(folder: Path, *words: str) -> str:
    """What git answers there."""
    asked = ["git", "-C", str(folder), *words]
    return subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
