"""The trials of a study as a table to sort and to search."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from tuner.analysis.leaderboard import leaderboard
from tuner.analysis.view import StudyView
from tuner.records import TrialSummary, Value

BEFORE_AXES: Final = ("trial", "rank", "state", "value", "resource")
AFTER_AXES: Final = ("gap", "seconds", "segments", "note")


def trial_table(study: StudyView) -> pd.DataFrame:
    """One row per trial, by number.

    Columns: trial, rank (from 1, the best first, the furthest trained before the others; NA without a value), state,
    value (of the metric), resource, a column `config.NAME` for each searched axis (numbers where all that is there are
    numbers; missing where the axis is off, or its condition does not hold), gap, seconds (of its reports), segments,
    note (why it failed, or why it ended).
    """
    trials = study.trials
    ranks = {trial.number: rank for rank, trial in enumerate(leaderboard(trials, study.spec.metric), 1)}
    numbers = [trial.number for trial in trials]
    before = {
        "trial": pd.Series(numbers, dtype="int64"),
        "rank": pd.Series([ranks.get(number) for number in numbers], dtype="Int64"),
        "state": pd.Series([trial.state.value for trial in trials], dtype="str"),
        "value": _numbers([trial.value for trial in trials]),
        "resource": pd.Series([trial.resource for trial in trials], dtype="int64"),
    }
    axes = {f"config.{name}": _axis([trial.config.get(name) for trial in trials]) for name in study.spec.axes}
    after = {
        "gap": _numbers([trial.gap for trial in trials]),
        "seconds": _numbers([trial.seconds for trial in trials]),
        "segments": pd.Series([trial.segments for trial in trials], dtype="int64"),
        "note": pd.Series([_note(trial) for trial in trials], dtype="str"),
    }
    return pd.DataFrame(before | axes | after)


def chosen_rows(
    table: pd.DataFrame, text: str = "", states: Collection[str] = (), pinned: Sequence[int] = ()
) -> pd.DataFrame:
    """The `pinned` trials, in that order, then the rows in one of `states` (none: any) that have every word of `text`,
    by rank, those without one at the end.

    A word is looked for, without regard to case, in state, note and `name=value` of the searched axes; `#7` is trial 7.
    """
    there = pd.Series(True, index=table.index)
    if states:
        there &= table["state"].isin(list(states))
    words = text.lower().split()
    if words:
        searched = _searched(table)
        for word in words:
            if word.startswith("#"):
                there &= table["trial"].astype(str) == word[1:]
            else:
                there &= searched.str.contains(word, regex=False)
    first = table.set_index("trial", drop=False).reindex([number for number in pinned if number < len(table)])
    rest = table[there & ~table["trial"].isin(list(pinned))].sort_values("rank", kind="stable", na_position="last")
    if first.empty:
        return rest
    return pd.concat([first.astype(table.dtypes), rest], ignore_index=True)


def _searched(table: pd.DataFrame) -> pd.Series[str]:
    found = table["state"] + " " + table["note"]
    for column in table.columns:
        if column.startswith("config."):
            name = column.removeprefix("config.")
            values = table[column].astype(object).where(table[column].notna(), "off")
            found = found + [f" {name}={_word(value)}" for value in values]
    return found.str.lower()


def _word(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _numbers(values: list[Any]) -> pd.Series[float]:
    return pd.Series([np.nan if value is None else value for value in values], dtype="float64")


def _axis(values: list[Value]) -> pd.Series[Any]:
    there = [value for value in values if value is not None]
    if there and all(isinstance(value, int | float) and not isinstance(value, bool) for value in there):
        if all(isinstance(value, int) for value in there):
            return pd.Series(values, dtype="Int64")
        return _numbers(values)
    return pd.Series([None if value is None else str(value) for value in values], dtype="str")


def _note(trial: TrialSummary) -> str:
    return f"{trial.failure.kind}: {trial.failure.message}" if trial.failure else trial.reason
