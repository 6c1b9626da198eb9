"""Ctrl-C in a command that runs a study: once to end it well, twice to leave at once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from tuner.interrupts import interruption

INTERRUPTED: Final = 130
_SHOW_CURSOR: Final = "\x1b[?25h"


@contextmanager
def interruptible() -> Iterator[None]:
    """The first SIGINT or SIGTERM (a scheduler's or a container's good-bye) raises KeyboardInterrupt, so that what runs
    is ended and saved; one more ends this process on the spot. What was committed is safe in both cases.
    """

    def interrupt(_number: int, _frame: Any) -> None:
        if interruption.asked:
            _leave()
        interruption.asked = True
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        interruption.asked = False
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave() -> None:
    with suppress(OSError, ValueError):
        if sys.stdout.isatty():
            os.write(sys.stdout.fileno(), _SHOW_CURSOR.encode())
        os.write(sys.stderr.fileno(), b"\nleft at once; what was committed is saved. Go on with tune resume.\n")
    os._exit(INTERRUPTED)
