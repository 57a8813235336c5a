"""What the benches that train share: a run that is started or continued, and where its figures come from."""

from pathlib import Path
from typing import Any

from tenfold import api
from tenfold.runs import Run


def begun(folder: Path) -> bool:
    """Whether an earlier call left the run there."""
    return (folder / "recipe.json").exists()


def trained(folder: Path, recipe: str, **options: Any) -> Run:
    """The run of that folder, trained to its end: continued where it was begun."""
    if begun(folder):
        run = api.train(resume=folder)
    else:
        run = api.train(recipe, out=folder.parent, name=folder.name, **options)
    assert isinstance(run, Run)
    return run


def circumstances(run: Run) -> dict[str, Any]:
    """Data, software and machine of a run."""
    data, where = run.read("data.json"), run.read("environment.json")
    return {
        "data": data["name"],
        "fingerprint": data["fingerprint"],
        "torch": where["torch"],
        "processor": where["processor"],
    }


def epoch_seconds(run: Run) -> float:
    """The time of all epochs."""
    return round(sum(row.seconds for row in run.epochs), 1)
