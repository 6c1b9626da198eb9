"""A Gaussian process that takes what is under way to end as it expects: "kriging believer" (Ginsbourger, Le Riche and
Carraro, Kriging is well-suited to parallelize optimization, 2010).
"""

from __future__ import annotations

from typing import final

import numpy as np
from scipy.linalg import solve_triangular

from tuner.search.fidelity_process import JITTER, LEAST_VARIANCE, Array, FidelityProcess, Points, kernel


@final
class Believer:
    """`process`, given as well the losses it expects at further points. That changes no mean, and lessens variances.

    The Cholesky factor of all points' covariance is [[L, 0], [A, B]], where L is the process's own, which is neither
    made again nor copied: a point more costs a triangular solve.
    """

    def __init__(self, process: FidelityProcess) -> None:
        self._process = process
        self._points = process.points[:0]
        self._a = np.empty((0, len(process.points)))
        self._b = np.empty((0, 0))

    def expect(self, points: Points) -> None:
        """Take the losses at `points` to be as expected."""
        by, n = self._process.by, len(self._points)
        projected = self._process.projected(points)
        mixed = np.empty((0, len(points)))
        if n:
            mixed = self.further_rows(points, projected, mixed)
        rest = kernel(points, points, by) - projected.T @ projected - mixed.T @ mixed
        rest[np.diag_indices(len(points))] += by.others[-1] + JITTER
        b = np.zeros((n + len(points), n + len(points)))
        b[:n, :n], b[n:, :n], b[n:, n:] = self._b, mixed.T, np.linalg.cholesky(rest)
        self._a, self._b = np.concatenate([self._a, projected.T]), b
        self._points = self._points + points

    def predict(self, at: Points) -> tuple[Array, Array]:
        """As that of `FidelityProcess`."""
        foreseen = self.foresee(at)
        return foreseen.mean, foreseen.variance

    def foresee(self, at: Points) -> Foreseen:
        """What `predict` says of some points, to be kept up to date."""
        projected = self._process.projected(at)
        foreseen = Foreseen(self, at, projected, *self._process.moments(at, projected))
        foreseen.update()
        return foreseen

    def further_rows(self, at: Points, projected: Array, rows: Array) -> Array:
        """What `rows`, the first of B⁻¹ (k(points, at) - A · projected), lack; `projected` is L⁻¹ k(.., at). The sum of
        a column's squares comes off the variance there.
        """
        n = len(rows)
        rest = kernel(self._points[n:], at, self._process.by) - self._a[n:] @ projected - self._b[n:, :n] @ rows
        return np.asarray(solve_triangular(self._b[n:, n:], rest, lower=True, check_finite=False))

    def __len__(self) -> int:
        return len(self._points)


@final
class Foreseen:
    """Mean and variance at fixed points, as a believer tells them that expects more and more."""

    def __init__(self, believer: Believer, at: Points, projected: Array, mean: Array, variance: Array) -> None:
        self._believer = believer
        self._at = at
        self._projected = projected
        self._rows = np.empty((0, len(at)))
        self.mean = mean
        self.variance = variance

    def update(self) -> None:
        """Take in what the believer expects since."""
        if len(self._rows) < len(self._believer):
            rows = self._believer.further_rows(self._at, self._projected, self._rows)
            self._rows = np.concatenate([self._rows, rows])
            self.variance = np.maximum(self.variance - (rows**2).sum(0), LEAST_VARIANCE)
