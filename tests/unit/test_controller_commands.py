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
