"""A training of tenfold's own under observation: what its steps and epochs show is told once, and kept in the run."""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict

from tenfold.checks.rules import finding
from tenfold.checks.running import judge_epochs
from tenfold.checks.watching import Watcher
from tenfold.errors import Finding
from tenfold.runs import Epoch, Run, write_atomic
from tenfold.training.loop import Observer, complete
from tenfold.training.nonfinite import NonFiniteLoss
from tenfold.training.setup import Setup

FILE = "findings.json"
"""Where a run keeps its findings."""


def document(findings: Iterable[Finding], silenced: Iterable[str]) -> dict[str, object]:
    """findings.json: what was found, and which silenced rules would have been."""
    return {"findings": [asdict(found) for found in findings], "silenced": sorted(set(silenced))}


def kept(run: Run) -> list[Finding]:
    """The findings that the run folder holds; none where it was trained without a check."""
    return [Finding(**one) for one in run.read(FILE)["findings"]] if (run.path / FILE).exists() else []


class Observed:
    """An observer of the loop around another one: watches the net, and passes everything on.

    say: hears each new finding that is not a note.
    """

    def __init__(self, inner: Observer, setup: Setup, run: Run, say: Callable[[Finding], None]) -> None:
        self.inner, self.run, self.say = inner, run, say
        self.ignored = frozenset(setup.recipe.ignore)
        self.findings = kept(run)
        self.silenced = set(run.read(FILE)["silenced"]) if (run.path / FILE).exists() else set[str]()
        at = setup.state.progress
        self.sum, self.seen = at.loss_sum, at.seen
        self.watcher = Watcher(setup.state.model, setup.state.optimizer, self.hear)
        self.watcher.history.full_rate = setup.recipe.optimizer.lr
        if at.rows or at.seen:
            self.watcher.history.began = at.rows[0].train_loss if at.rows else at.loss_sum / at.seen

    def __enter__(self) -> "Observed":
        """Begin to watch."""
        self.watcher.attach()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Take the hooks away; a loss that is not finite is kept, and told by the error itself."""
        self.watcher.remove()
        if isinstance(error, NonFiniteLoss):
            found = finding("not-finite", error.happened, error.facts, error.cure)
            self.keep(found, tell=False)

    def step(self, setup: Setup) -> None:
        """The loss of the step is what it added to the epoch's sums."""
        at = setup.state.progress
        if at.seen > self.seen:
            self.watcher.loss((at.loss_sum - self.sum) / (at.seen - self.seen))
        self.sum, self.seen = at.loss_sum, at.seen
        self.inner.step(setup)

    def epoch(self, setup: Setup, row: Epoch, best: bool) -> None:
        """The rows so far may show something too."""
        self.sum, self.seen = 0.0, 0
        self.inner.epoch(setup, row, best)
        for found in judge_epochs(setup.state.progress.rows, len(setup.dataset.classes), complete(setup)):
            self.hear(found)

    def hear(self, found: Finding) -> None:
        """Keep a finding, and say it, unless it is silenced or was there before."""
        self.keep(found, tell=found.severity != "note")

    def keep(self, found: Finding, tell: bool) -> None:
        """Write a finding down unless it is silenced or was there before."""
        if found.rule in self.ignored:
            self.silenced.add(found.rule)
        elif all(found.rule != other.rule for other in self.findings):
            self.findings.append(found)
            if tell:
                self.say(found)
        else:
            return
        write_atomic(self.run.path / FILE, json.dumps(document(self.findings, self.silenced), indent=2))
