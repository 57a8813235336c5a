"""Everything tenfold can say is wrong: the exception tree, and Finding.

Every TenfoldError is written for the person who meets it: what happened, where, and what to do.
The command line prints it without a traceback and exits with `exit_code`.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

Value = TypeVar("Value")


class TenfoldError(Exception):
    """A problem the user can solve: `what` happened, and the `remedy`."""

    exit_code = 2

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(f"{what}\n{remedy}" if remedy else what)
        self.what, self.remedy = what, remedy


class RecipeError(TenfoldError):
    """A recipe, option or name that cannot be used as given."""


class DataError(TenfoldError):
    """Images, labels or archives that cannot be read or trusted."""


class RunError(TenfoldError):
    """A run folder that is missing, damaged, or cannot be written."""


class TrainingError(TenfoldError):
    """A training that had to stop: a loss that is not finite, memory that ran out."""

    exit_code = 1


class Interrupted(TenfoldError):
    """Ctrl-C or SIGTERM; the state is saved. The shell's convention: 128 + signal number."""

    def __init__(self, what: str, remedy: str, signal_number: int) -> None:
        super().__init__(what, remedy)
        self.exit_code = 128 + signal_number


Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One diagnosis: the rule, how bad, what, the measured evidence, why it matters, what to do, and where."""

    rule: str
    severity: Severity
    what: str
    evidence: str
    why: str
    remedy: str
    file: str | None = None
    line: int | None = None
    layer: str | None = None

    @property
    def where(self) -> str:
        """'train.py:12', 'layer conv1', or both; empty where it concerns the whole."""
        place = f"{self.file}:{self.line}" if self.line else self.file or ""
        return ", ".join(part for part in (place, f"layer {self.layer}" if self.layer else "") if part)

    def text(self) -> str:
        """The finding in one line."""
        return f"{self.what}. {self.evidence} {self.remedy}".strip()


def counted(count: int, noun: str) -> str:
    """A number and its noun: 1 file, 2 files, 2,000 files."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def near(name: str, known: Iterable[str]) -> str:
    """The known names, the near ones first: 'did you mean …?' or the whole list."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return "Did you mean " + " or ".join(f"'{c}'" for c in close) + "?"
    return "Known: " + ", ".join(sorted(known)) + "."


def lookup(registry: Mapping[str, Value], name: str, kind: str) -> Value:
    """The registry's entry of that name; an unknown name is a RecipeError that lists the near ones."""
    if name in registry:
        return registry[name]
    raise RecipeError(f"There is no {kind} '{name}'.", near(name, registry))
