"""Chosen trials side by side: how they stand, and in what their configurations differ."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from tuner.records import TrialSummary


def differences(trials: Sequence[TrialSummary]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What differs between the trials' configurations, and what all of them share.

    Of both one row per name, in the configurations' order, and a column per trial number; None where a configuration
    does not have the name (its condition does not hold) or where the axis is off.
    """
    names = list(dict.fromkeys(name for trial in trials for name in trial.config))
    table = pd.DataFrame(
        {
            trial.number: pd.Series([trial.config.get(name) for name in names], index=names, dtype=object)
            for trial in trials
        }
    )
    same = [len({(type(value), value) for value in row}) == 1 for row in table.itertuples(index=False, name=None)]
    shared = pd.Series(same, index=table.index, dtype=bool)
    return table[~shared], table[shared]


def standing(trials: Sequence[TrialSummary]) -> pd.DataFrame:
    """How trials stand, in their order.

    Columns: trial, state, value (the study's metric), best_value, resource (epochs or steps), gap (loss), segments,
    seconds (of its reports); NaN where there is none.
    """
    numbers = ("value", "best_value", "resource", "gap", "segments", "seconds")
    table = pd.DataFrame(
        {
            "trial": [trial.number for trial in trials],
            "state": [trial.state.value for trial in trials],
            **{name: [getattr(trial, name) for trial in trials] for name in numbers},
        }
    )
    return table.astype(dict.fromkeys(("value", "best_value", "gap", "seconds"), float))
