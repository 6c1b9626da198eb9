"""A finished study as a table of curves, from which others can be replayed."""

from __future__ import annotations

import platform
from collections import defaultdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from tuner.errors import UserMistake
from tuner.execution.simulated import Curve, CurveTable, TableInfo
from tuner.records import Report, TrialState, TrialSummary
from tuner.spec import Metric
from tuner.workflows.run import finished
from tuner.workflows.study import Study


def record(study: Study, path: Path) -> CurveTable:
    """Write the curves of a finished study's trials into a new Parquet file.

    Raises UserMistake if the study has not ended, or has no trial with a value, and if the file cannot be made or is
    there already.
    """
    table = curve_table(study)
    if path.exists():
        raise UserMistake(f"{path} is there already", hint="Choose another file: --output FILE.")
    if not path.parent.is_dir():
        raise UserMistake(f"there is no folder {path.parent}", hint="Make it, or choose another file: --output FILE.")
    try:
        table.save(path)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise UserMistake(f"{path} cannot be written: {error}", hint="Choose another file: --output FILE.") from None
    return table


def curve_table(study: Study) -> CurveTable:
    """The curves of all trials that reported, and of those that failed: a failed trial's ends in NaN. See `record`."""
    spec = study.spec
    if not finished(study):
        raise UserMistake(
            f"study {study.name} is {study.state}: only a finished one can be recorded",
            hint=f"Let it end, or go on with it: tune resume {study.name}.",
        )
    trials = study.trials
    if all(trial.value is None for trial in trials):
        raise UserMistake(f"study {study.name} has no trial with a value: there is nothing to replay")
    reports: dict[int, list[Report]] = defaultdict(list)
    for report in study.reports():
        reports[report.trial].append(report)
    names = list(dict.fromkeys(name for of_trial in reports.values() for report in of_trial for name in report.metrics))
    recorded = [trial for trial in trials if reports[trial.number] or trial.state is TrialState.FAILED]
    info = TableInfo(
        space=spec.space,
        metric=spec.metric,
        unit=spec.scheduler.unit,
        objective=spec.objective,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={"python": platform.python_version(), "tuner": version("tuner")},
        note=f"recorded of study {study.name}",
    )
    curves = [_curve(trial, reports[trial.number], names, spec.metric) for trial in recorded]
    return CurveTable(info, [trial.config for trial in recorded], curves)


def _curve(trial: TrialSummary, reports: list[Report], names: list[str], metric: Metric) -> Curve:
    """What the trial reported. The stretch in which it failed was not measured: it counts as a unit of no seconds."""
    resources = [report.resource for report in reports]
    seconds = [report.seconds for report in reports]
    metrics = {name: [report.metrics.get(name, np.nan) for report in reports] for name in names}
    failed = trial.state is TrialState.FAILED
    if failed and (not reports or np.isfinite(metric.loss(metrics[metric.name][-1]))):
        resources.append(resources[-1] + 1 if resources else 1)
        seconds.append(0.0)
        metrics = {name: [*values, np.nan] for name, values in metrics.items()}
    return Curve(
        np.array(resources, dtype=np.int64),
        {name: np.array(values, dtype=float) for name, values in metrics.items()},
        np.array(seconds, dtype=float),
        over=trial.state is TrialState.COMPLETE and trial.resource < trial.horizon,
    )
