"""A trial's log: whatever its objective prints, segment after segment, in one file."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO, cast

from tuner.execution.room import unless_full
from tuner.records import Segment

LOG_NAME = "log.txt"


class Tee:
    """A stream that writes to a file, and to another stream if there is one; for everything else it is that, or else
    the file. What a full disk does not take waits in memory, and no objective fails by it.
    """

    def __init__(self, file: TextIO, stream: TextIO | None) -> None:
        self._file = file
        self._stream = stream

    def write(self, text: str) -> int:
        with unless_full():
            self._file.write(text)
        return len(text) if self._stream is None else self._stream.write(text)

    def flush(self) -> None:
        with unless_full():
            self._file.flush()
        if self._stream is not None:
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file if self._stream is None else self._stream, name)


@contextmanager
def opened_log(folder: Path) -> Iterator[TextIO]:
    """The trial's log, to write on."""
    file = (folder / LOG_NAME).open("a", buffering=1, encoding="utf-8", errors="backslashreplace")
    try:
        yield cast("TextIO", Tee(file, None))
    finally:
        with unless_full():
            file.close()


def heading(segment: Segment) -> str:
    """The line with which a segment begins in its trial's log."""
    started = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"--- {started} segment {segment.index}: from {segment.start} until {segment.until}\n"


@contextmanager
def trial_log(folder: Path, segment: Segment, *, echo: bool) -> Iterator[TextIO]:
    """Send what this process prints to the trial's log; to the terminal as well if `echo`. Gives the log alone."""
    with opened_log(folder) as log:
        log.write(heading(segment))
        out = cast("TextIO", Tee(log, sys.stdout)) if echo else log
        err = cast("TextIO", Tee(log, sys.stderr)) if echo else log
        with redirect_stdout(out), redirect_stderr(err):
            yield log
