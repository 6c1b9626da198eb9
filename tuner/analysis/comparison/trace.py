"""What one study saw, in the order in which it saw it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

Axis = Literal["trials", "units", "seconds"]
"""What a budget is counted in: trials started, units of resource (epochs) spent in all, or seconds since the start."""


@dataclass(frozen=True, eq=False)
class Trace:
    """One entry per report, in order of arrival; read-only arrays of equal length.

    Raises ValueError where lengths differ, where seconds, units or trials fall, or where a number is NaN.
    """

    seconds: Floats
    """Since the study's start."""
    units: Floats
    """Units of resource that the study had spent, over all trials, when the report came."""
    trials: Ints
    """Trials that had started when the report came."""
    trial: Ints
    """The trial that reported."""
    resource: Ints
    """Where the trial had got to."""
    loss: Floats
    """What it reported; lower is better, +inf for a failure."""
    max_resource: int
    """The resource of a full training."""

    def __post_init__(self) -> None:
        for name, dtype in _COLUMNS.items():
            column = np.array(getattr(self, name), dtype=dtype)
            column.flags.writeable = False
            object.__setattr__(self, name, column)
        shapes = {name: getattr(self, name).shape for name in _COLUMNS}
        if set(shapes.values()) != {(len(self),)}:
            raise ValueError(f"A trace's columns are of one length and one dimension; these are {shapes}.")
        for name in ("seconds", "units", "loss"):
            if np.isnan(getattr(self, name)).any():
                raise ValueError(f"A trace has NaN among its {name}; a failure's loss is +inf.")
        for axis in ("seconds", "units", "trials"):
            if np.any(np.diff(getattr(self, axis)) < 0):
                raise ValueError(f"A trace is in order of arrival, but its {axis} fall.")

    def __len__(self) -> int:
        """The number of reports."""
        return int(self.loss.size)

    def spent(self, by: Axis) -> Floats:
        """What had been spent at each report, counted in `by`; it never falls."""
        return cast("Floats", getattr(self, by).astype(np.float64))


@dataclass(frozen=True, eq=False)
class Run:
    """One study of a comparison. Runs of one problem and repeat are paired: they had the same seed."""

    method: str
    repeat: int
    trace: Trace
    problem: str = "default"


_COLUMNS: dict[str, type[Any]] = {
    "seconds": np.float64,
    "units": np.float64,
    "trials": np.int64,
    "trial": np.int64,
    "resource": np.int64,
    "loss": np.float64,
}
