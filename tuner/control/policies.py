"""What a failure leads to, by the policy of its kind: the rules behind `failures` in a spec."""

from __future__ import annotations

from tuner.control.fate import Happening
from tuner.control.trial import Trial
from tuner.records import Failure
from tuner.spec.parts import Failures


def after_failure(trial: Trial, failure: Failure, policies: Failures) -> Happening:
    """Of a trial that has failed, this time counted. A kind with a policy is counted by itself, the others together."""
    policy = None if failure.kind.of_machines else policies.policy(failure.kind)
    if policy == "stop":
        return Happening.STOPS_THE_STUDY
    if policy is not None:
        return _once_or_for_good(trial.failures[failure.kind], policy)
    together = sum(n for kind, n in trial.failures.items() if kind.of_machines or policies.policy(kind) is None)
    return _once_or_for_good(together, policies.retries)


def after_loss(trial: Trial, failure: Failure, policies: Failures) -> Happening:
    """Of a trial whose worker or node went away, this time counted. No attempt is, unless nothing is reported between
    one loss and the next: then it may be the trial that kills them.
    """
    policy = policies.policy(failure.kind)
    if policy == "stop":
        return Happening.STOPS_THE_STUDY
    if policy is not None and trial.losses_in_a_row[failure.kind] > policy:
        return Happening.FAILED_FOR_GOOD
    return Happening.LOST


def _once_or_for_good(n_failures: int, retries: int) -> Happening:
    return Happening.FAILED_ONCE if n_failures <= retries else Happening.FAILED_FOR_GOOD
