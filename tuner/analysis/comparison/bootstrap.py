"""Bootstrap over repeats, for few of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from tuner.analysis.comparison.trace import Floats, Ints

N_RESAMPLES = 2000
LEAST_VALUES, LEAST_FREEDOM = 3, 5
"""Values per group, and degrees of freedom, below which no interval is given. Of normal values, 95 % intervals of the
mean had it in 74, 87 and 92 of 100 simulations with 3, 4 and 5 values, in 88 with 5 groups of 2; with 6, 8 and 10
values in 93, 94 and 94, with 8 groups of 3 in 94 (6,000 simulations; 2,000 for 3 and 4).
"""


def resamples(groups: Sequence[str], seed: int, n_resamples: int = N_RESAMPLES) -> Ints:
    """Positions drawn with replacement within each group: shape (n_resamples, len(groups)).

    A group is a problem, and what is drawn are its repeats: an interval speaks about other seeds of these problems.
    """
    rng = np.random.default_rng(seed)
    labels = np.asarray(groups)
    drawn = np.empty((n_resamples, labels.size), dtype=np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        drawn[:, members] = rng.choice(members, size=(n_resamples, members.size))
    return drawn


def expanded_interval(replicates: Floats, n: int, level: float = 0.95, n_groups: int = 1) -> tuple[float, float]:
    """The interval between two percentiles of a statistic's bootstrap replicates, from `n` values in each group.

    The percentiles are those at which the interval of a mean is as wide as Student's, for a plain percentile interval
    of few values is too narrow: Φ(-√(n/(n-1)) t_{α/2, (n-1) groups}) (Hesterberg 2015, What teachers should know about
    the bootstrap, "expanded percentile interval"). NaN with fewer than `LEAST_VALUES` or
    `LEAST_FREEDOM`: less than six values of one group.
    """
    freedom = (n - 1) * n_groups
    if n < LEAST_VALUES or freedom < LEAST_FREEDOM or np.isnan(replicates).any():
        return np.nan, np.nan
    tail = stats.norm.cdf(np.sqrt(n / (n - 1)) * stats.t.ppf((1 - level) / 2, freedom))
    # A replicate may be infinite (never reached): an order statistic, not a mean of two.
    low, high = np.quantile(replicates, [tail, 1 - tail], method="inverted_cdf")
    return float(low), float(high)
