"""A net of the user's own: a class in a Python file that the command names, or a callable given from Python.

Naming it is what allows its code to run. A recipe or run folder records only its name and SHA-256, and nothing here
opens a file that they name.
"""

import functools
import hashlib
import inspect
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from tenfold.errors import RecipeError
from tenfold.models.usercode import load_class, prove, running
from tenfold.recipe import ModelOptions

Make = Callable[..., Any]

SUPPLIED = {
    **{"channels": "channels", "in_channels": "channels"},
    **{"size": "size", "image_size": "size"},
    **{"classes": "classes", "num_classes": "classes"},
}
"""Parameters that tenfold fills by itself; a net has those of them that it needs."""

OPTIONS = frozenset(ModelOptions.model_fields) - {"name", "sha256"}
"""Parameters that --model.NAME fills."""

PROMPT = "python"
"""Stands for the file of a net that was written at a prompt or in a notebook."""

NAMED: dict[tuple[str, str | None], "OwnNet"] = {}
"""The nets that the user named in this process, by recorded name and SHA-256."""


class OwnNet:
    """The user's class, to be called as a registered model is: (channels, size, classes, *, options…)."""

    def __init__(self, name: str, make: Make) -> None:
        self.name, self.make = name, make
        self.wanted = parameters(name, make)
        own = ["sha256", *(option for option in self.wanted if option in OPTIONS)]
        keyword = inspect.Parameter.KEYWORD_ONLY
        # What registry.settle reads. An option that nobody sets stays None, and the class has its own default.
        self.__signature__ = inspect.Signature([inspect.Parameter(o, keyword, default=None) for o in own])

    def __call__(self, channels: int, size: int, classes: int, **options: Any) -> nn.Module:
        """The net, proved on a dummy batch; RecipeError shows the user's own line where it fails."""
        offered = {"channels": channels, "size": size, "classes": classes}
        offered |= {option: value for option, value in options.items() if value is not None}
        arguments = {p: offered[SUPPLIED.get(p, p)] for p in self.wanted if SUPPLIED.get(p, p) in offered}
        missing = [p for p, required in self.wanted.items() if required and p not in arguments]
        if missing:
            raise RecipeError(f"{self.name} needs a value for '{missing[0]}'.", f"Give --model.{missing[0]}.")
        with running(f"{self.name} cannot be made."):
            net = self.make(**arguments)
        return prove(self.name, net, channels, size, classes)


def parameters(name: str, make: Make) -> dict[str, bool]:
    """What the class asks for by name, and whether it must be given; RecipeError for what tenfold cannot supply."""
    wanted: dict[str, bool] = {}
    for p in inspect.signature(make).parameters.values():
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            continue
        known = p.kind is not p.POSITIONAL_ONLY and (p.name in SUPPLIED or p.name in OPTIONS)
        if not known and p.default is p.empty:
            raise RecipeError(
                f"{name} asks for '{p.name}', which tenfold cannot supply.",
                f"It supplies {', '.join(SUPPLIED)}; give any other parameter a default.",
            )
        if known:
            wanted[p.name] = p.default is p.empty
    return wanted


def choose(model: str | Make) -> dict[str, Any]:
    """The recipe's options for `model`: a net's name, FILE.py:CLASS, or a callable. The latter two are named here."""
    if isinstance(model, str) and not is_own(model):
        return {"model.name": model, "model.sha256": None}
    name, sha256, make = identify(model)
    NAMED[name, sha256] = OwnNet(name, make)
    return {"model.name": name, "model.sha256": sha256}


def choose_again(model: str | Make, recorded: ModelOptions, run: Path) -> str | None:
    """Name the net of a recorded run again; returns a warning if its code is not what the run recorded."""
    if not is_own(recorded.name):
        raise RecipeError(f"The net of {run} is {recorded.name}; another cannot take its place.", "Leave --model out.")
    if isinstance(model, str) and not is_own(model):
        raise RecipeError(f"The net of {run} is {recorded.name}, not {model}.", again(recorded))
    name, sha256, make = identify(model)
    NAMED[recorded.name, recorded.sha256] = OwnNet(name, make)
    if sha256 == recorded.sha256:
        return None
    then, now = (recorded.sha256 or "none")[:12], (sha256 or "none")[:12]
    return f"{name} is not the code that {run} recorded: its SHA-256 was {then}…, now it is {now}…"


def find_own(recorded: ModelOptions, command: str = "") -> OwnNet:
    """The net that the user named in this process; RecipeError says how to name it."""
    if (recorded.name, recorded.sha256) in NAMED:
        return NAMED[recorded.name, recorded.sha256]
    raise RecipeError(
        f"The net {recorded.name} is code of your own, which tenfold runs only when you name it yourself.",
        again(recorded, command),
    )


def again(recorded: ModelOptions, command: str = "") -> str:
    """What to type, or to write in Python, to name the net."""
    file, _, title = recorded.name.rpartition(":")
    if file == PROMPT:
        return f"It was given from Python, not from a file: give it there again, as model={title}."
    typed = f"{command} --model {shlex.quote(recorded.name)}".strip()
    return f"Look at the file, then give: {typed} (from Python: model={title})."


def is_own(name: str) -> bool:
    """Whether a recorded name is that of a user's net."""
    return ":" in name or name.endswith(".py")


def identify(model: str | Make) -> tuple[str, str | None, Make]:
    """A net's recorded name, the SHA-256 of its file, and what makes it. Runs the file that a string names."""
    if isinstance(model, str):
        make, source = load_class(model)
        return model, hashlib.sha256(source).hexdigest(), make
    if isinstance(model, nn.Module):
        raise RecipeError(
            f"model is a {type(model).__name__} that is made already; each run makes its own from its seed.",
            f"Give the class, model={type(model).__name__}, or a function that returns a new net.",
        )
    if not callable(model):
        raise RecipeError(f"model = {model!r} is not a net.", "Give a name, a class, or FILE.py:CLASS.")
    core = model.func if isinstance(model, functools.partial) else model
    title = getattr(core, "__qualname__", type(core).__name__)
    try:
        file = Path(inspect.getsourcefile(core) or "")
        return f"{file.name}:{title}", hashlib.sha256(file.read_bytes()).hexdigest(), model
    except (TypeError, OSError):
        return f"{PROMPT}:{title}", code_digest(core), model


def code_digest(make: Make) -> str:
    """SHA-256 over the bytecode of a function, or of a class's own functions: what stands for a file there is not."""
    total = hashlib.sha256()
    for function in vars(make).values() if inspect.isclass(make) else [make]:
        code = getattr(function, "__code__", None)
        if code is not None:
            constants = [c for c in code.co_consts if not inspect.iscode(c)]
            total.update(code.co_code + repr((code.co_names, constants)).encode())
    return total.hexdigest()
