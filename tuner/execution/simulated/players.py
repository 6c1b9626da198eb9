"""How a segment's training is had on a virtual clock: read from a curve, or by running the objective.

A play is a generator: it yields what the training says (each report with the seconds of its stretch), is sent the
decision on it, and returns how the segment ended. One that is closed before is told to stop.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from queue import SimpleQueue
from typing import NoReturn, Protocol, final

import numpy as np

from tuner.execution._base import Aside, Job
from tuner.execution.simulated.curves import Curve, CurvesSession
from tuner.execution.trial_run import run_segment
from tuner.records import Checkpoint, Decision, Ending, Report, Segment, SegmentEnd

Play = Generator[Report | Aside, Decision, SegmentEnd]


class Player(Protocol):
    """Plays the segments of one study."""

    def play(self, segment: Segment) -> Play: ...


@final
class CurvePlayer:
    """Plays what a session of curves answers, with a checkpoint every so many units that holds nothing."""

    def __init__(self, session: CurvesSession, checkpoint_every: int) -> None:
        self._session = session
        self._every = checkpoint_every

    def play(self, segment: Segment) -> Play:
        curve = self._session.curve(segment.trial, segment.config, reach=segment.horizon)
        last = segment.start
        for resource, metrics, seconds in _reports(curve, segment):
            kept = resource >= segment.until or resource // self._every > last // self._every
            checkpoint = Checkpoint(resource, f"{segment.trial}/{resource}", 0, "") if kept else None
            decision = yield Report(segment.trial, segment.index, resource, metrics, seconds, checkpoint)
            if decision is not Decision.CONTINUE:
                return SegmentEnd(segment.trial, segment.index, Ending.STOPPED)
            last = resource
        ending = Ending.REACHED if last >= segment.until else Ending.FINISHED
        return SegmentEnd(segment.trial, segment.index, ending)


def _reports(curve: Curve, segment: Segment) -> Iterator[tuple[int, dict[str, float], float]]:
    """What the curve reports on the segment's way: (resource, metrics, seconds), up to the first at `until` or beyond.

    Plain numbers are taken out of the arrays at once, as one by one costs more than all the rest.
    """
    first = int(np.searchsorted(curve.resources, segment.start, side="right"))
    end = int(np.searchsorted(curve.resources, segment.until, side="left")) + 1
    resources, seconds = curve.resources[first:end].tolist(), curve.seconds[first:end].tolist()
    columns = [values[first:end].tolist() for values in curve.metrics.values()]
    for index, resource in enumerate(resources):
        values = (column[index] for column in columns)
        yield resource, dict(zip(curve.metrics, values, strict=True)), seconds[index]


@final
class ObjectivePlayer:
    """Runs an objective (config, trial), each segment in a thread of its own, only one of which works at a time.

    A stretch takes the seconds that were measured, or `seconds_per_unit` for each unit of resource, with which a study
    is the same whenever it is run. A thread whose objective is abandoned is left behind.
    """

    def __init__(self, job: Job, seconds_per_unit: float | None = None) -> None:
        self._job = job
        self._seconds_per_unit = seconds_per_unit

    def play(self, segment: Segment) -> Play:
        stage = _Stage(self._job, segment)
        last = segment.start
        decision: Decision | None = None
        try:
            while not isinstance(said := stage.next(decision), SegmentEnd):
                if isinstance(said, Report) and self._seconds_per_unit is not None:
                    said = replace(said, seconds=(said.resource - last) * self._seconds_per_unit)
                if isinstance(said, Report):
                    last = said.resource
                decision = yield said
        except BaseException:  # closed, or interrupted while the objective was at work
            stage.decisions.put(Decision.STOP)
            raise
        return said


@final
class _Stage:
    """One segment's thread. It and the caller of `next` take turns; what the segment prints goes to its own log."""

    def __init__(self, job: Job, segment: Segment) -> None:
        self.decisions: SimpleQueue[Decision] = SimpleQueue()
        self._said: SimpleQueue[Report | Aside | SegmentEnd | BaseException] = SimpleQueue()
        self._streams = (sys.stdout, sys.stderr)
        self._thread = threading.Thread(target=self._run, args=(job, segment), daemon=True)

    def next(self, decision: Decision | None) -> Report | Aside | SegmentEnd:
        """Let the objective go on with `decision` (None: begin) until it says something."""
        with self._on_stage():
            if decision is None:
                self._thread.start()
            else:
                self.decisions.put(decision)
            said = self._said.get()
        if isinstance(said, BaseException):
            raise said
        return said

    @contextmanager
    def _on_stage(self) -> Iterator[None]:
        """While the objective works, this process prints where the segment does (redirection is not per thread)."""
        outside = (sys.stdout, sys.stderr)
        sys.stdout, sys.stderr = self._streams
        try:
            yield
        finally:
            self._streams = (sys.stdout, sys.stderr)
            sys.stdout, sys.stderr = outside

    def _run(self, job: Job, segment: Segment) -> None:
        try:
            self._said.put(run_segment(job, segment, self._send, abandon=self._abandon))
        except BaseException as error:  # noqa: BLE001 (it is raised where the segment is played)
            self._said.put(error)

    def _send(self, message: Report | Aside, /, *, wait: bool) -> Decision:  # noqa: ARG002 (all wait, for their turn)
        self._said.put(message)
        return self.decisions.get()

    def _abandon(self, end: SegmentEnd) -> NoReturn:
        self._said.put(end)
        sys.exit()
