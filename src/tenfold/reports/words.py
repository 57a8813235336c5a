"""Numbers as people read them, and the interval that belongs to a share."""

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from tenfold.runs import Run

Z95 = NormalDist().inv_cdf(0.975)


def wilson(correct: int, total: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's interval for a share (Wilson 1927): 95 % unless another z is given."""
    share, square = correct / total, z * z
    middle, half = share + square / (2 * total), z * ((share * (1 - share) + square / (4 * total)) / total) ** 0.5
    return max(0.0, (middle - half) / (1 + square / total)), min(1.0, (middle + half) / (1 + square / total))


def percent(share: float | None, digits: int = 2) -> str:
    """0.8712 → '87.12 %', with a space that does not break; a dash where there is nothing."""
    return "–" if share is None else f"{100 * share:.{digits}f}\u00a0%"


def interval(correct: int, total: int) -> str:
    """'86.21 to 88.04 %', which does not break over two lines."""
    low, high = wilson(correct, total)
    return f"{100 * low:.2f}\u00a0to\u00a0{100 * high:.2f}\u00a0%"


def mean_and_half(values: Sequence[float]) -> str:
    """Mean ± half of its 95 % interval (Student's t) of shares in 0..1, in percent; the mean alone of one."""
    from tenfold.evidence.statistics import interval  # scipy comes with it

    if not values:
        return "–"
    ends = interval(np.array(values))
    half = f" ± {50 * (ends[1] - ends[0]):.2f}" if ends else ""
    return f"{100 * sum(values) / len(values):.2f}{half} %"


def count(number: float) -> str:
    """12345 → '12,345'."""
    return f"{number:,.0f}"


def duration(seconds: float) -> str:
    """754 → '12 min 34 s'."""
    if seconds < 10:
        return f"{seconds:.1f}\u00a0s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (rest, "s")]
    kept = [f"{value}\u00a0{unit}" for value, unit in parts if value][:2]
    return " ".join(kept)


def times(number: int) -> str:
    """1 → 'once'."""
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def size(number: object) -> str:
    """Bytes in GiB."""
    return f"{number / 2**30:.1f}\u00a0GiB" if isinstance(number, int | float) else "–"


def plain(value: object) -> str:
    """An option's value as it is typed."""
    if value is None:
        return "–"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def titles(runs: Sequence[Run]) -> list[str]:
    """Names that tell runs apart: the folder's, or the whole path where two folders are called the same."""
    found = [run.name for run in runs]
    return [name if found.count(name) == 1 else str(run.path) for name, run in zip(found, runs, strict=True)]


def milliseconds(seconds: float) -> str:
    """0.0123 → '12.3 ms', without decimals from 100 on."""
    each = 1e3 * seconds
    return f"{each:,.{(each < 10) + (each < 100)}f}\u00a0ms"
