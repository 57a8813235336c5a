"""The processor's cores that this process may use."""

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
"""Where Linux tells a container what it may use."""


def core_numbers() -> list[int]:
    """Their numbers, in order: those it may run on, and of them no more than a container's quota of time is worth."""
    own = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    return own[: quota(CGROUP) or len(own)]


def usable_cores() -> int:
    """How many they are."""
    return len(core_numbers())


def quota(group: Path) -> int | None:
    """Whole cores, one at least, that a control group (version 2 or 1) grants at a time; None for no limit."""
    try:
        if (group / "cpu.max").exists():
            limit, period = (group / "cpu.max").read_text(encoding="ascii").split()
        else:
            limit, period = ((group / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return max(int(limit) // int(period), 1) if int(limit) > 0 else None
    except (OSError, ValueError):  # no Linux, no such file, "max"
        return None
