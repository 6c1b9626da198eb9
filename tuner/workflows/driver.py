"""The driver of a running study: what workers say goes to the controller, its events to the store, the answers back."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import final

from tuner.control import Changes, Nothing, StudyController
from tuner.errors import RunFailed, StoreAway, TunerError
from tuner.execution import Message
from tuner.interrupts import interruption, shielded
from tuner.records import Decision, Pace, Report, Segment, Waiting
from tuner.storage import Storage
from tuner.store import HEARTBEAT_SECONDS, StudyStore, Writer
from tuner.waiting import Wait
from tuner.workflows.gauge import Gauge
from tuner.workflows.recalls import Recalls
from tuner.workflows.sweeping import left_over

_log = logging.getLogger("tuner")

COMMANDS_SECONDS = 1.0
HOLD_SECONDS = 0.2
WATCH_SECONDS = 0.5

Watch = Callable[[StudyController], None]
"""Told of every commit, and now and then between two: to show progress, say. It sees nothing that is not committed."""


def unwatched(controller: StudyController) -> None:
    """A Watch that looks away."""


@final
class StudyDriver:
    """See tuner.execution.Driver. Nothing leaves before its cause is committed; `watch` is told after each commit, and
    `gauge` of all that workers do. `remove` lets files of the study go.
    """

    def __init__(
        self,
        controller: StudyController,
        store: StudyStore,
        writer: Writer,
        remove: Callable[[list[str]], None],
        *,
        commands_seen: int = 0,
        watch: Watch,
        gauge: Gauge | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._controller = controller
        self._store = store
        self._writer = writer
        self._remove = remove
        self._commands_seen = commands_seen
        self._watch = watch
        self._gauge = gauge or Gauge(clock)
        self._clock = clock
        self._recalls = Recalls(controller.spec.timeouts.grace)
        self._waiting: set[tuple[int, int]] = set()
        """The segments that wait for something, of which was told."""
        self._started: float | None = None  # when the study began to run: workers' start-up is on nobody's budget
        self._broken = False
        self._changes: Changes | None = None
        """What is to be committed, while the store is away."""
        self._open = False  # whether anything was said since the last commit
        self._watched = -math.inf
        self._looked = self._beaten = clock()

    @property
    def ended(self) -> bool:
        """Whether the study has ended."""
        return self._controller.ended is not None

    @shielded()
    def pull(self, workers: Sequence[str]) -> list[Segment] | Nothing:
        """See Driver. While the study is on hold the workers are sent home, so that their GPUs are free."""
        segments = self._controller.next_segments(workers)
        if segments is Nothing.ON_HOLD:
            return Nothing.DONE
        if self._started is None and not isinstance(segments, Nothing):
            self._started = self._clock() - self._controller.elapsed
        if not isinstance(segments, Nothing):
            self._open = True
            self._gauge.issued(segments, workers)
        return segments

    @shielded()
    def push(self, messages: Sequence[Message]) -> list[Decision]:
        """See Driver."""
        return [self._take(message) for message in messages]

    @shielded()
    def tick(self) -> None:
        """See Driver."""
        interruption.check()
        now = self._clock()
        if not self._open and now - self._watched >= WATCH_SECONDS:
            self._show()
        if self._started is not None:
            self._controller.on_tick(now - self._started)
        if now - self._looked >= COMMANDS_SECONDS:
            self._looked = now
            with suppress(StoreAway):  # what was asked is heard when it is back
                self.follow_commands()
        if now - self._beaten >= HEARTBEAT_SECONDS:
            self._beaten = now
            with suppress(StoreAway):
                self._writer.heartbeat()

    def overdue(self) -> list[tuple[int, int]]:
        """See Driver."""
        return self._recalls.overdue(self._clock())

    def sit_out(self) -> None:
        """Return once the study is not on hold any more. No time passes for it meanwhile."""
        self._started = None
        while self._controller.on_hold:
            time.sleep(HOLD_SECONDS)
            self.tick()
            if self._controller.stopped:
                self._controller.next_segments(())  # nobody runs anything: that is its end
            self.commit()

    def commit(self) -> None:
        """See Driver: write down what is new, then do what it allows. A store that is away is waited for: workers go on
        to their next decision, and what they report meanwhile waits with them.
        """
        wait = Wait("the store")
        while True:
            try:
                self._write()
                break
            except StoreAway as away:
                wait.for_it(away.message)
        wait.over()

    def save(self) -> None:
        """Write down what is new, if the store takes it now: on the way out."""
        with suppress(TunerError):
            self._write()

    @shielded()
    def _write(self) -> None:
        if self._broken:
            raise RunFailed("the study cannot be written on: a commit was cut short", hint="Go on with `tune resume`.")
        self._changes = self._changes or self._controller.take_changes()
        self._broken = True  # until it is done: what is lost here, the journal must not go on without
        try:
            if self._changes.events:
                self._writer.append(self._changes.events, self._changes.trials)
        except StoreAway:
            self._broken = False  # they are here still
            raise
        self._broken = self._open = False
        changes, self._changes = self._changes, None
        if changes.events:
            self._show()
        self._remove([checkpoint.path for checkpoint in changes.stale])

    def sweep(self, storage: Storage) -> None:
        """Remove the checkpoints that no trial refers to. For when no worker is at work: it may be writing one."""
        kept = {checkpoint.path for trial in self._controller.trials for checkpoint in trial.checkpoints}
        with suppress(OSError):  # what cannot be removed takes up room, no more
            self._remove(left_over(storage.names(), kept))

    def _show(self) -> None:
        self._watched = self._clock()
        self._watch(self._controller)

    def _take(self, message: Message) -> Decision:
        if isinstance(message, Pace):
            self._gauge.paced(message)
            self._watched = -math.inf  # worth a look
            return Decision.CONTINUE
        if isinstance(message, Waiting):
            if (key := (message.trial, message.segment)) not in self._waiting:
                self._waiting.add(key)
                _log.warning("trial %d waits: %s", message.trial, message.why)
            return Decision.CONTINUE
        self._open = True
        if isinstance(message, Report):
            self._waiting.discard((message.trial, message.segment))
            decision = self._controller.on_reports([message])[0]
            self._gauge.reported(message)
            self._recalls.heard(message.trial, message.segment, self._clock())
            if decision is not Decision.CONTINUE:
                self._gauge.ended(message.trial, message.segment)
            return decision
        self._controller.on_segment_end(message)
        self._recalls.ended(message.trial, message.segment)
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
        self._recalls.follow(self._controller, self._clock())
