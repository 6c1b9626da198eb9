"""Fewer points of a long line, such that no peak of it is lost."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

MOST_POINTS = 2_000
"""So many points a line is drawn with at most: more than a screen has columns for."""


def extremes(values: npt.ArrayLike, most: int = MOST_POINTS) -> npt.NDArray[np.int64]:
    """The places of at most `most` of the values, in order: the first, the last, and of each of equal bins the least
    and the greatest (min-max decimation). All, where there are no more; a bin without finite values gives its first.
    """
    line = np.asarray(values, dtype=np.float64)
    if len(line) <= most:
        return np.arange(len(line))
    bounds = np.linspace(0, len(line), max((most - 2) // 2, 1) + 1).astype(np.int64)
    kept = [0, len(line) - 1]
    for first, last in pairwise(bounds.tolist()):
        part = line[first:last]
        finite = np.flatnonzero(np.isfinite(part))
        kept += (
            [first + finite[part[finite].argmin()], first + finite[part[finite].argmax()]] if len(finite) else [first]
        )
    return np.unique(np.array(kept, dtype=np.int64))


def thinned(table: pd.DataFrame, by: Sequence[str], column: str, most: int = MOST_POINTS) -> pd.DataFrame:
    """The table with at most `most` rows for each line, which the columns `by` tell apart: the `extremes` of its
    `column`. The rows stay in order.
    """
    if len(table) <= most:
        return table
    places = table.reset_index(drop=True).groupby(list(by), sort=False)[column]
    kept = [part.index.to_numpy()[extremes(part, most)] for _, part in places]
    return table.iloc[np.sort(np.concatenate(kept))]
