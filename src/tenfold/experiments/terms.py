"""How a study is made: the options that compare, ablate and sweep share. Light, so that `--help` does not wait."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tenfold.errors import RecipeError

Metric = Literal["last", "best"]
"""Validation accuracy of the last epoch, or of the best one (which was chosen by it, and flatters a little)."""


@dataclass(frozen=True)
class Terms:
    """Terms of a study."""

    seeds: int = 8
    """Runs of each arm: seeds 0, 1, …"""
    metric: Metric = "last"
    """Validation accuracy of the last epoch, or of the best one."""
    delta: float = 0.5
    """Margin of equivalence in points."""
    unequal: bool = False
    """Compare although data, split or budget differ; the verdict says so."""
    error: float = 0.3
    """Expected error rate, for the forecast of power before anything runs."""
    out: Path = Path("runs")
    """Folder of the runs and of the study."""

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise RecipeError(f"{self.seeds} seeds are none.", "Give --seeds 1 or more; a verdict needs 6.")
