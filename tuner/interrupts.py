"""Stretches that Ctrl-C does not cut: what a signal would do is done when the stretch is over.

A KeyboardInterrupt may rise between any two instructions. In the middle of a transaction it leaves a connection that
can only be thrown away, in the middle of an event a ledger that is half changed.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Final, final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@final
class _Shield:
    """How deep the main thread is in shielded stretches, and what has come meanwhile."""

    def __init__(self) -> None:
        self.depth = 0
        self._handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}
        self._held: list[tuple[int, FrameType | None]] = []

    def raise_it(self) -> None:
        """Hold back the signals that somebody handles; those that are ignored, or end the process, stay as they are."""
        try:
            for number in SIGNALS:
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    signal.signal(number, self._hold)
        except BaseException:  # one that came before it was held back
            self.lower()
            raise

    def lower(self) -> None:
        """Put the handlers back, and give them what has come."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        handlers, self._handlers = self._handlers, {}
        held, self._held = self._held, []
        _hand_over(held, handlers)

    def _hold(self, number: int, frame: FrameType | None) -> None:
        self._held.append((number, frame))
        if len(self._held) > 1:  # somebody means it: the stretch may be stuck
            held, self._held = self._held, []
            _hand_over(held, self._handlers)


_shield = _Shield()


@contextmanager
def shielded() -> Iterator[None]:
    """Hold back SIGINT and SIGTERM until the block is over, unless a second one comes.

    For quick blocks. Other threads than the main one get no signals: nothing is done there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if _shield.depth == 0:
        _shield.raise_it()
    _shield.depth += 1
    try:
        yield
    finally:
        _shield.depth -= 1
        if _shield.depth == 0:
            _shield.lower()


class Interruption:
    """What a signal has asked for, remembered: C code through which a KeyboardInterrupt rises may lose it."""

    def __init__(self) -> None:
        self.asked = False

    def check(self) -> None:
        """Raise KeyboardInterrupt if the end was asked for. To be called now and then by what is to end."""
        if self.asked:
            raise KeyboardInterrupt


interruption = Interruption()
"""That of this process."""


def _hand_over(
    held: list[tuple[int, FrameType | None]], handlers: dict[int, Callable[[int, FrameType | None], Any]]
) -> None:
    for number, frame in held[:-1]:
        with suppress(KeyboardInterrupt):  # the last one raises it
            handlers[number](number, frame)
    for number, frame in held[-1:]:
        handlers[number](number, frame)
