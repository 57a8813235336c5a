"""The child process: runs the user's program as Python would, observed, and writes what was found as JSON.

python -m tenfold.checks.script.child '{"script": …, "args": […], "steps": 30, "seconds": 120, "out": …}'
"""

import json
import os
import signal
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from tenfold.checks.script.observe import Observer
from tenfold.checks.script.patches import watching
from tenfold.checks.script.rows import followed
from tenfold.checks.script.said import heard
from tenfold.checks.script.seen import Seen, own, shown
from tenfold.checks.script.tags import Finished
from tenfold.checks.script.verdict import findings
from tenfold.dynamo import defer


def run() -> NoReturn:
    """The life of the child."""
    try:
        main()
    except KeyboardInterrupt:
        os._exit(130)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # whatever threads or workers the program left


def main() -> None:
    """Run, judge, write."""
    wanted = json.loads(sys.argv[1])
    script = wanted["script"]
    observer = Observer(script, wanted["steps"], wanted["seconds"])
    observer.give_up = lambda: give_up(observer, script, wanted["out"])
    try:
        program = compile(Path(script).read_bytes(), script, "exec", dont_inherit=True)
        observe(observer, program, script, wanted["args"], wanted["seconds"])
    except SyntaxError as error:
        write(wanted["out"], {"refused": told_syntax(error)})
        return
    conclude(observer, wanted["out"])


def conclude(observer: Observer, out: str) -> None:
    """Judge what was seen, and write it."""
    answer: dict[str, Any] = refusal(observer.seen)
    if not answer:
        found = findings(observer.seen)
        answer = {"findings": [asdict(finding) for finding in found], "seen": summary(observer.seen)}
    write(out, {**answer, "ended": observer.seen.ended, "faults": observer.seen.faults})
    for remove in observer.leftovers:
        remove()


def give_up(observer: Observer, script: str, out: str) -> None:
    """The program does not let itself be ended: say what was seen, and end the process."""
    stop_timer()
    observer.paused += 1
    observer.seen.sources = sources(script)
    conclude(observer, out)
    os._exit(0)


def observe(observer: Observer, program: Any, script: str, args: list[str], seconds: float) -> None:
    """Run the program as `__main__`, until it ends, fails, or enough was seen."""
    module = ModuleType("__main__")
    module.__file__ = script
    sys.modules["__main__"] = module
    sys.argv = [script, *args]
    sys.path[0] = str(Path(script).resolve().parent)
    timer(observer, seconds)
    defer()
    seen = observer.seen
    try:
        with watching(observer), followed(observer), heard(observer):
            exec(program, vars(module))
        seen.ended = "script"
    except Finished:
        pass
    except (KeyboardInterrupt, SyntaxError):
        raise
    except SystemExit as error:
        seen.error, seen.ended = error, seen.ended or "script"
    except BaseException as error:
        seen.ended, seen.error = seen.ended or "error", error
    finally:
        stop_timer()
        for call in (*observer.waiting, *observer.unused) if not seen.steps else ():
            call.trained = True  # what a step would learn from
        seen.sources = sources(script)
        seen.cuda = any(speaks_of_gpu(file) for file in seen.sources)


def timer(observer: Observer, seconds: float) -> None:
    """Stop the program even where it calls nothing of torch."""

    def stop(*_: Any) -> None:
        if not observer.paused:
            observer.finish("steps" if observer.enough else "timeout")
        signal.setitimer(signal.ITIMER_REAL, 0.2)  # a moment later, outside the observer

    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, seconds, 5.0)


def stop_timer() -> None:
    """No more alarms."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_IGN)


def sources(script: str) -> list[str]:
    """The script and the user's own modules beside it that were imported."""
    folder = Path(script).resolve().parent
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    near = {file for file in files if file and file.endswith(".py") and own(file) and Path(file).is_relative_to(folder)}
    return [script, *sorted(near - {script, str(Path(script).resolve())})]


def speaks_of_gpu(file: str) -> bool:
    """Whether a file means to use a GPU where there is one."""
    text = Path(file).read_text(errors="replace")
    return any(word in text for word in ("cuda", '"mps"', "torch.accelerator")) and "accelerate" not in text


def refusal(seen: Seen) -> dict[str, Any]:
    """Why nothing can be said of this program; empty if something can."""
    error, trained = seen.error, bool(seen.backwards or seen.steps)
    if isinstance(error, ModuleNotFoundError):
        return refused(
            f"{shown(seen.script)} imports '{error.name}', which is not installed here. {at(error)}",
            f"Install it into the Python that runs tenfold: pip install {str(error.name).split('.')[0]}",
        )
    if isinstance(error, SyntaxError):
        return {"refused": told_syntax(error)}
    if isinstance(error, EOFError) and not trained:
        return refused(
            f"{shown(seen.script)} reads standard input, which is empty here. {at(error)}",
            "Give its values as arguments: tenfold check script.py ARGUMENTS …",
        )
    if isinstance(error, SystemExit) and not trained and error.code not in (None, 0):
        return refused(
            f"{shown(seen.script)} ended by sys.exit({error.code!r}) before it trained. {at(error)}",
            "What it said is above; its own arguments follow its name: tenfold check script.py ARGUMENTS …",
        )
    if not trained and not seen.losses and (error is None or isinstance(error, SystemExit)):
        if seen.ended == "timeout":
            return refused(
                f"{shown(seen.script)} did not begin to train: no loss, no backward and no optimiser step were seen.",
                "It was stopped at the time limit. If it only needs longer, give --timeout SECONDS.",
            )
        return refused(
            f"{shown(seen.script)} never trained: it ended without a loss, a backward or an optimiser step.",
            "Check the script that trains; its own arguments follow its name.",
        )
    return {}


def refused(what: str, remedy: str) -> dict[str, Any]:
    """An answer that says why there is none."""
    return {"refused": [what.strip(), remedy]}


def at(error: BaseException) -> str:
    """The user's line in which it was raised."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if own(frame.filename)]
    return f"Line {frames[-1].lineno} of {shown(frames[-1].filename)}: {frames[-1].line}" if frames else ""


def told_syntax(error: SyntaxError) -> list[str]:
    """A syntax error of the user's."""
    return [
        f"{shown(error.filename or '')}, line {error.lineno}: {(error.text or '').strip()}",
        f"Not valid Python: {error.msg}.",
    ]


def summary(seen: Seen) -> list[str]:
    """What was watched, in words."""
    judged = sum(1 for _ in seen.judging_calls())
    why = {"timeout": "stopped at the time limit", "steps": "then stopped", "error": "then it failed"}
    parts = [f"{len(seen.steps) or seen.backwards} training steps", f"{judged} batches of evaluation"]
    if not seen.losses:
        parts.append("no loss function of torch")
    if not seen.calls:
        parts.append("no nn.Module: of nets that are functions little can be looked at")
    return [*parts, *([why[seen.ended]] if seen.ended in why else [])]


def write(file: str, answer: dict[str, Any]) -> None:
    """The answer for the parent."""
    Path(file).write_text(json.dumps(answer))


if __name__ == "__main__":
    run()
