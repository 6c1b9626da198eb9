"""A trial's log: whatever its objective prints, segment after segment, in one file."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO, cast

from tuner.records import Segment

LOG_NAME = "log.txt"


class Tee:
    """A stream that writes to a file as well; for everything else it is the stream."""

    def __init__(self, stream: TextIO, file: TextIO) -> None:
        self._stream = stream
        self._file = file

    def write(self, text: str) -> int:
        self._file.write(text)
        return self._stream.write(text)

    def flush(self) -> None:
        self._file.flush()
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def trial_log(folder: Path, segment: Segment, *, echo: bool) -> Iterator[None]:
    """Send what this process prints to the trial's log; to the terminal as well if `echo`."""
    with (folder / LOG_NAME).open("a", buffering=1, encoding="utf-8", errors="backslashreplace") as file:
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        file.write(f"--- {started} segment {segment.index}: from {segment.start} until {segment.until}\n")
        out = cast("TextIO", Tee(sys.stdout, file)) if echo else file
        err = cast("TextIO", Tee(sys.stderr, file)) if echo else file
        with redirect_stdout(out), redirect_stderr(err):
            yield
