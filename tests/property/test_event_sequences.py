"""Random event sequences against the controller: the invariants of docs/architecture.md, and an equal replay."""

from __future__ import annotations

import math

import pytest
from by_hand import Hand, study_spec
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.control import Nothing
from tuner.records import (
    Command,
    CommandKind,
    Decision,
    Ending,
    FailureKind,
    Reported,
    Segment,
    SegmentEnded,
    TrialState,
    decode_event,
    encode_event,
)

SCHEDULERS = [
    {"name": "none", "max_resource": 4},
    {"name": "median", "max_resource": 4, "min_trials": 2},
    {"name": "asha", "type": "promote", "max_resource": 9},
    {"name": "asha", "type": "promote", "max_resource": 4, "reduction_factor": 2},
    {"name": "asha", "type": "stop", "max_resource": 9},
    {"name": "hyperband", "type": "promote", "max_resource": 9},
    {"name": "hyperband", "type": "stop", "max_resource": 9},
]
BUDGETS = [{"trials": 12}, {"trials": None, "epochs": 30}, {"trials": 12, "minutes": 2}, {"trials": 3, "epochs": 100}]
BUDGETS += [{"trials": 12, "until": {"value": 0.1}}, {"trials": None, "epochs": 30, "until": {"no_improvement": 3}}]

POLICIES = [
    {},
    {"timeout": 0, "exception": 3},
    {"data_missing": 1, "out_of_memory": "stop", "non_finite": "stop"},
    {"worker_lost": 0, "node_lost": "stop", "preempted": 1, "checkpoint": "stop"},
]

specs = st.builds(
    lambda scheduler, budget, retries, value, policy, policies, straggler: study_spec(
        scheduler=scheduler,
        checkpoint=policy,
        budget=budget,
        failures={"retries": retries, "give_up_after": 4, **policies},
        metric={"name": "loss", "value": value},
        timeouts={"straggler": straggler},
    ),
    st.sampled_from(SCHEDULERS),
    st.sampled_from(BUDGETS),
    st.integers(0, 2),
    st.sampled_from(["last", "best"]),
    st.builds(lambda keep, best: {"keep": keep, "best": best}, st.integers(1, 3), st.booleans()),
    st.sampled_from(POLICIES),
    st.sampled_from([None, 2.0]),
)
losses = st.sampled_from([0.0, 0.1, 0.2, 0.5, 1.0, -3.0, 1e18, math.nan, math.inf, None])
actions = st.lists(
    st.one_of(
        st.tuples(st.just("pull"), st.integers(1, 4)),
        st.tuples(st.just("report"), st.integers(0, 9), losses, st.integers(1, 3), st.booleans()),
        st.tuples(st.just("repeat"), st.integers(0, 9)),
        st.tuples(st.just("late"), st.integers(0, 9)),
        st.tuples(st.just("end"), st.integers(0, 9), st.sampled_from(list(Ending)), st.sampled_from(list(FailureKind))),
        st.tuples(st.just("tick"), st.floats(0.0, 60.0)),
        st.tuples(st.sampled_from([CommandKind.STOP, CommandKind.PAUSE, CommandKind.UNPAUSE]), st.integers(-1, 9)),
        st.tuples(st.just("extend"), st.integers(1, 20)),
        st.tuples(st.just("driver lost")),
        st.tuples(
            st.just("revise"), st.sampled_from([1, 2, 3]), st.sampled_from([0.3, 1.0, 2.0]), st.sets(st.integers(0, 9))
        ),
    ),
    max_size=60,
)


LONGEST = 40


def open_segments(trial):
    return [trial.segment, trial.rival]


class RandomPlay(Hand):
    """A study to which anything may happen, in any order."""

    def __init__(self, spec):
        super().__init__(spec)
        self.given: list[Segment] = []
        self.clock = 0.0
        self.gone: set[str] = set()

    def act(self, action):
        match action:
            case ("pull", n):
                on_hold, ended = self.controller.on_hold, self.controller.ended
                segments = self.pull(n)
                if on_hold and ended is None:
                    assert segments in (Nothing.WAIT, Nothing.ON_HOLD), "a paused study starts nothing"
                    assert self.controller.ended is None, "nor does it end"
                elif isinstance(segments, list):
                    assert not any(self.controller.trials[segment.trial].on_hold for segment in segments)
                self.given.extend(segments if isinstance(segments, list) else [])
            case ("report", which, loss, stride, kept):
                if segment := self._given(which):
                    trial = self.controller.trials[segment.trial]
                    at = max(trial.resource, segment.start) + stride
                    self.report(segment, min(at, trial.horizon), loss, kept)
            case ("repeat", which):
                if segment := self._given(which):
                    before = len(self.journal)
                    self.report(segment, self.controller.trials[segment.trial].resource, 0.0)
                    assert len(self.journal) == before, "a report told again changes nothing"
            case ("late", which):
                segment = self._given(which)
                if segment and segment not in open_segments(self.controller.trials[segment.trial]):
                    before = len(self.journal)
                    assert self.report(segment, segment.until, 0.0) is Decision.STOP
                    self.end(segment, Ending.FAILED)
                    assert len(self.journal) == before, "a late attempt changes nothing"
            case ("end", which, ending, kind):
                if segment := self._given(which):
                    self.end(segment, ending, kind)
            case ("tick", seconds):
                self.clock += seconds
                self.controller.on_tick(self.clock)
            case (CommandKind() as kind, number):
                if number < len(self.controller.trials) and self.controller.ended is None:
                    trial = None if number < 0 else number
                    self.controller.on_command(Command(kind, "me", trial=trial))
            case ("extend", trials):
                budget = {"trials": len(self.controller.trials) + trials}
                self.controller.on_command(Command(CommandKind.EXTEND, "me", budget=budget))
            case ("revise", factor, widest, horizon_free):
                scheduler = self.spec.scheduler.model_dump(mode="json")
                scheduler["max_resource"] = min(scheduler["max_resource"] * factor, LONGEST)
                self.revise(horizon_free, scheduler=scheduler, space={"x": {"float": [0.0, widest]}})
            case _:
                self.controller.on_driver_lost()
        self._note()
        self.check()

    def check(self):
        """What is true at any moment."""
        for trial in self.controller.trials:
            assert (trial.state is TrialState.RUNNING) == (trial.segment is not None)
            assert trial.rival is None or trial.segment is not None
            assert trial.resource <= trial.horizon
            assert list(trial.losses) == sorted(trial.losses), "one curve, in order"
            observation = trial.observation()
            assert not any(math.isnan(loss) for loss in observation.losses.values())
            assert observation.open == (not trial.ended)
            assert trial.ended or trial.horizon == self.spec.scheduler.max_resource, (
                "who goes on has the newest horizon"
            )
            if trial.state is TrialState.COMPLETE:
                assert trial.loss is not None
                assert math.isfinite(trial.loss)
            if trial.state is TrialState.FAILED:
                assert trial.failure is not None
        if self.controller.ended is not None:
            assert all(trial.ended for trial in self.controller.trials), "no zombie"

    def report(self, segment, resource, loss, kept=True):
        decision = super().report(segment, resource, loss, kept)
        self.check_checkpoints()
        return decision

    def end(self, segment, ending, kind=FailureKind.EXCEPTION):
        super().end(segment, ending, kind)
        self.check_checkpoints()

    def check_checkpoints(self):
        """The newest and the best stay, as far as they were not found damaged; what went is never used again."""
        self.gone |= {checkpoint.path for checkpoint in self.stale}
        policy = self.spec.checkpoint
        for trial in self.controller.trials:
            kept = [checkpoint.resource for checkpoint in trial.checkpoints]
            assert kept == sorted(set(kept))
            assert len(kept) <= policy.keep + policy.best
            assert set(trial.worth) == set(kept)
            assert not self.gone & {checkpoint.path for checkpoint in trial.checkpoints}
            taken = {
                event.report.resource: self.spec.metric.loss(event.report.metrics.get("loss"))
                for event in self.journal
                if isinstance(event, Reported) and event.report.trial == trial.number and event.report.checkpoint
            }
            damaged = {
                event.end.trial
                for event in self.journal
                if isinstance(event, SegmentEnded)
                and event.end.failure is not None
                and event.end.failure.kind is FailureKind.CHECKPOINT
            }
            if trial.number in damaged:
                continue
            assert set(list(taken)[-policy.keep :]) <= set(kept)
            finite = [loss for loss in taken.values() if math.isfinite(loss)]
            if policy.best and finite:
                assert next(resource for resource, loss in taken.items() if loss == min(finite)) in kept

    def finish(self):
        """Whatever has happened, the study can be brought to its end, and one trial is whole."""
        if self.controller.ended is None:
            held = [trial.number for trial in self.controller.trials if trial.on_hold]
            for number in (None, *held):
                self.controller.on_command(Command(CommandKind.UNPAUSE, "me", trial=number))
            self._note()
        for _ in range(10_000):
            segments = self.pull(3)
            if segments is Nothing.DONE:
                break
            if segments is Nothing.WAIT:
                self.controller.on_driver_lost()
                self._note()
                continue
            for segment in segments:
                for resource in range(segment.start + 1, segment.until + 1):
                    if self.report(segment, resource, 1.0 / (1 + segment.trial)) is not Decision.CONTINUE:
                        break
        assert self.controller.ended is not None
        self.check()

    def _given(self, which):
        return self.given[which % len(self.given)] if self.given else None


def check_play(spec, sequence):
    play = RandomPlay(spec)
    for action in sequence:
        play.act(action)
    check_equal(play, play.replayed())
    play.finish()
    check_equal(play, play.replayed())
    check_journal(play)


def check_equal(play, twin):
    metric = play.spec.metric
    assert [t.summary(metric) for t in twin.controller.trials] == [t.summary(metric) for t in play.controller.trials]
    assert [t.observation() for t in twin.controller.trials] == [t.observation() for t in play.controller.trials]
    assert twin.controller.ended == play.controller.ended
    assert [t.checkpoints for t in twin.controller.trials] == [t.checkpoints for t in play.controller.trials]
    third = play.replayed()
    assert twin.pull(3) == third.pull(3), "the next proposals are those that would have been"


def check_journal(play):
    seen: dict[int, int] = {}
    for event in play.journal:
        again = decode_event(encode_event(event))
        assert encode_event(again) == encode_event(event)
        if isinstance(event, Reported):
            assert event.report.resource > seen.get(event.report.trial, 0), "each resource of a trial once, rising"
            seen[event.report.trial] = event.report.resource
    if not any(trial.state is TrialState.COMPLETE for trial in play.controller.trials):
        reason = play.controller.ended.reason
        hopeless = all(trial.state in (TrialState.FAILED, TrialState.PRUNED) for trial in play.controller.trials)
        assert "stopped" in reason or "given up" in reason or hopeless


@settings(max_examples=150, deadline=None)
@given(specs, actions)
def test_any_sequence_keeps_the_invariants(spec, sequence):
    check_play(spec, sequence)


@pytest.mark.slow
@settings(max_examples=20_000, deadline=None)
@given(specs, actions)
def test_twenty_thousand_sequences_keep_the_invariants(spec, sequence):
    check_play(spec, sequence)
