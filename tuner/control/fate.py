"""What becomes of a trial: the table, as one function."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tuner.records import TrialState


class Happening(StrEnum):
    """What can happen to a trial that changes its state."""

    REACHED_MAX_RESOURCE = "reached max_resource"
    RETURNED = "the objective returned, or stopped by its own patience"
    SCHEDULER_STOPPED = "stopped by the scheduler"
    SCHEDULER_PAUSED = "waits for promotion"
    SUSPENDED = "the study is closing, or a person paused it"
    STUDY_ENDED = "the study ended while it waited"
    PERSON_STOPPED = "stopped by a person"
    NON_FINITE = "the metric was not finite, or missing"
    FAILED_FOR_GOOD = "failed, after the retries"
    FAILED_ONCE = "failed, and is tried again"
    STOPS_THE_STUDY = "failed, which by its policy stops the study"
    LOST = "its worker went away"


class Lesson(StrEnum):
    """What the sampler learns."""

    VALUE = "its value at the resource it reached"
    RUNG_VALUES = "its rung values"
    WORST = "worst value"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Fate:
    """The state that follows, what the sampler learns, and whether the trial counts as tried."""

    state: TrialState
    lesson: Lesson
    counts: bool


_TABLE = {
    Happening.REACHED_MAX_RESOURCE: Fate(TrialState.COMPLETE, Lesson.VALUE, True),
    Happening.RETURNED: Fate(TrialState.COMPLETE, Lesson.VALUE, True),
    Happening.SCHEDULER_STOPPED: Fate(TrialState.PRUNED, Lesson.RUNG_VALUES, True),
    Happening.SCHEDULER_PAUSED: Fate(TrialState.PAUSED, Lesson.RUNG_VALUES, True),
    Happening.SUSPENDED: Fate(TrialState.WAITING, Lesson.RUNG_VALUES, True),
    Happening.STUDY_ENDED: Fate(TrialState.PRUNED, Lesson.RUNG_VALUES, True),
    Happening.PERSON_STOPPED: Fate(TrialState.PRUNED, Lesson.RUNG_VALUES, True),
    Happening.NON_FINITE: Fate(TrialState.FAILED, Lesson.WORST, True),
    Happening.FAILED_FOR_GOOD: Fate(TrialState.FAILED, Lesson.WORST, True),
    Happening.FAILED_ONCE: Fate(TrialState.WAITING, Lesson.NOTHING, False),
    Happening.STOPS_THE_STUDY: Fate(TrialState.WAITING, Lesson.NOTHING, False),
    Happening.LOST: Fate(TrialState.WAITING, Lesson.NOTHING, False),
}


def fate(happening: Happening) -> Fate:
    """What becomes of a trial to which this happens."""
    return _TABLE[happening]
