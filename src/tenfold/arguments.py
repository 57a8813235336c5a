"""What the verbs of the command line take: options of a recipe as arguments, made from the Recipe model by tyro."""

import re
from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from pydantic import ConfigDict, ValidationError, create_model
from tyro.conf import Suppress, arg

from tenfold.errors import RecipeError
from tenfold.recipe import Options, Recipe, explain, leaves
from tenfold.recipes import DEFAULT, RECIPES, named

HIDDEN = ("name", "model.sha256")
"""A recipe's own name is what it is called by (--name is the run folder's); the SHA-256 of a file is never given."""
SHORT: dict[str, Any] = {"backend.choice": arg(aliases=("--backend",))}
"""`--backend reference` is short for --backend.choice."""


class AsWritten(Options):
    """Options as they were written: what is allowed is asked once, and told in one way, when the recipe is made."""

    model_config = ConfigDict(allow_inf_nan=True)


def as_written(options: type[Options], group: str = "") -> type[AsWritten]:
    """The same options without their limits, and those of its groups."""
    fields: dict[str, Any] = {}
    for name, field in options.model_fields.items():
        kind: Any = field.annotation
        free: Any = copy(field)
        free.metadata = []
        if isinstance(kind, type) and issubclass(kind, Options):
            kind = as_written(kind, f"{name}.")
            free = kind()
        if group + name not in HIDDEN:
            fields[name] = (Annotated[kind, SHORT[group + name]] if group + name in SHORT else kind, free)
    return create_model(options.__name__, __base__=AsWritten, __doc__=options.__doc__, **fields)


RecipeOptions: Any = as_written(Recipe)
RecipeName = Annotated[str | None, arg(metavar="RECIPE", help=f"{', '.join(RECIPES)}; unset: {DEFAULT}.")]
RecipeFile = Annotated[
    Path | None, arg(name="recipe", metavar="FILE", help="A recipe as .json or .toml; a run's recipe.json repeats it.")
]
Settings = Annotated[RecipeOptions, arg(name="")]
NOTHING_SET = RecipeOptions()
Written = Suppress[frozenset[str]]
"""Which options the command line really holds; filled in by run_verb."""
RunPath = Annotated[Path, arg(metavar="RUN", help="A run folder.")]
Weights = Literal["best", "last"]
Net = Annotated[
    str | None, arg(name="model", metavar="NET|FILE.py:CLASS", help="A net by name, or your own: its file is run.")
]
SameNet = Annotated[
    str | None, arg(name="model", metavar="FILE.py:CLASS", help="The run's net, where it is your own: its file is run.")
]


def flags(arguments: Sequence[str]) -> frozenset[str]:
    """The long options that were written, as option names: --optimizer.lr=1 → optimizer.lr."""
    found = (re.match(r"--([\w.-]+)", argument) for argument in arguments)
    names = {match[1].replace("-", "_") for match in found if match}
    return frozenset("backend.choice" if name == "backend" else name for name in names)


def given(options: Options, written: frozenset[str], net: str | None = None) -> dict[str, Any]:
    """The recipe options and the net that the user wrote; the others stay what the recipe says."""
    found = {name: value for name, value in leaves(options.model_dump()) if name in written}
    return found if net is None else {**found, "model": net}


def one_recipe(recipe: str | None, file: Path | None) -> str | Path:
    """The recipe's name or file; both at once contradict each other."""
    if recipe and file:
        raise RecipeError(f"Two recipes were given: {recipe} and {file}.", "Give a name or --recipe FILE.")
    return file or recipe or DEFAULT


def parse_arguments(function: Callable[..., Any], prog: str, arguments: Sequence[str], text: str | None = None) -> Any:
    """What the function returns on these arguments; RecipeError where an option's value is not allowed."""
    try:
        return tyro.cli(function, prog=prog, description=text, args=arguments)
    except ValidationError as error:
        raise RecipeError("The options cannot be used.", explain(error)) from None


def recipe_options(arguments: Sequence[str]) -> Options:
    """The values of the recipe that the command names, which --help shows as defaults."""
    name = next((argument for argument in arguments if argument in RECIPES), DEFAULT)
    options: Options = RecipeOptions.model_validate(named(name).model_dump(exclude={"name": True, "model": {"sha256"}}))
    return options
