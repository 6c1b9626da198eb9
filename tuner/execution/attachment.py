"""What `trial.attach` collects, until the next report takes it along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

from tuner.errors import UserMistake
from tuner.execution.numbers import as_column
from tuner.records import Details

MAX_VALUES = 100_000
"""Curves of more numbers than this in one report are refused: they belong into a file in `trial.folder`."""
MAX_EVENTS = 200
"""Events of one report beyond these are only counted: what happens all the time must not fill the store."""
MAX_CHARACTERS = 2_000


@final
class Attachment:
    """The details of a report to come."""

    def __init__(self) -> None:
        self._curves: dict[str, tuple[float, ...]] = {}
        self._events: list[str] = []
        self._left_out = 0

    def add(self, curves: Mapping[str, Sequence[float]] | None, events: Sequence[str]) -> None:
        """Lengthen the curves, which must then be equally long, and add the events. Raises UserMistake, and keeps
        nothing of what was given.
        """
        merged = dict(self._curves)
        for name, values in (curves or {}).items():
            merged[name] = merged.get(name, ()) + as_column(name, values)
        _check_curves(merged)
        if isinstance(events, str) or not all(isinstance(event, str) for event in events):
            raise UserMistake(f"trial.attach: events must be a list of sentences, got {events!r}")
        self._curves = merged
        taken = events[: MAX_EVENTS - len(self._events)]
        self._events.extend(_told(event) for event in taken)
        self._left_out += len(events) - len(taken)

    def take(self) -> Details | None:
        """What was collected, None if nothing; it begins anew."""
        more = [f"... and {self._left_out} more events"] if self._left_out else []
        curves, events = self._curves, (*self._events, *more)
        self._curves, self._events, self._left_out = {}, [], 0
        return Details(curves, events) if curves or events else None


def _check_curves(curves: Mapping[str, tuple[float, ...]]) -> None:
    lengths = {name: len(values) for name, values in curves.items()}
    if len(set(lengths.values())) > 1:
        raise UserMistake(f"trial.attach: the curves of one report must be equally long, got {lengths}")
    if sum(lengths.values()) > MAX_VALUES:
        raise UserMistake(
            f"trial.attach: {sum(lengths.values())} numbers in the curves of one report, {MAX_VALUES} at most",
            hint="Thin them out, or keep them as a file in trial.folder.",
        )


def _told(event: str) -> str:
    """The event as any file, terminal and database takes it."""
    text = event.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0")
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}..."
