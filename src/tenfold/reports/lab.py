"""The lab's page: one HTML file with every table, plot and verdict, beside what the lab said.

write_lab(Page(…), Path("lab"))                 lab/lab.html, lab/lab.json, lab/tables/*.csv, lab/pictures/*.png
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tenfold.reports.page import embed, templates, write_page
from tenfold.runs import csv_text, write_atomic


@dataclass(frozen=True)
class Table:
    """Figures as text; the first `words` columns are words, the others numbers."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1


@dataclass(frozen=True)
class Line:
    """A line of the first table: what the lab said, what tenfold found, interval and verdict."""

    id: str
    title: str
    said: str
    found: str
    interval: str = ""
    verdict: str = ""


@dataclass(frozen=True)
class Section:
    """A part, statement or mistake with its evidence. pictures: PNG by what they show. lines: of the first table."""

    id: str
    title: str
    said: str
    texts: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    lines: Sequence[Line] = ()
    answer: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """All of the lab. made: how, as (what, value). left_out: (id, title, why)."""

    title: str
    intro: Sequence[str]
    made: Sequence[tuple[str, str]]
    parts: Sequence[Section]
    statements: Sequence[Section]
    mistakes: Sequence[Section]
    left_out: Sequence[tuple[str, str, str]]

    @property
    def sections(self) -> list[Section]:
        """Everything with evidence, in order."""
        return [*self.parts, *self.statements, *self.mistakes]

    @property
    def lines(self) -> list[Line]:
        """The first table."""
        return [line for section in self.sections for line in section.lines]


def write_lab(page: Page, out: Path) -> Path:
    """Write the page and its figures as files of their own; returns the page's path."""
    header = ("part", "what", "the lab", "tenfold", "95 % interval", "verdict")
    files: dict[str, bytes | str] = {
        "tables/lab.csv": csv_text(header, [tuple(asdict(line).values()) for line in page.lines]),
        "lab.json": json.dumps(to_dict(page), indent=2, ensure_ascii=False) + "\n",
    }
    for section in page.sections:
        for number, table in enumerate(section.tables, 1):
            files[f"tables/{name_of(section.id, number)}.csv"] = csv_text(table.header, table.rows)
        for number, picture in enumerate(section.pictures.values(), 1):
            files[f"pictures/{name_of(section.id, number)}.png"] = picture
    for name, content in files.items():
        write_atomic(out / name, content)
    shown = templates().get_template("lab.html.j2").render(page=page, embed=embed, groups=groups(page), anchor=anchor)
    return write_page(out / "lab.html", shown)


def groups(page: Page) -> list[tuple[str, list[Section]]]:
    """The parts under the lab's own headings."""
    names = {"L1": "SimpleNN and the pipeline", "L2": "Improving the pipeline", "L3": "ResNet-20"}
    made = [(f"{key}. {name}", [s for s in page.parts if s.id.startswith(f"{key}.")]) for key, name in names.items()]
    return [(name, sections) for name, sections in made if sections]


def to_dict(page: Page) -> dict[str, Any]:
    """As plain JSON values; pictures by the names of their files."""
    return {
        "title": page.title,
        "made": dict(page.made),
        "lines": [asdict(line) for line in page.lines],
        "sections": [
            {
                **{key: value for key, value in vars(section).items() if key not in ("tables", "pictures", "lines")},
                "tables": [asdict(table) for table in section.tables],
                "pictures": {
                    f"pictures/{name_of(section.id, number)}.png": what
                    for number, what in enumerate(section.pictures, 1)
                },
            }
            for section in page.sections
        ],
        "left_out": [dict(zip(("id", "title", "why"), one)) for one in page.left_out],
    }


def name_of(id: str, number: int) -> str:
    """'L2.3', 1 → 'L2.3-1'; other letters than those of file names are replaced."""
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', id)}-{number}"


def anchor(id: str) -> str:
    """What a link to the section ends with."""
    return name_of(id, 0)
