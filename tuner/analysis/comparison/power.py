"""How many repeats it would take to tell two methods apart."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

LEAST_SEEN = 3
"""Pairs below which nothing is said: two differences have one pairwise sum, and it always has a sign."""


def fewest_repeats(alpha: float = 0.05, n_tests: int = 1) -> int:
    """The fewest pairs whose signed-rank test can be significant at all: 2 · 2⁻ⁿ ≤ α / n_tests."""
    return math.ceil(1 + math.log2(n_tests / alpha) - 1e-12)


def repeats_needed(differences: npt.ArrayLike, alpha: float = 0.05, power: float = 0.8, n_tests: int = 1) -> int | None:
    """The pairs that the two-sided signed-rank test at level alpha / n_tests needs, if what was seen is the truth.

    n = (z_{α/2} + z_β)² / (3 (p - ½)²), p = the share of pairwise sums of differences above 0, ties half (Noether 1987,
    JASA 82, for the signed-rank test): of ranks alone, so that one outlier decides nothing. It asks for a few too many
    where methods differ much. Never below `fewest_repeats`. None where there is nothing to reckon from: fewer than
    three differences, or sums above and below 0 alike.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.size < LEAST_SEEN:
        return None
    one, other = np.triu_indices(values.size, k=1)
    with np.errstate(invalid="ignore"):
        sums = values[one] + values[other]
    share = float(np.mean(np.where(np.isnan(sums) | (sums == 0), 0.5, sums > 0)))
    if share == 0.5:
        return None
    z = float(stats.norm.isf(alpha / n_tests / 2) + stats.norm.isf(1 - power))
    return max(math.ceil(z**2 / (3 * (share - 0.5) ** 2)), fewest_repeats(alpha, n_tests))
