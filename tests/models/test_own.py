"""A net of the user's own: run only when named, recorded by name and SHA-256, told where it fails."""

import hashlib
import json
import shutil
from inspect import signature

import pytest
import torch
from torch import nn

from tenfold import api
from tenfold.cli import main
from tenfold.commands import VERBS
from tenfold.errors import RecipeError, RunError
from tenfold.models import build, own, usercode
from tenfold.models.blocks import Dropout
from tenfold.recipe import ModelOptions

GOOD = """
from torch import nn

class MyNet(nn.Module):
    def __init__(self, channels, classes, width=1.0, depth=2):
        super().__init__()
        hidden = int(8 * width)
        self.conv = nn.Conv2d(channels, hidden, 3, padding=1)
        self.drop = nn.Dropout(0.25)
        self.fc = nn.Linear(hidden, classes)

    def forward(self, x):
        return self.fc(self.drop(self.conv(x).relu().mean((2, 3))))
"""
HEAD = "from torch import nn\nimport torch\n"


class Plain(nn.Module):
    """Takes nothing: three classes, as the photos have."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        return self.fc(self.conv(x).relu().mean((2, 3)))


class Sized(nn.Module):
    """Takes what tenfold supplies under its other names, and keeps it."""

    def __init__(self, in_channels, image_size, num_classes, *, activation="none", **others):
        super().__init__()
        self.seen, self.others = (in_channels, image_size, num_classes, activation), others
        self.fc = nn.Linear(in_channels * image_size**2, num_classes)

    def forward(self, x):
        return self.fc(x.flatten(1))


@pytest.fixture(autouse=True)
def _nothing_named(monkeypatch, tmp_path):
    """Each test begins as a new process does, in a folder of its own."""
    monkeypatch.setattr(own, "NAMED", {})
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def good(tmp_path):
    (tmp_path / "net.py").write_text(GOOD)
    return "net.py:MyNet"


@pytest.fixture
def run(good, small):
    """A finished run of the user's net, in a process that knows it no longer."""
    made = api.train("simplenn", model=good, out="runs", name="mine", quiet=True, **{**small, "epochs": 1})
    own.NAMED.clear()
    return made


def made(model, channels=3, size=16, classes=10, **options):
    named = own.choose(model)
    return build(
        ModelOptions(name=named["model.name"], sha256=named["model.sha256"], **options), channels, size, classes, 0
    )


def write(tmp_path, code: str, name: str = "bad.py") -> str:
    (tmp_path / name).write_text(code)
    return f"{name}:Net"


def test_each_parameter_is_filled_that_the_signature_has():
    assert isinstance(made(Plain, classes=3), Plain)
    assert made(Sized, 1, 9, 4, activation="relu").seen == (1, 9, 4, "relu")
    assert made(Sized).seen[3] == "none"
    assert made(Sized).others == {}
    assert isinstance(made(lambda classes: nn.Sequential(nn.Flatten(), nn.LazyLinear(classes))), nn.Sequential)


def test_a_file_is_run_and_recorded_by_its_sha256(good, tmp_path):
    planned = api.plan("simplenn", model=good, **{"model.width": 2.0}).recipe.model
    assert (planned.name, planned.width) == (good, 2.0)
    assert planned.sha256 == hashlib.sha256(GOOD.encode()).hexdigest()
    assert api.inspect("simplenn", model=good, classes=7, **{"model.width": 2.0}).output == (5, 7)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.py"]


def test_a_name_chooses_a_registered_net():
    assert api.plan("simplenn", model="resnet20").recipe.model.name == "resnet20"
    with pytest.raises(RecipeError, match=r"Did you mean .*'resnet20'"):
        api.inspect("simplenn", model="resnet21")


def test_an_option_that_the_class_does_not_read_is_refused(good):
    with pytest.raises(RecipeError, match=r"model.shortcut = A would have no effect: net.py:MyNet does not read it"):
        api.inspect("simplenn", model=good, **{"model.shortcut": "A"})
    with pytest.raises(RecipeError, match="Two nets were given"):
        api.inspect("simplenn", model=good, **{"model.name": "resnet20"})


def test_the_same_seed_gives_the_same_net(good):
    first, again = made(good), made(good)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


def test_dropout_draws_from_the_runs_seed():
    net = made(lambda: nn.Sequential(nn.Flatten(), nn.Dropout(0.25), nn.Linear(768, 10), nn.Dropout(0.0)))
    assert [type(layer) for layer in net] == [nn.Flatten, Dropout, nn.Linear, Dropout]
    assert net[1].probability == 0.25


def test_train_evaluate_predict_resume_with_a_file(run, good, photos):
    recorded = json.loads((run.path / "recipe.json").read_text())
    assert recorded["recipe"]["model"]["sha256"] == hashlib.sha256(GOOD.encode()).hexdigest()
    assert recorded["origin"]["model.name"] == "user"
    assert api.evaluate(run, model=good).notes == ()
    assert len(api.predict(run, photos / "disc", model=good).names) == 40
    assert api.train(resume=run, model=good, quiet=True).finished


def test_a_callable_trains_to_the_same_bits_again_and_after_a_kill(small, tmp_path):
    options = {**small, "epochs": 2, "quiet": True, "out": tmp_path, "checkpoint_every": 4}
    whole = api.train("simplenn", model=Plain, name="whole", **options)
    cut = api.train("simplenn", model=Plain, name="cut", **options)
    assert cut.weights("last").read_bytes() == whole.weights("last").read_bytes()
    last = max((cut.path / "checkpoints").iterdir())
    last.unlink()
    cut.weights("last").unlink()
    resumed = api.train(resume=cut, model=Plain, quiet=True)
    assert resumed.weights("last").read_bytes() == whole.weights("last").read_bytes()
    assert whole.recipe.model.name == "test_own.py:Plain"


def test_view_rules_out_channels_last_and_trains_all_the_same(small, tmp_path):
    class Viewing(Plain):
        def forward(self, x):
            x = nn.functional.adaptive_avg_pool2d(self.conv(x), 2)
            return self.fc(x.view(len(x), -1)[:, :8])

    open_ = {**small, "epochs": 1, "backend.layout": "auto", "backend.choice": "search"}
    run = api.train("simplenn", model=Viewing, out=tmp_path, quiet=True, **open_)
    (trial,) = [t for t in run.read("backend.json")["trials"] if t["backend"]["layout"] == "channels_last"]
    assert trial["rejected"].startswith("it failed: view size is not compatible")
    assert run.recipe.backend.layout == "contiguous"


@pytest.mark.parametrize(
    ("verb", "command"),
    [
        (lambda run, photos: api.evaluate(run), "tenfold evaluate runs/mine --model net.py:MyNet"),
        (lambda run, photos: api.predict(run, photos), "tenfold predict runs/mine PATH… --model net.py:MyNet"),
        (
            lambda run, photos: api.train(resume=run, quiet=True),
            "tenfold train --resume runs/mine --model net.py:MyNet",
        ),
        (
            lambda run, photos: api.plan(run.path / "recipe.json") and api.inspect(run.path / "recipe.json"),
            "--model net.py:MyNet",
        ),
    ],
)
def test_no_run_or_recipe_runs_code_by_itself(run, photos, verb, command, tmp_path):
    (tmp_path / "net.py").write_text("raise SystemError('ran')")
    with pytest.raises(RecipeError, match="code of your own, which tenfold runs only when you name it") as seen:
        verb(run, photos)
    assert command in seen.value.remedy


def test_the_name_in_a_recipe_is_quoted_where_it_is_shown():
    with pytest.raises(RecipeError, match=r"--model 'a\.py:x; rm -rf y'"):
        own.find_own(ModelOptions(name="a.py:x; rm -rf y"))


def test_changed_code_is_told(run, good, tmp_path, capsys):
    (tmp_path / "net.py").write_text(GOOD + "# other\n")
    (note,) = api.evaluate(run, model=good).notes
    assert note.startswith("net.py:MyNet is not the code that runs/mine recorded: its SHA-256 was ")
    assert main(["train", "--resume", "runs/mine", "--model", good]) == 0
    assert "is not the code that runs/mine recorded" in " ".join(capsys.readouterr().out.split())


def test_weights_of_another_net_are_refused(run, good, tmp_path):
    (tmp_path / "net.py").write_text(GOOD.replace("self.fc", "self.head"))
    for verb in (api.evaluate, lambda run, model: api.train(resume=run, model=model, quiet=True)):
        with pytest.raises(RunError, match=r"do not fit this net: Missing key\(s\) in state_dict: \"head.weight\""):
            verb(run, model=good)


def test_the_net_of_a_run_is_not_exchanged(trained, run, good, tmp_path):
    shutil.copytree(trained.path, tmp_path / "plain")
    with pytest.raises(RecipeError, match="The net of plain is simplenn"):
        api.evaluate("plain", model=good)
    with pytest.raises(RecipeError, match=r"The net of runs/mine is net.py:MyNet, not resnet20"):
        api.evaluate(run, model="resnet20")


FORWARD = HEAD + "class Net(nn.Module):\n    def forward(self, x):\n        return "
MADE = HEAD + "def Net():\n    return nn."
INIT = HEAD + "class Net(nn.Module):\n    def __init__(self, classes):\n        super().__init__()\n        "
LINEAR = INIT + "self.fc = nn.Linear(3072, classes)\n    def forward(self, x):\n        return "
FAILS, CANNOT = "The model file bad.py fails.", "bad.py:Net cannot be made."
ON_IMAGES = "bad.py:Net fails on images of 3×32×32."
BAD = {
    "import": ("import nothing_so\n", FAILS, "bad.py, line 1: import nothing_so\nModuleNotFoundError: "),
    "syntax": ("x = 1\nclass Net(\n", FAILS, "bad.py, line 2: class Net(\nSyntaxError: "),
    "exit": ("raise SystemExit(3)\n", FAILS, "bad.py, line 1: raise SystemExit(3)\nSystemExit: 3"),
    "name": (INIT + "nn.Linear(8, clases)\n", CANNOT, "bad.py, line 6: nn.Linear(8, clases)\nNameError: "),
    "type": (INIT + "nn.Linear(8, 'ten')\n", CANNOT, "bad.py, line 6: nn.Linear(8, 'ten')\nTypeError: "),
    "size": (
        LINEAR + "self.fc(x[:, :, 1:].flatten(1))\n",
        ON_IMAGES,
        "bad.py, line 8: return self.fc(x[:, :, 1:].flatten(1))\nRuntimeError: mat1 and mat2",
    ),
    "backward": (LINEAR + "self.fc(x.flatten(1)).exp().add_(1)\n", ON_IMAGES, "RuntimeError: one of the variables"),
    "no module": ("class Net:\n    pass\n", "bad.py:Net made a Net, not a torch.nn.Module.", "Give a class of nets."),
    "no class": ("Net = 3\nclass Other: ...\n", "bad.py has no class or function 'Net'.", "Known: Other."),
    "shape": (MADE + "Unflatten(1, (1, 3))\n", "bad.py:Net gives [2, 1, 3, 32, 32] for 2 images, but 10 classes", ""),
    "classes": (
        MADE + "Sequential(nn.Flatten(), nn.Linear(3072, 3))\n",
        "bad.py:Net gives [2, 3] for 2 images, but 10 classes need [2, 10].",
        "Let its __init__ take `classes`, and end in nn.Linear(…, classes).",
    ),
    "tuple": (FORWARD + "x, x\n", "bad.py:Net returns tuple.", "Return logits, float32 [N, 10]."),
    "numbers": (FORWARD + "x.long()\n", "bad.py:Net returns torch.int64.", "Return logits, float32 [N, 10]."),
    "parameters": (FORWARD + "x[:, 0, 0, :10]\n", "bad.py:Net has no parameters to train.", ""),
    "chance": (
        MADE + "Sequential(nn.Flatten(), nn.Linear(3072, 10), nn.AlphaDropout(0.5))\n",
        "bad.py:Net draws random numbers that no seed of the run decides",
        "Use nn.Dropout layers",
    ),
    "unknown": ("def Net(kernel): ...\n", "bad.py:Net asks for 'kernel', which tenfold cannot supply.", "a default."),
    "unset": ("def Net(width): ...\n", "bad.py:Net needs a value for 'width'.", "Give --model.width."),
}


@pytest.mark.parametrize(("code", "what", "remedy"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_told_with_the_users_line(code, what, remedy, tmp_path, capsys):
    assert main(["inspect", "--model", write(tmp_path, code)]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: {what}")
    assert remedy in told
    assert "Traceback" not in told


def test_a_net_that_fails_later_is_told_with_the_users_line_too(tmp_path, small, capsys):
    viewing = LINEAR + "self.fc(x.view(len(x), -1))\n"
    options = ["--data", small["data"], "--backend.layout", "channels_last", "--dry-run"]
    assert main(["train", "--model", write(tmp_path, viewing), *options]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: The model file bad.py fails.\nbad.py, line 8: return self.fc(x.view(len(x), -1))")
    assert told.endswith("write x.flatten(1), or give --backend.layout contiguous.\n")
    assert usercode.blame(ValueError("another's")) is None


@pytest.mark.parametrize("verb", ["train", "evaluate", "predict", "inspect", "bench", "find-lr"])
def test_the_verbs_that_build_a_net_take_one(verb):
    assert "net" in signature(VERBS[verb]).parameters


def test_an_error_below_a_library_shows_the_users_line(tmp_path):
    (tmp_path / "helper.py").write_text("import json\ndef read():\n    return json.loads('{')\n")
    with pytest.raises(RecipeError, match=r"helper.py, line 3: return json.loads\('\{'\)\nJSONDecodeError"):
        own.choose(write(tmp_path, "from helper import read\nread()\n"))


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("missing.py:Net", r"The model file missing.py cannot be read: No such file"),
        ("net.py", "--model net.py does not name a class in a file"),
        ("net.txt:Net", "--model net.txt:Net does not name a class in a file"),
        (".py:Net", "does not name a class"),
    ],
)
def test_a_place_that_is_none_is_refused(place, told, good):
    with pytest.raises(RecipeError, match=told):
        own.choose(place)


@pytest.mark.parametrize(
    ("model", "told"), [(Plain(), "is a Plain that is made already"), (3, "model = 3 is not a net")]
)
def test_what_makes_no_nets_is_refused(model, told):
    with pytest.raises(RecipeError, match=told):
        api.plan("simplenn", model=model)


def test_code_without_a_file_has_a_digest_of_its_own():
    def written(code: str):
        scope: dict = {}
        exec(code, scope)
        return own.identify(scope["Net"])

    one, same, other = (written(f"class Net:\n    def __init__(self): self.depth = {n}") for n in (1, 1, 2))
    assert one[:2] == same[:2]
    assert one[0] == "python:Net"
    with pytest.raises(RecipeError, match=r"give it there again, as model=Net\."):
        own.find_own(ModelOptions(name=one[0], sha256=one[1]))
    assert one[1] != other[1]


def test_the_checks_leave_no_trace(good):
    before = torch.random.get_rng_state()
    net = made(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(10)))
    assert int(net[1].num_batches_tracked) == 0
    assert all(p.grad is None for p in net.parameters())
    assert net.training
    assert torch.equal(torch.random.get_rng_state(), before)


def test_own_folders_are_told_from_the_users():
    assert not usercode.is_users(torch.nn.__file__)
    assert not usercode.is_users(usercode.__file__)
    assert not usercode.is_users(json.__file__)
    assert usercode.is_users(__file__)
