"""The best so far of a study, over trials, running time and resource spent."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from tuner.analysis.comparison.incumbent import incumbent_curve
from tuner.analysis.comparison.trace import Axis, Trace
from tuner.analysis.ordering import by_trial
from tuner.analysis.view import StudyView
from tuner.records import TrialState

Floats = npt.NDArray[np.float64]


def study_trace(study: StudyView, by: Axis = "seconds") -> Trace:
    """What the study saw, a row per report, as tuner.analysis.tracing.trace_of reads it from a journal; but a trial
    counts from its first report on, and the reports of a trial that has failed since have no value any more, as its
    row has none: so the last incumbent is the study's best.

    Seconds are worked out only for `by` seconds; they are 0 else.
    """
    values, metric = study.values, study.spec.metric
    sign = metric.loss(1.0)
    failed = np.zeros(_n_trials(study), dtype=bool)
    failed[[trial.number for trial in study.trials if trial.state is TrialState.FAILED]] = True
    usable = np.isfinite(values.value) & ~failed[values.trial]
    loss = np.where(usable, sign * values.value, np.inf)
    if metric.value == "best":
        loss = pd.Series(loss).groupby(values.trial).cummin().to_numpy()
    return Trace(
        seconds=study.clock.at(values.time) if by == "seconds" else np.zeros(len(values)),
        units=np.cumsum(_advance(values.trial, values.resource)).astype(np.float64),
        trials=np.maximum.accumulate(values.trial) + 1,
        trial=values.trial,
        resource=values.resource,
        loss=loss,
        max_resource=study.spec.scheduler.max_resource,
    )


def best_so_far(study: StudyView, by: Axis = "trials") -> pd.DataFrame:
    """One row each time that the incumbent (rule `full`) changes, and one at the end of what was spent. Of the changes
    for which nothing was spent in between, the last one counts.

    Columns: spent (counted in `by`; seconds are those of running), value (of the metric), trial (whose it is),
    resource (at which). The value may get worse when a trial is the first to reach a higher resource.
    """
    trace = study_trace(study, by)
    curve = incumbent_curve(trace)
    with np.errstate(invalid="ignore"):  # inf - inf, before the first value
        changed = np.flatnonzero(np.diff(curve, prepend=np.inf) != 0)
    changed = changed[np.isfinite(curve[changed])]
    if not changed.size:
        kinds = {"spent": "float64", "value": "float64", "trial": "int64", "resource": "int64"}
        return pd.DataFrame(columns=list(kinds)).astype(kinds)
    spent = trace.spent(by)
    table = pd.DataFrame(
        {
            "spent": spent[changed],
            "value": curve[changed] / study.spec.metric.loss(1.0),
            "trial": trace.trial[changed],
            "resource": trace.resource[changed],
        }
    )
    table = table.drop_duplicates("spent", keep="last", ignore_index=True)
    if spent[-1] > spent[changed[-1]]:
        table = pd.concat([table, table.tail(1).assign(spent=spent[-1])], ignore_index=True)
    return table


def trial_ends(study: StudyView, by: Axis = "trials") -> pd.DataFrame:
    """One row per trial that has a value, by number.

    Columns: trial, spent (when its last report came, counted in `by`; with trials, its own place among them), value,
    state, resource.
    """
    trace = study_trace(study, by)
    last = np.full(_n_trials(study), -1)
    last[trace.trial] = np.arange(len(trace))  # of several, the last one stays
    spent = trace.spent(by)
    rows = [
        (trial.number, trial.number + 1.0 if by == "trials" else spent[last[trial.number]], trial.value, trial.state)
        for trial in study.trials
        if trial.value is not None and np.isfinite(trial.value) and last[trial.number] >= 0
    ]
    resources = [study.trials[number].resource for number, *_ in rows]
    table = pd.DataFrame(rows, columns=["trial", "spent", "value", "state"])
    return table.assign(state=table["state"].map(str), resource=resources)


def _n_trials(study: StudyView) -> int:
    """Of those that have a row or a report: a view's parts may be of two moments."""
    return max(len(study.trials), int(study.values.trial.max(initial=-1)) + 1)


def _advance(trial: npt.NDArray[np.int64], resource: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """By how much each report takes its trial further."""
    order = by_trial(trial)
    before = np.concatenate([[0], resource[order][:-1]])
    first = np.diff(trial[order], prepend=-1) != 0
    advance = np.empty_like(resource)
    advance[order] = np.maximum(resource[order] - np.where(first, 0, before), 0)
    return advance
