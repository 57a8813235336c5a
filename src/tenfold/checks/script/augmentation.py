"""Rules about augmentation."""

import ast
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from tenfold.checks.rules import finding
from tenfold.checks.script.chance import chance, same_chance, seeded
from tenfold.checks.script.modes import where
from tenfold.checks.script.observe import tensors
from tenfold.checks.script.seen import Place, Seen
from tenfold.checks.script.source import line, name_at, trees
from tenfold.checks.script.splits import dataset_place, trained_and_judged
from tenfold.errors import Finding


def validation_augmented(seen: Seen) -> Iterator[Finding]:
    """The same image of the evaluation is another one each time."""
    _, judged = trained_and_judged(seen)
    for fact in judged:
        if isinstance(fact.loader.dataset, torch.utils.data.IterableDataset) or not fact.judged:
            continue
        with same_chance():
            pairs = []
            for index in range(min(4, len(fact.loader.dataset))):
                seeded(index)
                first = item(fact.loader.dataset, index)
                seeded(index + 1000)
                pairs.append((first, item(fact.loader.dataset, index)))
        changed = [
            float((a - b).abs().max()) for a, b in pairs if a is not None and b is not None and a.shape == b.shape
        ]
        if any(change > 0 for change in changed):
            yield finding(
                "validation-augmented",
                f"`{name_at(fact.place, 'the evaluation loader')}` gives images augmented at random",
                f"Fetched twice, {sum(c > 0 for c in changed)} of {len(changed)} differ, by up to {max(changed):.3g}.",
                f"Give its dataset a transform without random parts{line(dataset_place(fact))}.",
                **where(dataset_place(fact)),
            )
            return
    drawn = [c for c in seen.judging_calls() if c.drawn and c.batch and not c.batch.loader.steps]
    if len(drawn) >= 2:
        yield finding(
            "validation-augmented",
            "Random numbers are drawn for the images of the evaluation",
            f"Before {len(drawn)} of the judged batches, between the loader and the net.",
            f"Leave the augmentation out of the evaluation{line(drawn[0].place)}.",
            **where(drawn[0].place),
        )


def augmentation_repeats(seen: Seen) -> Iterator[Finding]:
    """Fetching an item sets the random seed."""
    training, _ = trained_and_judged(seen)
    for fact in training:
        if isinstance(fact.loader.dataset, torch.utils.data.IterableDataset):
            continue
        with same_chance():
            states = []
            for seed in (1, 2):
                seeded(seed)
                before = chance()
                item(fact.loader.dataset, 0)
                states.append((before, chance()))
        reset = [i for i in range(len(states[0][1])) if states[0][1][i] == states[1][1][i] != states[0][0][i]]
        if reset:
            source = ("random", "torch", "numpy")[reset[0]]
            place = seed_line(seen)
            yield finding(
                "augmentation-repeats",
                "Fetching an image sets the random seed",
                f"After an item was fetched, {source}'s generator is in the same state whatever it was before, so each "
                "image gets the same augmentation in every epoch.",
                f"Delete that line{line(place)}; seed once, at the start of the program.",
                **where(place or fact.place),
            )
            return


def seed_line(seen: Seen) -> Place | None:
    """The line inside __getitem__ that sets a seed."""
    for file, tree in trees(seen):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name == "__getitem__":
                for call in ast.walk(node):
                    if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(("seed", "manual_seed")):
                        return Place(file, call.lineno)
    return None


def item(dataset: Any, index: int) -> Tensor | None:
    """The image of an item."""
    found = next((t for t in tensors(dataset[index]) if t.is_floating_point() or t.dim() > 1), None)
    return None if found is None else found.detach().clone()


AUGMENTATION = (validation_augmented, augmentation_repeats)
