"""How many cores a process may use: those it may run on, and a container's quota."""

from pathlib import Path

import pytest

from tenfold import cores


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "350000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({}, None),
    ],
)
def test_quota_of_a_container(files, expected, tmp_path, monkeypatch):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cores.quota(tmp_path) == expected
    monkeypatch.setattr(cores, "CGROUP", tmp_path)
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda pid: {9, 4, 7, 5, 6}, raising=False)
    assert cores.core_numbers() == [4, 5, 6, 7, 9][: expected or 5]
    assert cores.usable_cores() == (expected or 5)


def test_where_nothing_is_said_all_cores_count():
    assert cores.quota(Path("/nowhere")) is None
