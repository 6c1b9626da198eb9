"""How far a study is, and how long it will take: from its record, as nobody outside knows what its workers say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tuner.analysis.view import StudyView
from tuner.schedule import make_scheduler
from tuner.spec import Budget, StudySpec
from tuner.store import StudyRecord

EARLIEST = 0.02
"""The share of the budget that must be spent before the time left is told."""

_LOOK_AT = 100
"""Trials over which the brackets of Hyperband are averaged."""


@dataclass(frozen=True, slots=True)
class Progress:
    """`share` of the budget that is spent, in 0..1; `units` of resource spent over all trials; `seconds` of running;
    `seconds_left`, None while it is unknown or nobody runs the study.
    """

    share: float
    units: int
    seconds: float
    seconds_left: float | None


def progress(record: StudyRecord, budget: Budget, units: int, seconds: float) -> Progress:
    """The share is the largest among the limits of `budget`: units over what its trials are expected to spend, units
    over its epochs, seconds over its minutes. The time left is seconds (1 - share) / share, and no longer than its
    minutes allow.

    A study that has ended is done, if its budget was spent or not; before that, 0.99 is the most.
    """
    if record.state.ended:
        return Progress(1.0, units, seconds, 0.0)
    shares = [0.0]
    if budget.trials is not None:
        shares.append(units / (budget.trials * expected_units(record.spec)))
    if budget.epochs is not None:
        shares.append(units / budget.epochs)
    if budget.minutes is not None:
        shares.append(seconds / (budget.minutes * 60))
    share = min(max(shares), 0.99)
    left = seconds * (1 - share) / share if share > EARLIEST and record.holder is not None else None
    if budget.minutes is not None and left is not None:
        left = min(left, max(budget.minutes * 60 - seconds, 0.0))
    return Progress(share, units, seconds, left)


def progress_of(study: StudyView) -> Progress:
    """The progress of a study as it stands."""
    units = sum(trial.resource for trial in study.trials)
    return progress(study.record, study.budget, units, study.clock.total)


def expected_units(spec: StudySpec) -> float:
    """The resource that a trial of the study is expected to spend."""
    scheduler = make_scheduler(spec.scheduler)
    for trial in range(_LOOK_AT):
        scheduler.start(trial)
    return units_per_trial(spec, [scheduler.rungs(trial) for trial in range(_LOOK_AT)])


def units_per_trial(spec: StudySpec, rungs: Sequence[tuple[int, ...]]) -> float:
    """The resource that a trial is expected to spend, over trials with these `rungs`: at each rung, 1 in
    `reduction_factor` (η) goes on.
    """
    reduction_factor = getattr(spec.scheduler, "reduction_factor", 1)
    total = 0.0
    for ladder, n_trials in Counter(rungs).items():
        surviving, before = float(n_trials), 0
        for rung in ladder:
            total += surviving * (rung - before)
            surviving, before = surviving / reduction_factor, rung
    return total / len(rungs)
