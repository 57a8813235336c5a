"""The docs: every command and every Python block of README and docs/ runs as printed.

In the fast suite a training of the README is a dry run; `make test-all` runs it whole. Commands that need the real
CIFAR-10 skip loudly where it is missing.
"""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tenfold import api
from tenfold.cli import main
from tenfold.models import own
from tenfold.runs import Run

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md")])


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


FILES = {
    code.split("\n")[0].removeprefix("# "): code
    for page in PAGES
    for code in blocks(page, "python")
    if re.match(r"# [\w.]+\.py\n", code)
}
"""Python blocks that are the reader's own files: `# net.py` is their first line."""
PROGRAMS = [code for page in PAGES for code in blocks(page, "python") if code not in FILES.values()]


def commands() -> list[tuple[str, str]]:
    """Each `$ tenfold …` of the pages once, and below it what a test compares."""
    found = {}
    for page in PAGES:
        for block in blocks(page, "console"):
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                command, output = command.split("  #")[0].strip(), output.strip()
                compared = output.startswith("error:") or command.startswith("tenfold inspect")
                found[command, output if compared else ""] = None
    return list(found)


@pytest.fixture
def place(tmp_path, monkeypatch, trained, photos):
    """A folder as a reader of the README has it: photos/ and two finished runs."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(photos, tmp_path / "photos")
    for name in ("first", "photos"):
        shutil.copytree(trained.path, tmp_path / "runs" / name)
    for file, code in FILES.items():
        (tmp_path / file).write_text(code)
    monkeypatch.setattr(own, "NAMED", {})  # as in a new process
    return tmp_path


@pytest.fixture
def owned(place, small):
    """The run of the guide's own net, in the reader's folder."""
    api.train(model="net.py:MyNet", name="own", quiet=True, **{**small, "data": "photos", "epochs": 3})
    own.NAMED.clear()


def run(command: str, *more: str) -> int:
    try:
        return main([*shlex.split(command)[1:], *more])
    except SystemExit as stopped:
        return stopped.code


def test_the_pages_hold_commands():
    assert len(commands()) >= 15
    assert all(command.startswith("tenfold ") for command, _ in commands())


def marked(command: str) -> list[pytest.MarkDecorator]:
    """A dry run of sprint takes two minutes on two cores without AVX-512."""
    return [pytest.mark.slow] if command.startswith("tenfold train sprint") else []


@pytest.mark.parametrize(
    ("command", "printed"), [pytest.param(*one, id=one[0], marks=marked(one[0])) for one in commands()]
)
def test_command_runs_as_printed(command, printed, place, request, monkeypatch, capsys):
    if "cifar10" in command:
        monkeypatch.setenv("TENFOLD_DATA", str(request.getfixturevalue("cifar10").parent))
    if "runs/own" in command:
        request.getfixturevalue("owned")
    if printed.startswith("error:"):
        assert run(command) == 2
        assert printed in capsys.readouterr().err
        return
    command = re.sub(r" --seeds \d+", " --seeds 1 --epochs 1", command)  # studies; one run of an epoch shows as much
    command += " --seconds 2" if command.startswith("tenfold bench") and "--seconds" not in command else ""
    training = " train " in f" {command} " and "--resume" not in command and "--dry-run" not in command
    named = re.search(r"--name (\S+)", command)
    if training and named:
        shutil.rmtree(place / "runs" / named[1], ignore_errors=True)
    assert run(command, *(["--dry-run"] if training else [])) == 0, capsys.readouterr().err
    if command.startswith("tenfold inspect"):
        shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
        assert all(" ".join(line.split()) in shown for line in printed.splitlines() if line.strip())


@pytest.mark.slow
@pytest.mark.parametrize("command", [c for c, _ in commands() if c.startswith("tenfold train") and "--dry" not in c])
def test_training_runs_whole(command, place, request, monkeypatch, capsys):
    if "cifar10" in command:
        monkeypatch.setenv("TENFOLD_DATA", str(request.getfixturevalue("cifar10").parent))
    if "momentum" in command:
        pytest.skip("printed as an example of an error")
    if "runs/own" in command:
        request.getfixturevalue("owned")
    for name in re.findall(r"--name (\S+)", command):
        shutil.rmtree(place / "runs" / name, ignore_errors=True)
    before = set((place / "runs").iterdir())
    assert run(command) == 0, capsys.readouterr().err
    made = set((place / "runs").iterdir()) - before
    assert "--resume" in command or all(Run(path).finished for path in made)


@pytest.mark.parametrize("code", PROGRAMS)
def test_python_block_runs(code, place, capsys):
    exec(compile(code, "README.md", "exec"), {})
    assert "report.html" in capsys.readouterr().out


@pytest.mark.parametrize("text", [text for page in PAGES for text in blocks(page, "toml")])
def test_toml_block_is_a_recipe(text, tmp_path):
    from tenfold.recipe import load
    from tenfold.training.resolve import check_options

    (tmp_path / "my.toml").write_text(text)
    assert check_options(load(tmp_path / "my.toml"), []).recipe.model.activation == "swish"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_exist(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
