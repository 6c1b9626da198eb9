"""How one trial's training went: what its reports, and the steps between them, say of its dynamics.

`PANELS` are what there is to see, the most telling first; docs/trainer.md says what each metric is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import pandas as pd

from tuner.analysis.curves import Along
from tuner.analysis.stretches import Stretches
from tuner.analysis.thinning import extremes
from tuner.records import Config, Details, Report

USUAL_UPDATE = (3e-4, 3e-3)
"""About 1e-3, half an order of magnitude either way: a heuristic for ‖Δw‖/‖w‖ of a step (Karpathy, CS231n, "Neural
Networks Part 3", ratio of weights to updates).
"""


@final
@dataclass(frozen=True, slots=True)
class Panel:
    """What is seen together: `metrics` of reports, and the curve `steps` of their steps. `missing` says why it may not
    have been measured.
    """

    name: str
    metrics: tuple[str, ...]
    unit: str = ""
    steps: str = ""
    log: bool = False
    missing: str = "it was not reported"


PANELS: tuple[Panel, ...] = (
    Panel("loss", ("val_loss", "train_eval_loss", "train_loss"), steps="loss"),
    Panel("learning rate", ("lr",), steps="lr"),
    Panel(
        "gradient norm",
        ("grad_norm_p50", "grad_norm_p90", "grad_norm_p99", "grad_norm_max"),
        steps="grad_norm",
        log=True,
    ),
    Panel("update ratio ‖Δw‖/‖w‖", ("update_ratio",), log=True),
    Panel("clip rate", ("clip_rate",), "share of steps"),
    Panel("steps not taken", ("skipped_steps", "nonfinite_steps"), "steps"),
    Panel("loss scale", ("loss_scale",), steps="loss_scale", log=True),
    Panel("wait for data", ("data_wait",), "share of time"),
    Panel("throughput", ("samples_per_second",), "samples/s"),
    Panel("peak memory", ("memory_peak_mib",), "MiB", missing="it is measured on a GPU only"),
    Panel("weight norm ‖w‖", ("weight_norm",)),
    Panel(
        "gradient noise scale", ("noise_scale",), "samples", log=True, missing="it is measured with noise_scale: true"
    ),
)


def dynamics(
    reports: Sequence[Report], details: Iterable[tuple[int, Details]] = (), along: Along = "resource"
) -> pd.DataFrame:
    """What was measured of one trial, one row per (panel, series, level, point), in the order of `PANELS`.

    Columns: panel (its name), series (a metric, or the name of a curve), level ("report", or "step" for the points
    between reports), resource (of the report), x (where it lies `along`, see tuner.analysis.curves; between two reports
    by its share of their steps), value. A panel of which no value is finite is not there. Steps are thinned, such that
    no peak is lost, to at most tuner.analysis.thinning.MOST_POINTS a series.
    """
    stretches = Stretches.of(reports, along)
    steps = _steps(details, stretches)
    parts: list[pd.DataFrame] = []
    for panel in PANELS:
        measured = [_of_reports(panel, metric, reports, stretches) for metric in panel.metrics]
        if panel.steps in steps:
            measured.append(steps[panel.steps].assign(panel=panel.name, series=panel.steps, level="step"))
        if any(np.isfinite(part["value"]).any() for part in measured):
            parts += [part for part in measured if len(part)]
    columns = ["panel", "series", "level", "resource", "x", "value"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _of_reports(panel: Panel, metric: str, reports: Sequence[Report], stretches: Stretches) -> pd.DataFrame:
    there = [place for place, report in enumerate(reports) if metric in report.metrics]
    return pd.DataFrame(
        {
            "panel": panel.name,
            "series": metric,
            "level": "report",
            "resource": [reports[place].resource for place in there],
            "x": stretches.x[there],
            "value": np.array([reports[place].metrics[metric] for place in there], dtype=float),
        }
    )


def _steps(details: Iterable[tuple[int, Details]], stretches: Stretches) -> dict[str, pd.DataFrame]:
    """Of each curve of the steps: resource, x, value; where it was measured."""
    told = [(resource, found.curves) for resource, found in details if "step" in found.curves]
    if not told or not stretches.has_steps:
        return {}
    at = np.concatenate([np.asarray(curves["step"]) for _, curves in told])
    resources = np.concatenate([np.full(len(curves["step"]), resource) for resource, curves in told])
    found = {}
    for name in dict.fromkeys(name for _, curves in told for name in curves if name != "step"):
        value = np.concatenate([_column(curves, name) for _, curves in told])
        measured = np.flatnonzero(~np.isnan(value)) if name == "grad_norm" else np.arange(len(value))
        kept = measured[extremes(value[measured])]
        places = {"resource": resources[kept], "x": stretches.at_step(at[kept]), "value": value[kept]}
        found[name] = pd.DataFrame(places)
    return found


def _column(curves: Mapping[str, Sequence[float]], name: str) -> np.ndarray:
    values = np.asarray(curves.get(name, ()), dtype=float)
    return values if len(values) == len(curves["step"]) else np.full(len(curves["step"]), np.nan)


def telling(table: pd.DataFrame, config: Config) -> pd.DataFrame:
    """The table of `dynamics` without the panels that have nothing to tell: no step that was not taken, no loss scale
    but 1, no clipping.
    """
    dull = [panel.name for panel in PANELS if _dull(panel, table, config)]
    return table[~table["panel"].isin(dull)]


def left_out(table: pd.DataFrame, config: Config) -> pd.DataFrame:
    """The panels that are not shown. Columns: panel, metrics (which would be in it), why."""
    rows = []
    for panel in PANELS:
        why = _dull(panel, table, config) if (table["panel"] == panel.name).any() else panel.missing
        if why:
            rows.append((panel.name, ", ".join(panel.metrics), why))
    return pd.DataFrame(rows, columns=["panel", "metrics", "why"])


def _dull(panel: Panel, table: pd.DataFrame, config: Config) -> str:
    values = table["value"][table["panel"] == panel.name]
    if not len(values):
        return ""
    if panel.name == "steps not taken" and (values == 0).all():
        return "every step was taken"
    if panel.name == "loss scale" and (values.dropna() == 1).all():
        return "it is 1 throughout: only fp16 scales the loss"
    if panel.name == "clip rate" and (values.dropna() == 0).all() and config.get("clip_norm") is None:
        return "clip_norm is off"
    return ""


def references(reports: Sequence[Report], config: Config) -> pd.DataFrame:
    """What the measurements are held against.

    Columns: panel, name, low, high (equal, for a line): the clip norm of the configuration, the one that the last
    report recommends, the batch size beside the noise scale, and `USUAL_UPDATE`.
    """
    rows: list[tuple[str, str, float, float]] = [("update ratio ‖Δw‖/‖w‖", "usual: about 0.001", *USUAL_UPDATE)]
    recommended = [r.metrics["clip_norm_recommended"] for r in reports if "clip_norm_recommended" in r.metrics]
    lines = [("gradient norm", "clip_norm", config.get("clip_norm"))]
    lines.append(("gradient norm", "recommended clip_norm", recommended[-1] if recommended else None))
    lines.append(("gradient noise scale", "batch_size", config.get("batch_size")))
    for panel, name, value in lines:
        if isinstance(value, int | float) and np.isfinite(value) and value > 0:
            rows.append((panel, f"{name} {value:.3g}", float(value), float(value)))
    return pd.DataFrame(rows, columns=["panel", "name", "low", "high"])
