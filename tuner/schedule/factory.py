"""From a spec's scheduler to the one that decides."""

from __future__ import annotations

from tuner.schedule._base import Scheduler
from tuner.schedule.asha import PromotingASHA, StoppingASHA
from tuner.schedule.hyperband import AsyncHyperband, bracket_sizes
from tuner.schedule.median import MedianStopping
from tuner.schedule.none import FullLength
from tuner.schedule.rungs import rung_resources
from tuner.spec import ASHA, Hyperband, Median, NoScheduler


def make_scheduler(spec: NoScheduler | Median | ASHA | Hyperband) -> Scheduler:
    """A new scheduler that knows no trial yet, as the spec describes it."""
    match spec:
        case NoScheduler():
            return FullLength(spec.max_resource)
        case Median():
            return MedianStopping(spec.min_resource, spec.max_resource, spec.min_trials)
        case ASHA():
            return _asha(spec, rung_resources(spec.min_resource, spec.max_resource, spec.reduction_factor))
        case Hyperband():
            rungs = rung_resources(spec.min_resource, spec.max_resource, spec.reduction_factor)
            brackets = [_asha(spec, rungs[first:]) for first in range(len(rungs))]
            return AsyncHyperband(brackets, bracket_sizes(len(rungs), spec.reduction_factor))


def _asha(spec: ASHA | Hyperband, rungs: tuple[int, ...]) -> PromotingASHA | StoppingASHA:
    kind = PromotingASHA if spec.type == "promote" else StoppingASHA
    return kind(rungs, spec.reduction_factor)
