"""Fewer rows for a picture, without favour."""

from __future__ import annotations

import numpy as np
import pandas as pd


def spread(table: pd.DataFrame, column: str, most: int) -> pd.DataFrame:
    """At most `most` rows, spread evenly over the ranks of `column`, its extremes among them; in the table's order."""
    if len(table) <= most:
        return table
    ranked = np.argsort(table[column].to_numpy(), kind="stable")
    picked = ranked[np.linspace(0, len(table) - 1, most).round().astype(int)]
    return table.iloc[np.sort(picked)]
