"""The Gaussian process over (configuration, resource), against another implementation and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern
from threadpoolctl import threadpool_limits

from tuner.search.fidelity_process import (
    AVERAGE_REACH,
    JITTER,
    FidelityProcess,
    Hyperparameters,
    Points,
    Prior,
    _loss,
    fit,
    kernel,
)

PRIOR = Prior(length=2.0, noise=0.0005, noise_sd=2.0)

FAR = 1e30
"""A length over which a column does not matter."""


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """As the sampler has it: small matrices are slower with more."""
    with threadpool_limits(1):
        yield


def some_points(seed, n, n_features, *, t=None):
    """`n` points of about n/3 trials, each seen at a few resources; at one `t` each trial is seen once."""
    rng = np.random.default_rng(seed)
    trial = np.arange(n) if t is not None else np.arange(n) // 3
    x = rng.random((n, n_features))[trial]
    return Points(x, rng.random(n) if t is None else np.full(n, t), trial.astype(float))


def some_hyperparameters(seed, n_features):
    prior = Hyperparameters(n_features, PRIOR)
    away = np.random.default_rng(seed).uniform(-1.5, 1.5, len(prior.mean))
    return Hyperparameters(n_features, PRIOR, prior.mean + prior.sd * away)


def another_process(by):
    """The model in scikit-learn's kernels, on columns (x, t, trial): a product of those that see some columns only."""
    reach_f, reach_g, m, f, g, noise = by.others
    blind = [FAR] * by.n_features
    of_m = ConstantKernel(m) * Matern([*blind, AVERAGE_REACH, FAR], nu=0.5)
    of_f = ConstantKernel(f) * Matern([*by.lengths, FAR, FAR], nu=2.5) * Matern([*blind, reach_f, FAR], nu=0.5)
    of_g = ConstantKernel(g) * Matern([*blind, reach_g, 1e-6], nu=0.5)  # no two trials are near one another
    return GaussianProcessRegressor(of_m + of_f + of_g, alpha=noise + JITTER, optimizer=None)


def columns(points):
    return np.column_stack([points.x, points.t, points.trial])


@pytest.mark.parametrize("t", [1.0, None], ids=["one resource", "several resources"])
@pytest.mark.parametrize("seed", range(4))
def test_the_posterior_is_that_of_another_implementation(seed, t):
    by, points = some_hyperparameters(seed, 3), some_points(seed, 40, 3, t=t)
    y = np.random.default_rng(seed).standard_normal(40)
    at = some_points(seed + 100, 25, 3)
    new = Points(at.x, at.t, -1 - np.arange(25.0))  # a trial of its own each, none of them known
    theirs = another_process(by).fit(columns(points), y)
    mean, deviation = theirs.predict(columns(new), return_std=True)
    own = by.others[4]  # of a new trial, which `predict` leaves out
    our_mean, our_variance = FidelityProcess(by, points, y).predict(Points(at.x, at.t, np.full(25, -1.0)))
    np.testing.assert_allclose(our_mean, mean, atol=1e-6)
    np.testing.assert_allclose(our_variance, np.maximum(deviation**2 - own, 1e-9), atol=1e-6)


def test_a_kernel_is_symmetric_and_positive_and_knows_a_trial_by_its_number():
    by, points = some_hyperparameters(1, 2), some_points(1, 30, 2)
    covariance = kernel(points, points, by)
    np.testing.assert_array_equal(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > -1e-9
    _, _, m, f, g, _ = by.others
    np.testing.assert_allclose(np.diag(covariance), m + f + g, rtol=1e-5)
    nobody = Points(points.x, points.t, np.full(30, -1.0))
    np.testing.assert_allclose(np.diag(kernel(nobody, nobody, by)), m + f, rtol=1e-5)


def test_certainty_grows_with_what_is_known():
    by, points = Hyperparameters(2, PRIOR), some_points(2, 30, 2)
    at = Points(points.x[:10], np.ones(10), np.full(10, -1.0))
    y = np.sin(3 * points.x[:, 0])
    _, few = FidelityProcess(by, points[:9], y[:9]).predict(at)
    _, many = FidelityProcess(by, points, y).predict(at)
    assert (many <= few + 1e-9).all()
    assert many.sum() < 0.9 * few.sum()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 50), st.integers(1, 4), st.lists(st.floats(-2, 2), min_size=10, max_size=10))
def test_the_gradient_is_that_of_finite_differences(seed, n_features, away):
    prior, points = Hyperparameters(n_features, PRIOR), some_points(seed, 12, n_features)
    y = np.random.default_rng(seed).standard_normal(12)
    log = prior.mean + prior.sd * np.array(away[: len(prior.mean)])
    squares = (points.x.T[:, :, None] - points.x.T[:, None, :]) ** 2
    apart = np.abs(points.t[:, None] - points.t[None, :])
    own = (points.trial[:, None] == points.trial[None, :]).astype(float)

    def loss(log):
        return _loss(log, prior, squares, apart, own, y)

    _, gradient = loss(log)
    h = 1e-5
    for index in range(len(log)):
        step = h * np.eye(len(log))[index]
        slope = (loss(log + step)[0] - loss(log - step)[0]) / (2 * h)
        assert gradient[index] == pytest.approx(slope, rel=1e-4, abs=1e-4 * max(1.0, np.abs(gradient).max()))


def test_a_fit_tells_which_feature_matters():
    points = some_points(5, 60, 2, t=1.0)
    by = fit(points, np.sin(6 * points.x[:, 0]), PRIOR)
    assert by.lengths[0] < 0.7 * by.lengths[1]


def test_a_fit_is_a_function_of_its_data_and_foretells_better_than_the_prior():
    points, at = some_points(6, 60, 3, t=1.0), some_points(7, 60, 3, t=1.0)

    def truth(points):
        return np.sin(6 * points.x[:, 0]) + 0.3 * points.x[:, 1]

    by = fit(points, truth(points), PRIOR)
    np.testing.assert_array_equal(by.log, fit(points, truth(points), PRIOR).log)

    def error(by):
        mean, _ = FidelityProcess(by, points, truth(points)).predict(at)
        return float(((mean - truth(at)) ** 2).mean())

    assert error(by) < 0.5 * error(Hyperparameters(3, PRIOR))


@pytest.mark.parametrize("y", [np.zeros(6), np.arange(6.0) * 1e-12], ids=["equal", "all but equal"])
def test_a_fit_of_what_tells_nothing(y):
    points = Points(np.full((6, 2), 0.5), np.ones(6), np.arange(6.0))
    mean, variance = FidelityProcess(fit(points, y, PRIOR), points, y).predict(points)
    assert np.isfinite(mean).all()
    assert (variance > 0).all()


def test_what_is_fitted_is_what_is_predicted_at_its_own_points():
    by, points = some_hyperparameters(4, 2), some_points(4, 24, 2)
    process = FidelityProcess(by, points, np.sin(5 * points.x[:, 0]) + points.t)
    np.testing.assert_allclose(process.fitted(), process.predict(points)[0], atol=1e-7)
