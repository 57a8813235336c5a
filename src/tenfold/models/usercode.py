"""Running a user's model code: what goes wrong in it is told with the user's own line, and a new net is proved."""

import copy
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.errors import RecipeError, TenfoldError, near
from tenfold.models.blocks import Dropout, seed_dropout
from tenfold.randomness import generator

OTHERS = tuple(
    f"{folder}{os.sep}"
    for folder in (Path(os.__file__).parent, Path(torch.__file__).parents[1], Path(__file__).parents[1])
)
"""Folders whose lines are not the user's: Python's own, the installed packages', tenfold's."""

RUN: set[str] = set()
"""The users' files that were run in this process."""


@contextmanager
def running(what: str) -> Iterator[None]:
    """Turn whatever the user's code raises into a RecipeError: `what`, then file, line and exception."""
    try:
        yield
    except TenfoldError:
        raise
    except (Exception, SystemExit) as error:
        raise RecipeError(what, told(error)) from None


def told(error: BaseException) -> str:
    """File, line number, the line, and the exception."""
    said = f"{type(error).__name__}: {error}"
    if "view size is not compatible" in said:
        said += "\nImages lie channels-last here: write x.flatten(1), or give --backend.layout contiguous."
    if isinstance(error, SyntaxError) and error.lineno:
        return (
            f"{error.filename}, line {error.lineno}: {(error.text or '').strip()}\n{type(error).__name__}: {error.msg}"
        )
    frames = [f for f in traceback.extract_tb(error.__traceback__) if is_users(f.filename)]
    return f"{frames[-1].filename}, line {frames[-1].lineno}: {frames[-1].line}\n{said}" if frames else said


def blame(error: BaseException) -> str | None:
    """What to say of an exception that passed through a file that `load_class` ran; None for any other."""
    passed = {frame.filename for frame in traceback.extract_tb(error.__traceback__)} & RUN
    return f"The model file {passed.pop()} fails.\n{told(error)}" if passed else None


def is_users(file: str) -> bool:
    """Whether a line of this file can be the user's."""
    return not file.startswith(("<frozen", *OTHERS))


def load_class(place: str) -> tuple[Callable[..., Any], bytes]:
    """Run FILE.py as Python runs a script's imports, and return its CLASS and its bytes."""
    file, _, name = place.rpartition(":")
    path = Path(file)
    if path.suffix != ".py" or not name:
        raise RecipeError(f"--model {place} does not name a class in a file.", "Give FILE.py:CLASS, as net.py:MyNet.")
    try:
        source = path.read_bytes()
    except OSError as error:
        raise RecipeError(f"The model file {path} cannot be read: {error.strerror}.", "Check its path.") from None
    module = execute(path, source)
    if not callable(getattr(module, name, None)):
        classes = [n for n, v in vars(module).items() if isinstance(v, type) and v.__module__ == module.__name__]
        raise RecipeError(f"{path} has no class or function '{name}'.", near(name, classes) if classes else "")
    return getattr(module, name), source


def execute(path: Path, source: bytes) -> ModuleType:
    """The file as a module; it may import its neighbours. Compiled here, so that nothing is written beside it."""
    module = ModuleType(f"tenfold_own_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    RUN.add(str(path))
    sys.path.insert(0, str(path.resolve().parent))
    try:
        with running(f"The model file {path} fails."):
            exec(compile(source, str(path), "exec"), vars(module))
    finally:
        sys.path.remove(str(path.resolve().parent))
    return module


def prove(name: str, net: Any, channels: int, size: int, classes: int) -> nn.Module:
    """The net, if it takes images, gives logits, can be trained, and leaves nothing to chance; else RecipeError."""
    if not isinstance(net, nn.Module):
        raise RecipeError(f"{name} made a {type(net).__name__}, not a torch.nn.Module.", "Give a class of nets.")
    seedable(net)
    images = torch.zeros(2, channels, size, size)
    fails = f"{name} fails on images of {channels}×{size}×{size}."
    with running(fails), torch.no_grad():
        check_output(name, net.eval()(images), classes)  # first, so that lazy layers get their shapes
    if not any(p.requires_grad for p in net.parameters()):
        raise RecipeError(f"{name} has no parameters to train.", "Give it layers with weights.")
    before = torch.random.get_rng_state()
    with running(fails):
        trial = copy.deepcopy(net).train()
        seed_dropout(trial, generator(0, "probe"))
        trial(images).sum().backward()
    if not torch.equal(before, torch.random.get_rng_state()):
        raise RecipeError(
            f"{name} draws random numbers that no seed of the run decides: it could not be repeated or resumed.",
            "Use nn.Dropout layers in place of F.dropout, nn.Dropout2d and the like.",
        )
    return net.train()


def check_output(name: str, output: object, classes: int) -> None:
    """RecipeError unless the output is a number for each of two images and each class."""
    if not isinstance(output, Tensor) or not output.is_floating_point():
        kind = str(output.dtype) if isinstance(output, Tensor) else type(output).__name__
        raise RecipeError(f"{name} returns {kind}.", f"Return logits, float32 [N, {classes}].")
    if output.shape != (2, classes):
        raise RecipeError(
            f"{name} gives {list(output.shape)} for 2 images, but {classes} classes need [2, {classes}].",
            "Let its __init__ take `classes`, and end in nn.Linear(…, classes).",
        )


def seedable(net: nn.Module) -> None:
    """Put tenfold's Dropout, which draws from the run's seed, in the place of each nn.Dropout: the same arithmetic."""
    for parent in list(net.modules()):
        for name, child in parent._modules.items():
            if type(child) is nn.Dropout and child.p < 1:
                setattr(parent, name, Dropout(child.p))
