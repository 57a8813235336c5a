"""What the verbs of the command line take: options of a recipe as arguments, made from the Recipe model by tyro."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from pydantic import ValidationError, create_model
from tyro.conf import Suppress, arg

from tenfold.errors import RecipeError
from tenfold.recipe import BackendOptions, ModelOptions, Options, Recipe, explain, leaves
from tenfold.recipes import DEFAULT, RECIPES, named

# A recipe's own name is what it is called by, not an option: --name is the run folder's.
OPTION_FIELDS: dict[str, Any] = {n: (f.annotation, f) for n, f in Recipe.model_fields.items() if n != "name"}
# The SHA-256 of a net's file is recorded, never given.
MODEL_FIELDS: dict[str, Any] = {n: (f.annotation, f) for n, f in ModelOptions.model_fields.items() if n != "sha256"}
ModelSettings = create_model("ModelSettings", __base__=Options, __doc__=ModelOptions.__doc__, **MODEL_FIELDS)
OPTION_FIELDS["model"] = (ModelSettings, ModelSettings())
# `--backend reference` is short for --backend.choice.
SHORT: dict[str, Any] = {"choice": arg(aliases=("--backend",))}
BACKEND_FIELDS: dict[str, Any] = {
    n: (Annotated[f.annotation, SHORT[n]] if n in SHORT else f.annotation, f)
    for n, f in BackendOptions.model_fields.items()
}
BackendSettings = create_model("BackendSettings", __base__=Options, __doc__=BackendOptions.__doc__, **BACKEND_FIELDS)
OPTION_FIELDS["backend"] = (BackendSettings, BackendSettings())
RecipeOptions = create_model("RecipeOptions", __base__=Options, **OPTION_FIELDS)
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
    except ValidationError as error:  # tyro explains those of nested options itself
        raise RecipeError("The options cannot be used.", explain(error)) from None


def recipe_options(arguments: Sequence[str]) -> Options:
    """The values of the recipe that the command names, which --help shows as defaults."""
    name = next((argument for argument in arguments if argument in RECIPES), DEFAULT)
    return RecipeOptions.model_validate(named(name).model_dump(exclude={"name": True, "model": {"sha256"}}))
