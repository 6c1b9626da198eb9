"""A worker's end of the mailbox."""

from __future__ import annotations

import math
import os
import platform
import sys
import threading
import time
from typing import Any, NoReturn, final

import ray

from tuner.execution._base import Aside, Message
from tuner.execution.abandoning import PATIENCE_SECONDS
from tuner.execution.ray.mailbox import Answer, Envelope, Need
from tuner.records import Decision, Ending, Failure, FailureKind, Report, Segment, SegmentEnd, Waiting

PULSE_SECONDS = 0.2
"""How long a report that nobody waits for may stay with the worker."""


@final
class Postbox:
    """Sends reports and ends, fetches decisions and segments.

    Reports that the objective need not wait for are posted together by a thread, the pulse, which looks for the answer
    in its stead: a trial that is to stop learns it at its next report. However long the driver takes, the objective
    works on to its next decision, and its reports wait here. One exchange is under way at a time: nothing overtakes
    anything.
    """

    def __init__(self, mailbox: Any, worker: str) -> None:
        self.timeout: float | None = None
        """Seconds that an objective may be silent."""
        self._mailbox = mailbox
        self._worker = worker
        actor = ray.get_runtime_context().current_actor
        self._life: int = ray.get(mailbox.enter.remote(worker, platform.node(), actor))
        self._lock = threading.Lock()
        self._outbox: list[Message] = []
        self._asides: dict[type, Aside] = {}
        """The newest of each kind that was not posted yet."""
        self._news: tuple[Any, Need] | None = None
        """What the pulse has posted, and was not answered yet."""
        self._segment: Segment | None = None
        self._next: Segment | None = None
        self._told = Decision.CONTINUE
        self._deadline = math.inf
        threading.Thread(target=self._pulse, name="pulse", daemon=True).start()

    def pull(self, end: SegmentEnd | None) -> Segment | None:
        """Say how the last segment ended, and get the next; None when it is time to go home."""
        self._segment = None  # it is over, whatever a watchdog may say of it from now on
        with self._lock:
            self._outbox.extend([end] if end else [])
            if self._next is None:
                answer = self._exchange(Need.SEGMENT)
                self._next = None if answer.close else _first(answer)
            self._segment, self._next = self._next, None
            self._told = Decision.CONTINUE
            self._expect_report()
            return self._segment

    def send(self, message: Report | Aside, /, *, wait: bool) -> Decision:
        """Take a segment's message; the decision on it, or on those before it if it is not to be waited for."""
        with self._lock:
            if not isinstance(message, Report):
                self._asides[type(message)] = message
                if isinstance(message, Waiting):
                    self._expect_report()
                return self._told
            self._outbox.append(message)
            if wait:
                answer = self._exchange(Need.DECISION)
                self._told = self._decision(answer)
                self._next = _first(answer)
            self._expect_report()
            return self._told

    def abandon(self, end: SegmentEnd) -> NoReturn:
        """See tuner.execution.abandoning.Abandon: Tune starts the worker again."""
        if self._is_over(end):
            sys.exit()
        # Whoever holds the lock for so long is stuck with it: then the worker is lost, and the segment with it.
        if self._lock.acquire(timeout=PATIENCE_SECONDS):
            if self._is_over(end):
                self._lock.release()
                sys.exit()
            self._say_and_die(end)
        os._exit(1)

    def broken(self, reason: str) -> None:
        """Say that this worker cannot work, and why."""
        ray.get(self._mailbox.post.remote(Envelope(self._worker, self._life, broken=reason)))

    def _exchange(self, need: Need) -> Answer:
        """Post all that waits here, and wait for the answer."""
        self._deadline = math.inf  # the driver may take its time
        self._hear()
        return ray.get(self._post(need)) or Answer()

    def _post(self, need: Need) -> Any:
        # The asides in front, as the answer is about the last message.
        n_wanted = int(need in (Need.DECISION, Need.SEGMENT))
        envelope = Envelope(self._worker, self._life, [*self._asides.values(), *self._outbox], need, n_wanted)
        self._outbox, self._asides = [], {}
        return self._mailbox.post.remote(envelope)

    def _hear(self) -> None:
        """Wait for the answer to what the pulse has posted, if it has."""
        if self._news is not None:
            (reference, need), self._news = self._news, None
            answer = ray.get(reference) or Answer()
            if need is Need.NEWS:
                self._told = self._decision(answer)

    def _decision(self, answer: Answer) -> Decision:
        if answer.close or self._segment is None:
            return Decision.STOP
        return answer.decisions.get(self._segment.key, Decision.CONTINUE)

    def _expect_report(self) -> None:
        if self.timeout is not None and self._segment is not None:
            self._deadline = time.monotonic() + self.timeout

    def _pulse(self) -> None:
        """Post what waits; end this process if the objective has been silent for too long."""
        while True:
            time.sleep(PULSE_SECONDS)
            with self._lock:
                segment = self._segment
                if time.monotonic() > self._deadline and segment is not None:
                    self._say_and_die(_silent(segment, self.timeout))
                if self._news is not None and ray.wait([self._news[0]], timeout=0)[0]:
                    self._hear()
                if self._news is None and (self._outbox or self._asides):
                    # A segment's end is the last that is said of it: of its reports alone is there anything to hear.
                    need = Need.NEWS if self._outbox and isinstance(self._outbox[-1], Report) else Need.NOTHING
                    self._news = self._post(need), need

    def _say_and_die(self, end: SegmentEnd) -> NoReturn:
        """Post how the segment ended, and end this process: a stuck objective cannot be ended otherwise."""
        self._outbox.append(end)
        try:
            ray.get(self._post(Need.NOTHING))
        finally:
            os._exit(1)

    def _is_over(self, end: SegmentEnd) -> bool:
        return self._segment is None or self._segment.key != (end.trial, end.segment)


def _first(answer: Answer) -> Segment | None:
    return next(iter(answer.segments), None)


def _silent(segment: Segment, timeout: float | None) -> SegmentEnd:
    message = f"no report for {timeout:g} s (timeouts.report)"
    return SegmentEnd(segment.trial, segment.index, Ending.FAILED, Failure(FailureKind.TIMEOUT, message))
