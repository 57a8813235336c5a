"""What observing a training costs: the share of its time inside hooks, and images/s with and without them.

    python bench/observing.py [--recipes simplenn-augment resnet20] [--seconds 20] [--out bench/results/observing.json]

Each recipe trains on the built-in data in plain fp32, so many seconds unwatched and as many watched. Goal: at most 2 %
of the time inside hooks.
"""

import argparse
import json
import time
from pathlib import Path

from tenfold.api import plan
from tenfold.checks.watching import Watcher
from tenfold.previews import unmeasured
from tenfold.training.environment import processor
from tenfold.training.loop import descend
from tenfold.training.setup import Setup, prepare


def train(setup: Setup, seconds: float, watcher: Watcher | None) -> float:
    """Train for so many seconds; returns images/s."""
    began, done, number = time.perf_counter(), 0, 0
    while time.perf_counter() - began < seconds:
        epoch, step = divmod(number, setup.loader.steps)
        images, labels = setup.loader.batch(epoch, step)
        loss, _ = descend(setup, min(epoch, setup.recipe.epochs - 1), step, images, labels)
        if watcher:
            watcher.loss(loss)
        done, number = done + len(images), number + 1
    return done / (time.perf_counter() - began)


def measured(recipe: str, seconds: float) -> dict[str, float | str | list[str]]:
    """The share inside hooks, the samples taken and both rates of one recipe."""
    setup = prepare(unmeasured(plan(recipe, data="shapes")))
    plain, found = train(setup, seconds, None), list[str]()
    watcher = Watcher(setup.state.model, setup.state.optimizer, lambda told: found.append(told.rule)).attach()
    watched, inside = train(setup, seconds, watcher), watcher.spent
    watcher.remove()
    samples = len(watcher.history.samples)
    return {
        "recipe": recipe,
        "inside_hooks": inside,
        "samples": samples,
        "plain": plain,
        "watched": watched,
        "findings": found,
    }


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", default=["simplenn-augment", "resnet20"])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = []
    print(f"{'recipe':<18} {'inside hooks':>12} {'samples':>8} {'images/s':>9} {'watched':>9}")
    for recipe in options.recipes:
        row = measured(recipe, options.seconds)
        rows.append(row)
        shares = f"{row['inside_hooks']:>12.2%} {row['samples']:>8}"
        print(f"{recipe:<18} {shares} {row['plain']:>9,.0f} {row['watched']:>9,.0f}")
    if options.out:
        options.out.write_text(json.dumps({"processor": processor(), "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
