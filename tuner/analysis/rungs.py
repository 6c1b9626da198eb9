"""Successive halving as it went: who arrived at each rung, who went on, who was stopped there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from tuner.analysis.ordering import by_trial
from tuner.analysis.view import StudyView
from tuner.records import TrialState, TrialSummary
from tuner.schedule import rung_resources
from tuner.schedule.hyperband import BracketOrder, bracket_sizes
from tuner.spec import ASHA, Hyperband

FATES: Final = ("went on", "complete", "running", "waits", "stopped", "failed")
"""What may have become of a trial at a rung: it was promoted or let pass; it ended there by itself, or by having been
trained to the end; it is (or waits) there now; it was stopped there; it failed later, before the next report.
"""

_STAYS: Final = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "stopped",
    TrialState.PAUSED: "waits",
    TrialState.WAITING: "waits",
    TrialState.RUNNING: "running",
    TrialState.FAILED: "failed",
}


def ladders(study: StudyView) -> list[tuple[int, ...]]:
    """The rungs of each bracket: one for ASHA, several for Hyperband; none for other schedulers."""
    scheduler = study.spec.scheduler
    if not isinstance(scheduler, ASHA | Hyperband):
        return []
    rungs = rung_resources(scheduler.min_resource, scheduler.max_resource, scheduler.reduction_factor)
    return [rungs] if isinstance(scheduler, ASHA) else [rungs[first:] for first in range(len(rungs))]


def brackets(study: StudyView) -> list[int]:
    """The bracket of each trial, by number."""
    scheduler, n_trials = study.spec.scheduler, len(study.trials)
    if not isinstance(scheduler, Hyperband):
        return [0] * n_trials
    order = BracketOrder(bracket_sizes(len(ladders(study)), scheduler.reduction_factor))
    return [order.bracket(trial) for trial in range(n_trials)]


def rung_values(study: StudyView) -> pd.DataFrame:
    """One row per (trial, rung it has reached), by bracket, rung and trial.

    Columns: bracket (from 0), rung (its resource), trial, value (the metric there, or at the first report beyond; with
    `metric.value: best` its best so far; NaN where it was not finite), fate (one of FATES). Trials of a shorter horizon
    than the study has now, which stand on no rung any more, are left out.
    """
    reported = _reports(study)
    parts = []
    for bracket, rungs in enumerate(ladders(study)):
        placed = zip(study.trials, brackets(study), strict=True)
        mine = [trial for trial, where in placed if where == bracket and trial.horizon == rungs[-1]]
        for rung, following in zip(rungs, (*rungs[1:], None), strict=True):
            there, values = _arrived(reported, mine, rung)
            fates = [_fate(trial, rung, following) for trial in there]
            numbers = [trial.number for trial in there]
            parts.append(pd.DataFrame({"rung": rung, "trial": numbers, "value": values, "fate": fates}))
            parts[-1].insert(0, "bracket", bracket)
    kinds = {"bracket": "int64", "rung": "int64", "trial": "int64", "value": "float64", "fate": "str"}
    kept = [part for part in parts if len(part)]
    return pd.concat(kept, ignore_index=True).astype(kinds) if kept else pd.DataFrame(columns=list(kinds)).astype(kinds)


def rungs_table(study: StudyView, values: pd.DataFrame) -> pd.DataFrame:
    """One row per (bracket, rung), be anybody there or not; `values` are those of `rung_values`.

    Columns: bracket, rung, n_arrived, n_went_on, share (that went on, of those that arrived, in 0..1; NaN at the last
    rung and where nobody arrived), best, median (of the finite values there), n_not_finite.
    """
    sign = study.spec.metric.loss(1.0)
    rows = []
    for bracket, rungs in enumerate(ladders(study)):
        for rung in rungs:
            here = values[(values["bracket"] == bracket) & (values["rung"] == rung)]
            finite = here["value"][np.isfinite(here["value"])]
            n_on = int((here["fate"] == "went on").sum())
            share = n_on / len(here) if len(here) and rung != rungs[-1] else np.nan
            best = sign * (sign * finite).min() if len(finite) else np.nan
            median = finite.median() if len(finite) else np.nan
            rows.append((bracket, rung, len(here), n_on, share, best, median, len(here) - len(finite)))
    names = ["bracket", "rung", "n_arrived", "n_went_on", "share", "best", "median", "n_not_finite"]
    return pd.DataFrame(rows, columns=names)


def _fate(trial: TrialSummary, rung: int, following: int | None) -> str:
    """A trial that has a report beyond the rung went on, and so did one that is on its way from there."""
    if following is not None and (
        trial.resource > rung or (trial.resource == rung and trial.state is TrialState.RUNNING)
    ):
        return "went on"
    return _STAYS[trial.state]


def _reports(study: StudyView) -> pd.DataFrame:
    """trial, resource, value of all reports, by trial and in order, which is that of the resource; value as the spec
    counts it.
    """
    values, metric = study.values, study.spec.metric
    order = by_trial(values.trial)
    table = pd.DataFrame(
        {"trial": values.trial[order], "resource": values.resource[order], "value": values.value[order]}
    )
    if metric.value == "best":
        grouped = table["value"].groupby(table["trial"])
        table["value"] = grouped.cummin() if metric.direction == "minimize" else grouped.cummax()
    return table


def _arrived(
    reported: pd.DataFrame, trials: Sequence[TrialSummary], rung: int
) -> tuple[list[TrialSummary], npt.NDArray[np.float64]]:
    """Those of the trials that have a report at the rung or beyond, and their values in the first of them."""
    trial, resource = reported["trial"].to_numpy(), reported["resource"].to_numpy()
    span = int(resource.max(initial=0)) + rung + 1
    numbers = np.array([trial.number for trial in trials], dtype=np.int64)
    places = np.searchsorted(trial * span + resource, numbers * span + rung)
    found = places < len(trial)
    found[found] = trial[places[found]] == numbers[found]
    there = [candidate for candidate, arrived in zip(trials, found.tolist(), strict=True) if arrived]
    return there, reported["value"].to_numpy()[places[found]]
