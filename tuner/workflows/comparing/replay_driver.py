"""The driver of a study that is replayed: its journal stays in memory, stamped with the virtual clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

from tuner.control import Nothing, StudyController
from tuner.execution import Message
from tuner.records import Decision, Report, Segment, SegmentEnd, TrialSummary
from tuner.store import JournalEntry


@final
class ReplayDriver:
    """See tuner.execution.Driver. `clock` gives seconds; nothing has to be safe before it is answered."""

    def __init__(self, controller: StudyController, clock: Callable[[], float]) -> None:
        self._controller = controller
        self._clock = clock
        self._started: float | None = None
        self.journal: list[JournalEntry] = []
        """Times in seconds of the clock."""
        self.trials: dict[int, TrialSummary] = {}

    def pull(self, workers: Sequence[str]) -> list[Segment] | Nothing:
        """See Driver."""
        segments = self._controller.next_segments(workers)
        if self._started is None:
            self._started = self._clock()
        self._note()
        return segments

    def push(self, messages: Sequence[Message]) -> list[Decision]:
        """See Driver."""
        decisions = [self._take(message) for message in messages]
        self._note()
        return decisions

    def tick(self) -> None:
        """See Driver."""
        if self._started is not None:
            self._controller.on_tick(self._clock() - self._started)
            self._note()

    def overdue(self) -> tuple[()]:
        """See Driver: nobody gives a replay commands."""
        return ()

    def commit(self) -> None:
        """See Driver: there is nothing to wait for."""

    def _take(self, message: Message) -> Decision:
        if isinstance(message, Report):
            return self._controller.on_reports([message])[0]
        if isinstance(message, SegmentEnd):
            self._controller.on_segment_end(message)
        return Decision.CONTINUE

    def _note(self) -> None:
        changes = self._controller.take_changes()
        now = self._clock()
        for event in changes.events:
            self.journal.append(JournalEntry(len(self.journal) + 1, now, event))
        for trial in changes.trials:
            self.trials[trial.number] = trial
