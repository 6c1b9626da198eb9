"""A trial's training in a few numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tuner.records import Config, Report


def headlines(reports: Sequence[Report], config: Config) -> pd.DataFrame:
    """What the reports of one trial add up to, as far as they say it.

    Columns: measure, value, unit. Rows: steps; samples per second (all samples over the seconds of their steps); wait
    for data (share of those seconds); clip rate (mean over the stretches, by their steps), unless clip_norm is off;
    skipped steps and non-finite steps (sums); update ratio (median over the reports); peak memory; recommended
    clip_norm (the last report's).
    """
    table = pd.DataFrame([dict(report.metrics) for report in reports]).replace([np.inf, -np.inf], np.nan)
    found: dict[str, tuple[float, str]] = {}
    if "step" in table:
        found["steps"] = table["step"].max(), ""
    if {"samples", "seconds"} <= set(table) and table["seconds"].sum() > 0:
        found["throughput"] = table["samples"].max() / table["seconds"].sum(), "samples/s"
    if {"data_wait", "seconds"} <= set(table):
        found["wait for data"] = _mean(table["data_wait"], table["seconds"]), "share of time"
    if {"clip_rate", "step"} <= set(table) and config.get("clip_norm") is not None:
        steps = table["step"].diff().fillna(table["step"])
        found["clip rate"] = _mean(table["clip_rate"], steps), "share of steps"
    for metric, name in (("skipped_steps", "skipped steps"), ("nonfinite_steps", "non-finite steps")):
        if metric in table:
            found[name] = table[metric].sum(), ""
    if "update_ratio" in table:
        found["update ratio"] = table["update_ratio"].median(), ""
    if "memory_peak_mib" in table:
        found["peak memory"] = table["memory_peak_mib"].max(), "MiB"
    if "clip_norm_recommended" in table:
        found["recommended clip_norm"] = table["clip_norm_recommended"].iloc[-1], ""
    rows = [(name, float(value), unit) for name, (value, unit) in found.items() if np.isfinite(value)]
    return pd.DataFrame(rows, columns=["measure", "value", "unit"])


def _mean(values: pd.Series[float], weights: pd.Series[float]) -> float:
    known = values.notna() & weights.notna()
    total = weights[known].sum()
    return float((values[known] * weights[known]).sum() / total) if total > 0 else float("nan")
