"""The incumbent: the loss that a study would hand over if it ended now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from tuner.analysis.comparison.trace import Axis, Floats, Ints, Run, Trace

Rule = Literal["full", "any"]
"""What may be the incumbent.

full: the best among the reports at the highest resource that any trial has reached without failing: the study's own
rule for `best` (`value: last`), and so what its user would deploy. It rises when the first trial goes further than
all before it and does worse there.
any: the best of all reports, at whatever resource: it never rises, but whoever wants its model needs the checkpoint
of every report.
"""


def incumbent_curve(trace: Trace, rule: Rule = "full") -> Floats:
    """The incumbent's loss after each report; +inf while all have failed."""
    if rule == "any":
        return np.minimum.accumulate(trace.loss)
    return best_at_highest(trace.loss, trace.resource)


def best_at_highest(loss: Floats, resource: Ints) -> Floats:
    """After each entry, the lowest loss among those so far at the highest resource that any with a finite loss had;
    +inf before the first.
    """
    finite = np.isfinite(loss)
    highest = np.maximum.accumulate(np.where(finite, resource, 0))
    curve = np.where(finite & (resource == highest), loss, np.inf)
    for level in np.split(curve, np.flatnonzero(np.diff(highest)) + 1):
        np.minimum.accumulate(level, out=level)
    return curve


def incumbent(trace: Trace, at: Sequence[float] | Floats, by: Axis = "units", rule: Rule = "full") -> Floats:
    """The incumbent's loss when `at` had been spent: a step function that holds its last value to the right.

    NaN before the first report, when there is nothing to hand over; +inf while every report has been a failure.
    """
    seen = np.searchsorted(trace.spent(by), np.asarray(at, dtype=np.float64), side="right")
    return np.concatenate([[np.nan], incumbent_curve(trace, rule)])[seen]


def incumbents(
    runs: Iterable[Run], at: Sequence[float] | Floats, by: Axis = "units", rule: Rule = "full"
) -> pd.DataFrame:
    """The incumbent of every run: columns problem, method, repeat, budget (in `by`), loss (as `incumbent` says)."""
    budgets = np.asarray(at, dtype=np.float64)
    listed = list(runs)
    keys = ("problem", "method", "repeat")
    table = pd.DataFrame({key: np.repeat([getattr(run, key) for run in listed], budgets.size) for key in keys})
    losses = [incumbent(run.trace, budgets, by, rule) for run in listed]
    return table.assign(budget=np.tile(budgets, len(listed)), loss=np.concatenate(losses) if losses else [])
