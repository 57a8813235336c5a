"""One-batch probes: each fires on its fault and not on a healthy net; nothing is touched."""

import random
from functools import partial

import numpy as np
import pytest
import torch
from nets import Net, Published
from torch.nn.functional import cross_entropy

from tenfold.checks import probes
from tenfold.checks.probes import Case, Flip
from tenfold.checks.trace import trace
from tenfold.models import MODELS
from tenfold.registry import defaults

PIXELS = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(8) % 3


def case(net, **changed) -> Case:
    return Case(**{"model": net, "pixels": PIXELS, "labels": LABELS, "loss": cross_entropy, **changed})


@pytest.mark.parametrize(
    ("ill", "rule"), [("mixed", "samples-mixed"), ("blank", "input-ignored"), ("random", "eval-missing")]
)
def test_each_fault_is_found(ill, rule):
    assert probes.look(case(Net(ill)))[0].rule == rule


@pytest.mark.parametrize(
    "net", [Net(), Net("zero head"), Net("log"), Published()], ids=["net", "zero", "log", "published"]
)
def test_healthy_nets_show_nothing(net):
    assert probes.look(case(net)) == []


def test_a_summed_loss_grows_with_the_batch():
    summed = partial(cross_entropy, reduction="sum")
    assert [f.rule for f in probes.look(case(Net(), loss=summed))] == ["loss-reduction"]


def test_nan_in_the_input_is_all_that_is_said():
    pixels = PIXELS.clone()
    pixels[3, 0, 0, 0] = float("nan")
    (finding,) = probes.look(case(Net("mixed"), pixels=pixels))
    assert finding.rule == "input-not-finite"
    assert finding.what.startswith("1 of 8")


def test_a_net_that_normalises_again():
    net = Net("normalises")
    finding = probes.doubly_normalised(case(net), trace(net, PIXELS).layers[0].entering)
    assert finding.rule == "normalisation-doubled"
    assert probes.doubly_normalised(case(Net()), trace(Net(), PIXELS).layers[0].entering) is None
    raw = case(net, pixels=PIXELS.abs() * 100)  # pixels of 0 … 255: the net's own normalisation is the only one
    assert probes.doubly_normalised(raw, trace(net, raw.pixels).layers[0].entering) is None


def test_validation_images_that_differ_and_epochs_that_do_not():
    plain = torch.arange(48).view(4, 3, 2, 2)
    assert probes.differing(plain, plain.clone()) is None
    assert probes.differing(plain, plain.flip(-1)).rule == "validation-augmented"
    assert probes.repeating(plain, [plain.flip(-1)] * 3).rule == "augmentation-repeats"
    assert probes.repeating(plain, [plain.flip(-1), plain]) is None
    assert probes.repeating(plain, [plain] * 3) is None  # no augmentation at all


def taught(net, labels=LABELS, detached=False):
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step(_number):
        optimizer.zero_grad()
        loss = cross_entropy(net(PIXELS), labels)
        (loss * 0 + loss.detach() if detached else loss).backward()
        optimizer.step()
        return loss.item()

    return probes.by_heart(probes.learn(net, optimizer, step, steps=60), len(labels))


def test_a_batch_is_learned_by_heart_unless_something_is_in_the_way():
    assert taught(Net()) == []
    assert taught(Net("blank"))[0].rule == "cannot-overfit"
    assert {f.rule for f in taught(Net(), detached=True)} == {"cannot-overfit", "parameters-frozen"}


def test_a_step_that_is_too_slow_to_tell_says_nothing():
    net = Net("blank")
    optimizer = torch.optim.Adam(net.parameters())
    learned = probes.learn(net, optimizer, lambda _: 1.0, seconds=0.001, steps=10**6)
    assert "cannot-overfit" not in {f.rule for f in probes.by_heart(learned, 8)}


def test_flips_that_turn_one_class_into_another():
    known = torch.eye(3)
    swapped = torch.tensor([[0.1, 0.9, 0.0], [0.9, 0.1, 0.0], [0.0, 0.0, 1.0]])
    findings = list(probes.broken_labels(Flip("vertical flip", known, swapped), ("6", "9", "0"), "Leave it out."))
    assert [f.what for f in findings] == [
        "vertical flip makes '6' look like '9'",
        "vertical flip makes '9' look like '6'",
    ]
    unknown = torch.full((3, 3), 1 / 3)  # a net that knows nothing tells nothing
    assert list(probes.broken_labels(Flip("vertical flip", unknown, swapped), ("6", "9", "0"), "")) == []


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_looking_leaves_everything_byte_identical(name, training):
    torch.manual_seed(1)
    net = MODELS[name](3, 32, 3, **defaults(MODELS[name])).train(training)
    for number, p in enumerate(net.parameters()):
        p.grad = torch.full_like(p, float(number))
    modes = [m.training for m in net.modules()]
    needs = [p.requires_grad for p in net.parameters()]
    before = [t.clone() for t in (*net.parameters(), *net.buffers(), *(p.grad for p in net.parameters()))]
    states = torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].tobytes()
    assert probes.look(case(net)) == []
    trace(net, PIXELS)
    after = [*net.parameters(), *net.buffers(), *(p.grad for p in net.parameters())]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert torch.equal(states[0], torch.random.get_rng_state())
    assert states[1:] == (random.getstate(), np.random.get_state()[1].tobytes())
    assert modes == [m.training for m in net.modules()]
    assert needs == [p.requires_grad for p in net.parameters()]
