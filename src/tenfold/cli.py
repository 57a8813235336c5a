"""The `tenfold` command: help at once, everything else in commands.py; errors as text with an exit code."""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from tenfold.errors import TenfoldError

HELP = """usage: tenfold VERB …

Construct, train and optimise CNN image classifiers, and learn what each choice bought.

  train      train a net and write a run folder with curves and a report
  evaluate   judge a run on validation or test images
  predict    classes of images, as CSV
  inspect    a net layer by layer
  check      find the bug in a recipe, or in any PyTorch script: `tenfold check train.py`
  audit      find what is wrong with data: duplicates, wrong labels, broken files
  bench      speed of a training, and where its time goes
  find-lr    a learning rate to begin with
  compare    is A better than B? over seeds, with a verdict
  ablate     what does each change buy? variants against a baseline
  sweep      a recipe over a grid of values, with a plot
  lab        the whole lab, every comparison with its evidence
  show       look at data, a schedule or a batch: `tenfold show data NAME|PATH`
  list       recipes, models or runs
  report     write a run's page again, or compare several
  info       devices, versions, measured speed

  tenfold VERB --help teaches one. To begin:

  tenfold train                                  simplenn-augment on the built-in data
  tenfold train simplenn --data cifar10          CIFAR-10 (see the README for where it is looked for)
  tenfold train --data photos/                   your own folder of class folders
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code: 0, 1 for a training that stopped or errors found, 2 for unusable input."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    if arguments[0] == "--version":
        print(version("tenfold"))
        return 0
    from tenfold.commands import run_verb

    try:
        return run_verb(arguments[0], arguments[1:])
    except TenfoldError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        told = users_fault(error)
        if told is None:
            raise
        print(f"error: {told}", file=sys.stderr)
        return 2


def users_fault(error: Exception) -> str | None:
    """What to say of an exception that comes out of a model file of the user's; None for any other."""
    usercode = sys.modules.get("tenfold.models.usercode")  # it was imported if such a file was run
    return usercode.blame(error) if usercode else None
