"""The watchdog: a step that takes too long ends its trial, by an exception where it can, else by giving it up."""

from __future__ import annotations

import ctypes
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Self, final

from tuner.errors import TrialFailed

LOOK_SECONDS = 1.0
"""How often a step is looked at; four times within shorter limits."""


@final
class Watchdog:
    """Within the context, a step that takes more than `seconds` (None: there is no limit, and no thread) ends.

    Its thread's stack is then written to sys.stderr, and TrialFailed ("timeout") is raised in it as soon as it executes
    Python again. When that does not help within `grace` seconds, as in a call that never returns, or because some
    code caught it, `abandon` is called with the reason, from the watchdog's thread.

    A step ends up to two looks later than its limit, never sooner. Time in which the whole process stood still does
    not count. What holds the interpreter's lock cannot be watched.
    """

    def __init__(self, seconds: float | None, abandon: Callable[[str], object], grace: float = 10.0) -> None:
        self._seconds = seconds
        self._abandon = abandon
        self._grace = grace
        self._step = ("the first step",)  # a new object for each step: that is how the thread tells them apart
        self._watched = 0
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._left = False
        self._sent = False
        self._arrived: TrialFailed | None = None

    def step(self, what: str) -> None:
        """A step begins; `what` is how the message calls it. Costs one assignment."""
        self._step = (what,)

    def __enter__(self) -> Self:
        self._watched = threading.get_ident()
        if self._seconds is not None:
            with self._lock:  # nothing is sent before the context is entered
                threading.Thread(target=self._watch, args=(self._seconds,), name="watchdog", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            self._leave()
        except TrialFailed:  # it arrived just now, and there is never a second one
            self._leave()
            if error is None:
                raise

    def _leave(self) -> None:
        with self._lock:
            self._left = True  # from here on nothing is sent,
        self._end.set()
        if self._sent:  # and what was sent arrives here: taking it back makes CPython 3.11 hang under a profiler
            for _ in range(100):
                pass

    def _watch(self, limit: float) -> None:
        while (step := self._overdue(limit)) is not None:
            message, stack = f"{step[0]} took more than {limit:g} s", _stack(self._watched)
            if self._send(step, message, stack):
                _write(f"{message}; it was here:\n{stack}")
                if self._is_stuck():
                    self._abandon(f"{message}, and did not end within {self._grace:g} s of being told to")
                return

    def _overdue(self, limit: float) -> tuple[str] | None:
        """The step that has taken more than its limit, once there is one; None when the context is left."""
        step, waited = self._step, 0.0
        for seconds in self._looks(limit):
            step, waited = (step, waited + seconds) if self._step is step else (self._step, 0.0)
            if waited > limit:
                return step
        return None

    def _send(self, step: tuple[str], message: str, stack: str) -> bool:
        """Raise in the watched thread, unless it has just come to the end of the step."""
        with self._lock:
            self._sent = not self._left and self._step is step
            if self._sent:
                _raise_in(self._watched, self._exception(message, stack))
            return self._sent

    def _exception(self, message: str, stack: str) -> type[TrialFailed]:
        """What is raised: Python lets a class be raised in another thread, but no instance."""
        watchdog = self

        class StepTimedOut(TrialFailed):
            def __init__(self) -> None:
                hint = "Its stack is in the trial's log. Raise step_timeout, or set it to null to wait for ever."
                super().__init__(message, kind="timeout", details=stack, hint=hint)
                watchdog._arrived = self

        return StepTimedOut

    def _is_stuck(self) -> bool:
        waited = 0.0
        for seconds in self._looks(self._grace):
            if self._arrived_at_the_border(self._arrived):
                return False
            waited += seconds
            if waited > self._grace:
                return True
        return False

    def _arrived_at_the_border(self, error: TrialFailed | None) -> bool:
        """Whether the exception was raised in the first instruction of __exit__, or the last of __enter__, where it
        cannot be caught: the context is left then, although nobody has said so.
        """
        border = (Watchdog.__enter__.__code__, Watchdog.__exit__.__code__)
        return error is not None and any(
            frame.f_code in border and frame.f_locals["self"] is self
            for frame, _ in traceback.walk_tb(error.__traceback__)
        )

    def _looks(self, limit: float) -> Iterator[float]:
        """The seconds since the look before, one by one, until the context is left."""
        pause = max(min(LOOK_SECONDS, limit / 4), 0.001)
        last = time.monotonic()
        while not self._end.wait(pause):
            now = time.monotonic()
            yield min(now - last, 2 * pause)  # more, and the whole process stood still
            last = now


def _raise_in(thread: int, kind: type[BaseException]) -> None:
    """Raise `kind` in `thread` as soon as it executes Python."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind))


def _stack(thread: int) -> str:
    frame = sys._current_frames().get(thread)
    return "".join(traceback.format_stack(frame)) if frame is not None else "(the thread is gone)\n"


def _write(text: str) -> None:
    with suppress(OSError, ValueError):  # a log that cannot be written must not save a stuck trial
        print(text, file=sys.stderr, flush=True)
