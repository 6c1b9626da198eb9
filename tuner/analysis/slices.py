"""The trials against each axis: what slices and parallel coordinates are made of."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tuner.analysis.comparable import comparable
from tuner.analysis.positions import positions, text
from tuner.analysis.view import StudyView
from tuner.records import TrialSummary
from tuner.search.levels import thin

SHOWN: Final = 200
"""So many trials are drawn, a mark on each axis: the best ones, and the others evenly thinned."""

FENCE: Final = 3.0
"""Values so many interquartile ranges outside the quartiles, or more, are drawn at the figure's edge (Tukey 1977)."""


def slices(study: StudyView, level: int | None) -> pd.DataFrame:
    """Every trial with a value against every axis of the space.

    With a `level` values are those at that resource; without one each trial's own, whatever it was trained for. At most
    SHOWN trials, thinned evenly in the order of their values. One row per (axis, trial that has the axis). Columns:
    axis, trial, position (on the axis, as in tuner.analysis.positions), setting (the axis' value as text), value, drawn
    (the value, pulled to the fence if it lies beyond), resource (to which the trial was trained), state, trained
    (resource as a share of the furthest, 0..1), rank (0 the best, 1 the worst of those there). All trials that have a
    value count as there.
    """
    there, value = _valued(study, level)
    if not there:
        return pd.DataFrame({name: pd.Series(dtype=float) for name in _COLUMNS})
    furthest = max(max(trial.resource for trial in there), 1)
    shown = pd.DataFrame(
        {
            "trial": [trial.number for trial in there],
            "value": value,
            "resource": [trial.resource for trial in there],
            "state": [trial.state.value for trial in there],
            "trained": [trial.resource / furthest for trial in there],
        }
    )
    loss = shown["value"] * study.spec.metric.loss(1.0)
    shown["rank"] = (loss.rank() - 1) / max(len(loss) - 1, 1)
    low, high = fences(shown["value"].to_numpy())
    shown["drawn"] = shown["value"].clip(low, high)
    kept = np.sort(loss.to_numpy().argsort(kind="stable")[thin(len(shown), SHOWN // 4, SHOWN)])
    shown, placed = shown.iloc[kept], positions([there[index] for index in kept], study.spec.space)
    parts = []
    for name in study.spec.space:
        has = placed[name].notna().to_numpy()
        settings = [text(there[index].config[name]) for index in kept[has]]
        parts.append(shown[has].assign(axis=name, position=placed[name].to_numpy()[has], setting=settings))
    return pd.concat(parts, ignore_index=True)[_COLUMNS]


def parallel(study: StudyView, level: int | None) -> pd.DataFrame:
    """One row per trial, the worst first (the best are drawn last). Columns: trial, value, rank (0 the best, 1 the
    worst), resource, and `at NAME` for each axis: the position on it, NaN where the trial does not have it. At most
    SHOWN trials, as in `slices`.
    """
    table = slices(study, level)
    rows = table.drop_duplicates("trial")[["trial", "value", "rank", "resource"]]
    for name in study.spec.space:
        places = table.loc[table["axis"] == name].set_index("trial")["position"]
        rows = rows.assign(**{f"at {name}": rows["trial"].map(places)})
    return rows.sort_values("rank", ascending=False, kind="stable", ignore_index=True)


def n_valued(study: StudyView, level: int | None) -> int:
    """How many trials have a value, of which the tables above show SHOWN at most."""
    return len(_valued(study, level)[0])


def fences(values: NDArray[np.float64]) -> tuple[float, float]:
    """Between what bounds values are drawn, so that an outlier does not flatten the others: Tukey's far fences, or the
    values' own range where that is narrower.
    """
    if not len(values):
        return 0.0, 1.0
    first, third = np.percentile(values, [25, 75])
    reach = FENCE * (third - first)
    if reach == 0:
        return float(values.min()), float(values.max())
    return float(max(values.min(), first - reach)), float(min(values.max(), third + reach))


_COLUMNS: Final = ["axis", "trial", "position", "setting", "value", "drawn", "resource", "state", "trained", "rank"]


def _valued(study: StudyView, level: int | None) -> tuple[list[TrialSummary], list[float]]:
    """The trials that have a finite value, and those."""
    if level is None:
        there = [trial for trial in study.trials if trial.value is not None and np.isfinite(trial.value)]
        return there, [float(trial.value) for trial in there if trial.value is not None]
    judged = comparable(study, level)["value"].dropna()
    return [study.trials[number] for number in judged.index], judged.tolist()
