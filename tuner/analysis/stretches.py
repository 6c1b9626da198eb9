"""Where the steps of one trial lie, along whatever its curves run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self, final

import numpy as np
import numpy.typing as npt
import pandas as pd

from tuner.analysis.curves import Along
from tuner.records import Report
from tuner.store import Remark

Floats = npt.NDArray[np.float64]

_STEP = re.compile(r"step (\d{1,15}):")


@final
@dataclass(frozen=True, slots=True, eq=False)
class Stretches:
    """The reports of one trial: `x` is where each lies, `step` the steps until then (NaN where it does not say)."""

    x: Floats
    step: Floats
    resource: npt.NDArray[np.int64]

    @classmethod
    def of(cls, reports: Sequence[Report], along: Along) -> Self:
        """Of a trial's reports, in order. Seconds are those of its reports, over all its segments."""
        resource = np.array([report.resource for report in reports], dtype=np.int64)
        step = np.array([report.metrics.get("step", np.nan) for report in reports], dtype=float)
        if along == "resource":
            x = resource.astype(float)
        elif along == "seconds":
            x = np.cumsum([report.seconds for report in reports], dtype=float)
        else:
            x = np.array([report.metrics.get(along, np.nan) for report in reports], dtype=float)
        return cls(x, step, resource)

    @property
    def has_steps(self) -> bool:
        """Whether a step can be placed."""
        return bool((np.isfinite(self.step) & np.isfinite(self.x)).any())

    def at_step(self, steps: npt.ArrayLike) -> Floats:
        """Where steps lie: between two reports by their share of the steps between them."""
        known = np.isfinite(self.step) & np.isfinite(self.x)
        before, until = np.concatenate([[0.0], self.step[known]]), np.concatenate([[0.0], self.x[known]])
        return np.asarray(np.interp(np.asarray(steps, dtype=float), before, until), dtype=np.float64)


def remarks_along(remarks: Iterable[Remark], stretches: Stretches) -> pd.DataFrame:
    """What happened to one trial. Columns: resource (of the report that told it), x (of the step that the event names,
    as in "step 128: ..", else of the report; NaN where neither is known), event; in order.
    """
    places = dict(zip(stretches.resource.tolist(), stretches.x.tolist(), strict=True))
    rows = []
    for remark in remarks:
        named = _STEP.match(remark.event) if stretches.has_steps else None
        x = stretches.at_step([int(named[1])])[0] if named else places.get(remark.resource, np.nan)
        rows.append((remark.resource, float(x), remark.event))
    return pd.DataFrame(rows, columns=["resource", "x", "event"])
