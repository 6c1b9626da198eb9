from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.search import Observation
from tuner.search.judging import Judge
from tuner.search.levels import STARTUP, Standing, judge, level_of, thin

losses_at_rungs = st.dictionaries(st.sampled_from([1, 3, 9]), st.sampled_from([0.1, 0.2, math.inf]))

steps = st.tuples(st.integers(0, 7), losses_at_rungs, st.booleans(), st.booleans())


def trials(*losses, **flags):
    return [Observation(number, {}, by_resource, **flags) for number, by_resource in enumerate(losses)]


@pytest.mark.parametrize(
    ("n_at_1", "n_at_3", "n_at_9", "n_min", "level"),
    [
        (0, 0, 0, 3, None),
        (2, 0, 0, 3, 1),  # nowhere enough: the fullest
        (3, 0, 0, 3, 1),
        (9, 2, 1, 3, 1),
        (9, 3, 1, 3, 3),
        (9, 3, 3, 3, 9),
        (27, 9, 3, 3, 9),
        (27, 9, 3, 4, 3),
        (2, 2, 0, 3, 3),  # as full: the highest
    ],
)
def test_the_level_is_the_highest_with_enough_losses(n_at_1, n_at_3, n_at_9, n_min, level):
    history = [
        Observation(i, {}, {r: 0.5 for r, n in ((1, n_at_1), (3, n_at_3), (9, n_at_9)) if i < n}) for i in range(27)
    ]
    assert level_of(history, n_min) == level


def test_failures_and_infinities_do_not_lift_the_level():
    history = trials(*[{1: 0.5, 3: math.inf}] * 5) + trials(*[{1: 0.5, 3: 0.5}] * 5, failed=True)
    assert level_of(history, 2) == 1


def test_a_history_by_hand():
    history = [
        *trials(*[{1: 0.1 * i, 3: 0.2 * i} for i in range(8)]),
        Observation(8, {}, {1: 0.3}),
        Observation(9, {}, {1: 0.2}, open=True),
        Observation(10, {}, {1: 0.2, 3: math.inf}),
        Observation(11, {}, {1: 0.2}, failed=True),
        Observation(12, {}, open=True),
        Observation(13, {}),
        Observation(14, {}, {1: 0.1, 3: 0.1, 9: 0.1}),
    ]
    judged = judge(history, 3, by_level=True)
    assert [j.standing.value for j in judged[8:]] == ["lower", "lower", "worst", "worst", "open", "unknown", "judged"]
    assert all(j.standing is Standing.JUDGED and j.resource == 3 for j in judged[:8])
    assert [j.loss for j in judged[:3]] == pytest.approx([0.0, 0.2, 0.4])
    order = sorted(range(15), key=lambda i: judged[i].rank)
    assert order[:2] == [0, 14]
    assert order[9:11] == [9, 8]
    assert {*order[11:]} == {10, 11, 12, 13}


def test_without_a_scheduler_last_losses_are_compared_wherever_they_were():
    history = trials(*[{5 + i: 0.1 * i} for i in range(STARTUP)])
    assert [j.loss for j in judge(history, 3, by_level=False)] == pytest.approx([0.1 * i for i in range(STARTUP)])


@pytest.mark.parametrize("n_failed", [0, 5, 50])
def test_no_model_before_there_is_something_to_compare(n_failed):
    failed = trials(*[{}] * n_failed, failed=True)
    assert judge(failed + trials({9: 1.0}), 1, by_level=True) is None
    assert (judge(failed + trials({9: 1.0}, {9: 2.0}), 1, by_level=True) is None) == (n_failed + 2 < STARTUP)


def test_thinning_keeps_the_best_and_spreads_over_the_rest():
    assert thin(5, 2, 5) == [0, 1, 2, 3, 4]
    assert thin(12, 2, 7) == [0, 1, 2, 4, 6, 8, 10]
    assert len({*thin(2000, 25, 256)}) == 256


@given(
    st.lists(st.tuples(st.integers(0, 7), losses_at_rungs, st.booleans(), st.booleans()), max_size=40), st.booleans()
)
def test_what_is_remembered_of_a_study_that_grows_is_no_other_judgement(trials, by_level):
    """Trials come, change, and are forgotten: a judge that has seen all of it says what one says that sees the last."""
    lasting, history = Judge(2, by_level, 4), []
    for place, losses, is_open, failed in trials:
        number = min(place, len(history))
        history[number : number + 1] = [Observation(number, {}, losses, open=is_open, failed=failed)]
        if failed and not losses:
            history = history[:number]
        assert lasting(history) == judge(history, 2, by_level, 4)
        assert lasting.best_to_worst(history) == ranked(judge(history, 2, by_level, 4))


def ranked(judgements):
    counted = (Standing.JUDGED, Standing.LOWER, Standing.WORST)
    if judgements is None:
        return None
    places = [place for place, judgement in enumerate(judgements) if judgement.standing in counted]
    return sorted(places, key=lambda place: judgements[place].rank)
