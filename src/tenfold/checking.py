"""Checks as functions: a PyTorch script of anyone's, run unchanged under observation."""

from collections.abc import Sequence
from pathlib import Path

from tenfold.checks.checked import Checked
from tenfold.checks.script.parent import check_script


def check(
    target: str | Path,
    args: Sequence[str] = (),
    *,
    steps: int = 30,
    ignore: Sequence[str] = (),
    timeout: float = 120.0,
    quiet: bool = False,
) -> Checked:
    """Check a PyTorch script: run it with its `args` under observation, and return findings with file and line.

    steps: training steps to watch. ignore: rules to silence. timeout: seconds after which it is stopped. quiet: what
    the script prints goes to standard error. TenfoldError if it is missing, cannot run or never trains.
    """
    return check_script(target, args, steps=steps, ignore=ignore, timeout=timeout, quiet=quiet)
