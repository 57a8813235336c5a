"""tenfold: construct, train and optimise CNN image classifiers, and learn what each choice bought.

    import tenfold
    run = tenfold.train("simplenn", data="cifar10")
    tenfold.predict(run, "photos/")

The verbs are in tenfold.api; they and what they take and return are exported here, imported when first used.
"""

from importlib import import_module
from typing import Any

EXPORTS = {
    "train": "tenfold.api",
    "evaluate": "tenfold.api",
    "predict": "tenfold.api",
    "inspect": "tenfold.api",
    "bench": "tenfold.api",
    "check": "tenfold.checking",
    "audit": "tenfold.auditing",
    "find_lr": "tenfold.previews",
    "compare": "tenfold.trials",
    "ablate": "tenfold.trials",
    "sweep": "tenfold.trials",
    "lab": "tenfold.trials",
    "show": "tenfold.api",
    "show_schedule": "tenfold.previews",
    "show_batch": "tenfold.previews",
    "list": "tenfold.api",
    "report": "tenfold.api",
    "info": "tenfold.api",
    "watch": "tenfold.checks.watching",
    "Recipe": "tenfold.recipe",
    "Run": "tenfold.runs",
    "Dataset": "tenfold.datasets.dataset",
    "TenfoldError": "tenfold.errors",
    "RecipeError": "tenfold.errors",
    "DataError": "tenfold.errors",
    "RunError": "tenfold.errors",
    "TrainingError": "tenfold.errors",
    "Interrupted": "tenfold.errors",
}
"""Name to module: the whole public surface."""

__all__ = [*EXPORTS]


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that `import tenfold` costs nothing."""
    if name not in EXPORTS:
        raise AttributeError(f"module 'tenfold' has no attribute '{name}'")
    return getattr(import_module(EXPORTS[name]), "list_" if name == "list" else name)


def __dir__() -> list[str]:
    return sorted(EXPORTS)
