"""Bootstrap over repeats, for few of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from tuner.analysis.comparison.trace import Floats, Ints

N_RESAMPLES = 2000


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


def expanded_interval(replicates: Floats, n: int, level: float = 0.95) -> tuple[float, float]:
    """The interval between two percentiles of a statistic's bootstrap replicates; NaN with fewer than two values.

    The percentiles are those at which the interval of a mean is as wide as Student's, for a plain percentile interval
    of few values is too narrow: Φ(-√(n/(n-1)) t_{α/2, n-1}) (Hesterberg 2015, What teachers should know about the
    bootstrap, "expanded percentile interval"). `n` is the number of values per group.
    """
    if n < 2 or np.isnan(replicates).any():
        return np.nan, np.nan
    tail = stats.norm.cdf(np.sqrt(n / (n - 1)) * stats.t.ppf((1 - level) / 2, n - 1))
    # A replicate may be infinite (never reached): an order statistic, not a mean of two.
    low, high = np.quantile(replicates, [tail, 1 - tail], method="inverted_cdf")
    return float(low), float(high)
