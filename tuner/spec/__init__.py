"""StudySpec and its parts, from YAML, from Python, and back."""

from tuner.spec.differences import differences
from tuner.spec.dump import dump_spec
from tuner.spec.load import load_spec, with_overrides
from tuner.spec.memory import Memory
from tuner.spec.overrides import apply_override
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
    Until,
)
from tuner.spec.schema import schema
from tuner.spec.study_spec import StudySpec

__all__ = [
    "ASHA",
    "Budget",
    "CheckpointPolicy",
    "Failures",
    "Hyperband",
    "Median",
    "Memory",
    "Metric",
    "NoScheduler",
    "Resources",
    "Sampler",
    "StudySpec",
    "Timeouts",
    "Until",
    "apply_override",
    "differences",
    "dump_spec",
    "load_spec",
    "schema",
    "with_overrides",
]
