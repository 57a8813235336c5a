"""Work on chunks of files in threads.

Pillow frees the interpreter lock while it decodes and resizes, so large images use every core; for thumbnails processes
cost about as much to start as they save, and would run a user's unguarded script a second time.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from tenfold.cores import usable_cores
from tenfold.datasets.collection import Entry

Result = TypeVar("Result")


def in_chunks(entries: Sequence[Entry], length: int) -> Iterator[Sequence[Entry]]:
    """The entries, `length` at a time."""
    return (entries[start : start + length] for start in range(0, len(entries), length))


def in_parallel(work: Callable[[Sequence[Entry]], Result], chunks: Iterable[Sequence[Entry]]) -> Iterator[Result]:
    """`work` of every chunk in threads, in order, and never far ahead of who takes the results: memory stays small."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(usable_cores()) as pool:
        for chunk in chunks:
            waiting.append(pool.submit(work, chunk))
            if len(waiting) > 2 * usable_cores():
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
