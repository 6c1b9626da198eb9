"""Traces, incumbents, regret: closed forms by hand."""

import numpy as np
import pytest
from comparison_runs import full_trainings

from tuner.analysis.comparison import Run, Scale, Trace, incumbent, incumbents, regret_frame, regret_table, scales

# Two workers: trial 0 and 1 go to resource 1, trial 1 goes on to 2 and 3, trial 2 fails, trial 0 goes on to 3.
PROMOTED = Trace(
    seconds=[1, 2, 4, 6, 7, 9, 11],
    units=[1, 2, 3, 4, 5, 6, 7],
    trials=[1, 2, 2, 2, 3, 3, 3],
    trial=[0, 1, 1, 1, 2, 0, 0],
    resource=[1, 1, 2, 3, 3, 2, 3],
    loss=[0.5, 0.4, 0.6, 0.3, np.inf, 0.2, 0.25],
    max_resource=3,
)


def test_the_studys_own_incumbent_is_the_best_at_the_highest_resource():
    found = incumbent(PROMOTED, range(8), "units", "full")
    np.testing.assert_array_equal(found, [np.nan, 0.5, 0.4, 0.6, 0.3, 0.3, 0.3, 0.25])


def test_any_report_may_be_the_incumbent():
    found = incumbent(PROMOTED, [0, 1, 1.9, 2, 8, 9, 1e9], "seconds", "any")
    np.testing.assert_array_equal(found, [np.nan, 0.5, 0.5, 0.4, 0.3, 0.2, 0.2])


def test_by_trials_all_reports_until_the_next_start_count():
    np.testing.assert_array_equal(incumbent(PROMOTED, [1, 2, 3], "trials"), [0.5, 0.3, 0.25])


def test_failures_at_a_high_resource_hide_nothing():
    trace = Trace([1, 2], [1, 3], [1, 2], [0, 1], [1, 3], [0.5, np.inf], 3)
    assert incumbent(trace, [3]) == [0.5]
    np.testing.assert_array_equal(incumbent(full_trainings([np.inf]), [0, 1]), [np.nan, np.inf])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": [0.1]}, "one length"),
        ({"loss": [0.1, np.nan]}, "NaN among its loss"),
        ({"seconds": [2, 1]}, "its seconds fall"),
    ],
)
def test_a_trace_that_cannot_be_is_refused(change, message):
    columns = {"seconds": [1, 2], "units": [1, 2], "trials": [1, 2], "trial": [0, 1], "resource": [1, 1]}
    with pytest.raises(ValueError, match=message):
        Trace(**(columns | {"loss": [1.0, 2.0]} | change), max_resource=1)


def test_a_trace_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        PROMOTED.loss[0] = 0.0


def test_regret_runs_from_the_best_to_the_reference():
    scale = Scale("p", best=0.2, reference=0.6, best_from="given", reference_from="given")
    np.testing.assert_allclose(
        scale.regret(np.array([0.2, 0.3, 0.6, 9.0, np.inf, np.nan, 0.1])), [0, 0.25, 1, 1, 1, 1, 0]
    )
    flat = Scale("p", 0.5, 0.5, "given", "given")
    np.testing.assert_array_equal(flat.regret(np.array([0.5, 0.6])), [0, 1])


def test_the_scale_says_where_its_ends_are_from():
    runs = [Run("random", r, full_trainings([first, 0.3])) for r, first in enumerate([np.inf, 0.8, 0.6])]
    runs.append(Run("tpe", 0, full_trainings([5.0, 0.1])))
    scale = scales(runs)["default"]
    # The first losses of random that did not fail: 0.3, 0.8, 0.6.
    assert (scale.best, scale.reference) == (0.1, 0.6)
    assert scale.best_from == "best of all runs"
    assert scale.reference_from == "median first loss of random"
    given = scales(runs, {"default": 0.0}, {"default": 1.0})["default"]
    assert (given.best, given.reference, given.best_from, given.reference_from) == (0.0, 1.0, "given", "given")
    assert scales(runs[-1:])["default"].reference_from == "median first loss of all runs"


def test_the_regret_table_has_the_mean_and_the_median_over_all_runs():
    runs = [
        Run("a", r, full_trainings([value]), problem) for problem in "pqr" for r, value in enumerate([0.0, 0.1, 0.8])
    ]
    frame = regret_frame(incumbents(runs, [0, 1]), scales(runs, {"p": 0, "q": 0, "r": 0}, {"p": 1, "q": 2, "r": 2}))
    table = regret_table(frame).set_index("budget")
    assert table.loc[0, "mean"] == 1.0  # nothing yet is as bad as the reference
    assert table.loc[1, "n"] == 9
    assert table.loc[1, "mean"] == pytest.approx((0.9 + 0.45 + 0.45) / 9)
    assert table.loc[1, "median"] == pytest.approx(0.05)
    assert table.loc[1, "mean_low"] < table.loc[1, "mean"] < table.loc[1, "mean_high"]
    once = regret_table(regret_frame(incumbents(runs[:1], [1]), scales(runs[:1])))
    assert once[["mean_low", "mean_high", "median_low"]].isna().all(axis=None)
