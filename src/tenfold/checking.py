"""Checks as functions: a recipe of tenfold's, or a PyTorch script of anyone's, run unchanged under observation."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.checks.checked import Checked, checked
from tenfold.checks.script.parent import check_script
from tenfold.errors import RecipeError
from tenfold.recipe import Recipe

if TYPE_CHECKING:  # torch comes with it
    from tenfold.datasets.dataset import Progress

PARTS = 12
"""Each longer part of a recipe's check may take this share of the time limit: 10 seconds of 120."""


def check(
    target: str | Path | Recipe,
    args: Sequence[str] = (),
    *,
    steps: int = 30,
    ignore: Sequence[str] = (),
    timeout: float = 120.0,
    quiet: bool = False,
    progress: "Progress | None" = None,
    **options: Any,
) -> Checked:
    """Check a recipe with `options` as for train, or a PyTorch script (.py) with its `args`: findings, causes first.

    A script is run under observation; findings have the file and line. steps: training steps to watch. ignore: rules to
    silence. timeout: seconds for a script; a recipe's longer parts take a twelfth of it each. quiet: what a script
    prints goes to standard error. TenfoldError if there is no such recipe or script, or it cannot run or never trains.
    """
    if isinstance(target, Recipe) or Path(target).suffix != ".py":
        return check_recipe(target, steps, ignore, timeout / PARTS, progress, options)
    if options:
        raise RecipeError(f"A script takes no {', '.join(options)}.", "Give its own arguments as `args`.")
    return check_script(target, args, steps=steps, ignore=ignore, timeout=timeout, quiet=quiet)


def check_recipe(
    recipe: str | Path | Recipe,
    steps: int,
    ignore: Sequence[str],
    seconds: float,
    progress: "Progress | None",
    options: dict[str, Any],
) -> Checked:
    """Static rules, probes and the first steps of a recipe, in plain fp32; nothing is written.

    Where the net or the images are at fault so that no step can be taken, or an error is found, it ends there.
    """
    # Imported here: a script's process imports torch itself, and need not wait until this one has.
    from tenfold.api import plan
    from tenfold.checks.audit.audit import cheap_findings
    from tenfold.checks.recipe import preflight, thorough
    from tenfold.datasets.dataset import silent
    from tenfold.previews import unmeasured
    from tenfold.training.setup import prepare, start_from_weights

    progress = progress or silent
    planned = plan(recipe, **options)
    setup = prepare(unmeasured(planned), progress=progress)
    start_from_weights(setup)
    silenced = (*setup.recipe.ignore, *ignore)
    found = [*cheap_findings(setup.dataset).findings, *preflight(setup)]
    seen = [f"{len(setup.dataset.images):,} images compared", "the net's graph, a few images looked at"]
    if checked("", found, silenced).healthy:
        more, told = thorough(setup, steps, seconds, progress)
        found, seen = [*found, *more], [*seen, *told]
    return checked(setup.recipe.name, found, silenced, seen)
