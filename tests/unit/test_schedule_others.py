"""Hyperband's brackets, median stopping by hand and against its definition, and no scheduling at all."""

import math
from collections import Counter
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.records import Decision
from tuner.schedule import MedianStopping, Stretch, make_scheduler
from tuner.schedule.hyperband import BracketOrder, bracket_sizes
from tuner.spec import Hyperband, NoScheduler

CONTINUE, STOP, PAUSE = Decision.CONTINUE, Decision.STOP, Decision.PAUSE


def test_bracket_sizes_are_hyperbands():
    assert bracket_sizes(5, 3) == (81, 34, 15, 8, 5)  # R = 81, η = 3: Li et al. 2018, §3.3
    assert bracket_sizes(1, 3) == (1,)


@given(st.integers(1, 7), st.integers(2, 4))
def test_a_round_fills_every_bracket_and_its_beginning_is_fair(n_brackets, eta):
    sizes = bracket_sizes(n_brackets, eta)
    order, total, counts = BracketOrder(sizes), sum(sizes), Counter()
    for trial in range(min(total, 500)):
        counts[order.bracket(trial)] += 1
        for bracket, size in enumerate(sizes):
            assert abs(counts[bracket] - (trial + 1) * size / total) < n_brackets
    whole = Counter(order.bracket(trial) for trial in range(total))
    assert [whole[bracket] for bracket in range(n_brackets)] == list(sizes)


def test_a_bracket_is_a_function_of_the_number():
    order = BracketOrder(bracket_sizes(4, 3))
    assert order.bracket(50) == [BracketOrder(bracket_sizes(4, 3)).bracket(n) for n in range(51)][50]


def test_hyperband_promotes_the_most_advanced_then_the_best():
    scheduler = make_scheduler(Hyperband(max_resource=9, reduction_factor=3))
    until = {trial: scheduler.start(trial).until for trial in range(40)}
    assert set(until.values()) == {1, 3, 9}
    low = [trial for trial in until if until[trial] == 1]
    middle = [trial for trial in until if until[trial] == 3]
    assert scheduler.rungs(low[0]) == (1, 3, 9)
    assert scheduler.rungs(middle[0]) == (3, 9)
    for trial in low[:3]:
        scheduler.on_report(trial, 1, 0.1)
    assert scheduler.promotable() == Stretch(low[0], 3)
    for trial in middle[:3]:
        scheduler.on_report(trial, 3, 0.5)
    assert scheduler.promotable() == Stretch(middle[0], 9)
    for trial in low[:3]:
        assert scheduler.promote(trial).until == 3
        scheduler.on_report(trial, 3, 0.4)
    assert scheduler.promotable() == Stretch(low[0], 9)


def test_none_runs_to_the_end():
    scheduler = make_scheduler(NoScheduler(max_resource=3))
    assert scheduler.start(0) == Stretch(0, 3)
    assert [scheduler.on_report(0, resource, 0.1) for resource in (1, 2, 3)] == [CONTINUE, CONTINUE, STOP]
    with pytest.raises(ValueError, match="over"):
        scheduler.stretch(0)


def test_median_by_hand():
    scheduler = MedianStopping(min_resource=2, max_resource=4, min_trials=2)
    assert scheduler.start(0) == Stretch(0, 4, (2, 3, 4))
    scheduler.start(1)
    scheduler.start(2)
    for trial, losses in {0: (0.8, 0.4), 1: (0.4, 0.2)}.items():  # running means at 2: 0.6 and 0.3
        assert [scheduler.on_report(trial, at, loss) for at, loss in enumerate(losses, 1)] == [CONTINUE, CONTINUE]
    assert scheduler.on_report(2, 1, 0.9) is CONTINUE  # below min_resource
    assert scheduler.stretch(2) == Stretch(2, 4, (2, 3, 4))
    assert scheduler.on_report(2, 2, 0.5) is STOP  # best 0.5 > median 0.45
    scheduler.start(3)
    assert scheduler.on_report(3, 2, 0.6) is CONTINUE  # median of 0.6, 0.3, 0.7 is 0.6: not strictly worse
    assert scheduler.stretch(3) == Stretch(3, 4, (3, 4))
    assert scheduler.on_report(3, 3, 9.0) is CONTINUE  # nobody else came that far
    assert scheduler.on_report(3, 4, 9.0) is STOP


REPORTS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 3), st.sampled_from([0.1, 0.2, 0.4, 0.8, math.inf])), max_size=60
)


@given(REPORTS)
def test_median_is_its_definition(reports):
    scheduler = MedianStopping(min_resource=2, max_resource=9, min_trials=2)
    curves: dict[int, dict[int, float]] = {trial: {} for trial in range(6)}
    over = set()
    for trial in curves:
        scheduler.start(trial)
    for trial, stride, loss in reports:
        resource = max(curves[trial], default=0) + stride
        if trial in over or resource > 9:
            continue
        means = [
            sum(seen) / len(seen)
            for other, curve in curves.items()
            if other != trial
            and max(curve, default=0) >= resource
            and (seen := [value for at, value in curve.items() if at <= resource])
        ]
        curves[trial][resource] = loss
        worse = len(means) >= 2 and min(curves[trial].values()) > median(means)
        stops = resource >= 9 or (resource >= 2 and worse)
        assert scheduler.on_report(trial, resource, loss) is (STOP if stops else CONTINUE)
        if stops:
            over.add(trial)
