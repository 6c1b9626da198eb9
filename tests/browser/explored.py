"""The studies that the explorer shows to a real browser."""

from __future__ import annotations

import little_comparisons
import studies

from tuner.records import Reported, Segment, SegmentIssued, TrialState
from tuner.store import StudyStore

ORDINARY, RUNNING = "ordinary", "running"


def fill(store: StudyStore) -> None:
    """The edge cases, a comparison, a study that somebody is going to run, and last, so that pages open on it, an
    ordinary study of 24 trials.
    """
    for make in studies.EDGES:
        if make is not studies.ordinary:
            make(store)
    plan = little_comparisons.plan_of("methods", ["grid", "random"], 3)
    little_comparisons.add(store, plan, lambda method, repeat, trial: 1.0 + repeat + trial + len(method))
    store.create(studies.spec_of(RUNNING))
    studies.ordinary(store, ORDINARY, 24)


class Writer:
    """The process that runs the study `running`: it holds the study's lease until it is closed."""

    def __init__(self, store: StudyStore) -> None:
        self._writer = store.write(RUNNING)
        self._spec = studies.spec_of(RUNNING)
        self._trials = 0

    def trial(self) -> None:
        """One more running trial, with two reports."""
        number, self._trials = self._trials, self._trials + 1
        reports = [studies.trained(number, epoch) for epoch in (1, 2)]
        segment = Segment(number, 0, 0, studies.EPOCHS, studies.config_of(number), number, studies.EPOCHS)
        row = studies.summary_of(self._spec, number, reports, state=TrialState.RUNNING)
        self._writer.append([SegmentIssued(segment, worker="w0"), *map(Reported, reports)], [row])

    def close(self) -> None:
        """Let go of the study."""
        self._writer.release()
