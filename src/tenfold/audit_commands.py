"""The verb `audit` on the command line."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

Data = Annotated[str, arg(metavar="NAME|PATH", help="cifar10, shapes, arrows, or a folder, .zip or .csv of images.")]


def audit(
    data: Positional[Data],
    out: Path | None = None,
    image_size: int | None = None,
    labels: bool = True,
    near: bool = True,
    format: Literal["text", "json"] = "text",
) -> int:
    """Find what is wrong with data before anything is trained on it: duplicates, wrong labels, broken or odd files.

    Copies within and across train, val and test, exact ones and near ones (recompressed, resized, mirrored, cropped);
    labels that small nets, trained on the rest of the data, are sure are wrong; classes that a part lacks or numbers
    otherwise, and imbalance; unreadable, constant, tiny and odd files. Each list is written as CSV with a sheet of
    pictures, and all as one page, audit.html. Your data are only read. Exit code 1 if a finding is an error.

    Examples:
      tenfold audit photos/
      tenfold audit cifar10 --out cifar-audit
      tenfold audit photos.zip --no-labels             without the nets, which take most of the time
      tenfold audit labels.csv --format json

    Args:
        out: Folder for what is found; unset: audit-NAME here.
        image_size: Side in pixels that images are read at; unset: their median, within 8 and 64.
        labels: Train small nets that judge labels.
        near: Look for near duplicates, not only exact ones.
        format: Text, or one JSON object on standard output.
    """
    from tenfold import tables
    from tenfold.auditing import audit as run
    from tenfold.checks.checked import checked
    from tenfold.console import Screen

    with Screen(quiet=format == "json").working() as progress:
        found, folder = run(data, out=out, image_size=image_size, labels=labels, near=near, progress=progress)
    verdict = checked(found.dataset.name, found.findings)
    if format == "json":
        from tenfold.reports.audit_page import to_dict

        tables.print_json({**to_dict(found), "out": str(folder)})
    else:
        tables.show_audit(found, verdict.text(), folder)
    return verdict.exit_code
