"""How long a study has been running: the time between two sessions is nobody's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from tuner.analysis.tracing import begins_session
from tuner.store import JournalEntry, ReportValues

Floats = npt.NDArray[np.float64]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Clock:
    """Seconds of running at the instants of a study's events. The arrays have one length and never fall.

    `times` are seconds since the epoch.
    """

    times: Floats
    seconds: Floats

    def at(self, times: npt.ArrayLike) -> Floats:
        """The seconds of running at these `times`: 0 before the first event, the whole after the last."""
        asked = np.asarray(times, dtype=np.float64)
        return np.interp(asked, self.times, self.seconds) if self.times.size else np.zeros_like(asked)

    @property
    def total(self) -> float:
        """The seconds of running up to the last event."""
        return float(self.seconds[-1]) if self.seconds.size else 0.0


def clock_of(values: ReportValues, happenings: Sequence[JournalEntry]) -> Clock:
    """The clock of a study, of its reports and all its other events: the seconds between two events that follow each
    other, less those before the first event of a later session.
    """
    numbers = np.concatenate([[entry.number for entry in happenings], values.number]).astype(np.int64)
    times = np.concatenate([[entry.time for entry in happenings], values.time]).astype(np.float64)
    begins = np.zeros(numbers.size, dtype=bool)
    begins[: len(happenings)] = [begins_session(entry.event) for entry in happenings]
    order = np.argsort(numbers, kind="stable")
    times = np.maximum.accumulate(times[order])
    passed = np.where(begins[order][1:], 0.0, np.diff(times))
    return Clock(times, np.concatenate([[0.0], np.cumsum(passed)]) if times.size else times)
