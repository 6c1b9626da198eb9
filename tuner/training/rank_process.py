"""The process of one rank: `python -m tuner.training.rank_process FD`, started by tuner/training/distributed.py."""

from __future__ import annotations

import os
import pickle
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn, cast, final

import torch

from tuner.errors import StopTrial, TrialFailed
from tuner.failures import failure_of
from tuner.objective import CheckpointState
from tuner.records import FailureKind
from tuner.training.checkpoint import pack, unpack
from tuner.training.distributed import RankJob
from tuner.training.ranks import Ranks
from tuner.training.trainer import train

PARENT_SECONDS = 1.0
GLOO_TIMEOUT = "Timed out waiting"
"""How Gloo says so: it has no exception of its own. (NCCL ends the process, and a worker is lost.)"""


@final
class RankTrial:
    """The `trial` of a rank: see tuner.objective.TrialHandle. Only rank 0's words are heard."""

    gpus = 1

    def __init__(self, job: RankJob, line: Connection) -> None:
        self.number = job.number
        self.seed = job.seed
        self.start = job.start
        self.until = job.until
        self.horizon = job.horizon
        self.unit = job.unit
        self.checkpoint = None if job.checkpoint is None else unpack(job.checkpoint)
        self.folder: Path = job.folder
        self.threads = job.threads
        self.device = job.device
        self._line = line
        self._leads = job.rank == 0
        self._curves: Mapping[str, Sequence[float]] = {}
        self._events: Sequence[str] = ()

    def report(
        self,
        resource: int,
        /,
        *,
        checkpoint: CheckpointState | Callable[[], CheckpointState] | None = None,
        **metrics: float,
    ) -> None:
        """Tell the supervisor, and wait for what it says. Raises StopTrial."""
        report = {"resource": resource, "metrics": metrics, "curves": self._curves, "events": self._events}
        self._line.send(("report", report if self._leads else None))
        self._curves, self._events = {}, ()
        while (word := self._line.recv()) == "state?":
            state = cast("CheckpointState", checkpoint() if callable(checkpoint) else checkpoint)
            self._line.send_bytes(pack(state))
        if word == "stop":
            raise StopTrial

    def attach(self, *, curves: Mapping[str, Sequence[float]] | None = None, events: Sequence[str] = ()) -> None:
        """See TrialHandle."""
        self._curves, self._events = curves or {}, events

    def pace(self, seconds: float) -> None:
        """See TrialHandle."""
        if self._leads:
            self._line.send(("pace", seconds))

    def abandon(self, reason: str) -> NoReturn:
        """See TrialHandle."""
        self._line.send(("failed", _as_told(reason, FailureKind.TIMEOUT, "")))
        os._exit(1)


def main() -> None:
    """Take the job, train, say how it ended."""
    line: Connection = Connection(int(sys.argv[1]))
    threading.Thread(target=_leave_with_parent, args=(os.getppid(),), daemon=True).start()
    try:
        job: RankJob = pickle.loads(line.recv_bytes())  # noqa: S301 - from the process that started this one
        _join(job)
        train(job.task, job.config, RankTrial(job, line), measure=job.measure, ranks=Ranks(job.rank, job.size))
    except StopTrial:
        pass
    except BaseException as error:  # noqa: BLE001 - whatever it is, the supervisor tells it
        line.send(("failed", _told(error)))
        os._exit(1)  # the other ranks wait for this one: no tidying up
    line.send(("done", None))
    torch.distributed.destroy_process_group()


def _join(job: RankJob) -> None:
    if job.device != "cpu":
        torch.cuda.set_device(job.device)
    torch.distributed.init_process_group(
        "gloo" if job.device == "cpu" else "nccl",
        init_method=job.rendezvous,
        rank=job.rank,
        world_size=job.size,
        timeout=timedelta(seconds=job.timeout),
    )


def _told(error: BaseException) -> dict[str, Any]:
    if isinstance(error, TrialFailed):
        return _as_told(error.message, error.kind, error.details)
    failure = failure_of(error)
    if isinstance(error, RuntimeError) and GLOO_TIMEOUT in str(error):
        message = "another rank did not come within rank_timeout; it may hang"
        return _as_told(message, FailureKind.TIMEOUT, failure.details)
    return _as_told(failure.message, failure.kind, failure.details)


def _as_told(message: str, kind: str, details: str) -> dict[str, Any]:
    # The clock is the machine's, the same on all ranks: the first failure is the others' cause.
    return {"message": message, "kind": kind, "details": details, "at": time.monotonic()}


def _leave_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
