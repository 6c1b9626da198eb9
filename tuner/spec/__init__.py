"""StudySpec and its parts, from YAML, from Python, and back."""

from tuner.spec.parts import (
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
    Timeouts,
)
from tuner.spec.study_spec import StudySpec

__all__ = [
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
]
