"""Checking a script of anyone's: findings of the corpus' pairs, bad input, and that nothing is left behind."""

import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import tenfold
from tenfold.checks.lessons import LESSONS
from tenfold.checks.rules import RULES
from tenfold.checks.script.parent import run
from tenfold.cli import main

CORPUS = Path(__file__).parents[2] / "bench" / "doctor"
SOME = (
    "argmax_dim0", "center_crop_28", "cuda_inputs_left", "eval_in_init", "permute_mixes", "steplr_per_batch",
    "val_is_subset", "seed_in_getitem",
)  # fmt: skip
"""One of each group of rules; bench/doctor.py runs them all."""

TRAINS = """
import sys
import torch
from torch import nn
x, y = torch.randn(40, 3), torch.arange(40) % 4
net = nn.Linear(3, 4)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(5):
    loss = nn.functional.cross_entropy(net(x), y)
    {clear}
    loss.backward()
    optimizer.step()
print("trained", sys.argv[1:])
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Writes a script into an empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)

    def write(text: str, name: str = "train.py") -> str:
        (tmp_path / name).write_text(text)
        return name

    return write


def test_finding_names_the_users_line_and_variables(script):
    found = tenfold.check(script(TRAINS.format(clear="pass")), quiet=True)
    assert [f.rule for f in found.findings] == ["zero-grad-missing"]
    assert found.findings[0].where == "train.py:11"
    assert found.findings[0].remedy == "Write `optimizer.zero_grad()` before `loss.backward()` (line 11)."
    assert found.exit_code == 1


def test_command_prints_json_alone_and_passes_arguments_on(script, tmp_path):
    name = script(TRAINS.format(clear="pass"))
    command = [sys.executable, "-m", "tenfold", "check", "--format", "json", "--ignore", "loss-flat", name]
    done = subprocess.run([*command, "--lr", "3"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["findings"][0]["rule"] == "zero-grad-missing"
    assert "trained ['--lr', '3']" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["train.py"]


def test_silenced_rule_is_recorded_and_no_error(script):
    found = tenfold.check(script(TRAINS.format(clear="pass")), ignore=["zero-grad-missing"], quiet=True)
    assert found.findings == ()
    assert found.silenced == ("zero-grad-missing",)
    assert found.exit_code == 0


HOSTILE = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
while True:
    try:
        time.sleep(1)
    except BaseException:
        pass
"""


BAD = {
    "missing": (None, "There is no script"),
    "not Python": ("def f(:\n", "line 1"),
    "missing module": ("import nowhere_to_be_found\n", "pip install nowhere_to_be_found"),
    "reads stdin": ("name = input()\n", "reads standard input"),
    "exits": ("import sys\nsys.exit(3)\n", "sys.exit(3)"),
    "never trains": ("print(1)\n", "never trained"),
    "endless": ("while True: pass\n", "did not begin to train"),
    "hostile": (HOSTILE, "did not begin to train"),
    "kills itself": ("import os\nos._exit(7)\n", "exit code 7"),
}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.slow) if case == "hostile" else case for case in BAD]
)
def test_bad_script_is_a_clear_error(case, script, tmp_path, capfd, real_child):
    text, told = BAD[case]
    name = script(text, "bad.py") if text is not None else "none.py"
    assert main(["check", "--timeout", "3", name]) == 2
    assert told in capfd.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_hostile_script_is_stopped_with_tenfold(number, script, tmp_path):
    name = script(HOSTILE + "# " + tmp_path.name, "hostile.py")
    command = [sys.executable, "-m", "tenfold", "check", str(tmp_path / name)]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not children(running.pid) and time.monotonic() < deadline:
        time.sleep(0.001)  # the signal may come while the child begins
    (child,) = children(running.pid)
    running.send_signal(number)
    running.communicate(timeout=60)
    assert running.returncode == 128 + number
    assert not Path(f"/proc/{child}").exists()


def children(pid: int) -> list[int]:
    """The processes that a process started."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("arguments", [["--ignore", "zerograd", "x.py"], ["--steps", "0", "x.py"], ["--explain", "x"]])
def test_bad_option_is_a_clear_error(arguments, script, capsys):
    script("", "x.py")
    assert main(["check", *arguments]) == 2
    assert "error: " in capsys.readouterr().err


def judged(files: list[Path]) -> list[dict]:
    """What the child wrote of each program, two at a time; no observer may have failed."""
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda file: run(str(file), [], 30, 120.0, True), files))
    assert [fault for answer in answers for fault in answer.get("faults", [])] == []
    return answers


@pytest.mark.slow
def test_root_cause_of_each_group_comes_first_and_its_fixed_twin_is_healthy():
    folders = [CORPUS / "pairs" / name for name in SOME]
    for folder, answer in zip(folders, judged([folder / "buggy.py" for folder in folders])):
        expected = json.loads((folder / "truth.json").read_text())["rules"]
        assert answer["findings"], folder.name
        assert answer["findings"][0]["rule"] in expected, (folder.name, answer["findings"])
    for folder, answer in zip(folders, judged([folder / "fixed.py" for folder in folders])):
        assert all(found["severity"] == "note" for found in answer["findings"]), (folder.name, answer["findings"])


OPENED = {"08-head-replaced-after-optimizer": "parameters-forgotten", "20-validation-not-moved": "device-mismatch"}
"""Held-out programs that were missed when they were opened, and led to better rules."""


@pytest.mark.slow
def test_programs_that_were_missed_once_are_found():
    for (name, rule), answer in zip(OPENED.items(), judged([CORPUS / "heldout" / n / "buggy.py" for n in OPENED])):
        assert [found["rule"] for found in answer["findings"]][:1] == [rule], name
    for name, answer in zip(OPENED, judged([CORPUS / "heldout" / n / "fixed.py" for n in OPENED])):
        assert all(found["severity"] == "note" for found in answer["findings"]), (name, answer["findings"])


@pytest.mark.slow
def test_healthy_programs_raise_no_error():
    files = sorted((CORPUS / "healthy").glob("*.py"))
    for file, answer in zip(files, judged(files)):
        assert all(found["severity"] != "error" for found in answer.get("findings", [])), (file.name, answer)


SMALL = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
x, y = torch.randn(96, 1, 8, 8), torch.randint(0, 3, (96,))
train, val = TensorDataset(x[:64], y[:64]), TensorDataset(x[64:], y[64:])
train_loader, val_loader = DataLoader(train, 16, shuffle=True), DataLoader(val, 16)
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.drop, self.fc = nn.Conv2d(1, 4, 3), nn.Dropout(0.5), nn.Linear(144, 3)
    def forward(self, x):
        return {output}
net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
for epoch in range(3):
    net.train()
    for a, b in train_loader:
        optimizer.zero_grad()
        loss = {loss}
        loss.backward()
        optimizer.step()
    {mode}
    right = 0
    with torch.no_grad():
        for a, b in val_loader:
            right += (net(a).{choose} == b).sum().item()
    print(right / {count})
"""
HEALTHY = {
    "output": "self.fc(self.drop(torch.relu(self.conv(x))).flatten(1))",
    "loss": "nn.functional.cross_entropy(net(a), b)",
    "mode": "net.eval()",
    "choose": "argmax(1)",
    "count": "len(val)",
}
FAULTS = {
    "softmax-before-loss": {"output": "self.fc(self.drop(torch.relu(self.conv(x))).flatten(1)).softmax(1)"},
    "activation-on-logits": {"output": "torch.relu(self.fc(self.drop(torch.relu(self.conv(x))).flatten(1)))"},
    "wrong-loss": {"loss": "nn.functional.nll_loss(net(a), b)"},
    "loss-reduction": {"loss": "nn.functional.cross_entropy(net(a), b, reduction='sum')"},
    "eval-missing": {"mode": "pass"},
    "accuracy-axis": {"choose": "argmax(0)"},
    "accuracy-count": {"count": "len(val_loader)"},
    "dtype-mismatch": {"loss": "nn.functional.cross_entropy(net(a.double()), b)"},
    "graph-broken": {"loss": "nn.functional.cross_entropy(net(a), b).detach().requires_grad_()"},
}


FAST = ("softmax-before-loss", "eval-missing", "accuracy-axis")


@pytest.mark.parametrize(
    "rule", [rule if rule in FAST else pytest.param(rule, marks=pytest.mark.slow) for rule in FAULTS]
)
def test_one_fault_in_a_healthy_program_is_found_first(rule, script):
    found = tenfold.check(script(SMALL.format(**HEALTHY | FAULTS[rule])), steps=8, quiet=True)
    assert found.findings[0].rule == rule
    assert found.findings[0].file == "train.py"


def test_healthy_program_raises_nothing(script):
    found = tenfold.check(script(SMALL.format(**HEALTHY)), steps=8, quiet=True)
    assert found.findings == ()
    assert found.exit_code == 0


def test_every_rule_is_taught(capsys):
    assert set(LESSONS) == set(RULES)
    assert main(["check", "--explain", "eval-missing"]) == 0
    told = capsys.readouterr().out
    assert all(part in told for part in ("Why:", "Evidence:", "Wrong:", "Right:", "model.eval()"))
    assert main(["check", "--list"]) == 0
    listed = capsys.readouterr().out
    assert all(f"{rule} " in listed for rule in RULES)
