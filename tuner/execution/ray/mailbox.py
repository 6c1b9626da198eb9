"""The mailbox: an actor through which workers and the driver talk, so that neither ever waits for a thread.

A worker *posts* an envelope (reports, ends, and what it needs next) and, if it needs something, waits for the answer.
The driver *collects*: it leaves the answers to the last envelopes and waits for new ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from tuner.execution._base import Message
from tuner.records import Decision, Segment

Key = tuple[int, int]
"""A trial's number and a segment's index."""

Address = tuple[str, int]
"""A worker and its life."""


class Need(Enum):
    """What a worker waits for."""

    NOTHING = auto()
    NEWS = auto()  # the decisions on its reports, while it works on; and segments, if it wants any and they are there
    DECISION = auto()  # the same, and the objective waits; if its trial stops, the next segment comes along
    SEGMENT = auto()  # as many segments as it wants, or some of them: it has none


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a worker says. `worker` is its place, the same after a restart; `life` counts its lives, from 0."""

    worker: str
    life: int
    messages: Sequence[Message] = field(default_factory=tuple)
    need: Need = Need.NOTHING
    n_wanted: int = 0
    """The segments that the worker has room for, where it needs NEWS or a SEGMENT."""
    broken: str = ""
    """Why the worker cannot work at all, if so."""
    host: str = ""
    """The machine on which a life has begun."""
    actor: Any = None
    """The worker's process, as Ray's handle of it: said once a life, with the first envelope."""
    is_lane: bool = False
    """Whether it has slots, which people know by numbers: said with the first envelope, too."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the driver says: decisions on the envelope's reports by (trial, segment), the last of each; segments to go
    on with; or that it is time to go home.
    """

    decisions: Mapping[Key, Decision] = field(default_factory=dict)
    segments: Sequence[Segment] = field(default_factory=tuple)
    close: bool = False


class Mailbox:
    """Runs as an asyncio actor: every method is a coroutine on one loop, so its state needs no locks."""

    def __init__(self) -> None:
        self._inbox: list[Envelope] = []
        self._arrived = asyncio.Event()
        self._waiting: dict[Address, asyncio.Future[Answer]] = {}
        self._lives: dict[str, int] = {}

    async def enter(self, worker: str, host: str = "", actor: Any = None, *, is_lane: bool = False) -> int:
        """A worker has started, or started again, on a machine: the number of its life."""
        life = self._lives[worker] = self._lives.get(worker, -1) + 1
        self._waiting.pop((worker, life - 1), None)
        self._put(Envelope(worker, life, host=host, actor=actor, is_lane=is_lane))
        return life

    async def post(self, envelope: Envelope) -> Answer | None:
        """Deliver; wait for the answer if one is needed."""
        if envelope.life != self._lives.get(envelope.worker):
            return Answer(close=True)  # a former life, still talking
        if envelope.need is Need.NOTHING:
            self._put(envelope)
            return None
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[envelope.worker, envelope.life] = answer
        self._put(envelope)
        return await answer

    async def collect(self, answers: Mapping[Address, Answer], seconds: float) -> list[Envelope]:
        """Deliver `answers` by (worker, life), then wait up to `seconds` for envelopes, and hand them over."""
        for address, answer in answers.items():
            waiting = self._waiting.pop(address, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(answer)
        if not self._inbox:
            try:
                await asyncio.wait_for(self._arrived.wait(), seconds)
            except TimeoutError:
                return []
        self._arrived.clear()
        envelopes, self._inbox = self._inbox, []
        return envelopes

    def _put(self, envelope: Envelope) -> None:
        self._inbox.append(envelope)
        self._arrived.set()
