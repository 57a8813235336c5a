"""The ledger of test openings: test_openings.json in the run folder, an entry for each look at the test set."""

import json
import time
from typing import Any

from tenfold.runs import Run, write_atomic

FILE = "test_openings.json"


def openings(run: Run) -> list[dict[str, Any]]:
    """Every recorded opening, oldest first."""
    return list(run.read(FILE)) if (run.path / FILE).exists() else []


def record_opening(run: Run, weights: str, data: str) -> int:
    """Record an opening before it happens (a crash does not undo it); returns its number."""
    entries = [
        *openings(run),
        {"time": time.strftime("%Y-%m-%d %H:%M:%S"), "weights": weights, "data": data, "accuracy": None},
    ]
    write_atomic(run.path / FILE, json.dumps(entries, indent=2))
    return len(entries)


def record_result(run: Run, accuracy: float) -> None:
    """Add the accuracy to the newest opening."""
    entries = openings(run)
    entries[-1]["accuracy"] = accuracy
    write_atomic(run.path / FILE, json.dumps(entries, indent=2))
