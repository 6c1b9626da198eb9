"""The table "What becomes of a trial"."""

from __future__ import annotations

import pytest

from tuner.control import Happening, Lesson, fate
from tuner.records import TrialState

TABLE = {
    Happening.REACHED_MAX_RESOURCE: (TrialState.COMPLETE, Lesson.VALUE, True),
    Happening.RETURNED: (TrialState.COMPLETE, Lesson.VALUE, True),
    Happening.SCHEDULER_STOPPED: (TrialState.PRUNED, Lesson.RUNG_VALUES, True),
    Happening.SCHEDULER_PAUSED: (TrialState.PAUSED, Lesson.RUNG_VALUES, True),
    Happening.SUSPENDED: (TrialState.WAITING, Lesson.RUNG_VALUES, True),
    Happening.STUDY_ENDED: (TrialState.PRUNED, Lesson.RUNG_VALUES, True),
    Happening.PERSON_STOPPED: (TrialState.PRUNED, Lesson.RUNG_VALUES, True),
    Happening.NON_FINITE: (TrialState.FAILED, Lesson.WORST, True),
    Happening.FAILED_FOR_GOOD: (TrialState.FAILED, Lesson.WORST, True),
    Happening.FAILED_ONCE: (TrialState.WAITING, Lesson.NOTHING, False),
    Happening.STOPS_THE_STUDY: (TrialState.WAITING, Lesson.NOTHING, False),
    Happening.LOST: (TrialState.WAITING, Lesson.NOTHING, False),
}


@pytest.mark.parametrize("happening", Happening)
def test_what_becomes_of_a_trial(happening):
    found = fate(happening)
    assert (found.state, found.lesson, found.counts) == TABLE[happening]
