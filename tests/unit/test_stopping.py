"""Patience, report by report; the onset of overfitting on curves whose turning point is known."""

import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.training.settings import StoppingSettings
from tuner.training.stopping import Patience, overfitting_onset

N = 40
NOISE = 0.02


def after(losses, **settings):
    patience = Patience(StoppingSettings(**settings))
    for resource, loss in enumerate(losses, 1):
        patience.update(resource, loss)
    return patience


@pytest.mark.parametrize(
    ("losses", "best", "spent"),
    [
        ([3.0, 2.0, 2.5], 2, False),
        ([3.0, 2.0, 2.5, 2.0], 2, True),
        ([3.0, 2.0, 2.5, 1.9, 2.0], 4, False),
        ([3.0, math.nan, math.inf], 1, True),
        ([math.nan, math.nan], None, True),
        ([math.inf, 5.0], 2, False),
        ([-math.inf, 5.0], 2, False),
        ([], None, False),
    ],
)
def test_patience_of_two(losses, best, spent):
    patience = after(losses, patience=2)
    assert (patience.best_resource, patience.spent) == (best, spent)


def test_a_loss_must_be_lower_by_more_than_min_delta():
    assert after([1.0, 0.95, 0.9], patience=2, min_delta=0.1).spent
    patience = after([1.0, 0.95, 0.85], patience=2, min_delta=0.1)
    assert not patience.spent
    assert patience.best_resource == 3


def test_without_patience_there_is_no_end():
    patience = after([1.0] * 500)
    assert not patience.spent
    assert patience.best_resource == 1


@given(st.lists(st.floats(), max_size=12), st.integers(0, 12), st.integers(1, 4), st.sampled_from([0.0, 0.5]))
def test_patience_goes_on_from_json(losses, cut, patience, min_delta):
    settings = StoppingSettings(patience=patience, min_delta=min_delta)
    resumed = Patience(settings)
    resumed.load_state_dict(json.loads(json.dumps(after(losses[:cut], **vars(settings)).state_dict(), allow_nan=False)))
    for resource, loss in enumerate(losses[cut:], 1 + len(losses[:cut])):
        resumed.update(resource, loss)
    whole = after(losses, **vars(settings))
    assert resumed.state_dict() == whole.state_dict()
    assert (resumed.spent, resumed.best_resource) == (whole.spent, whole.best_resource)


def onset(val, train=None, noise=0.0, seed=0):
    draw = random.Random(seed)
    train = train or [math.exp(-3 * i / len(val)) for i in range(len(val))]
    noisy_val = [loss + draw.gauss(0, noise) for loss in val]
    noisy_train = [loss + draw.gauss(0, noise / 3) for loss in train]
    return overfitting_onset(range(1, len(val) + 1), noisy_train, noisy_val)


def parabola(turn, n=N):
    return [0.3 + 3 * ((i - turn) / n) ** 2 for i in range(1, n + 1)]


@pytest.mark.parametrize("turn", [5, 12, 25, 32])
def test_the_turning_point_of_a_clean_curve(turn):
    assert onset(parabola(turn)) == turn


@pytest.mark.parametrize("seed", range(20))
def test_the_turning_point_through_noise(seed):
    assert 8 <= onset(parabola(14), noise=NOISE, seed=seed) <= 20


def test_a_classifiers_curve_of_nine_epochs():
    val = [0.21, 0.13, 0.098, 0.083, 0.081, 0.086, 0.093, 0.104, 0.112]
    train = [0.19, 0.11, 0.071, 0.048, 0.033, 0.022, 0.015, 0.010, 0.007]
    assert overfitting_onset(range(1, 10), train, val) == 5


def test_resources_are_named_as_they_were_reported():
    found = overfitting_onset([10.0 * i for i in range(1, N + 1)], [1 / i for i in range(1, N + 1)], parabola(12))
    assert found == 120
    assert isinstance(found, int)


@pytest.mark.parametrize("n", [6, 12, 40, 120])
@pytest.mark.parametrize("shape", [lambda x: math.exp(-3 * x), lambda x: 1.0, lambda x: math.exp(-20 * x)])
def test_noise_alone_is_seldom_told(shape, n):
    told = sum(onset([shape(i / n) for i in range(n)], noise=NOISE, seed=seed) is not None for seed in range(100))
    assert told <= 7


def test_what_is_no_overfitting():
    assert onset(parabola(14), train=parabola(14)) is None  # both rise: divergence
    assert onset(parabola(14), train=[0.2] * N) is None  # nothing is being learnt any more
    down_again = [min(a, b + 0.2) for a, b in zip(parabola(12), parabola(39), strict=True)]
    assert onset([*down_again[:30], *[0.25] * 10]) is None
    spike = [math.exp(-3 * i / N) for i in range(N)]
    spike[-1] = 9.0
    assert onset(spike) is None  # a single report
    assert onset([0.5 + 0.01 * (i % 2) for i in range(N)]) is None


@given(st.integers(0, 4))
def test_short_curves_have_no_onset(n):
    assert overfitting_onset(range(n), [1.0 - 0.1 * i for i in range(n)], [float(i) for i in range(n)]) is None


def test_reports_that_are_not_finite_are_left_out():
    val, train = parabola(14), [1 / i for i in range(1, N + 1)]
    val[20], train[3] = math.nan, math.inf
    assert overfitting_onset(range(1, N + 1), train, val) == 14
    assert overfitting_onset(range(N), [math.nan] * N, [math.nan] * N) is None


losses = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=60)


@given(losses, losses)
def test_validation_that_never_rises_has_no_onset(val, train):
    n = min(len(val), len(train))
    assert overfitting_onset(range(n), train[:n], sorted(val, reverse=True)[:n]) is None


@given(losses, losses)
def test_an_onset_is_a_resource_before_the_last_two(val, train):
    n = min(len(val), len(train))
    found = overfitting_onset(range(1, n + 1), train[:n], val[:n])
    assert found is None or 1 <= found <= n - 2


@given(st.integers(6, 30), st.floats(0.5, 100), st.floats(-5, 5))
def test_the_onset_does_not_depend_on_the_losses_unit(turn, scale, offset):
    train = [math.exp(-3 * i / N) for i in range(N)]
    val = [scale * (loss + offset) for loss in parabola(turn)]
    assert overfitting_onset(range(1, N + 1), train, val) == turn
