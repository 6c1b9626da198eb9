"""A Gaussian process over (configuration, resource): what curves that were stopped early say of where others will end.

    y(x, t) = m(t) + f(x, t) + g(trial, t) + ε

m is the average learning curve, f what the configuration explains, g what is a trial's own, and stays with it along its
curve, ε noise. t = log r / log R is 0 at the first unit of resource and 1 at the last. The kernels are exponential in t
(Ornstein-Uhlenbeck), and Matérn 5/2 in x with a length per feature; so the model is one of those that Swersky, Snoek
and Adams (Freeze-Thaw Bayesian Optimization, 2014) began, with the product kernel of Kandasamy et al. (2017, BOCA).
Hyperparameters are those of the highest posterior density; the lengths' prior grows with the number of features
(Hvarfner, Hellsten and Nardi 2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dpotrf, dpotri
from scipy.optimize import minimize

Array = npt.NDArray[np.float64]

SQRT5 = 5**0.5
AVERAGE_REACH = 0.7
"""How far along t the average curve m is correlated: it is learned from every trial, so it need not be fitted."""
JITTER = 1e-6
LEAST_VARIANCE = 1e-9
STEPS = 20
"""Steps of L-BFGS at most. It starts at the prior's mode, and what is gained after them is little."""


@dataclass(frozen=True)
class Points:
    """Where something was, or would be, seen: features (n, f), t (n), and the trial's number (n; -1 for none)."""

    x: Array
    t: Array
    trial: Array

    def __len__(self) -> int:
        return len(self.t)

    def __getitem__(self, index: Any) -> Points:
        return Points(self.x[index], self.t[index], self.trial[index])

    def __add__(self, other: Points) -> Points:
        return Points(
            np.concatenate([self.x, other.x]),
            np.concatenate([self.t, other.t]),
            np.concatenate([self.trial, other.trial]),
        )


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed of the hyperparameters: medians, and how sure (the standard deviation of the logarithm).

    `length` is that of one feature alone; a distance over d features is about as long at d^(1/4) times that. `noise` is
    a variance.
    """

    length: float
    noise: float
    noise_sd: float


class Hyperparameters:
    """The logarithms of: a length per feature; the reach along t of f and of g; the variances of m, f, g and ε.

    Without `log`, they are at the prior's mode.
    """

    def __init__(self, n_features: int, prior: Prior, log: Array | None = None) -> None:
        self.n_features = n_features
        self.prior = prior
        along = np.log(prior.length * n_features**0.25)
        self.mean = np.array([*[along] * n_features, 0.0, 0.0, *np.log([0.5, 0.7, 0.005, prior.noise])])
        self.sd = np.array([*[0.35] * n_features, 0.7, 0.7, 1.0, 1.0, 2.0, prior.noise_sd])
        self.log = self.mean if log is None else log

    @property
    def lengths(self) -> Array:
        """Of the features, as shares of the axis."""
        return np.asarray(np.exp(self.log[: self.n_features]), dtype=np.float64)

    @property
    def others(self) -> tuple[float, float, float, float, float, float]:
        """The reaches of f and g, and the variances of m, f, g and ε."""
        reach_f, reach_g, m, f, g, noise = np.exp(self.log[self.n_features :]).tolist()
        return reach_f, reach_g, m, f, g, noise


def kernel(a: Points, b: Points, by: Hyperparameters) -> Array:
    """The covariance (n, m) of y at `a` and `b`, without noise."""
    reach_f, reach_g, m, f, g, _ = by.others
    if len(b) > 0 and bool((b.t == b.t[0]).all()):  # then what depends on t alone is one column
        apart, spread = np.abs(a.t[:, None] - b.t[None, :1]), slice(None)
    else:  # many points at few resources: exponentials are dear
        apart, spread = _apart(a.t, b.t)
    u, v = a.x / by.lengths, b.x / by.lengths
    squares = np.maximum((u * u).sum(1)[:, None] + (v * v).sum(1)[None, :] - 2 * u @ v.T, 1e-12)
    r = SQRT5 * np.sqrt(squares)
    covariance = np.exp(-r)  # from here on in place: this is most of what a proposal costs
    squares *= 5 / 3
    squares += r
    squares += 1
    covariance *= squares
    covariance *= f * np.exp(-apart / reach_f)[spread]
    covariance += m * np.exp(-apart / AVERAGE_REACH)[spread]
    if (b.trial >= 0).any():
        own = (a.trial[:, None] == b.trial[None, :]) & (a.trial >= 0)[:, None]
        covariance += own * (g * np.exp(-apart / reach_g)[spread])
    return np.asarray(covariance)


def _apart(a: Array, b: Array) -> tuple[Array, Any]:
    """How far the different values of `a` and of `b` are apart, and the index that spreads this over all pairs."""
    (values, rows), (others, columns) = np.unique(a, return_inverse=True), np.unique(b, return_inverse=True)
    return np.abs(values[:, None] - others[None, :]), np.ix_(rows, columns)


class FidelityProcess:
    """The process, given losses `y` (about standardised) at `points`."""

    def __init__(self, by: Hyperparameters, points: Points, y: Array) -> None:
        self.by = by
        self.points = points
        self.y = y
        covariance = kernel(points, points, by)
        covariance[np.diag_indices(len(points))] += by.others[-1] + JITTER
        self._factor = np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)
        self._whitened = _solve(self._factor, y)

    def fitted(self) -> Array:
        """The mean at the process's own points, without their noise: y - (ε + jitter) · (K + ε + jitter)⁻¹ y."""
        weights = solve_triangular(self._factor, self._whitened, lower=True, trans="T", check_finite=False)
        return np.asarray(self.y - (self.by.others[-1] + JITTER) * weights)

    def predict(self, at: Points) -> tuple[Array, Array]:
        """Mean and variance of y at some points, as far as they can be foretold: without noise, and without what will
        be a new trial's own, which is no reason to choose one.
        """
        return self.moments(at, self.projected(at))

    def expecting(self, points: Points) -> FidelityProcess:
        """The process, given as well that the losses at `points` are as it expects them; made anew, to the last bit as
        if they had been there from the start. A `Believer` is as good and quicker, but for rounding.
        """
        if not len(points):
            return self
        expected, _ = self.predict(points)
        return FidelityProcess(self.by, self.points + points, np.concatenate([self.y, expected]))

    def projected(self, at: Points) -> Array:
        """L⁻¹ k(points, at) (n, m), where L is the lower Cholesky factor of the points' covariance with noise."""
        return _solve(self._factor, kernel(self.points, at, self.by))

    def moments(self, at: Points, projected: Array) -> tuple[Array, Array]:
        """What `predict` tells, of what is `projected` there."""
        _, _, m, f, g, _ = self.by.others
        own = np.where(at.trial >= 0, g, 0.0)
        return projected.T @ self._whitened, np.maximum(m + f + own - (projected**2).sum(0), LEAST_VARIANCE)


def fit(points: Points, y: Array, prior: Prior) -> Hyperparameters:
    """The hyperparameters of highest posterior density, as far as `STEPS` steps lead. A function of its arguments."""
    start = Hyperparameters(points.x.shape[1], prior)
    squares = (points.x.T[:, :, None] - points.x.T[:, None, :]) ** 2
    apart = np.abs(points.t[:, None] - points.t[None, :])
    own = (points.trial[:, None] == points.trial[None, :]).astype(float)
    found = minimize(
        lambda log: _loss(log, start, squares, apart, own, y),
        start.log,
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(start.mean - 4 * start.sd, start.mean + 4 * start.sd, strict=True)),
        options={"maxiter": STEPS, "maxfun": STEPS + 10},
    )
    return Hyperparameters(start.n_features, prior, found.x) if found.fun < _REFUSED else start


_REFUSED = 1e10


def _loss(
    log: Array, start: Hyperparameters, squares: Array, apart: Array, own: Array, y: Array
) -> tuple[float, Array]:
    """Minus the log posterior density up to a constant, and its gradient."""
    by = Hyperparameters(start.n_features, start.prior, log)
    reach_f, reach_g, m, f, g, noise = by.others
    weights = by.lengths**-2
    r2 = np.tensordot(weights, squares, 1)
    r = SQRT5 * np.sqrt(r2 + 1e-12)
    decay = f * np.exp(-r - apart / reach_f)
    of_f, of_g = (1 + r + 5 / 3 * r2) * decay, g * own * np.exp(-apart / reach_g)
    of_m = m * np.exp(-apart / AVERAGE_REACH)
    covariance = of_m + of_f + of_g
    covariance[np.diag_indices(len(y))] += noise + JITTER
    factor, failed = dpotrf(covariance, lower=1)
    if failed:
        return _REFUSED, np.zeros_like(log)
    inverse, _ = dpotri(factor, lower=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    alpha = inverse @ y
    slope = 0.5 * (inverse - np.outer(alpha, alpha))  # by the covariance
    by_lengths = np.tensordot(squares, slope * (5 / 3 * (1 + r) * decay), ([1, 2], [0, 1])) * weights
    by_f, by_g = slope * of_f, slope * of_g
    others = [
        (by_f * apart).sum() / reach_f,
        (by_g * apart).sum() / reach_g,
        (slope * of_m).sum(),
        by_f.sum(),
        by_g.sum(),
        np.trace(slope) * noise,
    ]
    away = (log - start.mean) / start.sd
    value = 0.5 * y @ alpha + np.log(np.diag(factor)).sum() + 0.5 * away @ away
    return float(value), np.concatenate([by_lengths, others]) + away / start.sd


def _solve(factor: Array, right: Array) -> Array:
    return np.asarray(solve_triangular(factor, right, lower=True, check_finite=False))
