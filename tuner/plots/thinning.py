"""Fewer rows for a picture, without favour."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

MOST_MARKS: Final = 400
"""So many marks a figure draws. They are SVG: a mark takes a browser 0.3 to 0.5 ms; without a graphics card WebGL
takes half a second before its first one.
"""


def spread(table: pd.DataFrame, column: str, most: int) -> pd.DataFrame:
    """At most `most` rows, spread evenly over the ranks of `column`, its extremes among them; in the table's order."""
    if len(table) <= most:
        return table
    ranked = np.argsort(table[column].to_numpy(), kind="stable")
    picked = ranked[np.linspace(0, len(table) - 1, most).round().astype(int)]
    return table.iloc[np.sort(picked)]
