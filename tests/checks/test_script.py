"""Checking a script of anyone's: findings of the corpus' pairs, bad input, and that nothing is left behind."""

import json
import subprocess
import sys

import pytest

import tenfold
from tenfold.cli import main

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
    command = [sys.executable, "-m", "tenfold", "check", "--format", "json", "--ignore", "loss-flat", "--", name]
    command.remove("--")
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


BAD = {
    "missing": (None, "There is no script"),
    "not Python": ("def f(:\n", "line 1"),
    "missing module": ("import nowhere_to_be_found\n", "pip install nowhere_to_be_found"),
    "reads stdin": ("name = input()\n", "reads standard input"),
    "exits": ("import sys\nsys.exit(3)\n", "sys.exit(3)"),
    "never trains": ("print(1)\n", "never trained"),
    "endless": ("while True: pass\n", "did not begin to train"),
    "kills itself": ("import os\nos._exit(7)\n", "exit code 7"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_script_is_a_clear_error(case, script, tmp_path, capfd):
    text, told = BAD[case]
    name = script(text, "bad.py") if text is not None else "none.py"
    assert main(["check", "--timeout", "3", name]) == 2
    assert told in capfd.readouterr().err


@pytest.mark.parametrize("arguments", [["--ignore", "zerograd", "x.py"], ["--steps", "0", "x.py"], ["--explain", "x"]])
def test_bad_option_is_a_clear_error(arguments, script, capsys):
    script("", "x.py")
    assert main(["check", *arguments]) == 2
    assert "error: " in capsys.readouterr().err
