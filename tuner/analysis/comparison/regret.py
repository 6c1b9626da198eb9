"""Normalised regret: how much of the way from a reference to the best known loss is still to go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tuner.analysis.comparison.bootstrap import expanded_interval, resamples
from tuner.analysis.comparison.trace import Floats, Run


@dataclass(frozen=True)
class Scale:
    """The two ends of a problem's regret: 0 at `best`, 1 at `reference`, and where each is from."""

    problem: str
    best: float
    reference: float
    best_from: str
    reference_from: str

    def regret(self, loss: Floats) -> Floats:
        """Normalised regret in 0..1; NaN (nothing yet) and +inf (only failures) are 1.

        Where the reference is no worse than the best known there is no way to go: 0 at the best, 1 above it.
        """
        loss = np.where(np.isnan(loss), np.inf, loss)
        way = self.reference - self.best
        if not (0 < way < np.inf):
            return np.where(loss <= self.best, 0.0, 1.0)
        return np.clip((loss - self.best) / way, 0.0, 1.0)


def scales(
    runs: Sequence[Run],
    best: Mapping[str, float] | None = None,
    reference: Mapping[str, float] | None = None,
    baseline: str = "random",
) -> dict[str, Scale]:
    """A Scale for every problem of the runs.

    `best` and `reference` by problem, where they are known. Without: the best finite loss that any run reported, and
    the median of the first losses that did not fail, over the runs of `baseline`, or over all where it was not run.
    """
    return {
        problem: _scale(problem, [run for run in runs if run.problem == problem], best, reference, baseline)
        for problem in sorted({run.problem for run in runs})
    }


def regret_frame(incumbents: pd.DataFrame, scales: Mapping[str, Scale]) -> pd.DataFrame:
    """The table of `incumbents` with a column more: regret, in 0..1."""
    regret = np.ones(len(incumbents))
    for problem, scale in scales.items():
        rows = (incumbents["problem"] == problem).to_numpy()
        regret[rows] = scale.regret(incumbents["loss"].to_numpy(dtype=np.float64)[rows])
    return incumbents.assign(regret=regret)


def regret_table(regrets: pd.DataFrame, level: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """Regret by method over budget, one row for each of them, from the table of `regret_frame`.

    Columns: method, budget, n (runs, over all problems), median, median_low, median_high, mean, mean_low, mean_high.
    The intervals are over repeats of the same problems (`expanded_interval`); NaN with fewer than six of one.
    """
    rows = []
    for method, of_method in regrets.groupby("method", sort=True):
        table = of_method.pivot_table(index=["problem", "repeat"], columns="budget", values="regret")
        problems = table.index.get_level_values("problem")
        n_each, n_problems = int(problems.value_counts().min()), problems.nunique()
        values = table.to_numpy()
        drawn = values[resamples(list(problems), seed)]
        medians, means = np.median(drawn, axis=1), drawn.mean(axis=1)
        for i, budget in enumerate(table.columns):
            rows.append(
                (
                    *(method, budget, len(values)),
                    *(float(np.median(values[:, i])), *expanded_interval(medians[:, i], n_each, level, n_problems)),
                    *(float(values[:, i].mean()), *expanded_interval(means[:, i], n_each, level, n_problems)),
                )
            )
    columns = ["method", "budget", "n", "median", "median_low", "median_high", "mean", "mean_low", "mean_high"]
    return pd.DataFrame(rows, columns=columns)


def _scale(
    problem: str,
    runs: Sequence[Run],
    best: Mapping[str, float] | None,
    reference: Mapping[str, float] | None,
    baseline: str,
) -> Scale:
    best_loss, best_from = np.inf, "best of all runs"
    if best is not None and problem in best:
        best_loss, best_from = best[problem], "given"
    else:
        best_loss = min((float(run.trace.loss.min(initial=np.inf)) for run in runs), default=np.inf)
    if reference is not None and problem in reference:
        return Scale(problem, best_loss, reference[problem], best_from, "given")
    chosen = [run for run in runs if run.method == baseline]
    finite = [run.trace.loss[np.isfinite(run.trace.loss)] for run in chosen or runs]
    firsts = [float(losses[0]) for losses in finite if losses.size]
    source = f"median first loss of {baseline if chosen else 'all runs'}"
    return Scale(problem, best_loss, float(np.median(firsts)) if firsts else np.inf, best_from, source)
