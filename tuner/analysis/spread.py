"""Where in the space each method of a comparison spent its samples."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tuner.analysis.compared import Comparison
from tuner.analysis.positions import OFF, axis_positions, text, value_at
from tuner.records import Value
from tuner.space import Axis, Choice

Weight = Literal["trials", "units"]
"""What is counted: trials, or the units of resource that they were trained."""

N_BINS = 16


def samples(comparison: Comparison) -> pd.DataFrame:
    """One row per trial of every run that has ended, also of those that a run began beyond its budget.

    Columns: method, repeat, trial, resource, value (NaN if there is none), and `config.NAME` per axis of the space:
    where its value lies, as tuner.analysis.positions has it (OFF; NaN where the configuration does not have it).
    """
    rows = [(run, trial) for run in comparison.ended for trial in comparison.trials(run)]
    table = pd.DataFrame(
        {
            "method": [run.method for run, _ in rows],
            "repeat": np.array([run.repeat for run, _ in rows], dtype=np.int64),
            "trial": np.array([trial.number for _, trial in rows], dtype=np.int64),
            "resource": np.array([trial.resource for _, trial in rows], dtype=np.int64),
            "value": np.array([math.nan if trial.value is None else trial.value for _, trial in rows]),
        }
    )
    places = {
        f"config.{name}": axis_positions(axis, [trial.config.get(name, math.nan) for _, trial in rows])
        for name, axis in comparison.plan.spec.space.items()
    }
    return pd.concat([table, pd.DataFrame(places, index=table.index)], axis=1)


def spread(comparison: Comparison, weight: Weight) -> pd.DataFrame:
    """How a method's samples are spread over each axis, one row per axis, method and bin, in the space's order.

    Columns: axis, method, position (the bin's middle, as in tuner.analysis.positions), width, values (what lies in the
    bin, in words), share (of the method's samples on this axis, by `weight`; in 0..1). A choice, and an Int of few
    values, has a bin per value, off a bin of its own. A configuration that does not have an axis is left out there.
    """
    table = samples(comparison)
    weights = table["resource"].to_numpy(np.float64) if weight == "units" else np.ones(len(table))
    parts = []
    for name, axis in comparison.plan.spec.space.items():
        places = table[f"config.{name}"].to_numpy(np.float64)
        for method in comparison.plan.methods:
            mine = (table["method"] == method).to_numpy() & ~np.isnan(places)
            counted = _counted(places[mine], weights[mine], axis)
            parts.append(counted.assign(axis=name, method=method))
    columns = ["axis", "method", "position", "width", "values", "share"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _edges(axis: Axis, n_bins: int) -> tuple[NDArray[np.float64], list[Value]]:
    """The bins' edges along the positions of an axis, without the one for off; and their values, if each is of one."""
    if isinstance(axis, Choice):
        return np.arange(len(axis.values) + 1, dtype=np.float64) - 0.5, list(axis.values)
    cardinality = axis.cardinality()
    if cardinality is not None and cardinality - axis.none <= n_bins:
        values: list[Value] = [value for value in axis.grid(n_bins) if value is not None]
        places = axis_positions(axis, values)
        half = (places[1] - places[0]) / 2 if len(places) > 1 else 0.5
        between = (places[1:] + places[:-1]) / 2
        return np.concatenate([[places[0] - half], between, [places[-1] + half]], dtype=np.float64), values
    return np.linspace(0.0, 1.0, n_bins + 1), []


def _counted(places: NDArray[np.float64], weights: NDArray[np.float64], axis: Axis) -> pd.DataFrame:
    edges, values = _edges(axis, N_BINS)
    off = places == OFF
    counts, _ = np.histogram(places[~off].clip(edges[0], edges[-1]), edges, weights=weights[~off])
    middles, widths = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    if values:
        middles, words = axis_positions(axis, values), [text(value) for value in values]
    else:
        words = [f"{text(value_at(axis, low))} to {text(value_at(axis, high))}" for low, high in pairwise(edges)]
    if not isinstance(axis, Choice) and axis.none:
        counts = np.concatenate([[weights[off].sum()], counts])
        middles, widths = np.concatenate([[OFF], middles]), np.concatenate([[widths[0]], widths])
        words = ["off", *words]
    share = counts / max(counts.sum(), 1.0)
    return pd.DataFrame({"position": middles, "width": widths, "values": words, "share": share})
