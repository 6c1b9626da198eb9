"""The desk, with a mailbox and a driver of the test's own: who is given what, and how a life is over."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import pytest

from tuner.control import Nothing
from tuner.execution.ray.desk import Desk
from tuner.execution.ray.mailbox import Envelope, Need
from tuner.records import Decision, Ending, Report, Segment, SegmentEnd


class Driver:
    """Has segments of trials 0, 1, 2 ..., and goes on with every report."""

    def __init__(self, n):
        self.segments = [Segment(number, 0, 0, 1, {"lr": 0.1}, 0, 9, ()) for number in range(n)]
        self.pulled: list[list[str]] = []
        self.said: list[object] = []

    def tick(self):
        pass

    def commit(self):
        pass

    def overdue(self):
        return []

    def pull(self, workers):
        self.pulled.append(list(workers))
        given, self.segments = self.segments[: len(workers)], self.segments[len(workers) :]
        return given or Nothing.WAIT

    def push(self, messages):
        self.said += messages
        return [Decision.CONTINUE for _ in messages]


class AllRead(Exception):
    """The last letter was read and answered."""


class Letters:
    """A mailbox whose letters come in these batches; keeps the answers to each."""

    def __init__(self, batches):
        self.batches, self.answers = iter(batches), []
        self.collect = SimpleNamespace(remote=self.exchange)

    def exchange(self, answers, _seconds):
        self.answers.append(answers)
        for batch in self.batches:
            return batch
        raise AllRead


@pytest.fixture
def served(monkeypatch):
    """Serve batches of letters; returns what was answered to each."""
    monkeypatch.setattr("tuner.execution.ray.desk.ray", SimpleNamespace(get=lambda found: found))

    def serve(driver, *batches):
        letters = Letters(batches)
        crew = SimpleNamespace(lives={}, lost=[], obituaries={}, at_work=True)
        with pytest.raises(AllRead):
            Desk(driver, letters, crew).serve()
        return letters.answers[1:]

    return serve


def enters(worker, life=0):
    return Envelope(worker, life, host="here", is_lane=True)


def asks(worker, n, life=0):
    return Envelope(worker, life, need=Need.SEGMENT, n_wanted=n)


def test_a_life_that_is_over_has_its_say_and_is_given_nothing(served):
    driver = Driver(9)
    last_words = [Report(0, 0, 1, {"loss": 0.1}, 1.0), SegmentEnd(0, 0, Ending.REACHED)]
    answers = served(
        driver,
        [enters("w_0"), asks("w_0", 2)],
        [Envelope("w_0", 0, last_words, Need.NEWS, 4), enters("w_0", 1)],
        [asks("w_0", 3, life=1)],
    )
    assert [segment.trial for segment in answers[0]["w_0", 0].segments] == [0, 1]
    assert answers[1] == {}, "nobody waits any more for an answer to the former life"
    assert [segment.trial for segment in answers[2]["w_0", 1].segments] == [2, 3, 4]
    ends = [message for message in driver.said if isinstance(message, SegmentEnd)]
    assert [(end.trial, end.ending) for end in ends] == [(0, Ending.REACHED), (1, Ending.LOST)]


def test_a_new_life_that_asks_at_once_is_answered_in_its_own_name(served):
    driver = Driver(9)
    answers = served(
        driver,
        [enters("w_0"), asks("w_0", 1)],
        [Envelope("w_0", 0, need=Need.NEWS, n_wanted=4), enters("w_0", 1), asks("w_0", 2, life=1)],
    )
    assert list(answers[1]) == [("w_0", 1)]
    assert [segment.trial for segment in answers[1]["w_0", 1].segments] == [1, 2]


def test_lanes_that_ask_together_share_few_segments(served):
    driver = Driver(30)
    everyone = [enters("w_0"), enters("w_1"), enters("w_2")]
    answers = served(driver, [*everyone, asks("w_0", 100), asks("w_1", 100), asks("w_2", 4)])
    given = Counter({worker: len(answer.segments) for (worker, _), answer in answers[0].items()})
    assert given == {"w_0": 13, "w_1": 13, "w_2": 4}
    assert driver.pulled[0][:4] == ["here 0.0", "here 1.0", "here 2.0", "here 0.1"]
