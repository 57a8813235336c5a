"""The report: one HTML file that needs nothing else, made from run folders only.

write_report(run)                       RUN/report.html
write_comparison(runs, path)            several runs side by side
"""

import base64
import shlex
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tenfold.reports import story, words
from tenfold.reports.documents import Documents, Judgement, damaged, gather
from tenfold.runs import Run, write_atomic

Together = tuple[str, Sequence[float], Sequence[float], int]
PIXELS = 1.6
"""Pictures have so many pixels for each pixel of the page."""
FILTERS = (words.count, words.duration, words.interval, words.mean_and_half, words.percent, words.size, words.times)


@dataclass(frozen=True)
class Picture:
    """A PNG inside the page: data URI and width in the page's pixels."""

    source: str
    width: int


@cache
def templates() -> Environment:
    """The templates beside this file, compiled once; everything that comes from a run is escaped."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update({function.__name__: function for function in FILTERS})
    made.filters["shell"] = lambda path: shlex.quote(str(path))
    return made


def write_report(run: Run) -> Path:
    """Write RUN/report.html anew; returns its path."""
    found = gather(run)
    validation = judged_parts(found, found.validation)
    test = {f"test_{name}": value for name, value in judged_parts(found, found.test).items()}
    options = story.options(found)
    page = (
        templates()
        .get_template("report.html.j2")
        .render(
            found=found,
            headline=story.headline(found),
            figures=story.figures(found),
            summary=story.summary(found),
            mistakes=story.mistakes(found.predictions),
            options=options,
            by_user=any(option.origin == "user" for option in options),
            pictures=pictures_of(found),
            **validation,
            **test,
        )
    )
    return write_page(run.path / "report.html", page)


def write_comparison(runs: Sequence[Run], path: Path, groups: Sequence[Together] = ()) -> Path:
    """Write one page over several runs side by side to `path`; returns it.

    groups: runs of one recipe as (title, best and last accuracies of those that finished, how many did not).
    """
    from tenfold.reports import pictures

    several = [gather(run) for run in runs]
    shown = [
        {
            "title": title,
            "found": found,
            "summary": story.summary(found),
            "test": story.test_figure(found),
            "curves": curves(found),
            "confusion": confusion(found, found.validation),
        }
        for title, found in zip(words.titles(runs), several, strict=True)
    ]
    page = (
        templates()
        .get_template("comparison.html.j2")
        .render(
            runs=shown,
            groups=groups,
            differences=story.differences(several),
            comparable=story.comparable(several),
            together=embed(pictures.side_by_side(runs)),
            total_seconds=story.total_seconds,
            speed=story.speed,
        )
    )
    return write_page(path, page)


def write_page(path: Path, page: str) -> Path:
    """Write the page; half of a character pair, as old file names have them, becomes a question mark."""
    write_atomic(path, page.encode("utf-8", "replace"))
    return path


def judged_parts(found: Documents, judged: Judgement | None) -> dict[str, Any]:
    """What the template says about a split."""
    if judged is None:
        return {"pairs": [], "classes": [], "calibration": ""}
    names = story.names(found, judged)
    rows = found.predictions if judged is found.validation else []
    return {
        "pairs": story.confused_pairs(judged, names),
        "classes": story.class_rows(judged, names),
        "calibration": story.calibration(judged, rows),
    }


def pictures_of(found: Documents) -> dict[str, Picture | None]:
    """The pictures of the run folder; those that can be are drawn where the file is missing."""
    return {
        "curves": curves(found),
        "confusion": confusion(found, found.validation),
        "confusion_test": confusion(found, found.test),
        "mistakes": stored(found.run, "mistakes.png"),
        "mistakes_test": stored(found.run, "mistakes_test.png"),
    }


def curves(found: Documents) -> Picture | None:
    """curves.png; None before the first epoch ended."""

    def draw() -> bytes:
        from tenfold.reports import pictures

        return pictures.curves(found.epochs, found.plan.recipe.name)

    return stored_or_drawn(found.run, "curves.png", draw) if found.epochs else None


def confusion(found: Documents, judged: Judgement | None) -> Picture | None:
    """The confusion matrix of a split; None where it was not judged."""
    if judged is None:
        return None

    def draw() -> bytes:
        from tenfold.reports import pictures

        title = f"{found.plan.recipe.name}, {judged.split} split: {judged.metrics.accuracy:.2%}"
        return pictures.confusion_matrix(judged.metrics.confusion, story.names(found, judged), title)

    ending = "_test" if judged is found.test else ""
    return stored_or_drawn(found.run, f"confusion_matrix{ending}.png", draw)


def stored_or_drawn(run: Run, file: str, draw: Callable[[], bytes]) -> Picture:
    """The picture in the run folder, or drawn now where there is none."""
    return stored(run, file) or embed(draw())


def stored(run: Run, file: str) -> Picture | None:
    """A picture of the run folder; None where it is absent, RunError where it is damaged."""
    path = run.path / file
    if not path.exists():
        return None
    try:
        content = path.read_bytes()
    except OSError as error:
        raise damaged(path, error.strerror or "it cannot be read") from None
    if not (content.startswith(b"\x89PNG\r\n\x1a\n") and content.endswith(b"IEND\xaeB`\x82")):
        raise damaged(path, "it is not a whole PNG")
    return embed(content)


def embed(content: bytes) -> Picture:
    """A PNG as part of the page; its width stands at a fixed place (PNG specification, IHDR)."""
    (width,) = struct.unpack(">I", content[16:20])
    return Picture(f"data:image/png;base64,{base64.b64encode(content).decode()}", round(width / PIXELS))
