"""Losses made fit for a Gaussian process."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.search.scores import ranks, standing

a_loss = st.floats(allow_nan=False, allow_infinity=False) | st.just(math.inf) | st.sampled_from([1e18, 1e308, -1e308])


@given(st.lists(a_loss, min_size=1, max_size=40).filter(lambda losses: any(map(math.isfinite, losses))))
def test_standing_keeps_the_order_and_is_finite_and_standardised(losses):
    scores = standing(losses)
    assert np.isfinite(scores).all()
    order = np.argsort(losses, kind="stable")
    assert (np.diff(scores[order]) >= 0).all()
    assert abs(scores.mean()) < 1e-6
    assert scores.std() < 1 + 1e-6
    assert np.abs(scores).max() <= math.sqrt(len(losses)) + 1e-6


@pytest.mark.parametrize("outlier", [1e18, 1e308, math.inf])
def test_what_diverged_is_the_worst_and_does_not_flatten_the_others(outlier):
    losses = [*np.linspace(0.1, 1.0, 20), *[outlier] * 10]
    scores = standing(losses)
    assert scores[20:].min() > scores[:20].max()
    assert scores[10] - scores[0] > 0.5
    np.testing.assert_array_equal(scores[20:], scores[20])


def test_most_may_diverge():
    scores = standing([*np.linspace(0.1, 1.0, 20), *[1e18] * 30])
    assert scores[9] - scores[0] > 0.2


def test_standing_does_not_see_a_scale_or_a_shift():
    losses = np.random.default_rng(0).lognormal(size=30)
    np.testing.assert_allclose(standing(list(5 + 1e6 * losses)), standing(list(losses)), rtol=1e-6)


@pytest.mark.parametrize("losses", [[3.0], [2.0] * 9, [1e308] * 3, [math.inf, 1.0, math.inf, 1.0]])
def test_standing_of_equal_losses(losses):
    scores = standing(losses)
    finite = np.isfinite(losses)
    assert np.ptp(scores[finite]) == 0
    assert finite.all() or scores[~finite].min() > scores[finite].max()


def test_standing_of_two_values():
    scores = standing([1.0, 2.0, 1.0, 2.0])
    np.testing.assert_allclose(scores, [-1, 1, -1, 1], atol=1e-6)


@given(st.lists(a_loss, min_size=1, max_size=40))
def test_ranks_keep_the_order_and_equal_losses_share_one(losses):
    scores = ranks(losses)
    assert np.isfinite(scores).all()
    for loss, score in zip(losses, scores, strict=True):
        for other, its in zip(losses, scores, strict=True):
            assert (score < its) == (loss < other)


def test_ranks_do_not_see_how_far_apart_losses_are():
    losses = np.random.default_rng(0).lognormal(size=30)
    np.testing.assert_array_equal(ranks(list(losses)), ranks(list(np.exp(losses))))


def test_the_step_from_first_to_second_rank_is_that_from_tenth_to_twentieth():
    scores = ranks(list(range(30)))
    assert scores[1] - scores[0] == pytest.approx(scores[19] - scores[9])
