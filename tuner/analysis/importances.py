"""Which hyperparameters matter for being among the best trials, how sure that is, and what chance alone would give."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tuner.analysis.comparable import comparable
from tuner.analysis.ped_anova import CELLS, cells, importance
from tuner.analysis.positions import OFF, positions
from tuner.analysis.view import StudyView
from tuner.space import NONE_SHARE, Axis, Choice

FEWEST: Final = 20
"""With fewer trials nothing is said."""
BEST: Final = 0.1
"""The share of the trials that are the best ones; 5 of them at least."""
REPEATS: Final = 100
"""Bootstrap samples for the intervals, and shuffles for what chance gives."""

COLUMNS: Final = ("axis", "importance", "low", "high", "chance", "trials", "best")

_Axis = tuple[NDArray[np.int64], int, bool]
"""Each trial's cell, the number of cells, whether they have an order."""


def importances(study: StudyView, level: int | None) -> pd.DataFrame:
    """The importance of each axis for being among the best, of all trials that can be compared at `level`.

    PED-ANOVA (tuner.analysis.ped_anova): an axis matters as far as the best trials lie elsewhere on it than the others
    do that were tried, so that a sampler's preference is not taken for an effect. It sees no interactions.

    One row per axis that varies, the most important first. Columns: axis; importance, a share of the sum over the axes,
    in 0..1; low, high, the 5th and 95th percentile over REPEATS bootstrap samples of the trials; chance, the 95th
    percentile over as many shuffles of the losses, on the scale of the importance (what is not above it may be chance);
    trials, of how many it was worked out; best, how many of them are the best. Empty with fewer than FEWEST trials, or
    where the losses do not tell the best from the others. Seeded by the study: the same trials give the same table.
    """
    judged = comparable(study, level)
    placed = positions([study.trials[number] for number in judged.index], study.spec.space)
    varying = [name for name in study.spec.space if placed[name].nunique(dropna=True) > 1]
    rank = judged["rank"].to_numpy()
    best = _best(rank)
    if len(judged) < FEWEST or not varying or best.all():
        return pd.DataFrame({name: pd.Series(dtype="str" if name == "axis" else float) for name in COLUMNS})
    axes = [_cells(placed[name].to_numpy(), study.spec.space[name]) for name in varying]
    rng = np.random.default_rng(study.spec.seed)
    raw = _raw(axes, best)
    spread, chance = np.empty((REPEATS, len(axes))), np.empty((REPEATS, len(axes)))
    for repeat in range(REPEATS):
        rows = rng.integers(0, len(rank), len(rank))
        spread[repeat] = _shares(_raw([(cell[rows], n, ordered) for cell, n, ordered in axes], _best(rank[rows])))
        chance[repeat] = _raw(axes, rng.permutation(best))
    shares, total = _shares(raw), raw.sum()
    table = pd.DataFrame(
        {
            "axis": varying,
            "importance": shares,
            "low": np.minimum(np.percentile(spread, 5, axis=0), shares),
            "high": np.maximum(np.percentile(spread, 95, axis=0), shares),
            "chance": np.minimum(np.percentile(chance, 95, axis=0) / total, 1.0) if total > 0 else 1.0,
            "trials": len(rank),
            "best": int(best.sum()),
        }
    )
    return table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)


def _best(rank: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether a trial is one of the best; ties with the last of them are, too."""
    if not len(rank):
        return np.zeros(0, dtype=bool)
    last = min(max(int(np.ceil(BEST * len(rank))), 5), len(rank)) - 1
    found: NDArray[np.bool_] = rank <= np.partition(rank, last)[last]
    return found


def _cells(places: NDArray[np.float64], axis: Axis) -> _Axis:
    if isinstance(axis, Choice):
        return np.where(np.isnan(places), -1, places).astype(np.int64), len(axis.values), False
    units = np.clip(places, 0.0, 1.0)
    if axis.none:  # as the samplers have it: "off" lies below all numbers
        units = np.where(places == OFF, NONE_SHARE / 2, NONE_SHARE + units * (1 - NONE_SHARE))
    return cells(units), CELLS, True


def _raw(axes: list[_Axis], best: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.array([importance(cell, best, n_cells, ordered=ordered) for cell, n_cells, ordered in axes])


def _shares(raw: NDArray[np.float64]) -> NDArray[np.float64]:
    total = raw.sum()
    found: NDArray[np.float64] = raw / total if total > 0 else np.full(len(raw), 1 / len(raw))
    return found
