"""The curves of chosen trials: a metric of theirs over epochs, steps, samples or seconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from tuner.records import Report

Along = Literal["resource", "step", "samples", "seconds"]
"""What a curve runs along: the study's unit of resource, or what the trial had spent of the others by then."""


def metrics_of(reports: Iterable[Report]) -> list[str]:
    """The names of all metrics among the reports, in the order in which they first appear."""
    return list(dict.fromkeys(name for report in reports for name in report.metrics))


def curves(
    reports: Iterable[Report], metrics: Sequence[str], along: Along = "resource", smoothing: float = 0.0
) -> pd.DataFrame:
    """One row per (trial, metric, report that has it), in order.

    Columns: trial, resource, x (where it lies `along`; seconds are those of the trial's reports, over all its
    segments), metric, value, smooth. `smooth` is the exponential moving average of the finite values with weight
    `smoothing` on the past, in 0..1, without the bias of its start (as Adam corrects it); equal to value where that
    is 0, and NaN where the value is not finite.
    """
    rows: list[tuple[int, int, float, str, float]] = []
    seconds: dict[int, float] = {}
    for report in reports:
        seconds[report.trial] = seconds.get(report.trial, 0.0) + report.seconds
        spent = {"resource": float(report.resource), "seconds": seconds[report.trial]}
        x = spent[along] if along in spent else report.metrics.get(along, np.nan)
        rows += [
            (report.trial, report.resource, x, name, report.metrics[name]) for name in metrics if name in report.metrics
        ]
    table = pd.DataFrame(rows, columns=["trial", "resource", "x", "metric", "value"])
    smooth = table.groupby(["trial", "metric"], sort=False)["value"].transform(lambda part: _smooth(part, smoothing))
    return table.assign(smooth=smooth.astype(float))


def _smooth(values: pd.Series[float], weight: float) -> pd.Series[float]:
    if weight == 0:
        return values
    average, norm, smoothed = 0.0, 0.0, []
    for value in values:
        if np.isfinite(value):
            average, norm = weight * average + (1 - weight) * value, weight * norm + (1 - weight)
        smoothed.append(average / norm if np.isfinite(value) else np.nan)
    return pd.Series(smoothed, index=values.index)
