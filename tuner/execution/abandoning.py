"""How a process ends whose objective is stuck: nothing else ends a thread that never comes back to Python."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from tuner.records import SegmentEnd

Abandon = Callable[[SegmentEnd], NoReturn]
"""Ends a segment whose objective is stuck, from any thread, by ending the objective's process. If the segment is over
already, it ends the calling thread alone, with SystemExit.
"""

PATIENCE_SECONDS = 10.0
"""How long a lock is waited for that a stuck thread may hold for ever."""

_SHOW_CURSOR = "\x1b[?25h"


def leave(study: str, end: SegmentEnd) -> NoReturn:
    """End this process, in which the study itself runs, and tell the person what is stuck and how to go on."""
    why = end.failure.message if end.failure else "no reason was given"
    stream = sys.__stderr__  # not sys.stderr, which may be a trial's log, or a display that another thread holds
    with suppress(OSError, ValueError):
        if stream is not None:
            stream.write(f"{_SHOW_CURSOR if stream.isatty() else ''}\nerror: trial {end.trial} is stuck: {why}\n")
            stream.write(f"  Nothing that was reported is lost. Go on with: tune resume {study}\n")
            stream.flush()
    os._exit(1)
