"""Which trials are ahead, and which one is best."""

from __future__ import annotations

from collections.abc import Sequence

from tuner.records import TrialState, TrialSummary
from tuner.spec import Metric


def leaderboard(trials: Sequence[TrialSummary], metric: Metric) -> list[TrialSummary]:
    """The trials that have a value, best first: the furthest trained before the others, for a value at an early
    resource cannot be compared with one at a late. Ties go to the lower number.
    """
    ranked = [trial for trial in trials if trial.value is not None]
    return sorted(ranked, key=lambda trial: (-trial.resource, metric.loss(trial.value), trial.number))


def best_trial(trials: Sequence[TrialSummary], metric: Metric) -> TrialSummary | None:
    """The best among the trials at the highest resource that any reached; None while no trial has a value."""
    ranked = leaderboard(trials, metric)
    return ranked[0] if ranked else None


def counts(trials: Sequence[TrialSummary]) -> dict[str, int]:
    """How many trials are in each state."""
    return {state.value: sum(trial.state is state for trial in trials) for state in TrialState}
