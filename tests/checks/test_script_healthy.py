"""Healthy programs that look like faulty ones, and the facts that tell them apart."""

import pytest
from torch import nn

from tenfold.checks.script.copies import learned_and_judged
from tenfold.checks.script.picks import answering
from tenfold.checks.script.seen import Batch, Call, Loader, Seen


def call(net: nn.Module, loader: Loader, trained: bool, number: int = 0, images: int = 8) -> Call:
    """A call on a batch of a loader."""
    batch = Batch(loader, number)
    return Call(number, net, None, 0, trained, (), (), (images, 1), batch=batch, trained=trained, judged=not trained)


@pytest.mark.parametrize(
    ("told", "pairs"),
    [
        ("a+0 a-1", [(0, 1)]),
        ("a-1 a+0", []),
        ("a+0 average-1", [(0, 1)]),
        ("a+0 a-1 b+2 b-3", [(0, 1), (2, 3)]),  # folds; or a rate is chosen, and a new net learns from all images
        ("a+0 a-1 a+2 a-3", [(0, 1), (0, 3), (2, 3)]),
    ],
)
def test_loaders_are_compared_that_one_net_met_in_turn(told, pairs):
    nets: dict[str, nn.Module] = {}
    loaders = [Loader(None, None, batches=1, judged=1) for _ in range(4)]
    seen = Seen("a.py", loaders=loaders)
    for number, word in enumerate(told.split()):
        name, trained, loader = word[:-2], word[-2] == "+", loaders[int(word[-1])]
        loader.steps += trained
        seen.calls.append(call(nets.setdefault(name, nn.Identity()), loader, trained, number))
    met = [loaders[int(word[-1])] for word in told.split()]
    found = [(one, other) for one, others in learned_and_judged(seen) for other in others if other in met]
    assert [(loaders.index(one), loaders.index(other)) for one, other in found] == pairs


def test_a_bank_of_features_answers_nothing():
    net, bank, images = nn.Identity(), Loader(None, None), Loader(None, None)
    asked, twice = call(net, images, False, images=6), call(net, images, False, images=6)
    twice.batch = asked.batch  # two nets, or two views
    kept = [call(net, bank, False, number) for number in range(2)]
    assert answering([asked, *kept, twice], 6) == [asked, twice]
    assert answering([asked, *kept], 16) == kept
    assert answering([asked, *kept], 7) == [asked, *kept]
