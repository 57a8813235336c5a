"""Files of tensors: damage is found wherever it is, the newest good checkpoint is used, writing is all or nothing."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.errors import RunError
from tenfold.runs import write_atomic
from tenfold.training.checkpoint import checkpoints, load_newest, save_checkpoint
from tenfold.training.tensorfile import read_tensors, write_tensors

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(7), "empty": torch.zeros(0)}


def test_round_trip(tmp_path):
    write_tensors(tmp_path / "x.safetensors", TENSORS, {"note": "ü"})
    tensors, metadata = read_tensors(tmp_path / "x.safetensors")
    assert metadata == {"note": "ü"}
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


def test_equal_contents_are_equal_bytes(tmp_path):
    for number in range(8):
        write_tensors(tmp_path / str(number), TENSORS, {key: key for key in "abcdefgh"})
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_changed_byte_is_found(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("bytes") / "x.safetensors"
    write_tensors(path, TENSORS, {"note": "n"})
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        tensors, metadata = read_tensors(path)
    except RunError:
        return
    else:  # the header's padding and JSON spelling may change without a change of content
        assert metadata == {"note": "n"}
        assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 99))
def test_any_truncation_is_found(tmp_path_factory, share):
    path = tmp_path_factory.mktemp("cut") / "x.safetensors"
    write_tensors(path, TENSORS, {})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * share // 100])
    with pytest.raises(RunError, match="damaged"):
        read_tensors(path)


def test_newest_two_are_kept_and_a_damaged_newest_falls_back(tmp_path):
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, step, {"a": torch.tensor(step)}, {"step": step})
    assert [p.name for p in checkpoints(tmp_path)] == ["step-00000002.safetensors", "step-00000003.safetensors"]
    newest = checkpoints(tmp_path)[-1]
    newest.write_bytes(newest.read_bytes()[:-1] + b"\x55")
    tensors, progress, problems = load_newest(tmp_path)
    assert (int(tensors["a"]), progress) == (2, {"step": 2})
    assert len(problems) == 1
    assert "checksum differs" in problems[0]
    assert "Falling back to step-00000002" in problems[0]


def test_no_checkpoint_and_only_damaged_ones(tmp_path):
    assert load_newest(tmp_path) is None
    (tmp_path / "step-00000001.safetensors").write_bytes(b"")
    with pytest.raises(RunError, match="No checkpoint of this run can be used"):
        load_newest(tmp_path)


def test_a_write_that_does_not_fit_leaves_the_old_file(tmp_path):
    """A real process under a real file-size limit."""
    write_atomic(tmp_path / "x", b"old")
    program = """
import resource, signal, sys
from pathlib import Path
from tenfold.errors import RunError
from tenfold.runs import write_atomic
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_atomic(Path(sys.argv[1]), b"n" * 5000)
except RunError as error:
    print(error)
    sys.exit(error.exit_code)
"""
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "x"], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "What was saved before is intact" in done.stdout
    assert (tmp_path / "x").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_an_unwritable_place_is_explained(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        write_atomic(tmp_path / "file" / "x", b"")
