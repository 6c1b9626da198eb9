"""The curves of chosen trials: metrics of theirs over epochs, steps, samples or seconds."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from tuner.records import Report, TrialSummary
from tuner.store import Remark

Along = Literal["resource", "step", "samples", "seconds"]
"""What a curve runs along: the study's unit of resource, or what the trial had spent of the others by then."""

_SPLIT = re.compile(r"^(train_eval|train|val)_(?=.)")


def metrics_of(reports: Iterable[Report]) -> list[str]:
    """The names of all metrics among the reports, in the order in which they first appear."""
    return list(dict.fromkeys(name for report in reports for name in report.metrics))


def panel_of(metric: str) -> str:
    """What a metric measures, whichever split it is measured on: `loss` of val_loss, train_loss and train_eval_loss.
    Such metrics have one unit, and are compared with each other.
    """
    return _SPLIT.sub("", metric)


def with_partners(metrics: Sequence[str], names: Collection[str]) -> list[str]:
    """The metrics, each followed by what it is held against, where that is among `names`: a val_ metric by the same on
    train in evaluation mode, else by that of training itself; one on train by that on validation.
    """
    paired: dict[str, None] = {}
    for metric in metrics:
        panel = panel_of(metric)
        others = [f"train_eval_{panel}", f"train_{panel}"] if metric.startswith("val_") else [f"val_{panel}"]
        partner = next((other for other in others if other in names), None) if panel != metric else None
        paired |= dict.fromkeys([metric] if partner is None else [metric, partner])
    return list(paired)


def curves(
    reports: Iterable[Report], metrics: Sequence[str], along: Along = "resource", smoothing: float = 0.0
) -> pd.DataFrame:
    """One row per (trial, metric, report that has it), in order.

    Columns: trial, resource, x (where it lies `along`; seconds are those of the trial's reports, over all its
    segments), metric, panel (see `panel_of`), value, smooth. `smooth` is the exponential moving average of the finite
    values with weight `smoothing` on the past, in 0..1, without the bias of its start (as Adam corrects it); equal to
    value where that is 0, and NaN where the value is not finite.
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
    table = table.assign(panel=table["metric"].map(panel_of).astype(str), value=table["value"].astype(float))
    smooth = table.groupby(["trial", "metric"], sort=False)["value"].transform(lambda part: _smooth(part, smoothing))
    return table.assign(smooth=smooth.astype(float))


def _smooth(values: pd.Series[float], weight: float) -> pd.Series[float]:
    if weight == 0:
        return values
    finite = np.isfinite(values)
    return values.where(finite).ewm(alpha=1 - weight, adjust=True, ignore_na=True).mean().where(finite)


def remarks_table(remarks: Iterable[Remark], trials: Iterable[TrialSummary]) -> pd.DataFrame:
    """What happened to some trials: their remarks, and the failure of those that failed.

    Columns: trial, resource (of the report that told it, or at which the trial failed), event; in that order.
    """
    told = [(remark.trial, remark.resource, remark.event) for remark in remarks]
    told += [(trial.number, trial.resource, f"failed: {trial.failure.message}") for trial in trials if trial.failure]
    table = pd.DataFrame(told, columns=["trial", "resource", "event"])
    return table.sort_values(["trial", "resource"], kind="stable", ignore_index=True)


def marked(table: pd.DataFrame, remarks: pd.DataFrame) -> pd.DataFrame:
    """The table of `curves` with a column `event`: what `remarks_table` says of the trial at that resource, a line
    each; empty where it says nothing.
    """
    said = remarks.groupby(["trial", "resource"], sort=False)["event"].agg("\n".join).to_dict()
    places = zip(table["trial"], table["resource"], strict=True)
    return table.assign(event=pd.Series([said.get(place, "") for place in places], index=table.index, dtype=str))
