"""How fast the workers are, measured while they work: for the time left. Nothing here decides anything or is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import final

from tuner.records import Pace, Report, Segment


@dataclass(frozen=True, slots=True)
class Speed:
    """What a gauge shows. `paces`: trial -> seconds per unit of resource, as the trial said last.

    `efficiency` is the share of the workers' time in which they worked, in 0..1: with it, n workers do the work of
    n · efficiency. `seconds_under_way` is what they have worked since their last reports.
    """

    paces: Mapping[int, float] = field(default_factory=dict)
    n_workers: int = 1
    efficiency: float = 1.0
    seconds_under_way: float = 0.0


@final
class Gauge:
    """Fed by the driver; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._paces: dict[int, float] = {}
        self._joined: dict[str, float] = {}
        """worker -> when it was given its first segment"""
        self._heard: dict[tuple[int, int], float] = {}
        """A segment that is under way -> when its worker was last heard of."""
        self._busy: float | None = None
        """Seconds of all reports; None before the first."""

    def issued(self, segments: Sequence[Segment], workers: Sequence[str]) -> None:
        """`segments` were given to `workers`, one each."""
        now = self._clock()
        for segment, worker in zip(segments, workers, strict=False):
            self._joined.setdefault(worker, now)
            self._heard[segment.key] = now

    def paced(self, pace: Pace) -> None:
        """A trial said how fast it is."""
        if (pace.trial, pace.segment) in self._heard:
            self._paces[pace.trial] = pace.seconds

    def reported(self, report: Report) -> None:
        """A segment has got so far."""
        key = (report.trial, report.segment)
        if key in self._heard:
            self._heard[key] = self._clock()
            self._busy = (self._busy or 0.0) + report.seconds

    def ended(self, trial: int, segment: int) -> None:
        """A segment is over, or will be at once."""
        self._heard.pop((trial, segment), None)

    def speed(self) -> Speed:
        """What is known now. The efficiency is taken as 1 before the first report."""
        now = self._clock()
        under_way = sum(now - heard for heard in self._heard.values())
        there = sum(now - joined for joined in self._joined.values())
        efficiency = 1.0
        if self._busy is not None and there > 0:
            efficiency = min(max((self._busy + under_way) / there, 0.01), 1.0)
        return Speed(MappingProxyType(self._paces), max(len(self._joined), 1), efficiency, under_way)
