"""The verb `audit` for Python: look through a data set for what would spoil a training, and write what was found."""

from pathlib import Path

from tenfold.checks.audit import Audit, audit_findings
from tenfold.datasets import collect, load
from tenfold.datasets.collection import Collection
from tenfold.datasets.dataset import Dataset, Progress, silent
from tenfold.datasets.ingest import load as ingest
from tenfold.errors import DataError, RecipeError
from tenfold.runs import check_place


def audit(
    data: str | Path,
    *,
    out: str | Path | None = None,
    image_size: int | None = None,
    labels: bool = True,
    near: bool = True,
    progress: Progress = silent,
) -> tuple[Audit, Path]:
    """Look for duplicates, wrong labels, class gaps, odd and unreadable images; returns what was found, and where.

    out: the folder for audit.json, audit.html, a CSV and a picture sheet of each list; unset: audit-NAME here.
    labels: also train small nets that judge the labels. near: also look for near duplicates. The data's own folder is
    only read. DataError: no such data, nothing that can be read, or an `out` inside the data.
    """
    from tenfold.reports.audit_page import write_audit

    collection = collect(str(data))
    source = Path(collection.where.name if collection else str(data)).stem
    folder = Path(out) if out is not None else Path(f"audit-{source}")
    check_outside(folder, Path(str(data)).expanduser() if Path(str(data)).expanduser().exists() else None)
    check_place(folder / "audit.json")
    dataset = read(str(data), collection, image_size, progress)
    found = audit_findings(dataset, collection, near=near, wrong_labels=labels, progress=progress)
    write_audit(found, folder)
    return found, folder


def check_outside(folder: Path, data: Path | None) -> None:
    """RecipeError for an output folder in the data's own folder: its images would be data next time."""
    if data is None or not data.is_dir():
        return
    inside = data.resolve()
    if folder.resolve() == inside or inside in folder.resolve().parents:
        raise RecipeError(f"--out {folder} lies inside the data {data}, which is only read.", "Choose another folder.")


def read(source: str, collection: Collection | None, image_size: int | None, progress: Progress) -> Dataset:
    """The data as a training would read it; where that is refused, everything that can be read."""
    try:
        return load(source, image_size, progress=progress)
    except DataError:
        if collection is None or (image_size is not None and image_size < 1):
            raise
        return ingest(collection, image_size, False, progress, strict=False)
