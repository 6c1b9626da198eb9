"""What it takes the methods of a comparison to reach a value of the metric."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from tuner.analysis.compared import Comparison
from tuner.analysis.comparison import Axis, reach_frame, reach_table

_PROBLEM = "default"


def usual_target(comparison: Comparison) -> float | None:
    """The metric's value that the baseline's median run has at the end of its budget, or where that is not known the
    best method's; None if neither has one.
    """
    table = comparison.findings.table().set_index("method")
    for method in (comparison.findings.baseline, *table.index):
        value = float(table["value"].get(method, math.nan))
        if math.isfinite(value):
            return value
    return None


def reaches(comparison: Comparison, target: float, by: Axis) -> pd.DataFrame:
    """When each run first had a best so far as good as `target` (the metric).

    Columns: method, repeat, budget (in `by`; of a run that never had it, all that it spent), reached.
    """
    loss = comparison.plan.spec.metric.loss(target)
    table = reach_frame(comparison.findings.runs, {_PROBLEM: loss}, by)
    return table[["method", "repeat", "budget", "reached"]]


def reach_medians(comparison: Comparison, target: float, by: Axis) -> pd.DataFrame:
    """One row a method, the quickest first.

    Columns: method, runs, reached (runs that had the target), median (of the budget, Kaplan-Meier; infinite where less
    than half reached it), low, high (its 95 % interval over repeats, NaN with fewer than six).
    """
    found = reach_table(reaches(comparison, target, by).assign(problem=_PROBLEM, target=target))
    found = found.assign(reached=(found["share"] * found["n"]).round().astype(np.int64))
    table = found.rename(columns={"n": "runs"})[["method", "runs", "reached", "median", "low", "high"]]
    return table.sort_values(["median", "reached", "method"], ascending=[True, False, True], ignore_index=True)


def reach_curves(comparison: Comparison, target: float, by: Axis) -> pd.DataFrame:
    """The share of a method's runs that have the target after a budget: steps, each from its row on.

    Columns: method, budget (in `by`), share in 0..1. It is 1 - S of Kaplan and Meier (1958): a run that ended before it
    had the target counts as long as it went on. The first row of a method is (0, 0), the last the end of its longest
    run.
    """
    table = reaches(comparison, target, by)
    rows: list[tuple[str, float, float]] = []
    for method in comparison.plan.methods:
        runs = table[table["method"] == method].sort_values(["budget", "reached"], ascending=[True, False])
        if runs.empty:
            continue
        reached = runs["reached"].to_numpy(dtype=np.bool_)
        left = np.arange(len(runs), 0, -1)
        shares = 1 - np.cumprod(1 - reached / left)
        rows.append((method, 0.0, 0.0))
        rows += [(method, float(b), float(s)) for b, s, r in zip(runs["budget"], shares, reached, strict=True) if r]
        rows.append((method, float(runs["budget"].max()), float(shares[-1])))
    return pd.DataFrame(rows, columns=["method", "budget", "share"])
