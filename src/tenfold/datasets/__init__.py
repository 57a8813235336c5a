"""What goes in: data sources by name, and user data by path."""

from collections.abc import Callable
from pathlib import Path

from tenfold.datasets import archive, arrows, cifar, folder, shapes, table
from tenfold.datasets.collection import Collection
from tenfold.datasets.dataset import Dataset, Progress, silent
from tenfold.errors import DataError, near

Loader = Callable[[Path | None, int | None, bool, Progress], Dataset]

SOURCES: dict[str, Loader] = {"cifar10": cifar.load, "shapes": shapes.load, "arrows": arrows.load}


PathLoader = Callable[[Path, int | None, bool, Progress], Dataset]
COLLECTORS: dict[PathLoader, Callable[[Path], Collection]] = {
    folder.load: folder.collect,
    archive.load: archive.collect,
    table.load: table.collect,
}
"""How a user's files are listed, by their loader."""


def load(source: str, image_size: int | None = None, verify: bool = False, progress: Progress = silent) -> Dataset:
    """The dataset called `source`, or the one at that path; DataError says what is wrong with it."""
    path = Path(source).expanduser()
    if source in SOURCES:
        return SOURCES[source](None, image_size, verify, progress)
    return loader_for(existing(source))(path, image_size, verify, progress)


def collect(source: str) -> Collection | None:
    """The files of a user's data, as listed, none of them opened; None for data that is no collection of files."""
    if source in SOURCES:
        return None
    path = existing(source)
    collector = COLLECTORS.get(loader_for(path))
    return collector(path) if collector else None


def existing(source: str) -> Path:
    """The path of that name; DataError if there is none."""
    path = Path(source).expanduser()
    if not path.exists():
        hint = near(source, SOURCES) if "/" not in source else f"Built in: {', '.join(SOURCES)}."
        raise DataError(f"There is no data '{source}': neither a known name nor a path that exists.", hint)
    return path


def loader_for(path: Path) -> PathLoader:
    """Which loader reads what lies at `path`."""
    if cifar.looks_like(path):
        return cifar.load
    if path.is_dir():
        return folder.load
    if path.suffix.lower() == ".zip":
        return archive.load
    if path.suffix.lower() == ".csv":
        return table.load
    raise DataError(
        f"{path} is not data that tenfold knows.",
        "Give a folder of class folders, a .zip of one, a .csv with the columns path,label, or a CIFAR-10 download.",
    )
