"""How methods of a comparison get on with what they spend: the median of their runs, and how sure it is."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tuner.analysis.compared import Comparison
from tuner.analysis.comparison import Axis
from tuner.analysis.comparison.bootstrap import expanded_interval, resamples


def runs_so_far(comparison: Comparison, by: Axis) -> pd.DataFrame:
    """The best so far of every run over what was spent in `by`, up to where the longest run of its method ended.

    Columns: method, repeat, budget (trials, units or seconds), value (the metric; NaN before the first report, and
    infinite while all failed). A run that ended earlier keeps its last value.
    """
    findings = comparison.findings
    table = findings.incumbents(by)
    if by == findings.budget[0]:
        return table
    ends = {run.method: 0.0 for run in findings.runs}
    for run in findings.runs:
        ends[run.method] = max(ends[run.method], float(run.trace.spent(by).max(initial=0.0)))
    return table[table["budget"] <= table["method"].map(ends) * (1 + 1e-9)].reset_index(drop=True)


def bands(comparison: Comparison, by: Axis) -> pd.DataFrame:
    """The median over a method's runs of the best so far, one row per method and budget, in the plan's order.

    Columns: method, budget (in `by`), runs, median, low, high: the metric, and the 95 % interval of its median over
    repeats (`expanded_interval`; NaN with fewer than six). A run without a finite value yet is worse than all; where
    that is the median, it is NaN.
    """
    table = runs_so_far(comparison, by)
    sign = comparison.plan.spec.metric.value_of(1.0)
    rows: list[tuple[str, float, int, float, float, float]] = []
    for method in comparison.plan.methods:
        of_method = table[table["method"] == method]
        if of_method.empty:
            continue
        values = of_method.pivot_table(index="repeat", columns="budget", values="value", dropna=False)
        losses = sign * values.to_numpy(dtype=np.float64)
        losses[~np.isfinite(losses)] = np.inf
        medians = np.median(losses, axis=0)
        drawn = np.median(losses[resamples([""] * len(losses), seed=0)], axis=1)
        for index, budget in enumerate(values.columns):
            ends = sorted(sign * end for end in expanded_interval(drawn[:, index], len(losses)))
            rows.append((method, float(budget), len(losses), sign * float(medians[index]), ends[0], ends[1]))
    columns = ["method", "budget", "runs", "median", "low", "high"]
    made = pd.DataFrame(rows, columns=columns).astype({"median": np.float64})
    return made.assign(median=made["median"].where(np.isfinite(made["median"])))


def view_of(bands: pd.DataFrame) -> tuple[float, float] | None:
    """The values that a figure of them opens on, with a margin of a twentieth: the medians after the first quarter of
    what was spent, for at the start they are so much worse that nothing else could be seen, and the intervals at the
    end. None without medians.
    """
    later = bands.loc[bands["budget"] >= bands["budget"].max() / 4, "median"].dropna()
    if later.empty:
        return None
    ends = bands.groupby("method").tail(1)[["low", "high"]].to_numpy(dtype=np.float64).ravel()
    shown = np.concatenate([later.to_numpy(dtype=np.float64), ends[np.isfinite(ends)]])
    low, high = float(shown.min()), float(shown.max())
    margin = (high - low) / 20 or abs(low) / 20 or 1.0
    return low - margin, high + margin
