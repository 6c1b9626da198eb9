"""Work on a few threads, in lines: a line is worked off in its order, and waits for no other line."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import final

Work = Callable[[], None]
"""Raises nothing: it knows best what its errors mean."""


@final
class Lines:
    """`n_threads` for any number of lines."""

    def __init__(self, n_threads: int) -> None:
        self._pool = ThreadPoolExecutor(n_threads, thread_name_prefix="line")
        self._lock = threading.Lock()
        self._n_left = 0

    @property
    def n_left(self) -> int:
        """How much stands in the lines, or is being done."""
        return self._n_left

    def line(self) -> Line:
        """A new one."""
        return Line(self)

    def close(self) -> None:
        """Do nothing more. What is being done is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def submit(self, work: Work) -> None:
        """Have `work` done by a thread that is free."""
        self._pool.submit(work)

    def count(self, change: int) -> None:
        """Something was put into a line, or is done."""
        with self._lock:
            self._n_left += change


@final
class Line:
    """Made by `Lines.line`."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._lock = threading.Lock()
        self._standing: deque[Work] = deque()
        self._moves = False

    def put(self, work: Work) -> None:
        """Let `work` be done once all that was put here before is."""
        self._lines.count(1)
        with self._lock:
            self._standing.append(work)
            if self._moves:
                return
            self._moves = True
        self._lines.submit(self._move)

    def _move(self) -> None:
        """Do the first, and leave the thread to whichever line is next."""
        try:
            self._standing.popleft()()
        finally:
            self._lines.count(-1)
            with self._lock:
                self._moves = bool(self._standing)
            if self._moves:
                self._lines.submit(self._move)
