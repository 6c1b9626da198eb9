"""Schedulers: which stretch of which trial comes next, and what becomes of a report."""

from tuner.schedule._base import Scheduler, Stretch

__all__ = ["Scheduler", "Stretch"]
