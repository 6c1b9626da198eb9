"""How far a running study is, and how long it will take."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.analysis.progress import units_per_trial
from tuner.control import StudyController
from tuner.records import TrialSummary
from tuner.workflows.gauge import Speed


@dataclass(frozen=True, slots=True)
class Progress:
    """`share` of the expected work that is done, in 0..1; `seconds_left`, None while unknown."""

    share: float
    seconds: float
    seconds_left: float | None


def progress_of(controller: StudyController, *, seconds_this_session: float, speed: Speed | None = None) -> Progress:
    """The progress of a study, from the resource it has spent against what its schedule is expected to spend.

    The time left follows from the `speed` of the workers as soon as a trial has said its pace, before any report;
    without that, from the time that the work done so far has taken.
    """
    budget = controller.budget
    seconds = max(controller.elapsed, seconds_this_session)
    if controller.ended:
        return Progress(1.0, seconds, 0.0)
    units = expected_units(controller)
    shares = [0.0] if units is None else [controller.units / max(units, 1)]
    if budget.minutes is not None:
        shares.append(seconds / (budget.minutes * 60))
    share = min(max(shares), 1.0)
    left = seconds * (1 - share) / share if share > 0.02 else None
    pace = None if speed is None else seconds_per_unit(controller, speed)
    if speed is not None and pace is not None:
        left = None if units is None else seconds_left(units - controller.units, pace, speed)
        if budget.minutes is not None:
            until_the_bell = max(budget.minutes * 60 - seconds, 0.0)
            left = until_the_bell if left is None else min(left, until_the_bell)
    return Progress(share, seconds, left)


def best_so_far(controller: StudyController) -> TrialSummary | None:
    """What `tuner.analysis.best_trial` would say of all trials' summaries, without making them."""
    with_value = (trial for trial in controller.trials if trial.has_value)
    best = min(with_value, key=lambda trial: (-trial.resource, trial.loss, trial.number), default=None)
    return None if best is None else best.summary(controller.spec.metric)


def seconds_left(units: float, seconds_per_unit: float, speed: Speed) -> float:
    """How long `units` of resource will take: units · seconds per unit / (workers · efficiency), where what the
    workers have done of it since their last reports is done.
    """
    work = max(units * seconds_per_unit - speed.seconds_under_way, 0.0)
    return work / (speed.n_workers * speed.efficiency)


def seconds_per_unit(controller: StudyController, speed: Speed) -> float | None:
    """The mean over the trials of what a unit of resource takes: as measured where a trial has reported, else as it
    says. None where no trial says anything.
    """
    if not speed.paces:
        return None
    said = [
        trial.seconds / trial.resource if trial.resource else speed.paces[trial.number]
        for trial in controller.trials
        if trial.resource or trial.number in speed.paces
    ]
    return sum(said) / len(said)


def expected_units(controller: StudyController) -> float | None:
    """The resource that the study is expected to spend in all; None where only its time is limited, and before its
    first trial.
    """
    budget = controller.budget
    expected: list[float] = []
    if budget.trials is not None and controller.trials:
        by_trials = budget.trials * units_per_trial(controller.spec, [trial.rungs for trial in controller.trials])
        expected.append(max(by_trials, controller.units + _units_due(controller)))
    if budget.epochs is not None:
        expected.append(max(budget.epochs, controller.units))
    return min(expected, default=None)


def _units_due(controller: StudyController) -> int:
    """The resource that workers have before them in their segments."""
    return sum(trial.segment.until - trial.resource for trial in controller.running if trial.segment is not None)
