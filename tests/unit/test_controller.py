"""The controller by hand: short studies whose every step is known."""

from __future__ import annotations

import math

import pytest
from by_hand import Hand, study_spec

from tuner.control import Nothing
from tuner.errors import UserMistake
from tuner.records import (
    Command,
    CommandKind,
    Decision,
    Ending,
    Failure,
    FailureKind,
    SegmentEnd,
    StudyEnded,
    TrialState,
)

CONTINUE, PAUSE, STOP = Decision.CONTINUE, Decision.PAUSE, Decision.STOP


def states(hand: Hand) -> list[str]:
    return [trial.state.value for trial in hand.controller.trials]


def test_nine_trials_of_asha_promotion_by_hand():
    """Each trial beats those before it, so it goes on as soon as a rung has three."""
    hand = Hand()
    segments = hand.play(lambda segment, resource: 1.0 - segment.trial / 10)
    order = [(segment.trial, segment.start, segment.until) for segment in segments]
    assert order == [
        *[(0, 0, 1), (1, 0, 1), (2, 0, 1), (2, 1, 3), (3, 0, 1), (3, 1, 3)],
        *[(n, *stretch) for n in range(4, 9) for stretch in ((0, 1), (1, 3), (3, 9))],
    ]
    assert states(hand) == ["pruned"] * 4 + ["complete"] * 5
    assert isinstance(hand.journal[-1], StudyEnded)
    assert hand.journal[-1].reason == "all 9 trials are done"


def test_a_promoted_trial_starts_from_its_checkpoint():
    hand = Hand(budget={"trials": 3})
    segments = hand.play(lambda segment, resource: segment.trial)
    again = next(segment for segment in segments if segment.start == 1)
    assert (again.trial, again.index, again.until) == (0, 1, 3)
    assert again.checkpoint is not None
    assert (again.checkpoint.resource, again.seed) == (1, segments[0].seed)


def test_at_least_one_trial_reaches_max_resource():
    hand = Hand(budget={"trials": 2})
    hand.play(lambda segment, resource: segment.trial)
    assert states(hand) == ["complete", "pruned"]


def test_a_late_report_gets_stop_and_a_repeated_one_continue():
    hand = Hand(scheduler={"name": "none", "max_resource": 9})
    segment = hand.one()
    assert hand.report(segment, 1, 0.5) is CONTINUE
    before = len(hand.journal)
    assert hand.report(segment, 1, 0.1) is CONTINUE
    assert len(hand.journal) == before, "the first report of a resource wins"
    hand.end(segment, Ending.LOST)
    again = hand.one()
    assert (again.trial, again.index, again.start) == (0, 1, 1)
    assert hand.report(segment, 2, 0.1) is STOP, "a late attempt is fenced off"
    assert hand.controller.trials[0].losses == {1: 0.5}
    assert hand.report(again, 2, 0.4) is CONTINUE


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
    assert states(hand)[0] == "failed"


def test_retries_go_on_from_the_checkpoint_and_then_it_has_failed():
    hand = Hand(failures={"retries": 2}, scheduler={"name": "none", "max_resource": 9})
    segment = hand.one()
    hand.report(segment, 1, 0.5)
    for index in (1, 2):
        hand.end(segment, Ending.FAILED)
        segment = hand.one()
        assert (segment.trial, segment.index, segment.start) == (0, index, 1)
    hand.end(segment, Ending.FAILED)
    assert states(hand) == ["failed"]
    assert hand.one().trial == 1


def test_a_damaged_checkpoint_falls_back_to_the_one_before():
    hand = Hand(scheduler={"name": "none", "max_resource": 9})
    segment = hand.one()
    hand.report(segment, 1, 0.5)
    hand.report(segment, 2, 0.5)
    starts = []
    for ending, kind in [(Ending.LOST, FailureKind.EXCEPTION), *[(Ending.FAILED, FailureKind.CHECKPOINT)] * 2]:
        hand.end(segment, ending, kind)
        segment = hand.one()
        starts.append((segment.trial, segment.start))
    assert starts == [(0, 2), (0, 1), (0, 0)]


def test_what_kills_worker_after_worker_has_failed():
    hand = Hand()
    for _ in range(6):
        hand.end(hand.one(), Ending.LOST)
    assert states(hand) == ["failed"]
    assert hand.controller.trials[0].failure.kind is FailureKind.WORKER_LOST


def test_a_driver_that_goes_away_is_no_trials_fault():
    hand = Hand()
    for _ in range(20):
        hand.one()
        hand.controller.on_driver_lost()
    assert states(hand) == ["waiting"]


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
    assert states(hand) == ["complete", "failed"]
    assert hand.controller.trials[0].observation().losses == {4: 0.25}
    assert "without having reported 'loss'" in hand.controller.trials[1].failure.message


def test_the_epoch_budget_suspends_and_carries_one_to_the_end():
    hand = Hand(budget={"trials": None, "epochs": 5}, scheduler={"name": "none", "max_resource": 3})
    first, second = hand.pull(2)
    for resource in (1, 2):
        hand.report(first, resource, 0.5)
        hand.report(second, resource, 0.4)
    assert hand.report(first, 3, 0.5) is STOP
    assert states(hand) == ["complete", "running"]
    assert hand.report(second, 3, 0.4) is STOP
    assert hand.pull() is Nothing.DONE
    assert hand.controller.ended.reason == "the budget of 5 epochs is spent"


def test_the_time_budget_ends_a_study_after_one_whole_trial():
    hand = Hand(budget={"trials": None, "minutes": 1})
    segments = hand.pull(2)
    hand.controller.on_tick(59.0)
    assert hand.report(segments[0], 1, 0.5) is PAUSE
    hand.controller.on_tick(60.0)
    assert hand.pull() is Nothing.WAIT
    assert hand.report(segments[1], 1, 0.4) is PAUSE
    for until in (3, 9):
        carried = hand.one()
        assert (carried.trial, carried.until) == (1, until)
        assert hand.pull() is Nothing.WAIT
        for resource in range(carried.start + 1, until + 1):
            hand.report(carried, resource, 0.3)
    assert hand.pull() is Nothing.DONE
    assert states(hand) == ["pruned", "complete"]


def test_a_person_stops_a_trial_and_the_study():
    hand = Hand(scheduler={"name": "none", "max_resource": 9})
    first, second = hand.pull(2)
    hand.controller.on_command(Command(CommandKind.STOP, "ada", trial=0))
    assert hand.report(first, 1, 0.5) is STOP
    assert states(hand) == ["pruned", "running"]
    assert hand.controller.trials[0].reason == "stopped by ada"
    hand.controller.on_command(Command(CommandKind.STOP, "ada"))
    assert hand.report(second, 1, 0.5) is PAUSE
    assert hand.pull() is Nothing.DONE
    assert hand.controller.ended.reason == "stopped by ada"
    hand.controller.on_command(Command(CommandKind.EXTEND, "ada"))
    again = hand.one()
    assert (again.trial, again.start) == (1, 1), "what was stopped with the study goes on with it"
    assert states(hand)[0] == "pruned", "what was stopped by itself does not"


def test_a_command_that_cannot_be_followed_changes_nothing():
    hand = Hand()
    with pytest.raises(UserMistake, match="no trial 7"):
        hand.controller.on_command(Command(CommandKind.STOP, "me", trial=7))
    with pytest.raises(UserMistake):
        hand.controller.on_command(Command(CommandKind.ENQUEUE, "me", config={"x": 2.0}))
    assert hand.journal == []


def test_an_ended_study_goes_on_where_it_stood_when_it_is_extended():
    hand = Hand(budget={"trials": 3})
    hand.play(lambda segment, resource: segment.trial)
    assert states(hand) == ["complete", "pruned", "pruned"]
    hand.controller.on_command(Command(CommandKind.EXTEND, "me", budget={"trials": 6}))
    assert states(hand) == ["complete", "paused", "paused"]
    assert hand.one().trial == 3


def test_enqueued_configurations_and_priors_come_first():
    space = {"x": {"float": [0.0, 1.0], "prior": 0.25}, "y": {"choice": ["a", "b"]}}
    hand = Hand(space=space, enqueue=[{"x": 0.5, "y": "b"}])
    assert [dict(segment.config) for segment in hand.pull(2)] == [{"x": 0.5, "y": "b"}, {"x": 0.25, "y": "b"}]
    hand.controller.on_command(Command(CommandKind.ENQUEUE, "me", config={"x": 1.0, "y": "a"}))
    assert dict(hand.one().config) == {"x": 1.0, "y": "a"}


def test_grid_ends_when_it_is_exhausted():
    hand = Hand(space={"x": {"choice": [1, 2, 3]}}, sampler={"name": "grid"}, budget={"trials": 64})
    hand.play(lambda segment, resource: 1.0)
    assert sorted(trial.config["x"] for trial in hand.controller.trials) == [1, 2, 3]
    assert hand.controller.ended.reason == "the grid sampler has nothing left to propose"


def test_the_best_or_the_last_report_counts():
    for value, loss in (("last", 0.9), ("best", 0.2)):
        hand = Hand(metric={"name": "loss", "value": value}, scheduler={"name": "none", "max_resource": 3})
        segment = hand.one()
        for resource, seen in ((1, 0.5), (2, 0.2), (3, 0.9)):
            hand.report(segment, resource, seen)
        summary = hand.controller.trials[0].summary(hand.spec.metric)
        assert (summary.value, summary.best_value, summary.best_resource) == (loss, 0.2, 2)


def test_maximising_is_minimising_the_negative():
    hand = Hand(metric={"name": "loss", "direction": "maximize"}, budget={"trials": 3})
    hand.play(lambda segment, resource: segment.trial)
    assert states(hand) == ["pruned", "pruned", "complete"]
    assert hand.controller.trials[2].summary(hand.spec.metric).value == 2.0


CURVE = [0.5, 0.2, 0.4, 0.2, 0.3, 0.6]


@pytest.mark.parametrize(
    ("policy", "direction", "kept"),
    [
        ({"keep": 2}, "minimize", [2, 5, 6]),  # the first of equally good ones
        ({"keep": 2}, "maximize", [5, 6]),  # the best is the newest
        ({"keep": 1}, "minimize", [2, 6]),
        ({"keep": 5}, "minimize", [2, 3, 4, 5, 6]),
        ({"keep": 2, "best": False}, "minimize", [5, 6]),
    ],
)
def test_the_newest_checkpoints_and_the_best_ones_stay(policy, direction, kept):
    metric = {"name": "loss", "direction": direction}
    hand = Hand(study_spec(scheduler={"name": "none", "max_resource": 6}, checkpoint=policy, metric=metric))
    segment, gone = hand.one(), []
    for resource, loss in enumerate(CURVE, 1):
        hand.report(segment, resource, loss)
        gone += [checkpoint.resource for checkpoint in hand.stale]
    assert [checkpoint.resource for checkpoint in hand.controller.trials[0].checkpoints] == kept
    assert sorted(gone + kept) == [1, 2, 3, 4, 5, 6], "each is kept or removed, once"


def test_the_best_checkpoint_by_the_metric_is_that_of_a_single_report():
    """`value: best` makes a trial's loss its best so far; which checkpoint is best goes by the reports themselves."""
    metric = {"name": "loss", "value": "best"}
    hand = Hand(scheduler={"name": "none", "max_resource": 9}, checkpoint={"keep": 1}, metric=metric)
    segment = hand.one()
    hand.report(segment, 1, 0.1, kept=False)  # the best of all has no checkpoint
    for resource, loss in ((2, 0.4), (3, 0.3), (4, 0.5), (5, 0.6)):
        hand.report(segment, resource, loss)
    assert [kept.resource for kept in hand.controller.trials[0].checkpoints] == [3, 5]
    hand.end(segment, Ending.FAILED, FailureKind.CHECKPOINT)
    assert hand.one().start == 3, "the best one is also one to fall back on"


def test_a_trial_that_failed_for_its_numbers_is_not_tried_again_and_one_that_was_stuck_is():
    for kind, after in ((FailureKind.NON_FINITE, "failed"), (FailureKind.TIMEOUT, "waiting")):
        hand = Hand(failures={"retries": 1}, scheduler={"name": "none", "max_resource": 9})
        segment = hand.one()
        hand.report(segment, 1, 0.5)
        hand.end(segment, Ending.FAILED, kind)
        assert states(hand) == [after]
        if after == "waiting":
            hand.end(hand.one(), Ending.FAILED, kind)
            assert states(hand) == ["failed"], "only as often as failures.retries allows"
        assert hand.controller.trials[0].failure.kind is kind
        assert hand.controller.trials[0].summary(hand.spec.metric).value is None


def test_an_exhausted_grid_leaves_no_point_out_and_carries_one_trial_to_the_end():
    hand = Hand(space={"x": {"choice": [1, 2]}}, sampler={"name": "grid"})
    assert len(hand.pull(3)) == 2, "two points, three idle workers"
    hand.controller.on_driver_lost()
    hand.play(lambda segment, resource: segment.trial)
    assert states(hand) == ["complete", "pruned"]


def test_what_is_enqueued_is_tried_after_the_sampler_is_exhausted():
    hand = Hand(space={"x": {"choice": [1, 2]}}, sampler={"name": "grid"}, scheduler={"name": "none"})
    first, _ = hand.pull(3)
    hand.controller.on_command(Command(CommandKind.ENQUEUE, "me", config={"x": 2}))
    hand.end(first, Ending.FAILED)
    assert dict(hand.one().config) == {"x": 2}


def test_a_skipped_rung_is_judged_by_the_next_report():
    hand = Hand(budget={"trials": 1})
    segment = hand.one()
    assert hand.report(segment, 2, 0.5) is PAUSE
    assert hand.controller.trials[0].observation().losses == {1: 0.5}


def test_a_damaged_checkpoint_is_removed():
    hand = Hand(scheduler={"name": "none", "max_resource": 9})
    segment = hand.one()
    hand.report(segment, 1, 0.5)
    hand.controller.on_segment_end(
        SegmentEnd(0, segment.index, Ending.FAILED, Failure(FailureKind.CHECKPOINT, "damaged"))
    )
    assert [kept.resource for kept in hand.controller.take_changes().stale] == [1]
