"""Losses made fit for a Gaussian process: to scale, or by rank alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Array = npt.NDArray[np.float64]

WORST = 2.0
"""A loss so many times as far beyond the limit as the best is below it is as bad as any, infinity included."""


def standing(losses: npt.ArrayLike) -> Array:
    """Losses made fit for a Gaussian: to scale from the best to a limit, compressed beyond it, standardised.

    The limit is the median, or the lowest of its halvings (quantiles 1/4, 1/8, 1/16) while it is 30 times as far off
    as the next: more than half may have diverged, and a loss of 1e18 must not flatten the others.
    """
    values = np.array(losses, dtype=np.float64)
    values /= max(1.0, float(np.abs(values[np.isfinite(values)]).max()) / 1e100)  # so that no difference overflows
    finite = np.sort(values[np.isfinite(values)])
    best, share = finite[0], 0.5
    limit = np.quantile(finite, share, method="lower")
    while share > 0.1 and limit - best > 30 * (lower := np.quantile(finite, share / 2, method="lower") - best) > 0:
        share, limit = share / 2, best + lower
    scale = limit - best if limit > best else 1.0
    beyond = (np.minimum(values, limit + WORST * scale) - limit) / scale
    scaled = np.where(beyond <= 0, beyond, np.log1p(np.maximum(beyond, 0.0)) / 2)
    return np.asarray((scaled - scaled.mean()) / (scaled.std() + 1e-9))


def ranks(losses: npt.ArrayLike) -> Array:
    """The logarithms of the losses' ranks, standardised: the step from first to second is as large as from tenth to
    twentieth. Equal losses, infinity too, share a rank.
    """
    scores = np.log(rankdata(losses))
    return np.asarray((scores - scores.mean()) / (scores.std() + 1e-9))
