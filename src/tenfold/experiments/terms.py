"""How a study is made: the options that compare, ablate and sweep share. Light, so that `--help` does not wait."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tenfold.errors import RecipeError

Metric = Literal["last", "best"]
"""Validation accuracy of the last epoch, or of the best one (which was chosen by it, and flatters a little)."""
Method = Literal["tpe", "random"]
"""How a search chooses its trials: by what earlier ones reached (tree-structured Parzen estimator), or at random."""
Discard = Literal["halving", "one-epoch", "none"]
"""Which trials a search stops early: see `tenfold.experiments.rungs`."""


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


@dataclass(frozen=True)
class SearchTerms:
    """Terms of a search."""

    method: Method = "tpe"
    trials: int = 30
    """Points of the space that are tried, each with seed 0."""
    discard: Discard = "halving"
    confirm: int = 3
    """Fresh seeds for each finalist: 1, 2, …"""
    metric: Metric = "last"
    out: Path = Path("runs")

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise RecipeError(f"{self.trials} trials are none.", "Give --trials 1 or more; 30 are usual.")
        if self.confirm < 1:
            raise RecipeError(
                f"{self.confirm} fresh seeds are none.", "Give --confirm 1 or more; 3 tell the spread a little."
            )
