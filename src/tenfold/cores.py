"""The processor's cores that this process may use."""

import os


def core_numbers() -> list[int]:
    """Their numbers, in order."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def usable_cores() -> int:
    """How many they are."""
    return len(core_numbers())
