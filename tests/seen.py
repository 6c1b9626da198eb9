"""Studies as a StudyView shows them, written down by hand: what the tables of tuner.analysis are tested with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from by_hand import study_spec

from tuner.analysis.clock import Clock, clock_of
from tuner.records import (
    Ending,
    Event,
    Failure,
    FailureKind,
    Segment,
    SegmentEnd,
    SegmentEnded,
    SegmentIssued,
    TrialState,
    TrialSummary,
)
from tuner.spec import StudySpec
from tuner.store import JournalEntry, PostedCommand, ReportValues


@dataclass
class Seen:
    """What a StudyView shows, written down: reports are (event, time, trial, segment, resource, value)."""

    reports: list[tuple[int, float, int, int, int, float]] = field(default_factory=list)
    others: list[tuple[int, float, Event]] = field(default_factory=list)
    trials: list[TrialSummary] = field(default_factory=list)
    commands: list[PostedCommand] = field(default_factory=list)
    spec: StudySpec = field(default_factory=study_spec)

    @property
    def happenings(self) -> list[JournalEntry]:
        return [JournalEntry(*row) for row in self.others]

    @property
    def clock(self) -> Clock:
        return clock_of(self.values, self.happenings)

    @property
    def values(self) -> ReportValues:
        columns = list(zip(*self.reports, strict=True)) or [()] * 6
        kinds = ("int64", "float64", "int64", "int64", "int64", "float64")
        return ReportValues(*[np.array(column, dtype=kind) for column, kind in zip(columns, kinds, strict=True)])


def trial(number: int, state: str, resource: int, value: float | None = None, **more: Any) -> TrialSummary:
    return TrialSummary(number, TrialState(state), more.pop("config", {"x": number / 10}), resource, 9, value, **more)


def issued(trial: int, index: int = 0, start: int = 0, until: int = 9, worker: str = "w0") -> SegmentIssued:
    return SegmentIssued(Segment(trial, index, start, until, {}, 0, 9), worker)


def ended(trial: int, ending: Ending, segment: int = 0, failure: Failure | None = None) -> SegmentEnded:
    return SegmentEnded(SegmentEnd(trial, segment, ending, failure))


def climb() -> Seen:
    """ASHA on rungs 1, 3, 9: trial 0 is stopped at 1, trial 1 goes to 3 and on, 2 fails, 3 waits at 1."""
    return Seen(
        others=[
            (1, 100.0, issued(0, until=1)),
            (3, 102.0, issued(1, until=1)),
            (5, 104.0, issued(1, 1, 1, 3)),
            (7, 107.0, issued(2, until=1, worker="w1")),
            (8, 108.0, ended(2, Ending.FAILED, failure=Failure(FailureKind.EXCEPTION, "no", "Traceback"))),
            (9, 508.0, ended(1, Ending.INTERRUPTED, 1)),
            (10, 509.0, issued(1, 2, 3, 9)),
            (11, 510.0, issued(3, until=1, worker="w1")),
        ],
        reports=[
            (2, 101.0, 0, 0, 1, 0.9),
            (4, 103.0, 1, 0, 1, 0.5),
            (6, 106.0, 1, 1, 3, 0.6),
            (12, 512.0, 3, 0, 1, 0.7),
        ],
        trials=[
            trial(0, "pruned", 1, 0.9, reason="stopped by anna"),
            trial(1, "running", 3, 0.6, segments=3),
            trial(2, "failed", 0, failure=Failure(FailureKind.EXCEPTION, "no", "Traceback")),
            trial(3, "paused", 1, 0.7, segments=1),
        ],
    )
