"""The controller by hand: short studies whose every step is known."""

from __future__ import annotations

from by_hand import Hand

from tuner.control import Nothing, StudyController
from tuner.control.controller import FEW_RUNNING, NEWS_SHARE
from tuner.records import Decision, Ending, Report, StudyEnded
from tuner.schedule import make_scheduler

CONTINUE, PAUSE, STOP = Decision.CONTINUE, Decision.PAUSE, Decision.STOP


def test_nine_trials_of_asha_promotion_by_hand():
    """Each trial beats those before it, so it goes on as soon as a rung has three."""
    hand = Hand()
    segments = hand.play(lambda segment, resource: 1.0 - segment.trial / 10)
    order = [(segment.trial, segment.start, segment.until) for segment in segments]
    assert order == [
        *[(0, 0, 1), (1, 0, 1), (2, 0, 1), (2, 1, 3), (3, 0, 1), (3, 1, 3)],
        *[(n, *stretch) for n in range(4, 9) for stretch in ((0, 1), (1, 3), (3, 9))],
    ]
    assert hand.states() == ["pruned"] * 4 + ["complete"] * 5
    assert isinstance(hand.journal[-1], StudyEnded)
    assert hand.journal[-1].reason == "all 9 trials are done"


def test_at_least_one_trial_reaches_max_resource():
    hand = Hand(budget={"trials": 2})
    hand.play(lambda segment, resource: segment.trial)
    assert hand.states() == ["complete", "pruned"]


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


def test_the_epoch_budget_suspends_and_carries_one_to_the_end():
    hand = Hand(budget={"trials": None, "epochs": 5}, scheduler={"name": "none", "max_resource": 3})
    first, second = hand.pull(2)
    for resource in (1, 2):
        hand.report(first, resource, 0.5)
        hand.report(second, resource, 0.4)
    assert hand.report(first, 3, 0.5) is STOP
    assert hand.states() == ["complete", "running"]
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
    assert hand.states() == ["pruned", "complete"]


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
    assert hand.states() == ["pruned", "pruned", "complete"]
    assert hand.controller.trials[2].summary(hand.spec.metric).value == 2.0


def test_an_exhausted_grid_leaves_no_point_out_and_carries_one_trial_to_the_end():
    hand = Hand(space={"x": {"choice": [1, 2]}}, sampler={"name": "grid"})
    assert len(hand.pull(3)) == 2, "two points, three idle workers"
    hand.controller.on_driver_lost()
    hand.play(lambda segment, resource: segment.trial)
    assert hand.states() == ["complete", "pruned"]


def test_a_skipped_rung_is_judged_by_the_next_report():
    hand = Hand(budget={"trials": 1})
    segment = hand.one()
    assert hand.report(segment, 2, 0.5) is PAUSE
    assert hand.controller.trials[0].observation().losses == {1: 0.5}


class Insistent:
    """Proposes 0, 0.01, .. and sees promise in one trial, whatever becomes of it."""

    def __init__(self, favourite):
        self._favourite = favourite
        self.asked = []

    def ask(self, history, first, count):
        return [{"x": (first + index) / 100} for index in range(count)]

    def promising(self, history, paused):
        self.asked.append(set(paused))
        return self._favourite if self._favourite in paused else None

    def size(self):
        return None


def test_a_trial_that_the_sampler_sees_promise_in_goes_on_before_a_new_one_is_started():
    """The second of nine equal ones, which ASHA never promotes before the first."""
    hand = Hand()
    sampler = Insistent(1)
    hand.controller = StudyController(hand.spec, sampler, make_scheduler(hand.spec.scheduler))
    segments = hand.play(lambda segment, resource: 1.0)
    order = [(segment.trial, segment.start, segment.until) for segment in segments]
    assert order[:5] == [(0, 0, 1), (1, 0, 1), (1, 1, 3), (1, 3, 9), (2, 0, 1)]
    assert hand.states()[1] == "complete"
    assert sampler.asked[:4] == [{0}, {0, 1}, {0, 1}, {0}]

    again = StudyController(hand.spec, Insistent(None), make_scheduler(hand.spec.scheduler))
    again.replay(hand.journal)
    assert [trial.state for trial in again.trials] == [trial.state for trial in hand.controller.trials]
    assert [trial.losses for trial in again.trials] == [trial.losses for trial in hand.controller.trials]


def test_the_sampler_is_not_asked_again_while_nothing_has_happened():
    hand = Hand(budget={"trials": 2})
    sampler = Insistent(None)
    hand.controller = StudyController(hand.spec, sampler, make_scheduler(hand.spec.scheduler))
    first, second = hand.pull(2)
    hand.report(first, 1, 0.5)
    for seconds in (20.0, 40.0):
        assert hand.pull() is Nothing.WAIT
        hand.controller.on_tick(seconds)
    assert sampler.asked == [{0}]
    hand.report(second, 1, 0.4)
    hand.pull()
    assert sampler.asked == [{0}, {0, 1}]


def test_the_sampler_is_asked_once_for_all_new_trials_of_a_pull_and_after_a_replay_as_well():
    """Many slots that come free together start as many trials: what they cost must not be a model each."""
    hand = Hand(budget={"trials": 40})
    sampler = Insistent(None)
    hand.controller = StudyController(hand.spec, sampler, make_scheduler(hand.spec.scheduler))
    for segment in hand.pull(2):
        hand.report(segment, 1, 0.5)
    sampler.asked.clear()
    assert len(hand.pull(9)) == 9
    assert len(hand.pull(9)) == 9
    assert sampler.asked == [{0, 1}]

    again = Insistent(None)
    controller = StudyController(hand.spec, again, make_scheduler(hand.spec.scheduler))
    controller.replay(hand.journal)
    assert len(controller.next_segments(["worker"] * 3)) == 3
    assert again.asked == []


def test_where_very_many_trials_run_the_sampler_is_asked_when_enough_of_them_have_reported():
    hand = Hand(budget={"trials": 400})
    sampler = Insistent(None)
    hand.controller = StudyController(hand.spec, sampler, make_scheduler(hand.spec.scheduler))
    running, worth = hand.pull(132), (132 - FEW_RUNNING) // NEWS_SHARE
    for segment in running[:60]:
        hand.report(segment, 1, 1.0 + segment.trial)
        running += hand.pull()
    assert len(sampler.asked) == 60 // worth == 2

    again = Insistent(None)
    controller = StudyController(hand.spec, again, make_scheduler(hand.spec.scheduler))
    controller.replay(hand.journal)
    sampler.asked.clear()
    for segment in running[60:100]:
        report = Report(segment.trial, segment.index, 1, {"loss": 1.0 + segment.trial}, 1.0)
        for one in (hand.controller, controller):
            one.on_reports([report])
            one.next_segments(["worker"])
        assert again.asked == sampler.asked
    assert again.asked
