"""The budget to a target, and the bootstrap: closed forms, scipy as the oracle, coverage by simulation."""

import numpy as np
import pytest
from comparison_runs import full_trainings
from scipy import stats

from tuner.analysis.comparison import Run, first_reach, reach_frame, reach_table, savings
from tuner.analysis.comparison.bootstrap import expanded_interval, resamples
from tuner.analysis.comparison.target import median_budget


def test_a_target_is_reached_at_the_first_report_at_or_below_it():
    trace = full_trainings([0.5, np.inf, 0.3, 0.4, 0.1], max_resource=9)
    np.testing.assert_array_equal(first_reach(trace, [0.6, 0.5, 0.3, 0.2, 0.05], "units"), [9, 9, 27, 45, np.inf])
    assert first_reach(trace, 0.3, "seconds") == 30
    assert first_reach(trace, 0.3, "trials") == 3


def test_what_was_not_reached_is_kept_as_a_bound():
    runs = [Run("a", 0, full_trainings([0.5, 0.1])), Run("a", 1, full_trainings([0.5, 0.4, 0.3]))]
    frame = reach_frame(runs, {"default": 0.2})
    assert frame["budget"].tolist() == [2, 3]
    assert frame["reached"].tolist() == [True, False]
    table = reach_table(frame).iloc[0]
    assert (table["n"], table["share"], table["median"]) == (2, 0.5, 2)


def test_the_kaplan_meier_median_by_hand():
    # At 1: 4/5 wait; at 2, two of four: 2/5. Censored at 2 and 3.
    assert median_budget([2, 1, 2, 2, 3], [True, True, True, False, False]) == 2
    assert median_budget([1, 2, 3], [True, False, False]) == np.inf


@pytest.mark.parametrize("seed", range(20))
def test_the_kaplan_meier_median_is_scipys(seed):
    rng = np.random.default_rng(seed)
    budget, reached = rng.integers(1, 12, 15).astype(float), rng.random(15) < 0.7
    curve = stats.ecdf(stats.CensoredData.right_censored(budget, ~reached)).sf
    below = curve.probabilities <= 0.5 + 1e-12
    expected = curve.quantiles[below.argmax()] if below.any() else np.inf
    assert median_budget(budget, reached) == expected


def test_savings_say_after_how_much_the_baseline_is_caught():
    slow = [Run("random", r, full_trainings([0.9, 0.8, 0.7, 0.5])) for r in range(6)]
    fast = [Run("tpe", r, full_trainings([0.9, 0.4, 0.4, 0.4])) for r in range(6)]
    never = [Run("bad", r, full_trainings([0.9] * 4)) for r in range(6)]
    table = savings([*slow, *fast, *never], "random", 4, "trials").set_index("method")
    assert table.loc["tpe", ["target", "budget", "ratio", "ratio_low", "ratio_high"]].tolist() == [
        0.5,
        2,
        0.5,
        0.5,
        0.5,
    ]
    assert table.loc["bad", "ratio"] == np.inf


def test_a_resample_stays_within_its_problem():
    drawn = resamples(["a", "b", "a", "b", "b"], seed=0)
    assert set(np.unique(drawn[:, [0, 2]])) == {0, 2}
    assert set(np.unique(drawn[:, [1, 3, 4]])) == {1, 3, 4}
    np.testing.assert_array_equal(drawn, resamples(["a", "b", "a", "b", "b"], seed=0))


@pytest.mark.parametrize(("n", "n_groups"), [(6, 1), (10, 1), (20, 1), (3, 8)])
def test_intervals_of_a_mean_cover_it_as_often_as_they_say(n, n_groups):
    rng = np.random.default_rng(n)
    groups = [str(group) for group in range(n_groups) for _ in range(n)]
    covered = 0
    for trial in range(1500):
        values = rng.normal(size=n * n_groups)
        low, high = expanded_interval(values[resamples(groups, trial)].mean(axis=1), n, n_groups=n_groups)
        covered += low <= 0 <= high
    assert 0.915 <= covered / 1500 <= 0.985


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_too_few_values_have_no_interval(n):
    assert np.isnan(expanded_interval(np.arange(100.0), n)).all()
    assert np.isnan(expanded_interval(np.arange(100.0), 2, n_groups=8)).all()
    assert np.isfinite(expanded_interval(np.arange(100.0), 6)).all()
