"""Ctrl-C and SIGTERM: noticed between two steps, so that the state can be saved first."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequested(Exception):
    """Raised between two steps after a signal."""


class Stop:
    """Remembers the signal that asked the run to stop; a second one ends the process the ordinary way."""

    def __init__(self) -> None:
        self.signal_number = 0

    def check(self) -> None:
        """Raise StopRequested if a signal came."""
        if self.signal_number:
            raise StopRequested

    def request(self, number: int, _frame: FrameType | None) -> None:
        """The signal handler."""
        self.signal_number = number
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@contextmanager
def stopping() -> Iterator[Stop]:
    """Inside this block the signals only set the Stop; outside the main thread nothing can be caught."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.request) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: it was not set from Python
