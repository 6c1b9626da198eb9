"""How far a running study is, and how long it will take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuner.control import StudyController


@dataclass(frozen=True, slots=True)
class Progress:
    """`share` of the expected work that is done, in 0..1; `seconds_left` at the pace so far, None while unknown."""

    share: float
    seconds: float
    seconds_left: float | None


def progress_of(controller: StudyController, *, seconds_this_session: float) -> Progress:
    """The progress of a study, from the resource it has spent against what its schedule is expected to spend."""
    budget = controller.budget
    seconds = max(controller.elapsed, seconds_this_session)
    shares = [0.0]
    if budget.trials is not None and controller.trials:
        factor = getattr(controller.spec.scheduler, "reduction_factor", 1)
        expected = budget.trials * _units_per_trial([trial.rungs for trial in controller.trials], factor)
        shares.append(controller.units / max(expected, controller.units + _units_due(controller)))
    if budget.epochs is not None:
        shares.append(controller.units / budget.epochs)
    if budget.minutes is not None:
        shares.append(seconds / (budget.minutes * 60))
    share = 1.0 if controller.ended else min(max(shares), 1.0)
    left = seconds * (1 - share) / share if share > 0.02 else None
    return Progress(share, seconds, 0.0 if controller.ended else left)


def _units_due(controller: StudyController) -> int:
    """The resource that workers have before them in their segments."""
    return sum(trial.segment.until - trial.resource for trial in controller.running if trial.segment is not None)


def _units_per_trial(rungs: Sequence[tuple[int, ...]], reduction_factor: int) -> float:
    """The resource that a trial is expected to spend: at each rung, 1 in `reduction_factor` (η) goes on."""
    total = 0.0
    for ladder in rungs:
        surviving, before = 1.0, 0
        for rung in ladder:
            total += surviving * (rung - before)
            surviving, before = surviving / reduction_factor, rung
    return total / len(rungs)
