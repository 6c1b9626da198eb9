"""Which trials of a study can be compared, and how they rank: a loss at one resource says nothing of one at another."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from tuner.analysis.view import StudyView
from tuner.records import TrialState
from tuner.search.levels import level_among
from tuner.spec import NoScheduler

ENOUGH = 30
"""So many trials at a resource are enough to say what matters; a space of many axes takes more, 5 an axis."""


def levels(study: StudyView) -> pd.DataFrame:
    """The resources at which trials can be compared, each the furthest for its number of trials.

    Columns: resource, trials (with a finite value there, failed ones apart). In the order of resource.
    """
    reports = study.values
    failed = np.array([trial.number for trial in study.trials if trial.state is TrialState.FAILED], dtype=np.int64)
    there = np.isfinite(reports.value) & ~np.isin(reports.trial, failed)
    resources, counts = np.unique(reports.resource[there], return_counts=True)
    last = np.append(counts[1:] != counts[:-1], True) if len(counts) else np.zeros(0, dtype=bool)
    return pd.DataFrame({"resource": resources[last], "trials": counts[last]})


def level_of(study: StudyView) -> int | None:
    """The resource at which trials are compared where nobody has said another: the highest with enough trials, by
    the rule of tuner.search.levels. None, each at its own end, where no scheduler stops trials on the way.
    """
    if isinstance(study.spec.scheduler, NoScheduler):
        return None
    found = levels(study)
    counts = {int(resource): int(count) for resource, count in zip(found["resource"], found["trials"], strict=True)}
    return level_among(counts, max(ENOUGH, 5 * len(study.spec.axes)))


def comparable(study: StudyView, level: int | None) -> pd.DataFrame:
    """The trials that can be compared at a resource, or, with None, each at its own end (once it has ended).

    One row per trial (index: trial). Columns: value, loss (to be minimised; infinite for a failed trial, which counts
    as worst), rank (0 the best, 1 the worst; equal losses share the mean of their ranks). With `metric.value: best` a
    loss at a resource is the best until there. Trials that have no finite value there and did not fail are left out.
    """
    metric = study.spec.metric
    failed = {trial.number: math.inf for trial in study.trials if trial.state is TrialState.FAILED}
    if level is None:
        ended = (TrialState.COMPLETE, TrialState.PRUNED)
        losses = {trial.number: metric.loss(trial.value) for trial in study.trials if trial.state in ended}
    else:
        losses = _at(study, level)
    known = {number: loss for number, loss in losses.items() if math.isfinite(loss)} | failed
    loss = pd.Series(known, dtype=float).sort_index().rename_axis("trial")
    value = loss.where(np.isfinite(loss)) * metric.loss(1.0)  # its sign is that of a loss
    rank = (loss.rank() - 1) / max(len(loss) - 1, 1)
    return pd.DataFrame({"value": value, "loss": loss, "rank": rank})


def _at(study: StudyView, level: int) -> dict[int, float]:
    """The loss at a resource of every trial that reported there."""
    reports, metric = study.values, study.spec.metric
    sign = metric.loss(1.0)
    # A running study's values may have been read later than its trials.
    there = (reports.resource == level) & (reports.trial < len(study.trials))
    if metric.value == "last":
        return dict(zip(reports.trial[there].tolist(), (sign * reports.value[there]).tolist(), strict=True))
    until = (reports.resource <= level) & np.isfinite(reports.value)
    best = pd.Series(sign * reports.value[until]).groupby(reports.trial[until]).min()
    return {int(number): float(best.get(number, math.inf)) for number in reports.trial[there]}
