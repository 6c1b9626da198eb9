"""Hyperparameter tuning for PyTorch: search spaces, samplers, ASHA, a trainer, and a store that loses nothing.

Everything public is here and is loaded when it is first used: `import tuner` loads neither Ray nor torch nor Optuna.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuner import plots as plots
    from tuner.analysis.compared import Comparison
    from tuner.api import resume, run, study
    from tuner.errors import DataError, StopTrial, TrialFailed, TunerError, UserMistake
    from tuner.execution.simulated import CurveTable
    from tuner.objective import TrialHandle
    from tuner.space import Choice, Float, Int, SearchSpace
    from tuner.spec import (
        ASHA,
        Budget,
        CheckpointPolicy,
        Failures,
        Hyperband,
        Median,
        Metric,
        NoScheduler,
        Resources,
        Sampler,
        StudySpec,
        Timeouts,
        Until,
    )
    from tuner.training.task import Splits, Task
    from tuner.workflows.comparing.compare import compare
    from tuner.workflows.study import Study

__version__ = "0.1.0"

_HOMES = {
    "tuner.api": ["resume", "run", "study"],
    "tuner.errors": ["DataError", "StopTrial", "TrialFailed", "TunerError", "UserMistake"],
    "tuner.execution.simulated": ["CurveTable"],
    "tuner.objective": ["TrialHandle"],
    "tuner.space": ["Choice", "Float", "Int", "SearchSpace"],
    "tuner.spec": [
        "ASHA",
        "Budget",
        "CheckpointPolicy",
        "Failures",
        "Hyperband",
        "Median",
        "Metric",
        "NoScheduler",
        "Resources",
        "Sampler",
        "StudySpec",
        "Timeouts",
        "Until",
    ],
    "tuner.training.task": ["Splits", "Task"],
    "tuner.workflows.comparing.compare": ["compare"],
    "tuner.analysis.compared": ["Comparison"],
    "tuner.workflows.study": ["Study"],
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ASHA",
    "Budget",
    "CheckpointPolicy",
    "Choice",
    "Comparison",
    "CurveTable",
    "DataError",
    "Failures",
    "Float",
    "Hyperband",
    "Int",
    "Median",
    "Metric",
    "NoScheduler",
    "Resources",
    "Sampler",
    "SearchSpace",
    "Splits",
    "StopTrial",
    "Study",
    "StudySpec",
    "Task",
    "Timeouts",
    "TrialFailed",
    "TrialHandle",
    "TunerError",
    "Until",
    "UserMistake",
    "compare",
    "resume",
    "run",
    "study",
]


_ROOMS = ("plots",)
"""Modules that are reached by their name, and are no part of `from tuner import *`."""


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562)."""
    if name in _ROOMS:
        return importlib.import_module(f"tuner.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'tuner' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, *_ROOMS, "__version__"]
