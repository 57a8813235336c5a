"""What a program does that the observer must not disturb, or once did not see into: healthy, and with faults."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tenfold.checks.script.crash import crash
from tenfold.checks.script.loaders import Batches
from tenfold.checks.script.losses import FIRST, loss
from tenfold.checks.script.normalisation import normalisation, normalisation_differs
from tenfold.checks.script.observe import Observer
from tenfold.checks.script.parent import run
from tenfold.checks.script.seen import Batch, Call, Loader, Seen, length
from tenfold.checks.script.tags import AFTER

PROGRAM = """
import copy, io, os, random, tempfile
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import weight_norm
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, get_worker_info
os.chdir(tempfile.mkdtemp())
torch.manual_seed(0)

class Mine(random.Random):
    pass
assert not isinstance(random.Random(0), Mine)

def draw(n):
    y = torch.randint(0, 3, (n,))
    x = 0.5 * torch.randn(n, 1, 8, 8)
    for i, k in enumerate(y.tolist()):
        x[i, :, 2 * k:2 * k + 2] += 1.5
    return x, y

class Archive(Dataset):
    file = None
    def __len__(self):
        return 600
    def __getitem__(self, i):
        return self.file[0][i], self.file[1][i]

class Stream(IterableDataset):
    def __init__(self, x, y):
        self.x, self.y = x, y.tolist()
    def __iter__(self):
        worker = get_worker_info()
        for i in torch.randperm(len(self.x)).tolist()[worker.id::worker.num_workers]:
            yield self.x[i], self.y[i]

def opened(worker):
    get_worker_info().dataset.file = draw(600)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = weight_norm(nn.Conv2d(1, 8, 3)), nn.Conv2d(8, 8, 3, stride=2)
        self.head = nn.Linear(32, 3)
        {start}
    def forward(self, pixels, labels=None):
        f = F.relu(self.b(F.relu(self.a(pixels)))).flatten(1)
        return self.head(F.dropout(f, 0.1, training=self.training)){after}

class Loss(nn.Module):
    def __init__(self):
        super().__init__()
        self.level = nn.Parameter(torch.zeros(1))
    def forward(self, out, y):
        return F.cross_entropy(out, y) * torch.exp(-self.level) + self.level

class Guarded(torch.optim.SGD):
    broken = False
    def step(self, closure=None):
        if self.broken:
            raise ArithmeticError("this batch is left out")
        return super().step(closure)

x_test, y_test = draw(320)
archive = DataLoader(Archive(), 50, shuffle=True, num_workers=2, worker_init_fn=opened)
stream = DataLoader(Stream(*draw(600)), 50, num_workers=2)
test_loader = DataLoader(TensorDataset(x_test, y_test), 32)
net, criterion = Net(), Loss()
optimizer = Guarded([*net.parameters(), *criterion.parameters()], lr=0.05, momentum=0.9)
warm, cosine = lr_scheduler.LinearLR(optimizer, 0.1, total_iters=1), lr_scheduler.CosineAnnealingLR(optimizer, 5)
schedule = lr_scheduler.SequentialLR(optimizer, [warm, cosine], milestones=[1])
for epoch in range(3):
    net.train()
    for loader in (archive, stream):
        for number, (a, b) in enumerate(loader):
            loss = criterion(net(pixels=a, labels=b), b).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.broken = epoch == number == 0
            try:
                optimizer.step()
            except ArithmeticError:
                pass
    schedule.step()
    ahead = copy.deepcopy(schedule)
    ahead.step()
    assert (schedule.last_epoch, ahead.last_epoch) == (epoch + 1, epoch + 2)
    torch.save({{"schedule": schedule.state_dict(), "warm": warm.state_dict()}}, io.BytesIO())
{judge}
with torch.no_grad():
    guesses = torch.cat([net(pixels=a).argmax(1) for a, _ in test_loader])
print("accuracy", (guesses == y_test).float().mean().item())
"""
HEALTHY = {"start": "pass", "after": "", "judge": "net.eval()"}
FAULTY = {"start": "nn.init.constant_(self.b.weight, 0.01)", "after": ".softmax(1)", "judge": ""}


@pytest.mark.parametrize(
    ("changes", "rules"),
    [({}, set()), (FAULTY, {"softmax-before-loss", "bad-initialisation", "eval-missing"})],
    ids=["healthy", "faulty"],
)
def test_unusual_program_runs_to_its_end_and_is_seen_into(changes, rules, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(PROGRAM.format(**HEALTHY | changes))
    answer = run("train.py", [], 30, 120.0, True)
    assert (answer["faults"], answer["ended"]) == ([], "script")
    assert int(answer["seen"][0].split()[0]) > 20, "a step that raised blinded it"
    assert answer["seen"][1] == "10 batches of evaluation"
    assert {found["rule"] for found in answer["findings"] if found["severity"] != "note"} == rules


@pytest.mark.parametrize(("images", "told"), [(320, 0), (448, 1)])
def test_exception_of_an_evaluation_that_was_cut_short(images, told):
    seen = Seen("a.py", loaders=[Loader(None, None, given={images})])
    seen.error = RuntimeError("The size of tensor a (320) must match the size of tensor b (640)")
    assert len(list(crash(seen))) == told


def test_few_storages_of_single_batches_are_held():
    observer, whole = Observer("a.py", 30, 60), torch.zeros(400, dtype=torch.long)
    for number in range(2 * FIRST):
        labels = torch.zeros(8, dtype=torch.long) if number else whole[:8]
        loss(observer, "cross_entropy", (torch.zeros(8, 3), labels), {}, torch.zeros(()))
    assert len(observer.seen.targets) == FIRST
    loss(observer, "cross_entropy", (torch.zeros(8, 3), whole.clone()[:8]), {}, torch.zeros(()))
    assert len(observer.seen.targets) == FIRST + 1


def test_length_of_what_does_not_know_it():
    assert (length([1, 2]), length(iter([])), length(object())) == (2, 0, 0)


@pytest.mark.parametrize(("images", "known", "long"), [(640, True, False), (640, False, True), (9000, True, True)])
def test_only_a_long_evaluation_is_cut_short(images, known, long):
    observer = Observer("a.py", 30, 60)
    data = TensorDataset(torch.zeros(images, 3, 16, 16))
    loader = DataLoader(data, 64) if known else type("Endless", (), {"dataset": data})()
    batches = Batches(observer, Loader(loader, None), iter(DataLoader(data, 64)))
    observer.seen.calls += [Call(0, nn.Identity(), None, 0, False, (), ())] * 9
    batches.calls = 0
    given = sum(1 for _ in batches)
    assert (given, batches.fact.given) == ((AFTER, {64 * AFTER}) if long else (10, set()))


def rows(pixels: torch.Tensor, judged: bool = False, **facts) -> Call:
    """A call of some net with flattened images."""
    low, high, mean, std = (float(value) for value in (pixels.min(), pixels.max(), pixels.mean(), pixels.std()))
    call = Call(0, nn.Identity(), None, 0, not judged, (), (), tuple(pixels.shape), mean, std, low, high, **facts)
    call.trained, call.judged, call.whole = not judged, judged, bool((pixels == pixels.round()).all())
    call.batch = Batch(Loader(None, None), judged)
    return call


def scaled(*calls: Call) -> list[str]:
    """The rules of what is found of the scale of images."""
    return [f.rule for rule in (normalisation, normalisation_differs) for f in rule(Seen("a.py", calls=[*calls]))]


@pytest.mark.parametrize("columns", [784, 12])
def test_rows_of_pixels_have_a_scale_too(columns):
    torch.manual_seed(0)
    pixels, encoder = torch.randint(0, 256, (64, columns)).float(), Call(0, nn.Identity(), None, 0, True, (), ())
    found = ["normalisation-missing", "normalisation-differs"] if columns > 50 else []
    assert scaled(rows(pixels), rows(pixels / 255, judged=True)) == found
    assert scaled(rows(pixels / 255), rows(pixels / 255, judged=True)) == []
    assert scaled(rows(pixels + 0.5), rows(pixels + 0.5, judged=True)) == [], "numbers of some other kind"
    assert scaled(rows(pixels, fed=(encoder,))) == [], "another net's output"
