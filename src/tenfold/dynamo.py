"""torch's compiler is imported where something is compiled, and not by every optimiser.

torch's optimisers import `torch._dynamo` when they are first used, 2 to 3 s on a laptop, only to tell a compiler that
may never run where its graph ends. Until something else of it is asked for, a module that says as much stands there.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import torch

NAME = "torch._dynamo"


class Deferred(ModuleType):
    """What optimisers ask of the compiler; whatever else is asked for imports it."""

    def __init__(self) -> None:
        super().__init__(NAME)
        self.spared: list[Callable[..., Any]] = []
        """Functions that the compiler is to leave out, should it come."""

    def graph_break(self, *_: Any) -> None:
        """There is no graph."""

    def disable(self, function: Callable[..., Any], *_: Any, **__: Any) -> Callable[..., Any]:
        """The function: nothing is compiled yet."""
        self.spared.append(function)
        return function

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":  # asked of every module, by those that look through all
            raise AttributeError(name)
        return getattr(self.load(), name)

    def load(self) -> ModuleType:
        """The compiler itself, which from then on stands in its own place."""
        if sys.modules.get(NAME) is self:
            del sys.modules[NAME]
            for function in self.spared:  # torch keeps what `disable` gave, and asks again where that is gone
                vars(function).pop("__dynamo_disable", None)
        return import_module(NAME)


def defer() -> None:
    """From now on the compiler is imported only if it is used; nothing changes where it is there already."""
    if NAME not in sys.modules:
        sys.modules[NAME] = torch._dynamo = Deferred()
