"""The compiler is not imported by a training that compiles nothing, and is whole where one asks for it."""

import subprocess
import sys

TRAINED = """
import sys
import torch
import tenfold

tenfold.train("simplenn", data="shapes", epochs=1, fraction=0.2, check=False, out={out!r})
print(type(sys.modules["torch._dynamo"]).__name__, any(name.startswith("torch._dynamo.") for name in sys.modules))
"""

ASKED = """
import sys
import torch
from tenfold.dynamo import defer

defer()
net = torch.nn.Linear(3, 3)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

def step():
    optimizer.zero_grad()
    net(torch.ones(2, 3)).sum().backward()
    optimizer.step()

step()
before = type(torch._dynamo).__name__
weight = net.weight.detach().clone()
compiled = torch.compile(net, backend="eager")
assert torch.equal(compiled(torch.ones(2, 3)), net(torch.ones(2, 3)))
torch.compile(step, backend="eager")()
spared = torch.optim.Optimizer.zero_grad.__wrapped__
print(before, type(torch._dynamo).__name__, torch._dynamo is sys.modules["torch._dynamo"])
print(hasattr(spared.__dynamo_disable, "_torchdynamo_disable"), torch.equal(weight, net.weight))
"""


def said(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    return [line for line in done.stdout.splitlines() if line.strip()]


def test_a_training_imports_no_compiler(tmp_path):
    assert said(TRAINED.format(out=str(tmp_path / "run")))[-1] == "Deferred False"


def test_who_compiles_gets_the_compiler_and_optimisers_stay_out_of_the_graph():
    assert said(ASKED) == ["Deferred module True", "True False"]
