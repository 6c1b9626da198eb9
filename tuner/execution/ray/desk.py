"""The desk: the driver's side of the mailbox. Reads the mail, asks the driver, answers: the executor's loop."""

from __future__ import annotations

from collections import defaultdict
from itertools import zip_longest
from typing import Any, final

import ray

from tuner.control import Nothing
from tuner.errors import RunFailed
from tuner.execution._base import Driver, Message
from tuner.execution.ray.crew import Crew
from tuner.execution.ray.mailbox import Address, Answer, Envelope, Key, Need
from tuner.records import Decision, Ending, Report, Segment, SegmentEnd

COLLECT_SECONDS = 0.5
"""How long the driver waits for mail before it looks at its clock."""


@final
class Desk:
    """Serves workers of any width: each holds as many segments as it has asked for."""

    def __init__(self, driver: Driver, mailbox: Any, crew: Crew) -> None:
        self._driver = driver
        self._mailbox = mailbox
        self._crew = crew
        self._names: dict[str, str] = {}
        """How people know a worker: by its machine, and its place among the workers."""
        self._lanes: set[str] = set()
        """The workers that have slots."""
        self._holds: defaultdict[str, dict[Key, str]] = defaultdict(dict)
        """The segments that each worker has, and the name of the place where it has each."""
        self._wants: dict[str, int] = {}  # in the order in which they asked
        """How many segments a worker waits for."""
        self._leaving: defaultdict[str, set[Key]] = defaultdict(set)
        """Segments that were told to stop: their worker may not have heard it yet, or still be tidying up."""
        self._actors: dict[str, Any] = {}
        """The workers' processes."""
        self._ended: set[Address] = set()
        """Lives that were ended from here: what they still say is dropped."""

    def serve(self) -> None:
        """Return when there is nothing left to hand out and no objective is at work."""
        answers: dict[Address, Answer] = {}
        while True:
            envelopes: list[Envelope] = ray.get(self._mailbox.collect.remote(answers, COLLECT_SECONDS))
            self._driver.tick()
            decisions = self._take(envelopes)
            self._take_losses()
            actors = self._recall()
            segments = self._hand_out()
            self._driver.commit()
            for actor in actors:
                ray.kill(actor)
            if segments is None and not any(self._leaving.values()):
                self._send_home()
                return
            given = segments or {}
            for worker, _ in decisions:
                self._wants.pop(worker, None)  # no more for it now: it will ask when it is waiting for some
            answers = {
                address: Answer(decisions.get(address, {}), given.get(address, []))
                for address in dict.fromkeys([*decisions, *given])
            }
            if not self._crew.at_work:
                raise RunFailed(f"Ray Tune ended before the study: {self._crew.error or 'no workers are left'}")

    def _take(self, envelopes: list[Envelope]) -> dict[Address, dict[Key, Decision]]:
        """Pass all messages on, in one group unless a life begins; the decisions that workers want to hear."""
        heard: dict[Address, dict[Key, Decision]] = {}
        taken: list[Envelope] = []
        for envelope in envelopes:
            if envelope.broken:
                raise RunFailed(f"a worker {envelope.broken}")
            if (envelope.worker, envelope.life) in self._ended:
                continue
            if self._crew.lives.get(envelope.worker, -1) < envelope.life:
                heard |= self._pass_on(taken)  # its former life's words count before what that held is lost
                taken = []
                self._welcome(envelope)
            taken.append(envelope)
        heard |= self._pass_on(taken)
        # A life that is over hears nothing, and must not be given what its successor has asked for.
        return {(worker, life): told for (worker, life), told in heard.items() if self._crew.lives[worker] == life}

    def _pass_on(self, taken: list[Envelope]) -> dict[Address, dict[Key, Decision]]:
        """Tell the driver what these say, and note what that changes."""
        messages: list[Message] = [message for envelope in taken for message in envelope.messages]
        found = iter(self._driver.push(messages) if messages else [])
        heard: dict[Address, dict[Key, Decision]] = {}
        for envelope in taken:
            said = [(message, next(found)) for message in envelope.messages]
            decisions = {_key(message): decision for message, decision in said if isinstance(message, Report)}
            self._note(envelope, decisions)
            if envelope.need in (Need.NEWS, Need.DECISION):
                heard[envelope.worker, envelope.life] = decisions
        return heard

    def _note(self, envelope: Envelope, decisions: dict[Key, Decision]) -> None:
        """What an envelope, and the decisions on it, change in who has what."""
        worker = envelope.worker
        held, leaving = self._holds[worker], self._leaving[worker]
        stopped = {key for key, decision in decisions.items() if decision is not Decision.CONTINUE}
        leaving |= stopped
        over = {_key(message) for message in envelope.messages if isinstance(message, SegmentEnd)}
        leaving -= over
        for key in stopped | over:
            held.pop(key, None)
        if envelope.need is Need.SEGMENT:
            held.clear()
        # The next segment goes along with a decision that ends one: an exchange less.
        if envelope.n_wanted and (envelope.need is not Need.DECISION or stopped):
            self._wants.pop(worker, None)  # to the end of the row
            self._wants[worker] = envelope.n_wanted

    def _welcome(self, envelope: Envelope) -> None:
        """A worker's new life begins, and the former is over."""
        worker = envelope.worker
        self._lose(worker)
        self._crew.lives[worker] = envelope.life
        self._actors[worker] = envelope.actor
        self._names[worker] = _name(envelope)
        if envelope.is_lane:
            self._lanes.add(worker)

    def _take_losses(self) -> None:
        while self._crew.lost:
            worker, life = self._crew.lost.pop(0)
            if self._crew.lives.get(worker) == life:  # else its next life has begun, and told so itself
                self._lose(worker)

    def _recall(self) -> list[Any]:
        """End the segments that are overdue, as far as the study is concerned; the processes that are to be ended once
        that is committed.
        """
        overdue = set(self._driver.overdue())
        actors = []
        for worker, life in list(self._crew.lives.items()) if overdue else []:
            held = self._holds[worker]
            theirs = overdue & (held.keys() | self._leaving[worker])
            if theirs:
                for key in theirs:
                    held.pop(key, None)
                self._driver.push([SegmentEnd(*key, Ending.RECALLED) for key in sorted(theirs)])
                self._lose(worker)
                self._ended.add((worker, life))
                actors.append(self._actors[worker])
        return actors

    def _hand_out(self) -> dict[Address, list[Segment]] | None:
        """Segments for workers that want some; None when the study is over."""
        if not self._wants:
            return {}
        rows = [[(worker, name) for name in self._free_places(worker, n)] for worker, n in self._wants.items()]
        # Where there are few segments, each worker has its share of them.
        places = [place for round_ in zip_longest(*rows) for place in round_ if place is not None]
        segments = self._driver.pull([name for _, name in places])
        if isinstance(segments, Nothing):
            return None if segments is Nothing.DONE else {}
        given: defaultdict[Address, list[Segment]] = defaultdict(list)
        for (worker, name), segment in zip(places, segments, strict=False):
            self._wants.pop(worker, None)
            self._holds[worker][segment.key] = name
            given[worker, self._crew.lives[worker]].append(segment)
        return given

    def _free_places(self, worker: str, n: int) -> list[str]:
        """Names for `n` segments that `worker` is going to hold: its own, and in a lane that of a slot."""
        name = self._names[worker]
        if worker not in self._lanes:
            return [name] * n
        taken, free, slot = set(self._holds[worker].values()), list[str](), 0
        while len(free) < n:
            if (place := f"{name}.{slot}") not in taken:
                free.append(place)
            slot += 1
        return free

    def _lose(self, worker: str) -> None:
        """What a worker's former life held is lost; nothing happens to what a decision had closed."""
        self._wants.pop(worker, None)
        self._leaving.pop(worker, None)
        why = self._crew.obituaries.pop((worker, self._crew.lives.get(worker)), None)
        held = self._holds.pop(worker, {})
        if held:
            self._driver.push([SegmentEnd(*key, Ending.LOST, why) for key in held])

    def _send_home(self) -> None:
        everyone = {address: Answer(close=True) for address in self._crew.lives.items()}
        ray.get(self._mailbox.collect.remote(everyone, 0.0))


def _key(message: Message) -> Key:
    return message.trial, message.segment


def _name(envelope: Envelope) -> str:
    """`MACHINE NUMBER`: Tune's names end in the trial's number."""
    number = envelope.worker.rpartition("_")[2]
    return f"{envelope.host} {int(number)}" if number.isdigit() else f"{envelope.host} {envelope.worker}"
