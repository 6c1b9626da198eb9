"""The clock on segments that a person wants to rest or end: how long nothing was heard of each."""

from __future__ import annotations

import math
from typing import final

from tuner.control import StudyController

Key = tuple[int, int]
"""A trial's number and a segment's index."""


@final
class Recalls:
    """`grace` is in seconds, as is whatever is called `now`; None is for ever.

    A segment's clock starts with the command, again with each report, and stops when its objective is done. A trial
    that has reported and is told to rest learns that at its next report: until then its worker is not free.
    """

    def __init__(self, grace: float | None) -> None:
        self._grace = math.inf if grace is None else grace
        self._heard: dict[Key, float] = {}

    def follow(self, controller: StudyController, now: float) -> None:
        """Take in what people want by now."""
        recalled = {trial.segment.key for trial in controller.recalled if trial.segment}
        going_on = {trial.segment.key for trial in controller.running if trial.segment} - recalled
        self._heard = {key: heard for key, heard in self._heard.items() if key not in going_on}
        for key in recalled:
            self._heard.setdefault(key, now)

    def heard(self, trial: int, segment: int, now: float) -> None:
        """A report came."""
        if (trial, segment) in self._heard:
            self._heard[trial, segment] = now

    def ended(self, trial: int, segment: int) -> None:
        """The objective is done with the segment, or its worker is no more."""
        self._heard.pop((trial, segment), None)

    def overdue(self, now: float) -> list[Key]:
        """The segments that were silent for longer than the grace period."""
        return [key for key, heard in self._heard.items() if now - heard > self._grace]
