"""The audit as a whole: what every check found, the lists behind it, and the seconds that each took."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from tenfold.checks.audit import classes, duplicates, labels, pictures
from tenfold.checks.audit.lists import Listed, parts_of
from tenfold.checks.rules import ranked
from tenfold.datasets.collection import Collection
from tenfold.datasets.dataset import Dataset, Progress, silent
from tenfold.errors import Finding


@dataclass
class Audit:
    """Findings, the likeliest root cause first; the lists by name; seconds of each part."""

    dataset: Dataset
    counts: dict[str, dict[str, int]]
    pairs: list[tuple[Finding, Listed | None]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def findings(self) -> list[Finding]:
        """All findings, ranked."""
        return ranked(finding for finding, _ in self.pairs)

    @property
    def lists(self) -> dict[str, Listed]:
        """The lists behind the findings, by name."""
        return {listed.name: listed for _, listed in self.pairs if listed is not None}

    def add(self, what: str, found: Iterable[tuple[Finding, Listed | None]]) -> None:
        """Run one part of the audit and keep its findings and its time."""
        began = time.perf_counter()
        self.pairs.extend(found)
        self.seconds[what] = round(time.perf_counter() - began, 2)


def cheap_findings(dataset: Dataset, collection: Collection | None = None) -> Audit:
    """Classes, unreadable files, images of equal pixels: nothing is trained, no file opened again."""
    made, parts = Audit(dataset, classes.counts_of(dataset, collection)), parts_of(dataset)
    made.add("classes", ((found, None) for found in classes.class_findings(made.counts)))
    made.add("unreadable", pictures.unreadable(dataset))
    made.add("exact", duplicates.exact(dataset, parts))
    return made


def audit_findings(
    dataset: Dataset,
    collection: Collection | None = None,
    *,
    near: bool = True,
    wrong_labels: bool = True,
    progress: Progress = silent,
) -> Audit:
    """The whole audit of a data set; collection: its files, where it has some.

    near: look for near duplicates. wrong_labels: train small nets and look for labels that are probably wrong.
    """
    made, parts = cheap_findings(dataset, collection), parts_of(dataset)
    made.add("constant", pictures.constant(dataset, parts))
    if collection is not None:
        made.add("files", pictures.odd_files(dataset, collection, progress))
    if near:
        made.add("near", duplicates.alike(dataset, parts, progress))
    if wrong_labels:
        made.add("labels", labels.suspects(dataset, parts, made.notes, progress))
    return made
