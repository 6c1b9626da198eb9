"""Generalization: the gap between validation and training loss, what it depends on, and where a trial overfits.

The gap is val_loss - train_eval_loss, both in evaluation mode (docs/trainer.md).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from tuner.analysis.positions import OFF, axis_positions, text
from tuner.analysis.view import StudyView
from tuner.records import TrialState
from tuner.space import Axis, Choice

Which = Literal["furthest", "all"]
"""Trials at the highest resource that any reached, which can be compared; or all, each at its own."""

LEAST_TRIALS = 10
"""Trials below which no interval of a rank correlation is given."""


def gaps(study: StudyView, which: Which) -> pd.DataFrame:
    """One row per trial with a finite val_loss and gap at its last report, failed ones apart, by number.

    Columns: trial, state, resource, val_loss, train_eval_loss, gap (all three of the last report), overfitting_from
    (the resource from which the trainer said that the trial overfits; NaN if it did not), batch_size (of the
    configuration; NaN if it has none), sharpness and hessian_top (NaN if not measured), front.

    `front`: no other trial of the table has a val_loss and a gap that are both at most as large, one of them smaller. A
    gap below 0 counts as 0, for it is no merit.
    """
    names = ("val_loss", "train_eval_loss", "overfitting_from", "sharpness", "hessian_top")
    rows = [
        (
            trial.number,
            trial.state.value,
            trial.resource,
            math.nan if trial.gap is None else trial.gap,
            _number(trial.config.get("batch_size")),
            *(trial.metrics.get(name, math.nan) for name in names),
        )
        for trial in study.trials
        if trial.state is not TrialState.FAILED
    ]
    columns = ["trial", "state", "resource", "gap", "batch_size", *names]
    table = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(["gap", "batch_size", *names], np.float64))
    table = table[np.isfinite(table["val_loss"]) & np.isfinite(table["gap"])]
    if which == "furthest":
        table = table[table["resource"] == table["resource"].max()]
    table = table.reset_index(drop=True)
    front = pareto_front(table["val_loss"].to_numpy(np.float64), table["gap"].clip(lower=0).to_numpy(np.float64))
    shown = ["trial", "state", "resource", "val_loss", "train_eval_loss", "gap", "overfitting_from"]
    made: pd.DataFrame = table[[*shown, "batch_size", "sharpness", "hessian_top"]].assign(front=front)
    return made


def pareto_front(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Of points with two costs, which are not dominated: no point is at most as dear in both, and cheaper in one.

    Equal points are on the front together.
    """
    order = np.lexsort((other, one))
    front = np.zeros(len(one), dtype=np.bool_)
    least, at = math.inf, math.nan
    for place in order.tolist():
        if other[place] < least:
            least, at = float(other[place]), float(one[place])
            front[place] = True
        elif other[place] == least and one[place] == at:
            front[place] = True
    return front


def gap_along(study: StudyView, which: Which, axis: str) -> pd.DataFrame:
    """The gap against one axis of the space: a row per trial of `gaps` whose configuration has it.

    Columns: trial, position (as in tuner.analysis.positions), setting (the value in words), gap, val_loss, resource.
    """
    table = gaps(study, which)
    values = [study.trials[number].config.get(axis, math.nan) for number in table["trial"]]
    places = axis_positions(study.spec.space[axis], values)
    settings = [text(value) for value in values]
    made = table[["trial", "gap", "val_loss", "resource"]].assign(position=places, setting=settings)
    made = made[~np.isnan(places)]
    return made[["trial", "position", "setting", "gap", "val_loss", "resource"]].reset_index(drop=True)


def gap_correlations(study: StudyView, which: Which) -> pd.DataFrame:
    """How the gap goes with each ordered axis: Float, Int, and choices among numbers; trials with the axis off apart.

    One row per axis, the strongest first. Columns: axis, trials, rho (Spearman's; NaN with fewer than three, or where
    the axis or the gap is constant), low, high (its 95 % interval, NaN with fewer than ten trials), each on its own.

    The interval is tanh(artanh ρ ± z √((1 + ρ²/2) / (n - 3))) (Bonett and Wright 2000, Psychometrika 65).
    """
    rows = []
    for name, axis in study.spec.space.items():
        if ordered(axis):
            points = gap_along(study, which, name)
            points = points[(points["position"] != OFF) | isinstance(axis, Choice)]
            x = points["position"].to_numpy(np.float64)
            if isinstance(axis, Choice):
                x = np.array([_number(axis.values[int(place)]) for place in x], dtype=np.float64)
            rows.append((name, len(points), *rank_correlation(x, points["gap"].to_numpy(np.float64))))
    table = pd.DataFrame(rows, columns=["axis", "trials", "rho", "low", "high"])
    order = table["rho"].abs().fillna(-1.0).sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)


def ordered(axis: Axis) -> bool:
    """Whether its values have an order: numbers, two of them at least."""
    if not isinstance(axis, Choice):
        return True
    return len(axis.values) > 1 and not any(math.isnan(_number(value)) for value in axis.values)


def rank_correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float, float]:
    """Spearman's ρ and the ends of its 95 % interval; see `gap_correlations`."""
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan, math.nan, math.nan
    rho = float(np.corrcoef(stats.rankdata(x), stats.rankdata(y))[0, 1].clip(-1, 1))
    if len(x) < LEAST_TRIALS:
        return rho, math.nan, math.nan
    width = float(stats.norm.isf(0.025)) * math.sqrt((1 + rho**2 / 2) / (len(x) - 3))
    centre = math.atanh(min(max(rho, -1 + 1e-12), 1 - 1e-12))
    return rho, math.tanh(centre - width), math.tanh(centre + width)


def learning_curves(study: StudyView, trial: int) -> pd.DataFrame:
    """The losses of one trial, a row per report, by resource.

    Columns: resource, train_eval_loss, val_loss, train_loss (the running mean while training), gap; NaN where a report
    does not have one.
    """
    names = ["train_eval_loss", "val_loss", "train_loss", "gap"]
    rows = [
        (report.resource, *(report.metrics.get(name, math.nan) for name in names)) for report in study.reports(trial)
    ]
    table = pd.DataFrame(rows, columns=["resource", *names])
    return table.astype(dict.fromkeys(names, np.float64)).sort_values("resource", ignore_index=True)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
