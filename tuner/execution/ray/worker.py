"""A worker: pulls segments from the mailbox, runs them, posts what they report. One Tune trial is one worker."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import ray
from ray import cloudpickle, tune

from tuner.execution._base import Job, Message
from tuner.execution.devices import device_of
from tuner.execution.ray.isolated import run_isolated
from tuner.execution.ray.mailbox import Answer, Close, Envelope, Need
from tuner.execution.trial_run import run_segment
from tuner.records import Decision, Ending, Failure, FailureKind, Report, Segment, SegmentEnd

PULSE_SECONDS = 0.2
"""How long a report that nobody waits for may stay with the worker."""


@final
class Postbox:
    """A worker's end of the mailbox. Reports that need no answer are posted together, every PULSE_SECONDS."""

    def __init__(self, mailbox: Any, worker: str) -> None:
        self._mailbox = mailbox
        self._worker = worker
        self._life: int = ray.get(mailbox.enter.remote(worker))
        self._outbox: list[Message] = []
        self._lock = threading.Lock()
        self.timeout: float | None = None
        self._segment: Segment | None = None
        self._deadline = math.inf
        threading.Thread(target=self._pulse, name="pulse", daemon=True).start()

    def pull(self, end: SegmentEnd | None) -> Answer:
        """Say how the last segment ended, and wait for the next."""
        answer = self._exchange([end] if end else [], Need.SEGMENT)
        if isinstance(answer, Segment):
            self._segment = answer
            self._expect_report()
        return answer

    def send(self, report: Report, *, wait: bool) -> Decision:
        """Take a segment's report; the decision on it, if it is waited for."""
        if not wait:
            with self._lock:
                self._outbox.append(report)
            self._expect_report()
            return Decision.CONTINUE
        answer = self._exchange([report], Need.DECISION)
        self._expect_report()
        return answer if isinstance(answer, Decision) else Decision.STOP

    def broken(self, reason: str) -> None:
        """Say that this worker cannot work, and why."""
        ray.get(self._mailbox.post.remote(Envelope(self._worker, self._life, broken=reason)))

    def _exchange(self, messages: list[Message], need: Need) -> Answer:
        with self._lock:
            self._deadline = math.inf  # the driver may take its time
            envelope = Envelope(self._worker, self._life, (*self._outbox, *messages), need)
            self._outbox = []
        answer: Answer = ray.get(self._mailbox.post.remote(envelope))
        return answer

    def _expect_report(self) -> None:
        if self.timeout is not None:
            self._deadline = time.monotonic() + self.timeout

    def _pulse(self) -> None:
        """Post what waits; end this process if the objective has not reported for too long."""
        while True:
            time.sleep(PULSE_SECONDS)
            with self._lock:  # held while posting, so that nothing overtakes it
                late = time.monotonic() > self._deadline
                messages, self._outbox = self._outbox, []
                if late and self._segment is not None:
                    messages.append(_timed_out(self._segment, self.timeout))
                if messages:
                    ray.get(self._mailbox.post.remote(Envelope(self._worker, self._life, messages)))
                if late:
                    os._exit(1)  # a stuck objective cannot be ended otherwise; Tune starts the worker again


def work(tune_config: Mapping[str, Any], *, mailbox: Any, job_bytes: bytes, path: list[str], gpus: float) -> None:
    """The Tune trainable: one worker's life."""
    del tune_config
    sys.path.extend(entry for entry in path if entry not in sys.path)
    postbox = Postbox(mailbox, tune.get_context().get_trial_id())
    try:
        job: Job = cloudpickle.loads(job_bytes)
    except Exception as error:  # noqa: BLE001 the objective's module, or one that it imports, is not to be had here
        postbox.broken(f"{type(error).__name__}: {error}")
        return
    postbox.timeout = job.timeouts.report
    end: SegmentEnd | None = None
    while not isinstance(answer := postbox.pull(end), Close):
        assert isinstance(answer, Segment)
        run = run_isolated if job.resources.isolate else run_segment
        try:
            end = run(job, answer, postbox.send, device=device_of(gpus))
        except OSError as error:  # a full disk, a folder that went away
            failure = Failure(FailureKind.EXCEPTION, f"{type(error).__name__}: {error}")
            end = SegmentEnd(answer.trial, answer.index, Ending.FAILED, failure)


def search_path() -> list[str]:
    """Where the driver imports from, and so its workers: its working directory, and what is on its path."""
    here = str(Path.cwd())
    return [here, *(entry or here for entry in sys.path)]


def _timed_out(segment: Segment, timeout: float | None) -> SegmentEnd:
    message = f"no report for {timeout:g} s (timeouts.report)"
    return SegmentEnd(segment.trial, segment.index, Ending.FAILED, Failure(FailureKind.TIMEOUT, message))
