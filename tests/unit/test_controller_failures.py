"""What the controller makes of trials that fail, and of workers and drivers that go away, by hand."""

from __future__ import annotations

import math

import pytest
from by_hand import Hand

from tuner.control import Nothing
from tuner.records import (
    Command,
    CommandKind,
    Decision,
    Ending,
    FailureKind,
    StudyEnded,
    TrialState,
)

STOP = Decision.STOP


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_what_is_not_finite_fails_and_is_never_promoted(value):
    hand = Hand(budget={"trials": 3}, failures={"retries": 3})
    segment = hand.one()
    assert hand.report(segment, 1, value, other=1.0) is STOP
    trial = hand.controller.trials[0]
    assert trial.state is TrialState.FAILED
    assert trial.failure is not None
    assert trial.failure.kind is FailureKind.NON_FINITE
    assert "loss" in trial.failure.message
    assert trial.observation().failed
    assert trial.summary(hand.spec.metric).value is None
    hand.play(lambda segment, resource: 1.0)
    assert hand.states()[0] == "failed"


def test_retries_go_on_from_the_checkpoint_and_then_it_has_failed():
    hand = Hand(failures={"retries": 2}, scheduler={"name": "none", "max_resource": 9})
    segment = hand.one()
    hand.report(segment, 1, 0.5)
    for index in (1, 2):
        hand.end(segment, Ending.FAILED)
        segment = hand.one()
        assert (segment.trial, segment.index, segment.start) == (0, index, 1)
    hand.end(segment, Ending.FAILED)
    assert hand.states() == ["failed"]
    assert hand.one().trial == 1


def test_what_kills_worker_after_worker_has_failed():
    hand = Hand()
    for _ in range(6):
        hand.end(hand.one(), Ending.LOST)
    assert hand.states() == ["failed"]
    assert hand.controller.trials[0].failure.kind is FailureKind.WORKER_LOST


@pytest.mark.parametrize(
    ("kind", "failures", "losses"),
    [
        (FailureKind.NODE_LOST, {}, 6),
        (FailureKind.NODE_LOST, {"node_lost": 0}, 1),
        (FailureKind.PREEMPTED, {"preempted": 2}, 3),
        (FailureKind.PREEMPTED, {}, None),
    ],
)
def test_what_is_lost_in_a_row_is_counted_by_kind(kind, failures, losses):
    hand = Hand(failures={"retries": 0, **failures})
    for number in range(losses or 50):
        assert hand.states() in ([], ["waiting"]), number
        hand.end(hand.one(), Ending.LOST, kind)
    assert hand.states() == ["failed" if losses else "waiting"]
    if losses:
        assert hand.controller.trials[0].failure.kind is kind


def test_a_report_between_two_losses_begins_the_count_anew():
    hand = Hand(failures={"worker_lost": 1}, scheduler={"name": "none", "max_resource": 9})
    for resource in (1, 2, 3, 4):
        segment = hand.one()
        hand.report(segment, resource, 0.5)
        hand.end(segment, Ending.LOST)
    assert hand.states() == ["waiting"]


def test_a_kind_with_a_policy_is_counted_by_itself():
    hand = Hand(failures={"retries": 1, "timeout": 2}, scheduler={"name": "none", "max_resource": 9})
    kinds = [FailureKind.TIMEOUT, FailureKind.EXCEPTION, FailureKind.TIMEOUT]
    for kind in kinds:
        hand.end(hand.one(), Ending.FAILED, kind)
        assert hand.states() == ["waiting"]
    hand.end(hand.one(), Ending.FAILED, FailureKind.OUT_OF_MEMORY)
    assert hand.states() == ["failed"], "exception and out of memory share the one retry"


@pytest.mark.parametrize(
    ("kind", "failures"),
    [(FailureKind.DATA_MISSING, {}), (FailureKind.EXCEPTION, {"exception": "stop"})],
)
def test_a_kind_that_stops_the_study_leaves_its_trial_to_go_on_when_the_cause_is_mended(kind, failures):
    hand = Hand(failures={"retries": 3, **failures}, scheduler={"name": "none", "max_resource": 9})
    other, broken = hand.pull(2)
    hand.report(broken, 1, 0.5)
    hand.end(broken, Ending.FAILED, kind)
    assert hand.report(other, 1, 0.5) is Decision.PAUSE, "what runs is suspended at its next report"
    assert hand.pull() is Nothing.DONE
    assert hand.controller.ended == StudyEnded(f"stopped by trial 1, {kind}: why", failed=True)
    assert hand.controller.trials[1].failure.kind is kind
    assert not hand.controller.trials[1].observation().failed, "the configuration has no part in it"
    hand.controller.on_command(Command(CommandKind.EXTEND, "me"))
    again = {segment.trial: segment for segment in hand.pull(2)}
    assert again[1].start == 1


def test_a_number_that_is_not_finite_may_stop_the_study_and_its_trial_has_failed():
    hand = Hand(failures={"non_finite": "stop"}, scheduler={"name": "none", "max_resource": 9})
    hand.report(hand.one(), 1, math.nan)
    assert hand.pull() is Nothing.DONE
    assert hand.controller.ended.failed
    assert hand.states() == ["failed"]


def test_missing_data_may_be_let_pass():
    hand = Hand(failures={"data_missing": 0}, scheduler={"name": "none", "max_resource": 9})
    hand.end(hand.one(), Ending.FAILED, FailureKind.DATA_MISSING)
    assert hand.states() == ["failed"]
    assert hand.one().trial == 1


def test_a_driver_that_goes_away_is_no_trials_fault():
    hand = Hand()
    for _ in range(20):
        hand.one()
        hand.controller.on_driver_lost()
    assert hand.states() == ["waiting"]


def test_broken_code_gives_the_study_up_and_an_extension_forgives():
    hand = Hand(failures={"retries": 0, "give_up_after": 3})
    for _ in range(3):
        hand.end(hand.one(), Ending.FAILED)
    assert hand.pull() is Nothing.DONE
    assert hand.controller.ended == StudyEnded("given up, as the first 3 trials all failed", failed=True)
    hand.controller.on_command(Command(CommandKind.EXTEND, "me"))
    assert hand.one().trial == 3


def test_one_good_report_and_nothing_is_given_up():
    hand = Hand(failures={"retries": 0, "give_up_after": 3}, scheduler={"name": "none"})
    first = hand.one()
    hand.report(first, 1, 0.5)
    for _ in range(4):
        hand.end(hand.one(), Ending.FAILED)
    assert hand.one().trial == 5


def test_an_objective_that_returns_early_is_complete_and_one_that_reports_nothing_failed():
    hand = Hand(scheduler={"name": "none", "max_resource": 9})
    segment = hand.one()
    hand.report(segment, 4, 0.25)
    hand.end(segment, Ending.FINISHED)
    hand.end(hand.one(), Ending.FINISHED)
    assert hand.states() == ["complete", "failed"]
    assert hand.controller.trials[0].observation().losses == {4: 0.25}
    assert "without having reported 'loss'" in hand.controller.trials[1].failure.message


def test_a_trial_that_failed_for_its_numbers_is_not_tried_again_and_one_that_was_stuck_is():
    for kind, after in ((FailureKind.NON_FINITE, "failed"), (FailureKind.TIMEOUT, "waiting")):
        hand = Hand(failures={"retries": 1}, scheduler={"name": "none", "max_resource": 9})
        segment = hand.one()
        hand.report(segment, 1, 0.5)
        hand.end(segment, Ending.FAILED, kind)
        assert hand.states() == [after]
        if after == "waiting":
            hand.end(hand.one(), Ending.FAILED, kind)
            assert hand.states() == ["failed"], "only as often as failures.retries allows"
        assert hand.controller.trials[0].failure.kind is kind
        assert hand.controller.trials[0].summary(hand.spec.metric).value is None
