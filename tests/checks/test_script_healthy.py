"""Healthy programs that look like faulty ones, and the facts that tell them apart."""

import pytest
import torch
from torch import nn

import tenfold

from tenfold.checks.script.copies import learned_and_judged
from tenfold.checks.script.mixing import by_image, spread
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


ATTACKED = """
import torch
from torch import nn

import tenfold
from torch.nn import functional as F
torch.manual_seed(0)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Dropout(0.1), nn.Flatten(), nn.Linear(288, 16), nn.ReLU())
        self.head = nn.Linear(16, 3)
    def forward(self, x):
        self.features = self.body(x)  # for plots
        return self.head(self.features)

def attack(x, y):
    net.eval()
    near = x.clone().requires_grad_()
    F.cross_entropy(net(near), y).backward()
    {mode}
    return (x + 0.1 * near.grad.sign()).detach()

with torch.device(device):
    net, judge = Net(), nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
x, y = torch.randn(900, 1, 8, 8), torch.randint(0, 3, (900,))
x += y[:, None, None, None] * torch.linspace(-1, 1, 64).view(8, 8)
optimizer = torch.optim.SGD([*net.parameters(), *judge.parameters()], lr=0.05)
for step in range(32):
    order = torch.randint(0, 900, (30,))
    images, labels = x[order].to(device), y[order].to(device)
    images = torch.cat([images, attack(images, labels)])
    optimizer.zero_grad()
    real, changed = judge(images).chunk(2)
    told = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    told += F.binary_cross_entropy_with_logits(changed, torch.zeros_like(changed))
    (told + F.cross_entropy(net(images), labels.repeat(2))).backward()
    optimizer.step()
net.eval()
near = x[:50].to(device).requires_grad_()
net(near).gather(1, y[:50, None].to(device)).sum().backward()
"""


@pytest.mark.parametrize(("mode", "rules"), [("net.train()", []), ("pass", ["train-missing"])])
def test_gradients_of_images_are_no_training(mode, rules, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(ATTACKED.format(mode=mode))
    found = tenfold.check("train.py", quiet=True, ignore=["step-missing"]).findings
    assert [f.rule for f in found if f.severity != "note"] == rules


def test_images_may_lie_along_any_axis_of_the_output():
    rows = torch.arange(5.0)
    for output in (rows[:, None], rows.repeat(4, 1), rows.repeat_interleave(7)[:, None], rows.repeat(7)[:, None]):
        changed = output + (output == 2)
        assert not all(spread(a, b, 2) for a, b in zip(by_image(output, 5), by_image(changed, 5))), output.shape
        assert all(spread(a, b, 2) for a, b in zip(by_image(output, 5), by_image(output + 1, 5))), output.shape
    assert by_image(torch.zeros(3), 5) == []
