"""`resources.isolate`: every segment in a fresh process, for objectives that leak memory, threads or settings.

The worker starts `python -m tuner.execution.ray.isolated FD`, hands it the segment through a pipe, and passes its
reports on. A process that dies takes only its segment with it.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from multiprocessing.connection import Connection, Pipe
from typing import Any

from ray import cloudpickle

from tuner.execution._base import Job
from tuner.execution.trial_run import Send, run_segment
from tuner.records import Decision, Ending, Failure, FailureKind, Report, Segment, SegmentEnd


def run_isolated(job: Job, segment: Segment, send: Send, *, device: str) -> SegmentEnd:
    """As `run_segment`, in a process of its own."""
    ours, theirs = Pipe()
    command = [sys.executable, "-m", "tuner.execution.ray.isolated", str(theirs.fileno())]
    with subprocess.Popen(command, pass_fds=[theirs.fileno()]) as process:  # noqa: S603 (this module)
        theirs.close()
        with ours:
            try:
                ours.send(sys.path)
                ours.send_bytes(cloudpickle.dumps((job, segment, device)))  # type: ignore[no-untyped-call]
                while not isinstance(message := ours.recv(), SegmentEnd):
                    report, wait = message
                    ours.send(send(report, wait=wait))
            except (EOFError, OSError):
                return _died(segment, process.wait())
    return message


def _died(segment: Segment, code: int) -> SegmentEnd:
    how = f"was ended by signal {-code}" if code < 0 else f"exited with code {code}"
    failure = Failure(FailureKind.EXCEPTION, f"the objective's process {how}")
    return SegmentEnd(segment.trial, segment.index, Ending.FAILED, failure)


def _main(descriptor: int) -> None:
    with Connection(descriptor) as pipe:
        sys.path[:] = pipe.recv()
        job, segment, device = pickle.loads(pipe.recv_bytes())  # noqa: S301 (from the worker, through a pipe of its own)

        def send(report: Report, *, wait: bool) -> Decision:
            pipe.send((report, wait))
            decision: Any = pipe.recv()
            return Decision(decision)

        pipe.send(run_segment(job, segment, send, device=device))


if __name__ == "__main__":
    _main(int(sys.argv[1]))
