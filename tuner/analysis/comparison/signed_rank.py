"""Wilcoxon's signed-rank test of paired runs, exact with ties and zeros, and Holm's correction."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from tuner.analysis.comparison.ranks import paired_differences
from tuner.analysis.comparison.trace import Floats

EXACT_UP_TO = 100
"""Blocks; with more, the normal approximation, whose error is then far below any level of interest."""


def signed_rank_p(differences: npt.ArrayLike) -> float:
    """The two-sided p-value that paired differences are symmetric about 0; 1 where all are 0.

    Zeros are ranked and then left out (Pratt 1959). Given the ranks, each sign is a fair coin under the null: up to
    `EXACT_UP_TO` differences the distribution of the positive ranks' sum is built from that, so that ties are exact;
    with more its mean Σr/2 and variance Σr²/4 are used. An infinite difference takes the highest rank.
    """
    values = np.asarray(differences, dtype=np.float64)
    ranks = stats.rankdata(np.abs(values))[values != 0]
    if not ranks.size:
        return 1.0
    positive = float(ranks[values[values != 0] > 0].sum())
    if ranks.size > EXACT_UP_TO:
        z = (positive - ranks.sum() / 2) / np.sqrt((ranks**2).sum() / 4)
        return float(2 * stats.norm.sf(abs(z)))
    doubled = np.rint(2 * ranks).astype(np.int64)  # a tie's rank is a multiple of a half
    chances = np.zeros(int(doubled.sum()) + 1)
    chances[0] = 1.0
    for rank in doubled:
        shifted = np.zeros_like(chances)
        shifted[rank:] = chances[:-rank]
        chances = (chances + shifted) / 2
    at = int(np.rint(2 * positive))
    return float(min(1.0, 2 * min(chances[: at + 1].sum(), chances[at:].sum())))


def holm(p_values: npt.ArrayLike) -> Floats:
    """p-values that may be held against the level although so many were looked at (Holm 1979), in the order given."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)))
    return adjusted


def pairwise_table(table: pd.DataFrame) -> pd.DataFrame:
    """Every pair of methods over the blocks: columns one, other, difference (median of `other` minus `one`: above 0
    where `one` is better), wins, ties, losses (blocks, of `one`), p (Wilcoxon), p_holm.

    For the median an unfinished or failed run counts as bad as the worst finite one of the table; for the tests as
    worse than all.
    """
    finite = np.where(np.isfinite(table.to_numpy()), table.to_numpy(), -np.inf)
    worst = float(finite.max(initial=-np.inf))
    bounded = table.clip(upper=worst) if np.isfinite(worst) else table
    rows = []
    for one, other in combinations([str(name) for name in table.columns], 2):
        found = paired_differences(table, one, other)
        median = float(np.median(paired_differences(bounded, one, other))) if len(found) else np.nan
        wins, losses = int((found > 0).sum()), int((found < 0).sum())
        rows.append((one, other, median, wins, len(found) - wins - losses, losses, signed_rank_p(found)))
    pairs = pd.DataFrame(rows, columns=["one", "other", "difference", "wins", "ties", "losses", "p"])
    return pairs.assign(p_holm=holm(pairs["p"].to_numpy(dtype=np.float64)))
