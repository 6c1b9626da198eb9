"""A lane's end of the mailbox: it never waits for the driver while there is something to train."""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, final

import ray

from tuner.execution._base import Message
from tuner.execution.ray.mailbox import Answer, Envelope, Key, Need
from tuner.execution.ray.postbox import PULSE_SECONDS
from tuner.records import Report, SegmentEnd


class Heard(NamedTuple):
    """The driver's answer, and how far each segment's reports went that it is about."""

    answer: Answer
    resources: dict[Key, int]


@final
class LanePost:
    """One exchange is under way at a time: what is said meanwhile waits here, and goes along with the next."""

    def __init__(self, mailbox: Any, worker: str) -> None:
        self.news = threading.Event()
        """Set when there is something to hear or to send."""
        self._mailbox = mailbox
        self._worker = worker
        actor = ray.get_runtime_context().current_actor
        self._life: int = ray.get(mailbox.enter.remote(worker, platform.node(), actor, is_lane=True))
        self._lock = threading.Lock()
        self._outbox: list[Message] = []
        self._under_way: tuple[Future[Answer | None], dict[Key, int]] | None = None
        self._posted = 0.0

    @property
    def is_free(self) -> bool:
        """Whether an exchange may begin."""
        return self._under_way is None

    def say(self, message: Message) -> None:
        """To be sent with the next envelope. From any thread."""
        with self._lock:
            self._outbox.append(message)
        self.news.set()

    def hear(self) -> Heard | None:
        """The answer, if it has come. Raises what the mailbox's end raises."""
        if self._under_way is None or not self._under_way[0].done():
            return None
        (future, resources), self._under_way = self._under_way, None
        return Heard(future.result() or Answer(), resources)

    def post(self, n_wanted: int, *, has_nothing: bool) -> None:
        """Begin an exchange if there is reason for one: messages, or segments that are wanted. `has_nothing` says that
        this worker has no segment: then the answer may take its time, until there is one.
        """
        now = time.monotonic()
        with self._lock:
            messages, self._outbox = self._outbox, []
        if not messages and not has_nothing and (not n_wanted or now - self._posted < PULSE_SECONDS):
            return
        need = Need.SEGMENT if has_nothing and not messages else Need.NEWS
        reference = self._mailbox.post.remote(Envelope(self._worker, self._life, messages, need, n_wanted))
        future: Future[Answer | None] = reference.future()
        self._under_way, self._posted = (future, _resources(messages)), now
        future.add_done_callback(lambda _: self.news.set())

    def last_words(self, ends: Sequence[SegmentEnd]) -> None:
        """Send all that waits here, and how everything ended. From any thread; this process says nothing any more."""
        with self._lock:
            messages, self._outbox = [*self._outbox, *ends], []
        ray.get(self._mailbox.post.remote(Envelope(self._worker, self._life, messages)))

    def broken(self, reason: str) -> None:
        """Say that this worker cannot work, and why."""
        ray.get(self._mailbox.post.remote(Envelope(self._worker, self._life, broken=reason)))


def _resources(messages: Sequence[Message]) -> dict[Key, int]:
    return {(m.trial, m.segment): m.resource for m in messages if isinstance(m, Report)}
