"""An audit as files: audit.json, a CSV and a picture sheet of each list, and one page that needs nothing else."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.checks.audit import Audit, Listed
from tenfold.datasets.dataset import Dataset
from tenfold.reports.mosaics import image_grid
from tenfold.reports.page import embed, templates, write_page
from tenfold.runs import csv_text, write_atomic

MOST_GROUPS = 30
"""So many pairs or single images are drawn; the CSV has all."""
MOST_ROWS = 10
"""So many lines of a list stand on the page."""
COLUMNS = 6


def sheet(dataset: Dataset, listed: Listed) -> bytes:
    """The first groups of a list as a PNG: pairs side by side, each image with its id and class."""
    images, captions = [], []
    for number, group in enumerate(listed.groups[:MOST_GROUPS]):
        said = listed.said[number] if listed.said else ""
        for place, row in enumerate(group):
            images.append(np.asarray(dataset.images[row]))
            last = said if place == len(group) - 1 else ""
            captions.append(f"{dataset.ids[row]}\n{dataset.classes[dataset.labels[row]]}\n{last}")
    shown = min(len(listed.groups), MOST_GROUPS)
    title = listed.title if shown == len(listed.groups) else f"{listed.title}: {shown} of {len(listed.groups):,}"
    return image_grid(images, captions, title, COLUMNS)


def write_audit(audit: Audit, out: Path) -> dict[str, Any]:
    """Write all files of an audit into `out`; returns what audit.json holds."""
    sheets = {}
    for name, listed in audit.lists.items():
        write_atomic(out / f"{name}.csv", csv_text(listed.columns, listed.rows))
        if listed.groups:
            sheets[name] = sheet(audit.dataset, listed)
            write_atomic(out / f"{name}.png", sheets[name])
    document = {**to_dict(audit), "files": sorted(files_of(audit))}
    write_atomic(out / "audit.json", json.dumps(document, indent=2))
    chapters = [
        {
            "finding": finding,
            "listed": listed,
            "rows": listed.rows[:MOST_ROWS] if listed else (),
            "picture": embed(sheets[listed.name]) if listed and listed.name in sheets else None,
        }
        for finding, listed in ordered(audit)
    ]
    page = templates().get_template("audit.html.j2").render(audit=audit, chapters=chapters, most=MOST_ROWS)
    write_page(out / "audit.html", page)
    return document


def ordered(audit: Audit) -> Iterator[tuple[Any, Listed | None]]:
    """Findings with their lists, ranked."""
    by_finding = {id(finding): listed for finding, listed in audit.pairs}
    for finding in audit.findings:
        yield finding, by_finding[id(finding)]


def files_of(audit: Audit) -> Iterator[str]:
    """The names of the files that an audit writes."""
    yield from ("audit.json", "audit.html")
    for name, listed in audit.lists.items():
        yield f"{name}.csv"
        if listed.groups:
            yield f"{name}.png"


def to_dict(audit: Audit) -> dict[str, Any]:
    """An audit as JSON can hold it."""
    data = audit.dataset
    return {
        "target": data.name,
        "fingerprint": data.fingerprint,
        "images": len(data.labels),
        "classes": list(data.classes),
        "counts": audit.counts,
        "findings": [asdict(finding) for finding in audit.findings],
        "lists": {name: len(listed.rows) for name, listed in audit.lists.items()},
        "notes": [*data.notes, *audit.notes],
        "seconds": audit.seconds,
    }
