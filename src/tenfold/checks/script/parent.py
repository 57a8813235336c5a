"""The parent: starts the child that runs the program, passes Ctrl-C on, and reads what was found."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tenfold.checks.checked import Checked, checked
from tenfold.checks.rules import RULES
from tenfold.errors import Finding, RecipeError, TenfoldError, lookup

JUDGING = 180.0
"""Seconds that the child may take after the time limit, to probe and judge; on a busy machine that takes minutes."""


class ScriptError(TenfoldError):
    """A program that cannot be checked: missing, not Python, or one that never trains."""


def check_script(
    script: str | Path,
    args: Sequence[str] = (),
    *,
    steps: int = 30,
    ignore: Sequence[str] = (),
    timeout: float = 120.0,
    quiet: bool = False,
) -> Checked:
    """Run a PyTorch program unchanged under observation and report findings.

    steps: training steps to watch; timeout: seconds in which it must have trained; quiet: what it prints goes to
    standard error. Raises ScriptError for a program that cannot be run or never trains.
    """
    for rule in ignore:
        lookup(RULES, rule, "rule")
    if steps < 1 or timeout <= 0:
        raise RecipeError(f"--steps {steps} and --timeout {timeout:g} must be positive.")
    path = Path(script)
    if not path.is_file():
        raise ScriptError(f"There is no script {script}.", "Give the path of a Python file that trains a net.")
    answer = run(str(script), list(args), steps, timeout, quiet)
    if "refused" in answer:
        raise ScriptError(*answer["refused"])
    return checked(str(script), [Finding(**finding) for finding in answer["findings"]], ignore, answer["seen"])


def run(script: str, args: list[str], steps: int, timeout: float, quiet: bool) -> dict[str, Any]:
    """What the child wrote."""
    with tempfile.TemporaryDirectory(prefix="tenfold-check-") as folder:
        out = Path(folder, "answer.json")
        file = str(Path(script).absolute())  # the program may change the folder
        wanted = {"script": file, "args": args, "steps": steps, "seconds": timeout, "out": str(out)}
        sys.stdout.flush()
        children: list[subprocess.Popen[bytes]] = []
        try:
            with terminable():
                with uninterrupted():
                    children.append(begin(wanted, quiet))
                code = wait(children[0], timeout)
        finally:
            for child in children:
                end(child)
        if not out.exists():
            raise died(script, code, timeout)
        return json.loads(out.read_text())  # type: ignore[no-any-return]


def begin(wanted: dict[str, Any], quiet: bool) -> subprocess.Popen[bytes]:
    """The child, in a session of its own, so that what it starts can be ended with it."""
    return subprocess.Popen(
        [sys.executable, "-m", "tenfold.checks.script.child", json.dumps(wanted)],
        stdin=subprocess.DEVNULL,
        stdout=2 if quiet else None,
        env=environment(),
        start_new_session=True,
    )


def environment() -> dict[str, str]:
    """The child's: it finds this tenfold, writes no bytecode, compiles nothing."""
    here = str(Path(__file__).parents[3])
    paths = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TORCHDYNAMO_DISABLE": "1",
    }


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Inside this block SIGTERM ends this process by an exception, so that the child is ended first."""

    def stop(number: int, _: Any) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait for the end of this block: a child that nobody knows yet could not be ended."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda one, _: came.append(one)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for one in came:
        signal.raise_signal(one)


def wait(child: subprocess.Popen[bytes], timeout: float) -> int | None:
    """The child's exit code; None if it had to be killed."""
    try:
        return child.wait(timeout + JUDGING)
    except subprocess.TimeoutExpired:
        return None
    except KeyboardInterrupt:
        signal_group(child, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(2)
        raise


def end(child: subprocess.Popen[bytes]) -> None:
    """Nothing of it runs on."""
    signal_group(child, signal.SIGKILL)
    child.wait()


def signal_group(child: subprocess.Popen[bytes], number: int) -> None:
    """A signal to the child and to what it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


def died(script: str, code: int | None, timeout: float) -> TenfoldError:
    """The child ended without an answer."""
    if code is None:
        return ScriptError(
            f"{script} did not stop {timeout + JUDGING:g} s after its start; it was killed.", "Give a longer --timeout."
        )
    return ScriptError(
        f"{script} ended its process itself (exit code {code}) before anything could be told.",
        "Let it end by returning, not by os._exit or a signal.",
    )
