"""What a search searches: a range or a list of values for each option.

    space = parse_space({"optimizer.lr": "1e-3..1", "model.norm": ["none", "batch"]})

A range whose ends are at least 20 times apart is searched by its logarithm: 0.001 to 0.01 as thoroughly as 0.1 to 1.
"""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel

from tenfold.errors import RecipeError, near
from tenfold.recipe import OPTION_NAMES, Recipe

LOGARITHMIC = 20
"""Ends of a range so many times apart are searched by the logarithm."""
MOST_CORNERS = 64
"""So many extreme combinations are checked before anything runs."""
BUDGET = ("epochs", "seed", "data", "split_seed", "validation", "test", "train_on", "early_stopping")
"""Options that change what trials are judged by or may spend: their trials could not be compared."""


@dataclass(frozen=True)
class Range:
    """All numbers from low to high; whole ones where the option wants them."""

    low: float
    high: float
    whole: bool = False

    @property
    def logarithmic(self) -> bool:
        """Whether it is searched by its logarithm."""
        return self.low > 0 and self.high / self.low >= LOGARITHMIC

    @property
    def ends(self) -> list[Any]:
        """The lowest and the highest value."""
        return [self.low, self.high]

    def text(self) -> str:
        """The range in words."""
        return f"{self.low:g} to {self.high:g}{', by its logarithm' if self.logarithmic else ''}"


@dataclass(frozen=True)
class Values:
    """One of these."""

    values: tuple[Any, ...]

    @property
    def ends(self) -> list[Any]:
        """Every value."""
        return list(self.values)

    def text(self) -> str:
        """The values in words."""
        return ", ".join(map(str, self.values))


Space = Mapping[str, Range | Values]


def is_range(values: Any) -> bool:
    """Whether this is the text of a range."""
    return isinstance(values, str) and ".." in values


def parse_space(over: Mapping[str, str | Sequence[Any]]) -> dict[str, Range | Values]:
    """The space that texts ("1e-3..1") and lists of values describe; RecipeError for what is none."""
    if not over or not all(over.values()):
        raise RecipeError(
            "There is nothing to search.", "Give --over OPTION=LOW..HIGH or OPTION=A,B: --over optimizer.lr=1e-3..1"
        )
    return {option: parse_dimension(option, values) for option, values in over.items()}


def parse_dimension(option: str, values: str | Sequence[Any]) -> Range | Values:
    """The range or the values of one option."""
    if option not in OPTION_NAMES:
        raise RecipeError(f"There is no option '{option}'.", near(option, OPTION_NAMES))
    if option in BUDGET:
        raise RecipeError(f"A search over {option} would compare what is not comparable.", "Leave it out of --over.")
    if isinstance(values, str):
        if is_range(values):
            return parse_range(option, values)
        values = [values]
    if any(is_range(value) for value in values):
        raise RecipeError(f"--over {option} mixes a range with single values.", "Give one of both.")
    if len(set(map(str, values))) < len(values):
        raise RecipeError(f"--over {option} names a value twice.", "Name each value once.")
    if len(values) < 2:
        raise RecipeError(f"--over {option} leaves nothing to choose.", f"Set it for all: --{option} {values[0]}")
    return Values(tuple(values))


def parse_range(option: str, text: str) -> Range:
    """LOW..HIGH; RecipeError where it is reversed, or the option takes no number."""
    low, high = (number(option, part) for part in text.split("..", 1))
    if not low < high:
        raise RecipeError(
            f"--over {option}={text}: the range ends before it begins.", f"Write {option}={high:g}..{low:g}"
        )
    kinds = kinds_of(option)
    if not kinds & {int, float} or bool in kinds:
        raise RecipeError(f"{option} takes no range of numbers.", f"Give its values: --over {option}=A,B")
    whole = float not in kinds
    if whole and not (low.is_integer() and high.is_integer()):
        raise RecipeError(f"{option} takes whole numbers only, not {text}.", "Give whole ends.")
    return Range(int(low), int(high), True) if whole else Range(low, high)


def number(option: str, text: str) -> float:
    """A finite number."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise RecipeError(f"--over {option}: '{text}' is no number.", f"Write {option}=LOW..HIGH, as in 1e-3..1")
    return found


def kinds_of(option: str) -> set[Any]:
    """The plain types that an option of the recipe accepts."""
    *groups, last = option.split(".")
    model: Any = Recipe
    for group in groups:
        model = model.model_fields[group].annotation
    assert issubclass(model, BaseModel)
    annotation = model.model_fields[last].annotation
    return {kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)}


def corners(space: Space) -> list[dict[str, Any]]:
    """Extreme combinations: all of them where they are few, else each end of each option beside the others' first."""
    ends = {option: dimension.ends for option, dimension in space.items()}
    if math.prod(map(len, ends.values())) <= MOST_CORNERS:
        return [dict(zip(ends, values, strict=True)) for values in itertools.product(*ends.values())]
    first = {option: values[0] for option, values in ends.items()}
    return [{**first, option: value} for option, values in ends.items() for value in values]


def words(point: Mapping[str, Any]) -> str:
    """{'optimizer.lr': 0.1} → 'optimizer.lr=0.1'."""
    return " ".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in point.items()
    )


def options_of(point: Mapping[str, Any]) -> str:
    """{'optimizer.lr': 0.1} → '--optimizer.lr 0.1', to the digit."""
    return " ".join(
        f"--{name} {value if isinstance(value, str) else json.dumps(value)}" for name, value in point.items()
    )
