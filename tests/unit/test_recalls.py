"""The grace period: when a segment that a person wants to rest or end has been silent for too long."""

from __future__ import annotations

from contextlib import closing

import pytest
from by_hand import Hand

from tuner.analysis import StudyView
from tuner.analysis.commands import commands_table
from tuner.analysis.events import events_table
from tuner.records import Command, CommandKind, Decision, Ending, Report, SegmentEnd
from tuner.store import open_store
from tuner.workflows.driver import COMMANDS_SECONDS, StudyDriver, unwatched

NONE = {"name": "none", "max_resource": 9}


class Played:
    """A study under its driver, whose clock a test moves."""

    def __init__(self, store, **parts):
        self.hand, self.now, self.store = Hand(scheduler=NONE, **parts), 0.0, store
        store.create(self.hand.spec)
        writer = store.write("hand")
        self.driver = StudyDriver(self.hand.controller, store, writer, list, watch=unwatched, clock=lambda: self.now)
        self.segments = self.driver.pull(["a", "b"])

    def ask(self, kind, trial=None):
        self.store.post("hand", Command(kind, "ada", trial=trial))
        self.wait(COMMANDS_SECONDS)

    def wait(self, seconds):
        self.now += seconds
        self.driver.tick()
        self.driver.commit()
        return self.driver.overdue()

    def report(self, trial, resource):
        return self.driver.push([Report(trial, 0, resource, {"loss": 0.5}, 1.0)])[0]

    def end(self, trial, ending):
        self.driver.push([SegmentEnd(trial, 0, ending)])
        self.driver.commit()


@pytest.fixture
def store(tmp_path):
    with closing(open_store(tmp_path / "tuner.db")) as made:
        yield made


@pytest.fixture
def played(store):
    return Played(store, timeouts={"grace": 5.0})


def test_nobody_is_overdue_whom_nobody_recalled(played):
    assert played.wait(1000) == []


@pytest.mark.parametrize("kind", [CommandKind.STOP, CommandKind.PAUSE])
def test_a_trial_is_overdue_when_it_was_silent_for_the_grace_period(played, kind):
    played.ask(kind, trial=1)
    assert played.wait(5) == []
    assert played.wait(0.1) == [(1, 0)]
    assert played.wait(1) == [(1, 0)], "until it has ended"
    played.end(1, Ending.RECALLED)
    assert played.wait(1) == []
    trial = played.hand.controller.trials[1]
    expected = {CommandKind.STOP: ("pruned", "stopped by ada"), CommandKind.PAUSE: ("waiting", "paused by ada")}
    assert (trial.state.value, trial.reason) == expected[kind]
    assert not trial.losses_in_a_row


@pytest.mark.parametrize("kind", [CommandKind.STOP, CommandKind.PAUSE])
def test_so_are_all_of_a_study(played, kind):
    played.ask(kind)
    assert sorted(played.wait(6)) == [(0, 0), (1, 0)]


def test_a_report_is_a_sign_of_life_until_the_objective_is_done(played):
    played.ask(CommandKind.PAUSE)
    assert played.report(0, 1) is Decision.PAUSE
    assert played.wait(4) == []
    played.report(0, 2)  # on its way when the answer came
    assert played.wait(2) == [(1, 0)]
    played.end(0, Ending.STOPPED)
    assert played.wait(100) == [(1, 0)]


def test_a_trial_that_may_go_on_has_all_the_time(played):
    played.ask(CommandKind.PAUSE)
    played.ask(CommandKind.UNPAUSE)
    assert played.wait(100) == []
    played.ask(CommandKind.PAUSE)
    assert played.wait(4) == [], "and its whole grace again"


def test_null_waits_for_ever(store):
    played = Played(store, timeouts={"grace": None})
    played.ask(CommandKind.STOP)
    assert played.wait(1e9) == []


def test_a_recalled_trial_goes_on_from_its_checkpoint_also_after_a_replay():
    hand = Hand(scheduler=NONE, budget={"trials": 2})
    segment = hand.one()
    hand.report(segment, 1, 0.5)
    hand.controller.on_command(Command(CommandKind.PAUSE, "ada", trial=0))
    hand.end(segment, Ending.RECALLED)
    twin = hand.replayed()
    assert twin.controller.trials[0].reason == "paused by ada"
    for each in (hand, twin):
        each.controller.on_command(Command(CommandKind.UNPAUSE, "ada", trial=0))
        assert each.one().key == (0, 1)
    assert hand.controller.trials[0].segment == twin.controller.trials[0].segment
    assert hand.controller.trials[0].segment.start == 1


def test_a_reader_is_told_who_asked_and_what_became_of_it(played, store):
    played.ask(CommandKind.PAUSE, trial=1)
    played.ask(CommandKind.STOP, trial=0)
    played.wait(6)
    played.end(1, Ending.RECALLED)
    study = StudyView(store, "hand")
    told = events_table(study)["what"].tolist()
    assert told[1:] == [
        "ada: pause trial 1",
        "ada: stop trial 0",
        "segment 0 was cut short: it was silent for longer than timeouts.grace, so its worker was ended",
    ], "and no later session"
    store.post("hand", Command(CommandKind.STOP, "bo"))
    asked = commands_table(StudyView(store, "hand"))
    assert asked["what"].tolist() == ["stop the study", "stop trial 0", "pause trial 1"]
    assert asked["author"].tolist() == ["bo", "ada", "ada"]
    assert asked["waited"].isna().tolist() == [True, False, False]


def test_a_study_that_is_stopped_ends_its_carried_trial_too():
    hand = Hand(scheduler=NONE, budget={"trials": None, "epochs": 1})
    hand.report(hand.one(), 1, 0.5)
    carried = hand.one()
    assert carried.start == 1
    assert hand.report(carried, 2, 0.5) is Decision.CONTINUE, "so that one reaches max_resource"
    hand.controller.on_command(Command(CommandKind.STOP, "ada"))
    assert hand.report(carried, 3, 0.5) is Decision.PAUSE
