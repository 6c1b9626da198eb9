"""Schedulers: which stretch of which trial comes next, and what becomes of a report."""

from tuner.schedule._base import Scheduler, Stretch
from tuner.schedule.asha import PromotingASHA, StoppingASHA
from tuner.schedule.factory import make_scheduler
from tuner.schedule.hyperband import AsyncHyperband
from tuner.schedule.median import MedianStopping
from tuner.schedule.none import FullLength
from tuner.schedule.rungs import rung_resources

__all__ = [
    "AsyncHyperband",
    "FullLength",
    "MedianStopping",
    "PromotingASHA",
    "Scheduler",
    "StoppingASHA",
    "Stretch",
    "make_scheduler",
    "rung_resources",
]
