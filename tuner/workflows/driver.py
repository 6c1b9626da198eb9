"""The driver of a running study: what workers say goes to the controller, its events to the store, the answers back."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import final

from tuner.control import Nothing, StudyController
from tuner.errors import RunFailed, TunerError
from tuner.execution import Message
from tuner.records import Decision, Pace, Report, Segment
from tuner.store import HEARTBEAT_SECONDS, StudyStore, Writer
from tuner.workflows.gauge import Gauge

COMMANDS_SECONDS = 1.0
WATCH_SECONDS = 0.5

Watch = Callable[[StudyController], None]
"""Told of every commit, and now and then between two: to show progress, say. It sees nothing that is not committed."""


def unwatched(controller: StudyController) -> None:
    """A Watch that looks away."""


@final
class StudyDriver:
    """See tuner.execution.Driver. Nothing leaves before its cause is committed; `watch` is told after each commit, and
    `gauge` of all that workers do.
    """

    def __init__(
        self,
        controller: StudyController,
        store: StudyStore,
        writer: Writer,
        folder: Path,
        *,
        commands_seen: int = 0,
        watch: Watch,
        gauge: Gauge | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._controller = controller
        self._store = store
        self._writer = writer
        self._folder = folder
        self._commands_seen = commands_seen
        self._watch = watch
        self._gauge = gauge or Gauge(clock)
        self._clock = clock
        self._started: float | None = None  # when the study began to run: workers' start-up is on nobody's budget
        self._broken = False
        self._open = False  # whether anything was said since the last commit
        self._watched = -math.inf
        self._looked = self._beaten = clock()

    @property
    def ended(self) -> bool:
        """Whether the study has ended."""
        return self._controller.ended is not None

    def pull(self, workers: Sequence[str]) -> list[Segment] | Nothing:
        """See Driver."""
        segments = self._controller.next_segments(workers)
        if self._started is None and not isinstance(segments, Nothing):
            self._started = self._clock() - self._controller.elapsed
        if not isinstance(segments, Nothing):
            self._open = True
            self._gauge.issued(segments, workers)
        return segments

    def push(self, messages: Sequence[Message]) -> list[Decision]:
        """See Driver."""
        return [self._take(message) for message in messages]

    def tick(self) -> None:
        """See Driver."""
        now = self._clock()
        if not self._open and now - self._watched >= WATCH_SECONDS:
            self._show()
        if self._started is not None:
            self._controller.on_tick(now - self._started)
        if now - self._looked >= COMMANDS_SECONDS:
            self._looked = now
            self.follow_commands()
        if now - self._beaten >= HEARTBEAT_SECONDS:
            self._beaten = now
            self._writer.heartbeat()

    def commit(self) -> None:
        """See Driver: write down what is new, then do what it allows."""
        if self._broken:
            raise RunFailed("the study cannot be written on: a commit was cut short", hint="Go on with `tune resume`.")
        self._broken = True  # until it is done: what is lost here, the journal must not go on without
        changes = self._controller.take_changes()
        if changes.events:
            self._writer.append(changes.events, changes.trials)
        self._broken = self._open = False
        if changes.events:
            self._show()
        for checkpoint in changes.stale:
            (self._folder / checkpoint.path).unlink(missing_ok=True)

    def _show(self) -> None:
        self._watched = self._clock()
        self._watch(self._controller)

    def _take(self, message: Message) -> Decision:
        if isinstance(message, Pace):
            self._gauge.paced(message)
            self._watched = -math.inf  # worth a look
            return Decision.CONTINUE
        self._open = True
        if isinstance(message, Report):
            decision = self._controller.on_reports([message])[0]
            self._gauge.reported(message)
            if decision is not Decision.CONTINUE:
                self._gauge.ended(message.trial, message.segment)
            return decision
        self._controller.on_segment_end(message)
        self._gauge.ended(message.trial, message.segment)
        return Decision.STOP

    def follow_commands(self) -> None:
        """Do what people asked since the last look."""
        for posted in self._store.commands(self._controller.spec.study, after=self._commands_seen):
            self._commands_seen = posted.number
            try:
                self._controller.on_command(posted.command, posted.number)
            except TunerError:
                continue  # it was checked when it was posted; what has become impossible since is not done
