"""A check's child, forked from a process that has imported what it needs: seconds less for each test of a script.

It is a process of its own all the same, and runs what `tenfold check` runs.
"""

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tenfold.checks.script import child, parent

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tenfold.checks.script.child"])


class Forked:
    """A child with what `parent` asks of a Popen."""

    def __init__(self, wanted: dict[str, Any], quiet: bool):
        told = (json.dumps(wanted), quiet, str(Path.cwd()), parent.environment())
        self.process = FORKS.Process(target=live, args=told)
        self.process.start()
        self.pid = self.process.pid

    def wait(self, timeout: float | None = None) -> int | None:
        """Its exit code."""
        self.process.join(timeout)
        if self.process.exitcode is None:
            raise subprocess.TimeoutExpired("child", timeout)
        return self.process.exitcode


def live(wanted: str, quiet: bool, folder: str, environment: dict[str, str]) -> None:
    """What `python -m tenfold.checks.script.child` does once it has imported."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    if quiet:
        os.dup2(2, 1)
    sys.argv = [child.__file__, wanted]
    child.run()
