"""A simulated worker: when what its training says is due on the virtual clock."""

from __future__ import annotations

from dataclasses import replace
from typing import final

from tuner.execution._base import Message
from tuner.execution.simulated.costs import Costs, Mishap
from tuner.execution.simulated.players import Play
from tuner.records import Decision, Ending, Failure, FailureKind, Report, Segment, SegmentEnd


@final
class SimulatedWorker:
    """Plays one segment at a time, and says when each of its messages is due: `message` at the instant `due`.

    Without a message it is idle from `due` on.
    """

    def __init__(self, index: int, costs: Costs, now: float) -> None:
        self.name = f"worker-{index}"
        self.due = now + costs.worker_start_seconds
        self.message: Message | None = None
        self._costs = costs
        self._slowness = costs.slowness(index)
        self._play: Play | None = None
        self._mishap: Mishap | None = None
        self._resource = 0
        """What the segment has reported last."""

    def begin(self, segment: Segment, play: Play, now: float) -> None:
        """Take a segment at the instant `now`."""
        load = self._costs.checkpoint_load_seconds if segment.checkpoint else 0.0
        self.due = now + self._costs.segment_start_seconds + load
        self._play = play
        self._mishap = self._costs.mishap(segment)
        self._resource = segment.start
        self._go_on(play, None)

    def hear(self, decision: Decision) -> None:
        """The message was told when it was due, and is answered."""
        if isinstance(self.message, SegmentEnd):
            if self.message.ending is Ending.LOST:
                self.due += self._costs.worker_start_seconds
            self._play = self.message = None
        else:
            assert self._play is not None
            self._go_on(self._play, decision)

    def close(self) -> None:
        """Tell a segment that is under way to stop."""
        if self._play is not None:
            self._play.close()

    def _go_on(self, play: Play, decision: Decision | None) -> None:
        try:
            said = play.send(decision) if decision is not None else next(play)
        except StopIteration as over:
            self.message = over.value
            return
        self.message = said
        if isinstance(said, Report):
            seconds = said.seconds * self._slowness
            if said.checkpoint is not None:
                seconds += self._costs.checkpoint_save_seconds
            if self._mishap is not None and self._mishap.resource <= said.resource:
                seconds *= (self._mishap.resource - self._resource) / (said.resource - self._resource)
                play.close()
                self.message = _end(said, self._mishap.ending)
            elif seconds != said.seconds:
                self.message = replace(said, seconds=seconds)
            self.due += seconds
            self._resource = said.resource


def _end(report: Report, ending: Ending) -> SegmentEnd:
    """The end of the segment that would have made `report`."""
    failure = Failure(FailureKind.EXCEPTION, "a simulated failure") if ending is Ending.FAILED else None
    return SegmentEnd(report.trial, report.segment, ending, failure)
