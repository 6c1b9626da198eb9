"""The budget that it takes to reach a target, with the runs that did not reach it kept as censored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from tuner.analysis.comparison.bootstrap import expanded_interval, resamples
from tuner.analysis.comparison.incumbent import Rule, incumbent, incumbent_curve
from tuner.analysis.comparison.trace import Axis, Floats, Run, Trace


def first_reach(trace: Trace, target: npt.ArrayLike, by: Axis = "units", rule: Rule = "full") -> Floats:
    """What had been spent when the incumbent was first at or below each target; +inf where it never was."""
    lowest = np.minimum.accumulate(incumbent_curve(trace, rule))
    first = np.searchsorted(-lowest, -np.asarray(target, dtype=np.float64), side="left")
    return np.append(trace.spent(by), np.inf)[first]


def reach_frame(
    runs: Sequence[Run], targets: Mapping[str, float], by: Axis = "units", rule: Rule = "full"
) -> pd.DataFrame:
    """When each run reached its problem's target: columns problem, method, repeat, target, budget, reached.

    `budget` (in `by`) is where the target was first reached; where it was not, it is all that the run spent, a bound
    from below.
    """
    rows = []
    for run in runs:
        target = targets[run.problem]
        budget = float(first_reach(run.trace, target, by, rule))
        reached = bool(np.isfinite(budget))
        spent = float(run.trace.spent(by)[-1]) if len(run.trace) else 0.0
        rows.append((run.problem, run.method, run.repeat, target, budget if reached else spent, reached))
    return pd.DataFrame(rows, columns=["problem", "method", "repeat", "target", "budget", "reached"])


def median_budget(budget: npt.ArrayLike, reached: npt.ArrayLike) -> Floats:
    """The Kaplan-Meier median along the last axis: the least budget by which half have reached; +inf if never half."""
    budget, reached = np.asarray(budget, dtype=np.float64), np.asarray(reached, dtype=np.bool_)
    order = np.lexsort((~reached, budget), axis=-1)  # at a tie, those that reached come before the censored
    events = np.take_along_axis(reached, order, -1)
    waiting = np.cumprod(1 - events / np.arange(budget.shape[-1], 0, -1), axis=-1)
    half = waiting <= 0.5 + 1e-12  # a product of fractions misses a half by rounding
    at_half = np.take_along_axis(np.take_along_axis(budget, order, -1), half.argmax(-1)[..., None], -1)[..., 0]
    return np.where(half.any(-1), at_half, np.inf)


def reach_table(reaches: pd.DataFrame, level: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """Columns problem, method, target, n, share (that reached), median (Kaplan-Meier), low, high; +inf: never half."""
    rows = []
    for (problem, method), group in reaches.groupby(["problem", "method"], sort=True):
        budget, reached = group["budget"].to_numpy(), group["reached"].to_numpy()
        drawn = resamples([str(problem)] * len(group), seed)
        interval = expanded_interval(median_budget(budget[drawn], reached[drawn]), len(group), level)
        target = float(group["target"].iloc[0])
        rows.append(
            (problem, method, target, len(group), reached.mean(), float(median_budget(budget, reached)), *interval)
        )
    return pd.DataFrame(rows, columns=["problem", "method", "target", "n", "share", "median", "low", "high"])


def savings(
    runs: Sequence[Run],
    baseline: str,
    at: float,
    by: Axis = "units",
    rule: Rule = "full",
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """After how much each method reaches what the baseline's median run has at `at`, by problem.

    Columns: problem, method, target (the baseline's median incumbent), budget (the Kaplan-Meier median, in `by`),
    ratio (budget / at), ratio_low, ratio_high; +inf where less than half of the runs reach it. The bootstrap draws
    repeats, of the baseline (and so the target) and of the method alike, for they are paired.
    """
    rows = []
    for problem in sorted({run.problem for run in runs if run.method == baseline}):
        by_method: dict[str, dict[int, Trace]] = {}
        for run in runs:
            if run.problem == problem:
                by_method.setdefault(run.method, {})[run.repeat] = run.trace
        for method in sorted(by_method.keys() - {baseline}):
            repeats = sorted(by_method[method].keys() & by_method[baseline].keys())
            if not repeats:
                continue
            ends = np.array([incumbent(by_method[baseline][r], [at], by, rule)[0] for r in repeats])
            ends[np.isnan(ends)] = np.inf
            drawn = np.vstack([np.arange(len(repeats)), resamples([problem] * len(repeats), seed)])
            targets = np.quantile(ends[drawn], 0.5, axis=1, method="inverted_cdf")
            reach = np.stack([first_reach(by_method[method][r], targets, by, rule) for r in repeats], axis=1)
            reach = np.take_along_axis(reach, drawn, axis=1)
            spent = np.array([by_method[method][r].spent(by).max(initial=0.0) for r in repeats])[drawn]
            reached = np.isfinite(reach)
            budgets = median_budget(np.where(reached, reach, spent), reached)
            interval = expanded_interval(budgets[1:] / at, len(repeats), level)
            rows.append((problem, method, float(targets[0]), float(budgets[0]), float(budgets[0] / at), *interval))
    return pd.DataFrame(rows, columns=["problem", "method", "target", "budget", "ratio", "ratio_low", "ratio_high"])
