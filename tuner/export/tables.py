"""A study's trials and reports as files of tables."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pandas as pd

from tuner.analysis import StudyView, reports_frame
from tuner.analysis.trial_table import trial_table

TableFormat = Literal["csv", "parquet"]


def write_tables(study: StudyView, folder: Path, form: TableFormat) -> list[Path]:
    """Write trials (the table of tuner.analysis.trial_table) and reports (a row per trial and resource) into a folder,
    which is made. The files' paths. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    reports = reports_frame(study.reports([trial.number for trial in study.trials])).reset_index()
    written = []
    for name, table in (("trials", trial_table(study)), ("reports", reports)):
        path = folder / f"{name}.{form}"
        if form == "csv":
            table.to_csv(path, index=False)
        else:
            _one_kind(table).to_parquet(path, index=False)
        written.append(path)
    return written


def _one_kind(table: pd.DataFrame) -> pd.DataFrame:
    """Columns of mixed kinds as text, as Parquet knows none."""
    mixed = {
        name: table[name].map(lambda value: None if value is None else str(value))
        for name in table.columns[[str(kind) == "object" for kind in table.dtypes]]
    }
    return table.assign(**mixed)
