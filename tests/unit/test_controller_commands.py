"""What the controller makes of a person's commands, by hand."""

from __future__ import annotations

import pytest
from by_hand import Hand

from tuner.control import Nothing
from tuner.errors import UserMistake
from tuner.records import (
    Command,
    CommandKind,
    Decision,
    Ending,
)

PAUSE, STOP = Decision.PAUSE, Decision.STOP


def test_a_person_stops_a_trial_and_the_study():
    hand = Hand(scheduler={"name": "none", "max_resource": 9})
    first, second = hand.pull(2)
    hand.controller.on_command(Command(CommandKind.STOP, "ada", trial=0))
    assert hand.report(first, 1, 0.5) is STOP
    assert hand.states() == ["pruned", "running"]
    assert hand.controller.trials[0].reason == "stopped by ada"
    hand.controller.on_command(Command(CommandKind.STOP, "ada"))
    assert hand.report(second, 1, 0.5) is PAUSE
    assert hand.pull() is Nothing.DONE
    assert hand.controller.ended.reason == "stopped by ada"
    hand.controller.on_command(Command(CommandKind.EXTEND, "ada"))
    again = hand.one()
    assert (again.trial, again.start) == (1, 1), "what was stopped with the study goes on with it"
    assert hand.states()[0] == "pruned", "what was stopped by itself does not"


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
    assert hand.states() == ["complete", "pruned", "pruned"]
    hand.controller.on_command(Command(CommandKind.EXTEND, "me", budget={"trials": 6}))
    assert hand.states() == ["complete", "paused", "paused"]
    assert hand.one().trial == 3


def test_enqueued_configurations_and_priors_come_first():
    space = {"x": {"float": [0.0, 1.0], "prior": 0.25}, "y": {"choice": ["a", "b"]}}
    hand = Hand(space=space, enqueue=[{"x": 0.5, "y": "b"}])
    assert [dict(segment.config) for segment in hand.pull(2)] == [{"x": 0.5, "y": "b"}, {"x": 0.25, "y": "b"}]
    hand.controller.on_command(Command(CommandKind.ENQUEUE, "me", config={"x": 1.0, "y": "a"}))
    assert dict(hand.one().config) == {"x": 1.0, "y": "a"}


def test_what_is_enqueued_is_tried_after_the_sampler_is_exhausted():
    hand = Hand(space={"x": {"choice": [1, 2]}}, sampler={"name": "grid"}, scheduler={"name": "none"})
    first, _ = hand.pull(3)
    hand.controller.on_command(Command(CommandKind.ENQUEUE, "me", config={"x": 2}))
    hand.end(first, Ending.FAILED)
    assert dict(hand.one().config) == {"x": 2}


def test_a_paused_study_rests_at_the_next_reports_and_goes_on_from_there():
    hand = Hand(scheduler={"name": "none", "max_resource": 9})
    first, second = hand.pull(2)
    hand.controller.on_command(Command(CommandKind.PAUSE, "ada"))
    assert hand.report(first, 1, 0.5) is PAUSE
    assert hand.pull() is Nothing.WAIT, "the other one still runs"
    assert hand.report(second, 1, 0.5) is PAUSE
    assert hand.pull(2) is Nothing.ON_HOLD
    assert hand.controller.ended is None
    assert hand.states() == ["waiting", "waiting"]
    assert hand.controller.trials[0].reason == "paused by ada"
    hand = hand.replayed()
    assert hand.pull(2) is Nothing.ON_HOLD, "another process knows of it"
    hand.controller.on_command(Command(CommandKind.UNPAUSE, "bo"))
    assert [(segment.trial, segment.start) for segment in hand.pull(2)] == [(0, 1), (1, 1)]


@pytest.mark.parametrize("kind", [CommandKind.STOP, CommandKind.EXTEND])
def test_a_paused_study_that_is_stopped_ends_and_one_that_is_extended_goes_on(kind):
    hand = Hand()
    hand.report(hand.one(), 1, 0.5)
    hand.controller.on_command(Command(CommandKind.PAUSE, "ada"))
    assert hand.pull() is Nothing.ON_HOLD
    hand.controller.on_command(Command(kind, "bo"))
    assert (hand.pull() is Nothing.DONE) == (kind is CommandKind.STOP)


def test_a_paused_trial_is_passed_over_until_it_may_go_on():
    hand = Hand(scheduler={"name": "asha", "max_resource": 9}, budget={"trials": 20})
    for loss in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6):
        segment = hand.one() if loss == 0.1 else next(s for s in iter(hand.one, None) if s.trial)
        hand.report(segment, 1, loss)
        if loss == 0.1:
            hand.controller.on_command(Command(CommandKind.PAUSE, "ada", trial=0))
            assert hand.controller.trials[0].reason == "paused by ada"
    promoted = hand.one()
    assert (promoted.trial, promoted.start) == (1, 1), "the next best of six goes on instead of the best"
    hand.controller.on_command(Command(CommandKind.UNPAUSE, "ada", trial=0))
    assert hand.controller.trials[0].reason == ""
    assert hand.one().trial == 0


def test_a_running_trial_that_is_paused_keeps_what_it_has():
    hand = Hand(scheduler={"name": "none", "max_resource": 9}, budget={"trials": 2})
    first = hand.one()
    hand.controller.on_command(Command(CommandKind.PAUSE, "ada", trial=0))
    assert hand.report(first, 3, 0.5) is PAUSE
    second = hand.one()
    assert second.trial == 1
    hand.controller.on_command(Command(CommandKind.UNPAUSE, "ada", trial=0))
    again = hand.one()
    assert (again.trial, again.start) == (0, 3)


def test_a_study_does_not_wait_for_trials_that_a_person_paused():
    hand = Hand(scheduler={"name": "none", "max_resource": 2}, budget={"trials": 2})
    first = hand.one()
    hand.controller.on_command(Command(CommandKind.PAUSE, "ada", trial=0))
    hand.report(first, 1, 0.5)
    hand.play(lambda segment, resource: 0.1)
    assert hand.states() == ["pruned", "complete"]
    assert hand.controller.ended.reason == "all 2 trials are done but 1, which a person paused"
    hand.controller.on_command(Command(CommandKind.EXTEND, "ada"))
    assert hand.states()[0] == "waiting"


def test_an_ended_study_hears_nothing_but_an_extension():
    hand = Hand(budget={"trials": 1})
    hand.play(lambda segment, resource: 0.1)
    for kind in (CommandKind.STOP, CommandKind.PAUSE, CommandKind.UNPAUSE):
        with pytest.raises(UserMistake, match="has ended"):
            hand.controller.on_command(Command(kind, "ada"))
