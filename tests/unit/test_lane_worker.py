"""The worker that is a lane, with a lane and a mailbox of the test's own: what is asked for, placed, ended."""

from __future__ import annotations

import errno
import threading
from collections import deque
from contextlib import contextmanager

import pytest

from tuner.errors import SpecError, StopTrial
from tuner.execution import Job
from tuner.execution.ray.lane_post import Heard
from tuner.execution.ray.lane_worker import LaneWorker
from tuner.execution.ray.mailbox import Answer
from tuner.records import Decision, Ending, FailureKind, Report, Segment, SegmentEnd
from tuner.spec import Timeouts
from tuner.training.lanes import Ended


def segment(number, until=1, decide_at=()):
    return Segment(number, 0, 0, until, {"lr": 0.1}, 0, 9, decide_at)


class Post:
    """A driver that has `segments`, hands out what is asked for, and goes home when all have ended."""

    def __init__(self, segments, decision=Decision.CONTINUE):
        self.waiting, self.n_all, self.decision = deque(segments), len(segments), decision
        self.asked: list[int] = []
        self.said: list[object] = []
        self.news, self._outbox, self._answer = threading.Event(), deque(), None
        self.is_free = True

    def say(self, message):
        self._outbox.append(message)
        self.news.set()

    def hear(self):
        if self._answer is None:
            return None
        heard, self._answer, self.is_free = self._answer, None, True
        return heard

    def post(self, n_wanted, *, has_nothing):
        self.asked.append(n_wanted)
        messages = [self._outbox.popleft() for _ in range(len(self._outbox))]
        self.said += messages
        reports = [message for message in messages if isinstance(message, Report)]
        given = [self.waiting.popleft() for _ in range(min(n_wanted, len(self.waiting)))]
        decisions = {(report.trial, report.segment): self.decision for report in reports}
        home = len(self.ends) == self.n_all
        heard = {(report.trial, report.segment): report.resource for report in reports}
        self._answer, self.is_free = Heard(Answer(decisions, given, close=home), heard), False

    def last_words(self, ends):
        self.said += [*self._outbox, *ends]

    @property
    def ends(self):
        return [message for message in self.said if isinstance(message, SegmentEnd)]

    def endings(self):
        return {end.trial: end.ending for end in self.ends}


class SmallLane:
    """Each round is a report of everybody who does not rest."""

    def __init__(self, width):
        self.width, self.aboard, self.most = width, {}, 0

    @property
    def n_free(self):
        return self.width - len(self.aboard)

    @property
    def idle(self):
        return all(rests and trial.pending for trial, rests in self.aboard.values())

    def place(self, config, trial):
        self.aboard[trial.number] = (trial, False)
        self.most = max(self.most, len(self.aboard))

    def run_to_boundary(self):
        ended = []
        for number, (trial, rests) in list(self.aboard.items()):
            if rests and trial.pending:
                continue
            try:
                trial.report(max(trial.start, trial.last) + 1, checkpoint=dict, loss=1.0)
            except StopTrial as stop:
                ended.append(Ended(self.aboard.pop(number)[0], stop))
                continue
            self.aboard[number] = (trial, trial.pending)
            if trial.last >= trial.until:
                ended.append(Ended(self.aboard.pop(number)[0], None))
        return ended


def work(tmp_path, post, lane, **timeouts):
    job = Job("hand", None, "loss", tmp_path, timeouts=Timeouts(**timeouts))
    LaneWorker(job, post, lane, 0.0).work()


def test_slots_are_refilled_until_there_is_nothing_left(tmp_path):
    post, lane = Post([segment(n, until=2 + n % 3) for n in range(20)]), SmallLane(4)
    work(tmp_path, post, lane)
    assert post.endings() == dict.fromkeys(range(20), Ending.REACHED)
    assert lane.most == 4
    assert post.asked[0] == 4, "nothing is asked for ahead before anything has ended"
    assert max(post.asked) == 5, "and then an eighth of the width, but one at least"
    assert sum(isinstance(message, Report) for message in post.said) == sum(2 + n % 3 for n in range(20))


def test_with_one_slot_nothing_is_asked_for_ahead(tmp_path):
    post = Post([segment(n) for n in range(3)])
    work(tmp_path, post, SmallLane(1))
    assert max(post.asked) == 1


def test_what_is_told_to_stop_leaves(tmp_path):
    post = Post([segment(n, until=9, decide_at=(2,)) for n in range(3)], Decision.STOP)
    work(tmp_path, post, SmallLane(3))
    assert post.endings() == dict.fromkeys(range(3), Ending.STOPPED)
    assert max(message.resource for message in post.said if isinstance(message, Report)) <= 2


def test_one_that_cannot_be_placed_fails_alone(tmp_path):
    class Choosy(SmallLane):
        def place(self, config, trial):
            if trial.number == 1:
                raise SpecError("cannot be fused: dropout")
            super().place(config, trial)

    post = Post([segment(n) for n in range(3)])
    work(tmp_path, post, Choosy(3))
    assert post.endings() == {0: Ending.REACHED, 1: Ending.FAILED, 2: Ending.REACHED}


def test_what_a_broken_lane_held_is_lost_with_the_reason(tmp_path):
    class Broken(SmallLane):
        def run_to_boundary(self):
            raise RuntimeError("the device is gone")

    post = Post([segment(n) for n in range(3)])
    with pytest.raises(RuntimeError, match="the device is gone"):
        work(tmp_path, post, Broken(2))
    assert {end.ending for end in post.ends} == {Ending.LOST}
    assert {end.failure.kind for end in post.ends} == {FailureKind.WORKER_LOST}
    assert "its lane failed: RuntimeError: the device is gone" in post.ends[0].failure.message


def test_a_lane_whose_slots_all_rest_does_not_spin(tmp_path):
    class Rested(SmallLane):
        """Takes three, of whom two have a slot."""

        n_rounds = 0

        @property
        def seated(self):
            return dict(list(self.aboard.items())[:2])

        @property
        def idle(self):
            return all(rests and trial.pending for trial, rests in self.seated.values())

        def run_to_boundary(self):
            self.n_rounds += 1
            threading.Event().wait(0.005)
            in_line = {number: self.aboard.pop(number) for number in list(self.aboard)[2:]}
            ended = super().run_to_boundary()
            self.aboard |= in_line
            return ended

    class Slow(Post):
        """Its decisions take a second."""

        def hear(self):
            if self._answer is not None and self._answer.resources and not self.is_due.wait(0.0):
                return None
            return super().hear()

        def post(self, n_wanted, *, has_nothing):
            super().post(n_wanted, has_nothing=has_nothing)
            self.is_due = threading.Event()
            if self._answer.resources:
                threading.Timer(1.0, self._come, [self.is_due]).start()

        def _come(self, due):
            due.set()
            self.news.set()

    # Two that rest after their first report, and a third that has no slot before one of them has come to its end.
    post, lane = Slow([segment(0, 2, (1,)), segment(1, 2, (1,)), segment(2)]), Rested(3)
    work(tmp_path, post, lane)
    assert post.endings() == dict.fromkeys(range(3), Ending.REACHED)
    assert lane.n_rounds < 50


def test_one_whose_log_cannot_be_closed_is_in_the_lane_once(tmp_path, monkeypatch):
    @contextmanager
    def stale(trial):
        yield
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr("tuner.execution.lane_trial.LaneTrial.logged", stale)
    post = Post([segment(0)])
    with pytest.raises(OSError, match="Stale file handle"):
        work(tmp_path, post, SmallLane(2))
    assert post.endings() == {0: Ending.LOST}, "the lane is lost with all it has, and it goes on from its checkpoint"
