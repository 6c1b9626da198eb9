"""The built-in trainer: declarative tasks, one readable loop, checkpoints that never execute.

Importing this loads no torch; `train` does when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tuner.training.settings import TrainerSettings
from tuner.training.task import Splits, Task

if TYPE_CHECKING:
    from tuner.training.trainer import train

__all__ = ["Splits", "Task", "TrainerSettings", "train"]


def __getattr__(name: str) -> Any:
    if name == "train":
        from tuner.training.trainer import train

        return train
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
