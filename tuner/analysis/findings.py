"""What the runs of a comparison show: typed tables, and a verdict in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, final

import numpy as np
import pandas as pd

from tuner.analysis.comparison import (
    Axis,
    Friedman,
    Run,
    Verdict,
    average_ranks,
    blocks,
    critical_difference,
    friedman,
    incumbents,
    pairwise_table,
    regret_frame,
    regret_table,
    savings,
    scales,
    verdict,
)
from tuner.analysis.comparison.bootstrap import expanded_interval, resamples
from tuner.analysis.comparison.trace import Floats
from tuner.analysis.tracing import read_trace, within
from tuner.store import ComparisonPlan, ComparisonRun, StudyStore

N_READINGS = 50
"""Budgets at which incumbents are read, evenly spread."""


def read_run(store: StudyStore, plan: ComparisonPlan, run: ComparisonRun) -> Run:
    """What a run saw, within its budget."""
    trace = read_trace(store, run.study, plan.spec)
    return Run(run.method, run.repeat, within(trace, plan.spec.budget))


@final
class Findings:
    """The analysis of `runs`, each within its budget."""

    def __init__(self, plan: ComparisonPlan, runs: Sequence[Run]) -> None:
        self._plan = plan
        self.runs = tuple(runs)

    @property
    def budget(self) -> tuple[Axis, float]:
        """What each run could spend, and what it is counted in: `units` of resource before trials before seconds."""
        budget = self._plan.spec.budget
        if budget.epochs is not None:
            return "units", float(budget.epochs)
        if budget.trials is not None:
            return "trials", float(budget.trials)
        assert budget.minutes is not None
        return "seconds", budget.minutes * 60

    @property
    def baseline(self) -> str:
        """The method that the others are held against: random, else the first."""
        return "random" if "random" in self._plan.methods else self._plan.methods[0]

    def incumbents(self, by: Axis | None = None) -> pd.DataFrame:
        """The best so far of every run over what was spent, in `by` (trials, units, seconds; by default the budget's).

        Columns: method, repeat, budget, value (the metric; NaN before the first report, and infinite while all failed).
        """
        axis, limit = self.budget
        if by is not None and by != axis:
            axis, limit = by, max((float(run.trace.spent(by).max(initial=0)) for run in self.runs), default=0.0)
        table = incumbents(self.runs, np.linspace(0, limit, N_READINGS + 1)[1:], axis)
        return table.assign(value=self._sign * table["loss"])[["method", "repeat", "budget", "value"]]

    def table(self) -> pd.DataFrame:
        """One row a method at the end of the budget, the lowest average rank first.

        Columns: method; runs; value, value_low, value_high (the median incumbent, in the metric's own unit); regret,
        regret_low, regret_high (its median, in 0..1); rank (average, over the repeats that all methods have); budget,
        ratio, ratio_low, ratio_high (after how much, and which share of the budget, the method has what the baseline's
        median run has at its end). Intervals are of 95 %.
        """
        axis, limit = self.budget
        regrets = regret_table(regret_frame(self._ends, scales(self.runs, baseline=self.baseline)))
        saved = savings(self.runs, self.baseline, limit, axis).set_index("method").reindex(regrets["method"])
        values = [self._value(self._ends.loc[self._ends["method"] == method, "loss"]) for method in regrets["method"]]
        table = pd.DataFrame(values, columns=["value", "value_low", "value_high"])
        table.insert(0, "method", regrets["method"])
        table.insert(1, "runs", regrets["n"])
        for name, column in (("regret", "median"), ("regret_low", "median_low"), ("regret_high", "median_high")):
            table[name] = regrets[column]
        ranks = pd.Series(dtype=float) if self.paired.empty else average_ranks(self.paired)
        table["rank"] = ranks.reindex(regrets["method"]).to_numpy()
        for name in ("budget", "ratio", "ratio_low", "ratio_high"):
            table[name] = saved[name].to_numpy()
        return table.sort_values(["rank", "method"], ignore_index=True)

    def pairs(self) -> pd.DataFrame:
        """Every pair of methods at the end of the budget, over the repeats that all have: see `pairwise_table`; the
        difference is one of losses.
        """
        return pairwise_table(self.paired)

    def friedman(self) -> Friedman:
        """Whether the methods' ranks at the end of the budget differ at all."""
        return friedman(self.paired)

    def critical_difference(self) -> float | None:
        """Nemenyi's: average ranks that are closer cannot be told apart. None for one method or repeat."""
        n_blocks, n_methods = self.paired.shape
        return critical_difference(n_methods, n_blocks) if n_blocks > 1 and n_methods > 1 else None

    @cached_property
    def verdict(self) -> Verdict:
        """What can be said, in words, and how sure it is."""
        axis, limit = self.budget
        metric, unit = self._plan.spec.metric, f"{self._plan.spec.scheduler.unit}s"
        return verdict(
            self.runs,
            limit,
            axis,
            metric=metric.name,
            maximised=metric.direction == "maximize",
            unit=unit,
            baseline=self.baseline,
        )

    @cached_property
    def _ends(self) -> pd.DataFrame:
        axis, limit = self.budget
        return incumbents(self.runs, [limit], axis)

    @cached_property
    def paired(self) -> pd.DataFrame:
        """The incumbents' losses at the end of the budget: a row for each repeat that every method has, a column a
        method.
        """
        return blocks(self._ends, self.budget[1])

    def _value(self, losses: pd.Series[float]) -> tuple[float, float, float]:
        """The median of one method's incumbents over its repeats, and its 95 % interval (NaN with too few for one).

        A run that has nothing to hand over (NaN) is as bad as one that only failed.
        """
        ends = losses.fillna(np.inf).to_numpy()
        medians: Floats = np.median(ends[resamples([""] * len(ends), seed=0)], axis=1)
        interval = [self._sign * end for end in expanded_interval(medians, len(ends))]
        return self._sign * float(np.median(ends)), min(interval), max(interval)

    @property
    def _sign(self) -> float:
        """From a loss to the metric."""
        return self._plan.spec.metric.value_of(1.0)

    def to_dict(self) -> dict[str, Any]:
        """What `tune show --json` prints of them."""
        axis, limit = self.budget
        test = self.friedman()
        return {
            "budget": {"by": axis, "each": limit},
            "table": self.table().to_dict("records"),
            "pairs": self.pairs().to_dict("records"),
            "friedman": {"chi_square": test.chi_square, "f": test.f, "p": test.p_value, "blocks": test.n_blocks},
            "critical_difference": self.critical_difference(),
            "verdict": str(self.verdict),
        }
