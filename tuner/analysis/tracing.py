"""From a study's journal to the trace that comparisons are made of."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import numpy as np
import pandas as pd

from tuner.analysis.comparison.trace import Floats, Ints, Trace
from tuner.records import Commanded, CommandKind, Ending, Event, Reported, SegmentEnded, SegmentIssued
from tuner.spec import Budget, StudySpec
from tuner.store import EventKind, JournalEntry, ReportValues, StudyStore

_BUT_REPORTS: Final[tuple[EventKind, ...]] = ("segment_issued", "segment_ended", "commanded", "ticked", "study_ended")


def trace_of(journal: Iterable[JournalEntry], spec: StudySpec) -> Trace:
    """What the study of `spec` saw, a row per report.

    Seconds are those of running, as the journal's entries are stamped (to the fraction of a second after which reports
    that nobody waits for are committed): the time between two sessions is nobody's. With `metric.value: best` a report
    counts as its trial's best so far.
    """
    rows: list[tuple[float, int, int, int, int, float]] = []
    seconds, before, units, n_trials = 0.0, math.nan, 0, 0
    reached: dict[int, int] = {}
    best: dict[int, float] = {}
    for entry in journal:
        if not (math.isnan(before) or begins_session(entry.event)):
            seconds += max(entry.time - before, 0.0)
        before = entry.time
        if isinstance(entry.event, SegmentIssued):
            n_trials = max(n_trials, entry.event.segment.trial + 1)
        elif isinstance(entry.event, Reported):
            report = entry.event.report
            units += report.resource - reached.get(report.trial, 0)
            reached[report.trial] = report.resource
            loss = spec.metric.loss(report.metrics.get(spec.metric.name))
            if spec.metric.value == "best":
                loss = best[report.trial] = min(loss, best.get(report.trial, math.inf))
            rows.append((seconds, units, n_trials, report.trial, report.resource, loss))
    return _trace(rows, spec.scheduler.max_resource)


def read_trace(store: StudyStore, name: str, spec: StudySpec) -> Trace:
    """The same of a study in the store, `trace_of` its journal, without reading the reports' bodies.

    `spec` has the metric of the study's own.
    """
    values = store.values(name)
    others = list(store.journal(name, kinds=_BUT_REPORTS))
    numbers = np.concatenate([values.number, np.array([entry.number for entry in others], dtype=np.int64)])
    order = np.argsort(numbers, kind="stable")
    nobodys = np.concatenate([np.zeros(len(values), bool), np.array([begins_session(e.event) for e in others], bool)])
    time = np.concatenate([values.time, np.array([entry.time for entry in others], dtype=np.float64)])[order]
    passed = np.diff(time, prepend=time[:1]).clip(min=0.0)
    passed[nobodys[order]] = 0.0
    started = np.concatenate([np.zeros(len(values), np.int64), np.array([_started(e.event) for e in others], np.int64)])
    here = order < len(values)
    return Trace(
        np.cumsum(passed)[here],
        np.cumsum(_steps(values)).astype(np.float64),
        np.maximum.accumulate(started[order])[here],
        values.trial,
        values.resource,
        _losses(values, spec),
        spec.scheduler.max_resource,
    )


def within(trace: Trace, budget: Budget) -> Trace:
    """The part of a trace that its study saw within `budget`.

    The last segments of a study, which end what was begun, may go beyond it; so may one that was extended since.
    """
    there = (
        (trace.trials <= (math.inf if budget.trials is None else budget.trials))
        & (trace.units <= (math.inf if budget.epochs is None else budget.epochs))
        & (trace.seconds <= (math.inf if budget.minutes is None else budget.minutes * 60))
    )
    return Trace(
        trace.seconds[there],
        trace.units[there],
        trace.trials[there],
        trace.trial[there],
        trace.resource[there],
        trace.loss[there],
        trace.max_resource,
    )


def _started(event: Event) -> int:
    """How many trials there are at least, as far as this event knows."""
    return event.segment.trial + 1 if isinstance(event, SegmentIssued) else 0


def _steps(values: ReportValues) -> Ints:
    """How far each report's trial had come since its report before."""
    resources = pd.Series(values.resource)
    before = resources.groupby(values.trial).shift(fill_value=0)
    return (resources - before).to_numpy(dtype=np.int64)


def _losses(values: ReportValues, spec: StudySpec) -> Floats:
    losses = np.array([spec.metric.loss(value) for value in values.value.tolist()], dtype=np.float64)
    if spec.metric.value == "best":
        return np.asarray(pd.Series(losses).groupby(values.trial).cummin(), dtype=np.float64)
    return losses


def begins_session(event: Event) -> bool:
    """Whether nobody ran the study just before: its first word is what became of the segments that were under way, or
    that it was extended.
    """
    if isinstance(event, SegmentEnded):
        return event.end.ending is Ending.INTERRUPTED
    return isinstance(event, Commanded) and event.command.kind is CommandKind.EXTEND


def _trace(rows: list[tuple[float, int, int, int, int, float]], max_resource: int) -> Trace:
    table = np.array(rows, dtype=np.float64).reshape(-1, 6)
    whole = table[:, 2:5].astype(np.int64)
    return Trace(table[:, 0], table[:, 1], whole[:, 0], whole[:, 1], whole[:, 2], table[:, 5], max_resource)
