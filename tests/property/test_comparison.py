"""Any trace at all: incumbents, reaches, ranks and p-values keep what they promise."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from tuner.analysis.comparison import (
    Trace,
    average_ranks,
    first_reach,
    friedman,
    holm,
    incumbent,
    incumbent_curve,
    signed_rank_p,
)

losses = st.floats(-1e18, 1e18) | st.just(np.inf)


@st.composite
def traces(draw):
    n = draw(st.integers(1, 30))

    def whole(low, high):
        return draw(st.lists(st.integers(low, high), min_size=n, max_size=n))

    seconds, units, trials = (np.cumsum(whole(0, 3)) for _ in range(3))
    return Trace(seconds, units, trials, whole(0, 5), whole(1, 9), draw(st.lists(losses, min_size=n, max_size=n)), 9)


tables = st.tuples(st.integers(1, 8), st.integers(1, 5)).flatmap(
    lambda shape: st.lists(st.lists(losses, min_size=shape[1], max_size=shape[1]), min_size=shape[0], max_size=shape[0])
)


@given(traces())
def test_the_best_of_any_report_never_rises_and_is_never_above_the_studys_own(trace):
    anything, full = incumbent_curve(trace, "any"), incumbent_curve(trace, "full")
    assert (anything[1:] <= anything[:-1]).all()
    assert (anything <= full).all()
    finite = np.isfinite(trace.loss)
    if finite.any():
        top = trace.resource[finite].max()
        assert full[-1] == trace.loss[finite & (trace.resource == top)].min()


@given(traces(), losses, st.sampled_from(["full", "any"]), st.sampled_from(["seconds", "units", "trials"]))
def test_a_target_reached_is_reached_then_and_not_before(trace, target, rule, by):
    at = float(first_reach(trace, target, by, rule))
    curve, spent = incumbent_curve(trace, rule), trace.spent(by)
    assert (curve[spent < at] > target).all()
    assert np.isinf(at) or (curve[spent == at] <= target).any()
    assert incumbent(trace, [spent[-1]], by, rule)[0] == curve[-1]


@given(tables)
def test_ranks_sum_to_what_they_must_and_p_is_a_probability(rows):
    table = pd.DataFrame(np.array(rows), columns=list("abcde")[: len(rows[0])])
    k = table.shape[1]
    assert np.isclose(average_ranks(table).sum(), k * (k + 1) / 2)
    assert 0 < friedman(table).p_value <= 1


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=20))
def test_the_signed_rank_test_knows_no_side(differences):
    p = signed_rank_p(differences)
    assert 0 < p <= 1
    assert np.isclose(p, signed_rank_p(-np.array(differences)))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_holm_keeps_the_order_and_never_makes_surer(p_values):
    adjusted = holm(p_values)
    assert (adjusted >= p_values).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(p_values, kind="stable")]) >= 0).all()
