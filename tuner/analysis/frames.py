"""Studies as pandas tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tuner.records import Details, Report, TrialSummary

if TYPE_CHECKING:
    import pandas as pd


def trials_frame(trials: Sequence[TrialSummary]) -> pd.DataFrame:
    """One row per trial: number (index), state, value, resource, seconds, ..., and a column `config.NAME` per axis."""
    import pandas as pd

    rows = [
        {
            "number": trial.number,
            "state": trial.state.value,
            "value": trial.value,
            "best_value": trial.best_value,
            "resource": trial.resource,
            "gap": trial.gap,
            "segments": trial.segments,
            "seconds": trial.seconds,
            "failure": trial.failure.message if trial.failure else None,
            **{f"config.{name}": value for name, value in trial.config.items()},
        }
        for trial in trials
    ]
    columns = ["number", "state", "value", "best_value", "resource", "gap", "segments", "seconds", "failure"]
    return (pd.DataFrame(rows) if rows else pd.DataFrame(columns=columns)).set_index("number")


def reports_frame(reports: Sequence[Report]) -> pd.DataFrame:
    """One row per report, by (trial, resource): segment, seconds, and a column per metric."""
    import pandas as pd

    rows = [
        {
            "trial": report.trial,
            "resource": report.resource,
            "segment": report.segment,
            "seconds": report.seconds,
            **report.metrics,
        }
        for report in reports
    ]
    columns = ["trial", "resource", "segment", "seconds"]
    frame = pd.DataFrame(rows) if rows else pd.DataFrame(columns=columns)
    return frame.set_index(["trial", "resource"]).sort_index()


def steps_frame(details: Sequence[tuple[int, Details]]) -> pd.DataFrame:
    """The curves within a trial's reports, one row per point, by (resource of the report, number of the point in it,
    from 0): a column per curve, NaN where a report does not have it.
    """
    import pandas as pd

    parts = {resource: pd.DataFrame(dict(found.curves)) for resource, found in details if found.curves}
    names = ["resource", "point"]
    if not parts:
        return pd.DataFrame(index=pd.MultiIndex.from_arrays([[], []], names=names))
    return pd.concat(parts, names=names)
