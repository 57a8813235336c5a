"""The run folder: where a run's truth lies, and the only way in which files get there.

recipe.json  environment.json  data.json        what, where, on what
findings.json                                   what its check and its observation found
results.csv                                     one row an epoch
weights/best.safetensors  weights/last.safetensors
checkpoints/                                    exact-resume state
predictions.csv  *.png  report.html  log.txt    what came of it
"""

import csv
import errno
import io
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Any

from tenfold.errors import RunError
from tenfold.recipe import Plan, Recipe

fcntl: Any = import_module("fcntl") if os.name == "posix" else None
"""Locks on files and folders."""


@dataclass(frozen=True)
class Epoch:
    """One row of results.csv. Losses are means over the images; rates in [0, 1]; None where nothing was validated."""

    epoch: int
    step: int
    lr: float
    train_loss: float
    train_accuracy: float
    train_correct: int
    train_total: int
    val_loss: float | None
    val_accuracy: float | None
    val_correct: int | None
    val_total: int | None
    seconds: float
    images_per_second: float


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure to write into a RunError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            remedy = "Free some space, or choose another place with --out. What was saved before is intact."
        else:
            remedy = "Choose a folder that you may write to with --out."
        raise RunError(f"{path} cannot be written: {error.strerror}.", remedy) from None


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write so that a kill at any moment leaves the old file or the new one, whole and on the disk.

    Several processes may write one file at the same time, in the cache, say: the last wins.
    """
    content = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            sync_folder(path.parent)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def held_alone(folder: Path) -> Iterator[None]:
    """Keep other trainings out of a run folder; RunError where there is one. Without such locks nothing is held."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            told = f"{folder} is being trained by another process."
            raise RunError(told, "Wait until it has ended, or stop it.") from None
        except OSError:  # a network disk without locks
            pass
        yield
    finally:
        os.close(handle)


def sweep_up(folder: Path) -> None:
    """Remove what writes that were killed left below `folder`."""
    for left in folder.rglob(".*.tmp"):
        with writing(left):
            left.unlink(missing_ok=True)


def check_place(path: Path) -> None:
    """RunError where a file could not be written: asked before long work rather than after it."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with tempfile.TemporaryFile(dir=path.parent):
            pass


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` last through a power cut (where the system lets a folder be opened)."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@dataclass(frozen=True)
class Run:
    """A run folder on disk; everything is read from there."""

    path: Path

    @classmethod
    def open(cls, path: str | Path) -> "Run":
        """The run at `path`; RunError where there is none or its recipe is damaged."""
        run = cls(Path(path))
        if not run.path.is_dir():
            raise RunError(f"There is no run folder {path}.", "`tenfold list runs` shows those below ./runs.")
        if not (run.path / "recipe.json").is_file():
            raise RunError(
                f"{path} is not a run folder: it has no recipe.json.", "`tenfold list runs` shows those below ./runs."
            )
        run.plan  # noqa: B018 (reading it is the check)
        return run

    @classmethod
    def create(cls, out: Path, name: str | None, plan: Plan, documents: dict[str, Any]) -> "Run":
        """A new folder with recipe.json and `documents` (file name to JSON value); complete from its first moment."""
        name = name or f"{plan.recipe.name}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
        path = out / name
        if path.exists():
            raise RunError(
                f"{path} exists already.", f"Choose another --name, or continue it: tenfold train --resume {path}"
            )
        new = out / f".{name}.new-{secrets.token_hex(4)}"
        with writing(path):
            new.mkdir(parents=True)
            try:
                write_atomic(new / "recipe.json", plan.to_json())
                for file, value in documents.items():
                    write_atomic(new / file, json.dumps(value, indent=2))
                new.rename(path)
            except (OSError, RunError):
                shutil.rmtree(new, ignore_errors=True)
                raise
        return cls(path)

    def read(self, file: str) -> Any:
        """A JSON document of the run; RunError where it is missing or damaged."""
        try:
            return json.loads((self.path / file).read_text(encoding="utf-8"))
        except OSError as error:
            raise RunError(
                f"{self.path / file} cannot be read: {error.strerror}.", "The run folder is damaged; train again."
            ) from None
        except ValueError:
            raise RunError(
                f"{self.path / file} is damaged: not valid JSON.", "Restore it from a copy, or train again."
            ) from None

    @property
    def plan(self) -> Plan:
        """The resolved recipe, every value with its origin."""
        values = self.read("recipe.json")
        if not (isinstance(values, dict) and all(isinstance(values.get(part), dict) for part in ("recipe", "origin"))):
            raise RunError(f"{self.path / 'recipe.json'} is damaged.", "Restore it from a copy, or train again.")
        return Plan.from_dict(values, str(self.path / "recipe.json"))

    @property
    def recipe(self) -> Recipe:
        """The resolved recipe."""
        return self.plan.recipe

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    @property
    def epochs(self) -> list[Epoch]:
        """The rows of results.csv; none before the first epoch ended."""
        file = self.path / "results.csv"
        return read_epochs(file) if file.exists() else []

    @property
    def best(self) -> Epoch | None:
        """The epoch whose weights are the result: best validation accuracy, or the last where nothing was validated."""
        return best_of(self.epochs)

    @property
    def finished(self) -> bool:
        """Whether every epoch of the recipe was trained, or the run stopped early as it asks for."""
        return is_whole(self.epochs, self.recipe)

    def weights(self, which: str = "best") -> Path:
        """The file of the best or last weights."""
        return self.path / "weights" / f"{which}.safetensors"

    def log(self, line: str) -> None:
        """Append a line to log.txt."""
        with writing(self.path / "log.txt"), (self.path / "log.txt").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def best_of(epochs: Sequence[Epoch]) -> Epoch | None:
    """The first epoch of highest validation accuracy; the last one where nothing was validated."""
    if not epochs:
        return None
    validated = [row for row in epochs if row.val_accuracy is not None]
    return max(validated, key=lambda row: (row.val_accuracy or 0.0, -row.epoch)) if validated else epochs[-1]


def is_whole(epochs: Sequence[Epoch], recipe: Recipe) -> bool:
    """Whether every epoch of the recipe was trained, or the run stopped early as it asks for."""
    return len(epochs) >= recipe.epochs or stopped_early(epochs, recipe.early_stopping)


def stopped_early(epochs: Sequence[Epoch], patience: int | None) -> bool:
    """Whether the last `patience` epochs brought no better validation accuracy; never where that is None."""
    best = best_of(epochs)
    if patience is None or best is None or best.val_accuracy is None:
        return False
    return epochs[-1].epoch - best.epoch >= patience


def csv_text(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows as CSV text."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()


def write_epochs(path: Path, epochs: Sequence[Epoch]) -> None:
    """results.csv, anew and whole."""
    rows = [["" if value is None else value for value in asdict(row).values()] for row in epochs]
    write_atomic(path, csv_text([f.name for f in fields(Epoch)], rows))


def read_epochs(path: Path) -> list[Epoch]:
    """The inverse of `write_epochs`; RunError where a row is damaged."""
    kinds = {f.name: int if "int" in str(f.type) else float for f in fields(Epoch)}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [Epoch(**{k: kinds[k](v) if v else None for k, v in row.items()}) for row in csv.DictReader(file)]  # type: ignore[arg-type]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise RunError(
            f"{path} is damaged: {error}.", "Continue the run with --resume: its checkpoint writes the file anew."
        ) from None


def find_runs(folder: Path) -> list[Run]:
    """The run folders directly below `folder`, oldest first."""
    found = [Run(p.parent) for p in folder.glob("*/recipe.json")] if folder.is_dir() else []
    return sorted(found, key=lambda run: (run.path / "recipe.json").stat().st_mtime_ns)
