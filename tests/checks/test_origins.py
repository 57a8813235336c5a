"""Where a value was first written: each way of handing a learning rate to an optimiser."""

import pytest

from tenfold.checks.script.origins import origin
from tenfold.checks.script.seen import Place

WAYS = {
    "as it is": "opt = SGD(p, lr=0.1)  # here",
    "by position": "opt = SGD(p, 0.1)  # here",
    "a constant": "LR = 0.1  # here\n\nopt = SGD(p, lr=LR)",
    "a dictionary": 'cfg = {\n    "epochs": 3,\n    "lr": 0.1,  # here\n}\nopt = SGD(p, lr=cfg["lr"])',
    "a dictionary by get": 'cfg = dict(\n    lr=0.1,  # here\n)\nopt = SGD(p, lr=cfg.get("lr", 1))',
    "a dictionary as arguments": "cfg = dict(\n    momentum=0,\n    lr=0.1,  # here\n)\nopt = SGD(p, **cfg)",
    "JSON": 'cfg = json.loads("""{\n"epochs": 3,\n"lr": 0.1}""")  # here\nopt = SGD(p, lr=cfg["lr"])',
    "an option": 'parser.add_argument("--lr", type=float,\n    default=0.1)  # here\nopt = SGD(p, lr=args.lr)',
    "a class": "class Config:\n    lr: float = 0.1  # here\n\n\nopt = SGD(p, lr=Config.lr)",
    "a data class": "class Config:\n    lr: float = 1.0\n\n\nc = Config(lr=0.1)  # here\nopt = SGD(p, lr=c.lr)",
    "two at once": "lr, momentum = 0.1, 0.9  # here\n\nopt = SGD(p, lr=lr, momentum=momentum)",
    "an attribute": "class Fit:\n    def __init__(self):\n        self.lr = 0.1  # here\n\n\nopt = SGD(p, lr=fit.lr)",
}


def marked(file, text: str, mark: str) -> int:
    """The first line with a mark."""
    return next(i for i, line in enumerate(text.splitlines(), 1) if mark in line)


@pytest.mark.parametrize("way", WAYS)
def test_the_line_that_holds_the_value(way, tmp_path):
    file = tmp_path / "train.py"
    file.write_text(WAYS[way] + "\n")
    place = origin([Place(str(file), marked(file, WAYS[way], "SGD("))], "lr", 1)
    assert place.line == marked(file, WAYS[way], "# here")


FUNCTION = """
def fit(net, epochs=3,
        lr=0.1):  # default
    made = 1
    return SGD(net, lr=lr)


def main():
    rate = 0.5  # caller
    fit(net, lr=rate)
    fit(net)
"""


@pytest.mark.parametrize(("call", "expected"), [("fit(net, lr=rate)", "# caller"), ("fit(net)\n", "# default")])
def test_a_parameter_is_the_callers_or_its_default(call, expected, tmp_path):
    file = tmp_path / "train.py"
    file.write_text(FUNCTION)
    lines = [marked(file, FUNCTION, "SGD("), FUNCTION[: FUNCTION.index(call)].count("\n") + 1]
    stack = [Place(str(file), lines[0], "fit"), Place(str(file), lines[1], "main")]
    assert origin(stack, "lr", 1).line == marked(file, FUNCTION, expected)


def test_what_cannot_be_found_is_the_call_itself(tmp_path):
    file = tmp_path / "train.py"
    file.write_text("import other\n\n\nopt = SGD(p, lr=other.rate())\n")
    assert origin([Place(str(file), 4)], "lr", 1).line == 4
    assert origin([], "lr") is None
