"""A loop that judges, over and over, a batch left from another loop instead of those that it fetches."""

from collections.abc import Iterator

from tenfold.checks.rules import finding
from tenfold.checks.script.modes import where
from tenfold.checks.script.seen import Judging, Seen
from tenfold.checks.script.source import line, shown_code
from tenfold.errors import Finding

FEWEST = 3
"""Batches fetched in vain, at least, while one and the same was judged."""


def judged_again(seen: Seen) -> Iterator[Finding]:
    """What a loader gave never reaches the net; one batch of another loader does, once for each of them."""
    if any(call.batch is None for call in seen.calls):
        return  # which batches reached the net is not known
    reached = {id(call.batch) for call in seen.calls}
    unseen: dict[tuple[object, int], list[Judging]] = {}
    for judging in seen.judgings:
        if judging.latest.loader is not judging.batch.loader and id(judging.latest) not in reached:
            unseen.setdefault((judging.place, id(judging.batch)), []).append(judging)
    for found in unseen.values():
        batches = len({id(judging.latest) for judging in found})
        if batches >= FEWEST:
            place = found[0].place
            yield finding(
                "accuracy-count",
                "The loop that judges never judges the batches it fetches",
                f"{batches} batches of another loader were fetched; each time the same one, left from before the loop, "
                f"went through the net: {shown_code(place)}.",
                f"Give the net the images that this loop names, and compare with its labels{line(place)}.",
                **where(place),
            )
            return


RULES = (judged_again,)
