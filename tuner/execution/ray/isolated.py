"""`resources.isolate`: every segment in a fresh process, for objectives that leak memory, threads or settings.

The worker starts `python -m tuner.execution.ray.isolated FD`, hands it the segment through a pipe, and passes its
messages on. A process that dies takes only its segment with it.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection, Pipe
from typing import Any, NoReturn, final

from ray import cloudpickle

from tuner.execution._base import Aside, Job
from tuner.execution.abandoning import PATIENCE_SECONDS, Abandon
from tuner.execution.trial_run import Send, run_segment
from tuner.records import Decision, Ending, Failure, FailureKind, Pace, Report, Segment, SegmentEnd, Waiting

ORPHAN_SECONDS = 1.0
"""How often a segment's process looks whether its worker is still there."""


def run_isolated(job: Job, segment: Segment, send: Send, *, abandon: Abandon, gpus: float) -> SegmentEnd:
    """As `run_segment`, in a process of its own."""
    del abandon  # ends that process, not this one
    ours, theirs = Pipe()
    command = [sys.executable, "-m", "tuner.execution.ray.isolated", str(theirs.fileno())]
    with subprocess.Popen(command, pass_fds=[theirs.fileno()]) as process:  # noqa: S603 (this module)
        theirs.close()
        with ours:
            try:
                ours.send(sys.path)
                ours.send_bytes(cloudpickle.dumps((job, segment, gpus)))  # type: ignore[no-untyped-call]
                while not isinstance(message := ours.recv(), SegmentEnd):
                    if isinstance(message, Pace | Waiting):
                        send(message, wait=False)
                    else:
                        report, wait = message
                        ours.send(send(report, wait=wait))
            except (EOFError, OSError):
                return _died(segment, process.wait())
    return message


def _died(segment: Segment, code: int) -> SegmentEnd:
    if code == -signal.SIGTERM:
        failure = Failure(FailureKind.PREEMPTED, "the objective's process was asked to end (SIGTERM)")
        return SegmentEnd(segment.trial, segment.index, Ending.LOST, failure)
    how = f"was ended by signal {-code}" if code < 0 else f"exited with code {code}"
    failure = Failure(FailureKind.EXCEPTION, f"the objective's process {how}")
    return SegmentEnd(segment.trial, segment.index, Ending.FAILED, failure)


@final
class Line:
    """The segment's end of the pipe. One thread writes at a time; answers are read by the objective's alone."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._ended = False

    def send(self, message: Report | Aside, /, *, wait: bool) -> Decision:
        """See Send."""
        with self._lock:
            self._pipe.send((message, wait) if isinstance(message, Report) else message)
        decision: Any = self._pipe.recv() if isinstance(message, Report) else Decision.CONTINUE
        return Decision(decision)

    def end(self, end: SegmentEnd) -> None:
        """The last word."""
        with self._lock:
            self._ended = True
            self._pipe.send(end)

    def abandon(self, end: SegmentEnd) -> NoReturn:
        """See tuner.execution.abandoning.Abandon."""
        if self._lock.acquire(timeout=PATIENCE_SECONDS):
            if self._ended:
                self._lock.release()
                sys.exit()
            self._pipe.send(end)
        os._exit(1)


def _end_with(parent: int) -> None:
    """End this process when its worker is gone, be the objective stuck or not: nobody else would."""
    while os.getppid() == parent:
        time.sleep(ORPHAN_SECONDS)
    os._exit(1)


def _main(descriptor: int) -> None:
    threading.Thread(target=_end_with, args=[os.getppid()], name="orphan", daemon=True).start()
    with Connection(descriptor) as pipe:
        sys.path[:] = pipe.recv()
        job, segment, gpus = pickle.loads(pipe.recv_bytes())  # noqa: S301 (from the worker, through a pipe of its own)
        line = Line(pipe)
        line.end(run_segment(job, segment, line.send, abandon=line.abandon, gpus=gpus))


if __name__ == "__main__":
    _main(int(sys.argv[1]))
