"""A worker with many slots: a lane trains, and what its trials say and need goes to and fro beside that."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections import deque
from contextlib import ExitStack
from typing import NoReturn, final

from tuner.execution._base import Job, Message
from tuner.execution.devices import device_of, slots_of
from tuner.execution.in_order import Lines
from tuner.execution.lane_trial import LaneTrial
from tuner.execution.ray.lane_post import LanePost
from tuner.execution.ray.mailbox import Key
from tuner.failures import printable
from tuner.records import Ending, Failure, FailureKind, SegmentEnd
from tuner.training.lanes import Lane

WRITERS = 4
"""Threads that read and write checkpoints."""
BACKLOG = 4
"""Training waits while the writers have more to do than this many times the lane's width."""
WORTH_COMPILING = 2000
"""Trials of a study from which on a lane's programs are compiled: on an H200 that took some 5 s for each kind of trial
and 15 s before, and 11 ms less for a trial-epoch of the MNIST MLP (decision 14).
"""
IDLE_SECONDS = 0.5
"""How long the lane sleeps at most, where there is nothing to train, before it looks around."""
LOOK_SECONDS = 0.5
"""How often its watch looks at the clock."""
AHEAD_SECONDS = 5.0
"""As many segments as were over within so many seconds, or two rounds, are asked for ahead: an eighth of the width at
most.
"""


def work_in_lane(job: Job, post: LanePost, gpus: float) -> None:
    """The life of a worker that is a lane."""
    lane = Lane(
        job.objective,
        slots_of(job.resources, gpus),
        device_of(gpus),
        threads=max(1, int(job.resources.cpus)),
        compiles=job.trials is None or job.trials >= WORTH_COMPILING,
    )
    LaneWorker(job, post, lane, gpus).work()


@final
class LaneWorker:
    """Trains until the driver says that it is time to go home."""

    def __init__(self, job: Job, post: LanePost, lane: Lane, gpus: float) -> None:
        self._job = job
        self._post = post
        self._lane = lane
        self._gpus = gpus
        self._lines = Lines(WRITERS)
        self._here: dict[Key, LaneTrial] = {}
        """The segments that this worker has, until their end is said."""
        self._ready: deque[LaneTrial] = deque()
        """Those that are prepared, and wait for a slot."""
        self._aboard: dict[Key, LaneTrial] = {}
        """Those that the lane has."""
        self._over: deque[float] = deque()
        """When segments were over, lately."""
        self._turned = time.monotonic()
        """When the lane was last seen to do anything."""
        self._round = 0.0
        """Seconds of the longest of the last rounds, in which the lane trains up to a boundary."""
        self._done = threading.Event()

    def work(self) -> None:
        """Return when it is time to go home."""
        threading.Thread(target=self._watch, name="watch", daemon=True).start()
        try:
            while self._talk():
                self._place()
                self._train()
        except Exception as error:
            # What breaks the lane as a whole is no trial's own failure: each goes on from its last checkpoint.
            self._post.last_words(self._lost(f"its lane failed: {type(error).__name__}: {error}", error))
            raise
        finally:
            self._done.set()
            self._lines.close()

    # The driver.

    def _talk(self) -> bool:
        """Hear what the driver has said, and say what is due; False when it is time to go home."""
        self._post.news.clear()
        heard = self._post.hear()
        if heard is not None:
            if heard.answer.close:
                return False
            for key, decision in heard.answer.decisions.items():
                if key in self._here:
                    self._here[key].decide(decision, heard.resources[key])
            for segment in heard.answer.segments:
                line, key = self._lines.line(), segment.key
                trial = LaneTrial(self._job, segment, self._say, line, abandon=self._abandon, gpus=self._gpus)
                self._here[key] = trial
                trial.prepare(self._prepared)
        if self._post.is_free:
            has_nothing = not self._here  # before the outbox is looked at: an end is put there first
            self._post.post(self._n_wanted(), has_nothing=has_nothing)
        return True

    def _n_wanted(self) -> int:
        """The segments that there is room for, and those that there soon will be."""
        width, now = self._lane.width, time.monotonic()
        while self._over and now - self._over[0] > max(AHEAD_SECONDS, 2 * self._round):
            self._over.popleft()
        spare = max(1, width // 8) if width > 1 else 0  # with a single slot, everything is as with a solo worker
        n_here = sum(not trial.over for trial in list(self._here.values()))
        return max(0, width + min(spare, len(self._over)) - n_here)

    def _say(self, message: Message) -> None:
        """From any thread."""
        self._post.say(message)
        if isinstance(message, SegmentEnd):
            self._here.pop((message.trial, message.segment), None)

    def _prepared(self, trial: LaneTrial) -> None:
        """From any thread."""
        self._ready.append(trial)
        self._post.news.set()

    # The lane.

    def _place(self) -> None:
        while self._ready and self._lane.n_free > 0:
            trial = self._ready.popleft()
            self._turned = time.monotonic()
            with ExitStack() as log:
                try:
                    log.enter_context(trial.logged())
                    self._lane.place(trial.segment.config, trial)
                except Exception as error:  # noqa: BLE001  (whatever the task's own code raises, or a log that is gone)
                    trial.end(error)
                    continue
                # Before the log is closed: if that fails, the lane has it all the same.
                trial.boarded()
                self._aboard[trial.segment.key] = trial

    def _train(self) -> None:
        self._turned = time.monotonic()
        if self._lines.n_left > BACKLOG * self._lane.width:
            self._post.news.wait(IDLE_SECONDS)
            return
        if self._lane.idle:
            self._post.news.wait(IDLE_SECONDS)
            return
        for ended in self._lane.run_to_boundary():
            assert isinstance(ended.trial, LaneTrial)
            del self._aboard[ended.trial.segment.key]
            self._over.append(time.monotonic())
            ended.trial.end(ended.error)
        self._round = max(time.monotonic() - self._turned, 0.9 * self._round)

    # Time, and untimely ends.

    def _watch(self) -> None:
        """End this process if the lane is stuck: nobody can tell by whom, and everyone goes on elsewhere."""
        timeout = self._job.timeouts.report
        while timeout is not None and not self._done.wait(LOOK_SECONDS):
            if time.monotonic() - self._turned > timeout:
                self._die(self._lost(f"its lane did nothing for {timeout:g} s (timeouts.report)"))

    def _abandon(self, end: SegmentEnd) -> NoReturn:
        """See tuner.execution.abandoning.Abandon: Tune starts the lane again."""
        if (end.trial, end.segment) not in self._here:
            sys.exit()
        others = self._lost("another trial of its lane was stuck")
        self._die([end, *(other for other in others if (other.trial, other.segment) != (end.trial, end.segment))])

    def _die(self, ends: list[SegmentEnd]) -> NoReturn:
        try:
            self._post.last_words(ends)
        finally:
            os._exit(1)

    def _lost(self, why: str, error: BaseException | None = None) -> list[SegmentEnd]:
        details = "" if error is None else printable("".join(traceback.format_exception(error)))
        failure = Failure(FailureKind.WORKER_LOST, printable(why), details)
        return [SegmentEnd(*key, Ending.LOST, failure) for key in list(self._here)]
