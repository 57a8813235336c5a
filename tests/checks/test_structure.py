"""Static rules: each fires on its fault, none on what looks like it."""

import numpy as np
import pytest
import torch
from nets import Net, Published
from torch import nn
from torch.nn import functional as F

from tenfold.checks.structure import activations, examine, parameters, starts
from tenfold.checks.trace import trace
from tenfold.models import MODELS
from tenfold.registry import defaults

IMAGES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def found(net: nn.Module) -> dict[str, object]:
    graph = trace(net, IMAGES)
    rules = [*examine(graph), *parameters.unused(graph), *parameters.hidden_layers(graph)]
    assert len({f.rule for f in rules}) == len(rules)
    return {f.rule: f for f in rules}


ILL = {
    "softmax": "softmax-before-loss",
    "sigmoid": "softmax-before-loss",
    "relu": "activation-on-logits",
    "bias": "bias-before-norm",
    "linear": "activation-missing",
    "doubled": "activation-doubled",
    "dropout": "dropout-before-norm",
    "dropped": "dropout-on-logits",
    "constant": "bad-initialisation",
    "large": "bad-initialisation",
    "hidden": "parameters-forgotten",
    "unused": "parameters-frozen",
}


@pytest.mark.parametrize("ill", ILL)
def test_each_fault_is_found_alone(ill):
    rules = found(Net(ill))
    assert list(rules) == [ILL[ill]]
    assert all((f.evidence, f.why, f.remedy) for f in rules.values())


@pytest.mark.parametrize("healthy", ["", "log", "zero head"])
def test_what_looks_like_a_fault_is_none(healthy):
    assert found(Net(healthy)) == {}


def test_published_manners_are_at_most_notes():
    assert {f.severity for f in found(Published()).values()} <= {"note"}


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("name", MODELS)
def test_tenfolds_own_nets_are_healthy(name, size):
    torch.manual_seed(0)
    net = MODELS[name](3, size, 10, **defaults(MODELS[name]))
    graph = trace(net, torch.randn(2, 3, size, size))
    assert examine(graph) == []
    assert starts.fading(graph) is None


def test_the_finding_names_layer_and_line():
    finding = found(Net("linear"))["activation-missing"]
    assert finding.layer == "conv2"
    assert finding.file.endswith("nets.py")
    assert finding.line > 0


@pytest.mark.parametrize(("pool", "told"), [(nn.MaxPool2d(2), True), (nn.AvgPool2d(2, padding=1), False)])
def test_a_bias_goes_through_a_maximum_to_batch_norm(pool, told):
    layers = nn.Conv2d(3, 8, 3, padding=1), pool, nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    assert ("bias-before-norm" in found(nn.Sequential(*layers, nn.Linear(8, 3)))) == told


def test_maps_pooled_to_a_pixel_before_convolutions():
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(32), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()]
    assert "pooled-away" in found(nn.Sequential(*layers, nn.Flatten(), nn.Linear(8, 3)))
    assert "pooled-away" not in found(nn.Sequential(*layers[:3], nn.Flatten(), nn.Linear(8, 3)))


def test_a_gate_is_no_doubled_activation():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Conv2d(3, 8, 3), nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x):
            x = F.relu(self.a(x))
            x = x * self.b(x.mean((2, 3))).sigmoid()[:, :, None, None]
            return self.c(x.mean((2, 3)))

    assert found(Gated()) == {}


def test_parameters_that_the_optimiser_lacks():
    net = Net()
    optimizer = torch.optim.SGD(net.fc2.parameters(), lr=0.1)
    (finding,) = parameters.unheld(net, optimizer)
    assert "conv1.weight" in finding.evidence
    for p in net.parameters():
        p.requires_grad_(False)
    net.fc2.requires_grad_(True)
    assert list(parameters.unheld(net, optimizer)) == []  # a frozen net with a new head is meant so


def test_decay_on_norms_is_a_note_until_they_have_their_own_group():
    net = Net()
    (finding,) = parameters.decayed_norms(net, torch.optim.SGD(net.parameters(), lr=0.1, weight_decay=1e-4))
    assert finding.severity == "note"
    groups = [
        {"params": [p for p in net.parameters() if p.dim() > 1], "weight_decay": 1e-4},
        {"params": [p for p in net.parameters() if p.dim() <= 1]},
    ]
    assert list(parameters.decayed_norms(net, torch.optim.SGD(groups, lr=0.1))) == []


@pytest.mark.parametrize(("images", "batch", "fires"), [(129, 128, True), (131, 128, True), (168, 128, False)])
def test_a_last_batch_of_few(images, batch, fires):
    findings = list(parameters.small_last_batch(Net(), images, batch))
    assert bool(findings) is fires
    assert list(parameters.small_last_batch(nn.Linear(3, 3), images, batch)) == []
    if fires:
        other = parameters.better_batch(images, batch)
        assert images % other == 0 or images % other >= other / 2


def test_the_net_is_left_as_it_was():
    net = Net()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    trace(net, IMAGES)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert all(m.training and not m._forward_hooks and not m._forward_pre_hooks for m in net.modules())


def test_what_cannot_be_seen_is_said_nothing_about():
    class Own(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return torch.from_numpy(np.tanh(x.numpy()))

        @staticmethod
        def backward(ctx, slope):
            return slope

    class Hidden(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3072, 64), nn.Linear(64, 64)
            self.c = nn.Linear(64, 3)

        def forward(self, x):
            return self.c(F.relu(self.b(Own.apply(self.a(x.flatten(1))))))

    assert found(Hidden()) == {}


@pytest.mark.parametrize(("gain", "said"), [(0.3, "fade"), (1.4, None), (8.0, "grow")])
def test_signals_that_fade_or_grow_through_the_depth(gain, said):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1))
    for _ in range(7):
        net.extend([nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1)])
    for layer in (net[0], *net[2::2]):
        nn.init.normal_(layer.weight, std=gain / layer.weight[0].numel() ** 0.5)
        nn.init.zeros_(layer.bias)
    found = starts.fading(trace(net, IMAGES))
    assert (found is None) == (said is None)
    if found:
        assert found.rule == "bad-initialisation"
        assert f"signals {said}" in found.what
        start = float(IMAGES.std(0).square().mean().sqrt())
        assert f"Images differ by {start:.3g} where they enter 0" in found.evidence


def convolutions(*pools: nn.Module) -> nn.Module:
    """A convolution before each pooling, and a head."""
    layers: list[nn.Module] = []
    for at, pool in enumerate(pools):
        layers += [nn.Conv2d(8 if at else 3, 8, 3, padding=1), nn.ReLU(), pool]
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(10))


HASTY = {
    "most of the map is cut off": ((nn.MaxPool2d(4), nn.MaxPool2d(5)), "5"),
    "4×4 at once, twice": ((nn.MaxPool2d(4), nn.MaxPool2d(4)), "5"),
    "a small map before convolutions": ((nn.AdaptiveAvgPool2d(2), nn.Identity()), "2"),
}
PATIENT = {
    "a mean at the end": (nn.MaxPool2d(2), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1)),
    "a mean at the end by its size": (nn.MaxPool2d(2), nn.MaxPool2d(2), nn.MaxPool2d(2), nn.AvgPool2d(4)),
    "five by 2, as VGG": (nn.MaxPool2d(2),) * 4,
    "LeNet's": (nn.MaxPool2d(2), nn.MaxPool2d(2)),
    "one mean after one convolution": (nn.AdaptiveMaxPool2d(1),),
}


@pytest.mark.parametrize("case", HASTY)
def test_poolings_in_haste_are_told_with_their_layer(case):
    pools, layer = HASTY[case]
    net = convolutions(*pools)
    net(IMAGES)
    (told,) = [f for f in examine(trace(net, IMAGES)) if f.rule == "pooled-away"]
    assert told.layer == layer


@pytest.mark.parametrize("case", PATIENT)
def test_poolings_that_published_nets_have_are_none(case):
    net = convolutions(*PATIENT[case])
    net(IMAGES)
    assert [f for f in examine(trace(net, IMAGES)) if f.rule == "pooled-away"] == []


class Parts(nn.Module):
    """A convolution, something bent, a head; `kind` says what is between them."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.first, self.act = nn.Conv2d(3, 8, 3), nn.ReLU(inplace="place" in kind)
        self.second, self.head = nn.Conv2d(4 if kind == "maxout" else 8, 8, 3), nn.Linear(8, 10)
        self.norm = nn.BatchNorm2d(8) if kind in ("silent", "silent branch") else None
        if self.norm is not None:
            nn.init.zeros_(self.norm.weight)
        self.drop = nn.Dropout(0.8 if kind == "drops most" else 0.5)
        if kind == "alike":
            with torch.no_grad():
                self.first.weight.copy_(self.first.weight[:1].expand_as(self.first.weight))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        if self.norm is not None:
            x = x + self.norm(x) if self.kind == "silent branch" else self.norm(x)
        if self.kind == "maxout":
            x = x.view(len(x), 4, 2, *x.shape[2:]).amax(2)
        elif self.kind in ("thrown away", "in place"):
            self.act(x)
        else:
            x = self.act(x)
        return self.head(self.drop(torch.relu(self.second(x)).mean((2, 3))))


@pytest.mark.parametrize("kind", ["plain", "maxout", "in place", "silent branch"])
def test_activations_of_other_kinds_count(kind):
    torch.manual_seed(0)
    assert found(Parts(kind)) == {}


class Unit(nn.Module):
    """A convolution and its norm, with an activation that runs or does not."""

    def __init__(self, channels: int, groups: int, bent: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 8, 3 if groups > 1 else 1, groups=groups, bias=False)
        self.norm, self.act, self.bent = nn.BatchNorm2d(8), nn.ReLU6(), bent

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.conv(x))
        return self.act(x) if self.bent else x


def separable(*bent: bool) -> nn.Module:
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
    return nn.Sequential(Unit(3, 1, bent[0]), Unit(8, 8, bent[1]), Unit(8, 1, bent[2]), *head)


@pytest.mark.parametrize(("scale", "rules"), [(0.4, ["bad-initialisation"]), (1.0, [])])
def test_grouped_convolutions_whose_fan_was_taken_over_all_channels(scale, rules):
    torch.manual_seed(0)
    parts = [nn.Conv2d(3, 16, 3)]
    for _ in range(2):
        parts += [nn.ReLU(), nn.Conv2d(16, 16, 3, groups=16), nn.ReLU(), nn.Conv2d(16, 16, 1)]
    net = nn.Sequential(*parts, nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 10))
    with torch.no_grad():
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d) and layer.groups > 1:
                layer.weight.mul_(scale)
    told = list(starts.grouped_start(trace(net, IMAGES)))
    assert [f.rule for f in told] == rules
    assert all("2 grouped convolutions" in f.what for f in told)


def test_activations_that_are_made_and_never_run():
    flat = found(separable(False, False, False))["activation-missing"]
    assert "one linear layer" in flat.evidence
    assert "'0.act' is made and never runs" in flat.evidence
    part = found(separable(True, False, True))["activation-missing"]
    assert "between 1.conv and 2.conv" in part.what
    assert "one linear layer" not in part.evidence
    assert "activation-missing" not in found(separable(True, True, True))


def test_long_rows_without_an_activation():
    def net(*bent: bool) -> nn.Module:
        units = [Unit(3, 1, True), *(Unit(8, 8 if at % 2 else 1, b) for at, b in enumerate(bent, 1))]
        for unit, b in zip(units[1:], bent, strict=True):
            if not b:
                del unit.act
        return nn.Sequential(*units, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))

    assert "5 layers in a row" in found(net(False, False, False, False))["activation-missing"].evidence
    assert "activation-missing" not in found(net(False, False, True, False))


def test_linear_bottlenecks_without_an_activation_of_their_own_are_meant():
    net = separable(True, False, True)
    del net[1].act
    assert "activation-missing" not in found(net)


def test_activation_that_nothing_reads():
    net = Parts("thrown away")
    told = list(activations.thrown_away(trace(net, IMAGES)))
    assert [(f.rule, f.layer) for f in told] == [("activation-missing", "act")]
    assert not list(activations.thrown_away(trace(Parts("plain"), IMAGES)))


def test_units_that_begin_alike():
    assert found(Parts("alike"))["bad-initialisation"].what == "8 of 8 units of first begin with the same weights"


def test_norm_whose_scale_begins_as_zero():
    assert found(Parts("silent"))["bad-initialisation"].what == "the scale of norm begins as 0"


def test_dropout_that_leaves_little():
    rules = found(Parts("drops most"))
    assert list(rules) == ["dropout-high"]
    assert rules["dropout-high"].remedy == "Give it p=0.2."
