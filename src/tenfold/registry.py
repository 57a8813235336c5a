"""Registries are plain dicts from name to function; a function's keyword-only parameters are its options.

So the signature is the one place that says which options an optimiser, schedule or model reads, and what
they are when nobody sets them.
"""

import inspect
from collections.abc import Callable
from typing import Any

from tenfold.errors import RecipeError
from tenfold.recipe import Options, Plan


def defaults(function: Callable[..., Any]) -> dict[str, Any]:
    """The options a registered function reads, with their default values."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def chosen(function: Callable[..., Any], options: Options) -> dict[str, Any]:
    """The keyword arguments for `function` that a resolved group of options holds."""
    return {name: getattr(options, name) for name in defaults(function)}


def settle(plan: Plan, group: str, function: Callable[..., Any], notes: list[str]) -> Plan:
    """Fill the options of `group` that `function` reads; refuse those it does not.

    A value that the recipe set for what the user has now replaced (momentum, when the user chose adam)
    is left out, and `notes` says so. One the user gave is a RecipeError.
    """
    options: Options = getattr(plan.recipe, group)
    reads = defaults(function)
    replaced = plan.origin[f"{group}.name"] == "user"
    for name, value in options.model_dump().items():
        option = f"{group}.{name}"
        if name in reads:
            if value is None:
                plan = plan.override({option: reads[name]}, "default")
        elif value is not None and type(options).model_fields[name].default is None:
            if plan.origin[option] == "user" or not replaced:
                raise unread(option, value, getattr(options, "name", ""), group, reads)
            notes.append(
                f"{option} = {value} of the recipe is left out: {getattr(options, 'name', '')} has no such option."
            )
            plan = plan.override({option: None}, "default")
    return plan


def unread(option: str, value: object, name: str, group: str, reads: dict[str, Any]) -> RecipeError:
    """The error for an option that nothing would read."""
    known = ", ".join(f"{group}.{r}" for r in reads) or "none of its own"
    return RecipeError(
        f"{option} = {value} would have no effect: {name} does not read it.", f"Leave it out; {name} reads: {known}."
    )
