"""The verb `check` on the command line: a recipe, a script of anyone's, the catalogue of rules, or one rule taught."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional, arg

from tenfold.arguments import (
    NOTHING_SET,
    Net,
    RecipeFile,
    RecipeName,
    Settings,
    flags,
    given,
    one_recipe,
    recipe_options,
)
from tenfold.checking import check as run
from tenfold.checks.checked import Checked
from tenfold.checks.rules import RULES
from tenfold.errors import RecipeError, lookup

Script = Annotated[Path | None, arg(metavar="SCRIPT.py", help="Any program that trains a net with PyTorch.")]
Rules = Annotated[tuple[str, ...], arg(metavar="RULE", help="Rules to silence; what they find is only counted.")]


def check(
    script: Positional[Script] = None,
    args: Positional[Annotated[tuple[str, ...], arg(metavar="ARGUMENT", help="The script's own arguments.")]] = (),
    steps: int = 30,
    timeout: float = 120.0,
    ignore: Rules = (),
    format: Literal["text", "json"] = "text",
    list: bool = False,
    explain: str | None = None,
) -> int:
    """Find the bug before the night is wasted, in a recipe or in a PyTorch script, which is run under observation.

    A recipe's net is read, probed with one batch and observed in its first steps, its augmentation tried on labels;
    `tenfold check RECIPE --help` shows its options.

    The script is run as it is; after some training steps its loaders end as if exhausted, so that its evaluation is
    seen too. Findings name the line of your code, what was measured, why it matters and what to write instead; the
    likeliest root cause comes first. Exit code 1 if any is an error.

    Examples:
      tenfold check simplenn --data cifar10            a recipe, with any option of `tenfold train`
      tenfold check train.py                           what follows the script's name is the script's
      tenfold check --steps 100 train.py --lr 0.1 --epochs 3
      tenfold check --ignore shuffle-off class-imbalance --format json train.py
      tenfold check --list
      tenfold check --explain zero-grad-missing

    Args:
        steps: Training steps to watch.
        timeout: Seconds after which the script is stopped.
        format: Text, or one JSON object on standard output; the script's own output then goes to standard error.
        list: Print all rules.
        explain: Teach one rule: why, what it looks at, a wrong and a right example.
    """
    if list:
        print(catalogue())
        return 0
    if explain is not None:
        print(lesson(explain))
        return 0
    if script is None:
        raise RecipeError("There is nothing to check.", "Give a script, tenfold check train.py, or a recipe's name.")
    return show(run(script, args, steps=steps, timeout=timeout, ignore=ignore, quiet=format == "json"), format)


def show(checked: Checked, format: str) -> int:
    """Print what was found; returns the exit code."""
    if format == "json":
        print(json.dumps(checked.to_dict(), indent=2))
    else:
        print(f"\n{checked.text()}")
    return checked.exit_code


def run_check(arguments: Sequence[str], help_text: str) -> int:
    """Parse the options before the script's name; what follows it is the script's own."""
    at = next((index for index, word in enumerate(arguments) if word.endswith(".py")), None)
    options, own = (arguments, ()) if at is None else (arguments[:at], tuple(arguments[at + 1 :]))
    if at is None:
        recipe = names_recipe(arguments)
        function = recipe_check(arguments) if recipe else check
        return tyro.cli(function, prog="tenfold check", description=None if recipe else help_text, args=options)
    script = Path(arguments[at])

    def check_script(
        steps: int = 30, timeout: float = 120.0, ignore: Rules = (), format: Literal["text", "json"] = "text"
    ) -> int:
        return check(script, own, steps, timeout, ignore, format)

    return tyro.cli(check_script, prog="tenfold check", description=help_text, args=options)


def names_recipe(arguments: Sequence[str]) -> bool:
    """Whether a recipe is meant: any argument that is not one of the rules' own."""
    first = arguments[0].split("=")[0] if arguments else "--list"
    return first not in ("--list", "--explain", "--help", "-h")


def recipe_check(arguments: Sequence[str]) -> Callable[..., int]:
    """The verb for a recipe, with the values of the one that is named as defaults."""
    written = flags(arguments)

    def check_recipe(
        recipe_name: Positional[RecipeName] = None,
        recipe_file: RecipeFile = None,
        net: Net = None,
        steps: int = 30,
        timeout: float = 120.0,
        format: Literal["text", "json"] = "text",
        options: Settings = NOTHING_SET,
    ) -> int:
        """Check a recipe: the net's graph, one batch probed, augmentation against labels, the first steps observed.

        Args:
            steps: Training steps to observe.
            timeout: Each longer part may take a twelfth of so many seconds.
            format: Text, or one JSON object on standard output.
        """
        from tenfold.console import Screen  # torch comes with it

        chosen = one_recipe(recipe_name, recipe_file)
        with Screen(quiet=format == "json").working() as progress:
            changed = given(options, written, net)
            ignore = changed.pop("ignore", ())
            found = run(chosen, steps=steps, timeout=timeout, ignore=ignore, progress=progress, **changed)
        return show(found, format)

    function: Callable[..., int] = check_recipe
    return partial(function, options=recipe_options(arguments))


def catalogue() -> str:
    """All rules by severity."""
    width = max(map(len, RULES))
    lines = [f"{name:<{width}}  {rule.severity:<8} {rule.title}" for name, rule in RULES.items()]
    return "\n".join([*lines, "", "`tenfold check --explain RULE` teaches one; `--ignore RULE` silences it."])


def lesson(name: str) -> str:
    """One rule: what it finds, why it matters, the evidence, a wrong and a right example."""
    from tenfold.checks.lessons import LESSONS

    rule, taught = lookup(RULES, name, "rule"), lookup(LESSONS, name, "rule")
    wrong, right = ("\n".join(f"    {line}" for line in part.splitlines()) for part in (taught.wrong, taught.right))
    head = f"{name} ({rule.severity}): {rule.title}\n\nWhy: {rule.why}\nEvidence: {taught.evidence}"
    return f"{head}\n\nWrong:\n{wrong}\n\nRight:\n{right}"
