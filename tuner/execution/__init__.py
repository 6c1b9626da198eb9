"""Executors: they run segments on workers. The only door to Ray."""

from tuner.execution._base import Driver, Executor, Job, Message
from tuner.execution.local import LocalExecutor

__all__ = ["Driver", "Executor", "Job", "LocalExecutor", "Message"]
