"""Rules about steps, modes and schedules of a script: each fires on one program, and keeps silent on its lookalike."""

import pytest

import tenfold

PROGRAM = """
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)

def draw(n):
    y = torch.randint(0, 3, (n,))
    x = 0.5 * torch.randn(n, 1, 8, 8)
    for i, k in enumerate(y.tolist()):
        x[i, :, 2 * k:2 * k + 2] += 1.5
    return x, y

class Ghost(nn.Module):
    def __init__(self, channels, size):
        super().__init__()
        self.norm, self.size = nn.BatchNorm2d(channels), size
    def forward(self, x):
        parts = x.split(self.size) if self.training else [x]
        return torch.cat([self.norm(part) for part in parts])

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, bias=False), Ghost(8, {ghost}), nn.ReLU(), nn.Flatten())
        self.head = nn.Linear(288, 3)
    def forward(self, x):
        if {jitters}:
            x = x + 0.1 * torch.randn_like(x)
        return self.head(self.body(x))

class Mode(Net):
    def train(self, mode=True):
        return super().train({mode})

class Centres(nn.Module):
    def __init__(self):
        super().__init__()
        self.centres = nn.Parameter(torch.randn(3, 3))
    def forward(self, z, y):
        return F.cross_entropy(z @ self.centres.T, y)

class Smooth(nn.Module):
    def forward(self, z, y):
        return -({targets} * F.log_softmax(z, 1)).{mean}()

class Rates:
    def __init__(self, optimizer, total):
        self.optimizer, self.total, self.count = optimizer, total, 0
    def step(self):
        self.count += 1
        self.optimizer.param_groups[0]["lr"] = 0.05 * max(0.0, 1 - self.count / self.total)

class Keeper:
    def __init__(self, loader):
        self.loader, self.best = loader, 0.0
    def after(self, net):
        score = accuracy(net, self.loader)
        if score > self.best:
            self.best = score

@torch.no_grad()
def accuracy(net, loader):
    net.eval()
    return sum((net(a).argmax(1) == b).sum().item() for a, b in loader) / len(loader.dataset)

(x, y), held_out, unseen = draw(1200), draw(200), draw(200)
loader = DataLoader(TensorDataset(x, y), 25, shuffle=True)
val_loader, test_loader = DataLoader(TensorDataset(*held_out), 50), DataLoader(TensorDataset(*unseen), 50)
net, loss_of = Mode(), {loss}()
{freeze}
optimizer = torch.optim.SGD([{held}, *loss_of.parameters()], lr=0.05)
schedule, keeper = {schedule}, Keeper({keep})
for epoch in range(4):
    {thaw}
    net.train()
    for a, b in loader:
        {clear}
        loss_of(net(a), b).backward()
        optimizer.step()
        schedule.step()
    keeper.after(net)
print(accuracy(net, test_loader))
"""
HEALTHY = {
    "ghost": 5, "mode": "mode", "freeze": "pass", "held": "*net.parameters()", "keep": "val_loader",
    "schedule": "Rates(optimizer, 192)",
    "thaw": "pass", "jitters": "self.training",
    "clear": "optimizer.zero_grad()", "loss": "Centres", "mean": "sum(1).mean", "targets": "F.one_hot(y, 3)",
}  # fmt: skip
THAWED = {
    "freeze": "net.body.requires_grad_(False)",
    "thaw": "net.body.requires_grad_(epoch > 0)",
}
WARM = "torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / {}))"
SHORT = "torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / {}))"
SOFT = "torch.full_like(z, 0.1).scatter(1, y[:, None], {})"
FAULTS = {
    "cleared in part": ({"clear": "net.zero_grad()"}, "zero-grad-missing", "net.zero_grad()"),
    "thawed, not held": (
        {**THAWED, "held": "*[p for p in net.parameters() if p.requires_grad]"}, "parameters-forgotten", "optimizer = "
    ),
    "the mode stays": ({"mode": ""}, "eval-missing", "super().train("),
    "a part of one image": ({"ghost": 8}, "last-batch-small", "nn.BatchNorm2d("),
    "a callback selects on test": ({"keep": "test_loader"}, "selected-on-test", "Keeper(test_loader)"),
    "random in evaluation": ({"jitters": "True"}, "validation-augmented", "randn_like"),
    "the mean over the classes": ({"loss": "Smooth", "mean": "mean"}, "loss-reduction", "F.log_softmax(z, 1)"),
    "targets sum to more": ({"loss": "Smooth", "targets": SOFT.format(0.9)}, "initial-loss", "F.log_softmax(z, 1)"),
    "the schedule is too short": ({"schedule": SHORT.format(60)}, "learning-rate-dropped-early", "LambdaLR("),
    "the warm-up does not end": ({"schedule": WARM.format(5000)}, "learning-rate-low", "LambdaLR("),
    "the rate is gone": ({"schedule": "Rates(optimizer, 28)"}, "learning-rate-dropped-early", "schedule.step()"),
}  # fmt: skip


def rules_of(tmp_path, monkeypatch, changes) -> tuple[list, str]:
    monkeypatch.chdir(tmp_path)
    code = PROGRAM.format(**{**HEALTHY, **changes})
    (tmp_path / "train.py").write_text(code)
    found = tenfold.check("train.py", quiet=True, ignore=["decay-on-norms"]).findings
    return [f for f in found if f.severity != "note"], code


LOOKALIKES = {
    "plain": {},
    "thawed": THAWED,
    "warm": {"schedule": WARM.format(20)},
    "long": {"schedule": SHORT.format(192), "loss": "Smooth", "targets": SOFT.format(0.8)},
}


@pytest.mark.parametrize("changes", LOOKALIKES.values(), ids=LOOKALIKES)
def test_what_looks_like_a_fault_is_none(tmp_path, monkeypatch, changes):
    found, _ = rules_of(tmp_path, monkeypatch, changes)
    assert [f.rule for f in found if f.rule != "parameters-frozen"] == []


QUICK = {"cleared in part", "thawed, not held", "the mode stays", "random in evaluation", "the mean over the classes"}


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in FAULTS])
def test_fault_is_found_at_its_line(tmp_path, monkeypatch, name):
    changes, rule, at = FAULTS[name]
    found, code = rules_of(tmp_path, monkeypatch, changes)
    found = [f for f in found if f.rule == rule]
    assert found, name
    assert at in code.splitlines()[found[0].line - 1]


def test_writing_into_a_tensor_of_another_type(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = "import torch\nkept = torch.zeros(4, 3)\nkept[torch.tensor([0, 2])] = torch.ones(2, 3).bfloat16()\n"
    (tmp_path / "train.py").write_text(code)
    (found,) = tenfold.check("train.py", quiet=True).findings
    assert (found.rule, found.line) == ("dtype-mismatch", 3)
    assert "new_zeros" in found.remedy


MOVED = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, 3)
        {scale}
    def forward(self, x):
        return self.head(x * self.scale)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
net = Net().to(device)
x, y = torch.randn(64, 8), torch.arange(64) % 3
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for step in range(40):
    order = torch.randperm(64)[:16]
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(x[order].to(device)), y[order].to(device)).backward()
    optimizer.step()
"""


@pytest.mark.parametrize(
    ("scale", "lines"),
    [("self.scale = torch.ones(8)", [8]), ("self.register_buffer('scale', torch.ones(8))", [])],
)
def test_plain_tensor_of_a_net_that_is_moved(tmp_path, monkeypatch, scale, lines):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(MOVED.format(scale=scale))
    found = tenfold.check("train.py", quiet=True).findings
    assert [f.line for f in found if f.rule == "device-mismatch"] == lines
