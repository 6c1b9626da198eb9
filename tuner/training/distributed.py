"""One trial on several ranks: processes on this machine, each with a GPU, that share every batch (DDP).

This process supervises: it starts the ranks, passes rank 0's reports on to the trial, tells all ranks what was decided,
and ends them all as soon as one has died. A rank that hangs ends the others' waiting after `rank_timeout` seconds.

    supervisor  --job-->  rank r      its part of `train`, from tuner/training/rank_process.py
    rank 0      --report, state, pace, failed-->  supervisor
    supervisor  --go, stop, state?-->  rank r

They talk through a socket pair each; what the ranks print goes to `rank-<r>.txt` in the trial's folder.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any, cast

from tuner.errors import SpecError, StopTrial, TrialFailed
from tuner.objective import TrialHandle
from tuner.records import Config, FailureKind
from tuner.training.checkpoint import pack, unpack
from tuner.training.settings import DistributedSettings, TrainerSettings
from tuner.training.task import Task

TAIL = 2000
"""Characters of a dead rank's output that its failure shows."""
GOODBYE_SECONDS = 5.0
SETTLE_SECONDS = 0.2
"""After a rank's failure: time for the death to show that may have caused it."""


@dataclass(frozen=True)
class RankJob:
    """What a rank is given."""

    task: Task
    config: dict[str, Any]
    rank: int
    size: int
    rendezvous: str
    device: str
    threads: int
    number: int
    seed: int
    start: int
    until: int
    horizon: int
    unit: str
    folder: Path
    checkpoint: bytes | None
    measure: bool
    timeout: float


def n_ranks(settings: DistributedSettings, trial: TrialHandle) -> int:
    """How many processes train this trial. Raises SpecError for more ranks than GPUs."""
    if settings.ranks is None:
        return max(1, trial.gpus)
    if trial.device == "cuda" and settings.ranks > max(1, trial.gpus):
        raise SpecError(
            f"{settings.ranks} ranks, but the worker has {trial.gpus} GPUs",
            path="ranks",
            hint="Give each rank one: resources: {gpus: ...}, or leave ranks out.",
        )
    return settings.ranks


def train_on_ranks(task: Task, config: Config, trial: TrialHandle, n: int, *, measure: bool) -> None:
    """Run `train` on `n` processes. Raises TrialFailed if one of them fails or dies; lets StopTrial pass."""
    timeout = TrainerSettings.from_config(config).distributed.rank_timeout
    checkpoint = None if trial.checkpoint is None else pack(trial.checkpoint)
    with tempfile.TemporaryDirectory(prefix="tuner-ranks-") as meeting:
        jobs = [
            RankJob(
                task=task,
                config=dict(config),
                rank=rank,
                size=n,
                rendezvous=f"file://{meeting}/rendezvous",
                device=f"cuda:{rank}" if trial.device == "cuda" else "cpu",
                threads=max(1, trial.threads // n),
                number=trial.number,
                seed=trial.seed,
                start=trial.start,
                until=trial.until,
                horizon=trial.horizon,
                unit=trial.unit,
                folder=trial.folder,
                checkpoint=checkpoint,
                measure=measure,
                timeout=timeout,
            )
            for rank in range(n)
        ]
        with _running(jobs) as ranks:
            _Supervisor(trial, ranks).serve()


@dataclass(frozen=True)
class _Rank:
    """A running rank and our end of the line to it."""

    number: int
    process: subprocess.Popen[bytes]
    line: Connection
    output: Path

    def fate(self) -> str:
        """How the process ended."""
        code = self.process.wait(GOODBYE_SECONDS)
        return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"

    def complaint(self) -> Mapping[str, Any] | None:
        """How it said that it failed, if it did and was not heard yet. Uses up what it said."""
        with contextlib.suppress(EOFError, ConnectionError):
            while self.line.poll():
                kind, content = self.line.recv()
                if kind == "failed":
                    return cast("Mapping[str, Any]", content)
        return None

    def last_words(self) -> str:
        """The end of what it printed."""
        return self.output.read_text(errors="replace")[-TAIL:]


@contextlib.contextmanager
def _running(jobs: list[RankJob]) -> Iterator[list[_Rank]]:
    ranks: list[_Rank] = []
    try:
        ranks.extend(_start(job) for job in jobs)
        yield ranks
    finally:
        for rank in ranks:
            rank.line.close()
            rank.process.kill()
        for rank in ranks:
            rank.process.wait()


def _start(job: RankJob) -> _Rank:
    try:
        if type(job.task).__module__ == "__main__":  # pickle takes the name alone, and a rank has another __main__
            raise pickle.PicklingError(f"{type(job.task).__name__} is defined in the program that was started")
        data = pickle.dumps(job)
    except Exception as error:  # noqa: BLE001 - whatever a task's own reduction raises
        raise TrialFailed(
            f"the task cannot be sent to its ranks: {type(error).__name__}: {error}",
            kind=FailureKind.EXCEPTION,
            hint="Define the Task at the top of a module that is imported, and make what cannot be pickled inside its "
            "methods.",
        ) from None
    ours, theirs = Pipe()
    output = job.folder / f"rank-{job.rank}.txt"
    paths = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    with output.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 - this interpreter, a module of ours
            [sys.executable, "-m", "tuner.training.rank_process", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": paths, "GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"},
        )
    theirs.close()
    rank = _Rank(job.rank, process, ours, output)
    with contextlib.suppress(BrokenPipeError):  # it died at once: `serve` tells
        ours.send_bytes(data)
    return rank


class _Supervisor:
    """Passes on what rank 0 says and what was decided, until all ranks are done."""

    def __init__(self, trial: TrialHandle, ranks: list[_Rank]) -> None:
        self._trial = trial
        self._ranks = ranks

    def serve(self) -> None:
        """Return when every rank has returned."""
        by_line = {rank.line: rank for rank in self._ranks}
        waiting: list[_Rank] = []
        while by_line:
            for line in wait(list(by_line)):
                assert isinstance(line, Connection)
                rank = by_line[line]
                kind, content = self._receive(rank)
                match kind:
                    case "report":
                        waiting.append(rank)
                        if rank.number == 0:
                            report = content
                        if len(waiting) == len(self._ranks):
                            self._pass_on(report)
                            waiting = []
                    case "pace":
                        self._trial.pace(content)
                    case "failed":
                        raise self._cause(rank, content)
                    case "done":
                        del by_line[line]

    def _receive(self, rank: _Rank) -> tuple[str, Any]:
        try:
            kind, content = rank.line.recv()
        except (EOFError, ConnectionError):
            raise self._death(rank) from None
        return kind, content

    def _cause(self, heard: _Rank, content: Mapping[str, Any]) -> TrialFailed:
        """A rank's death without a word, else the earliest failure told: what other ranks say is a consequence."""
        time.sleep(SETTLE_SECONDS)
        told = [(heard, content)]
        for rank in self._ranks:
            if rank is heard:
                continue
            if (complaint := rank.complaint()) is not None:
                told.append((rank, complaint))
            elif rank.process.poll():
                return self._death(rank)
        return _failure(*min(told, key=lambda pair: pair[1]["at"]))

    def _death(self, rank: _Rank) -> TrialFailed:
        return TrialFailed(
            f"rank {rank.number} of {len(self._ranks)} died {rank.fate()}",
            kind=FailureKind.WORKER_LOST,
            details=rank.last_words(),
        )

    def _pass_on(self, report: Mapping[str, Any]) -> None:
        """Rank 0's report, when all ranks have come as far; its state is fetched only if a checkpoint is due."""
        self._trial.attach(curves=report["curves"], events=report["events"])
        try:
            self._trial.report(report["resource"], checkpoint=self._state, **report["metrics"])
        except StopTrial:
            for rank in self._ranks:
                rank.line.send("stop")
            raise
        for rank in self._ranks:
            rank.line.send("go")

    def _state(self) -> dict[str, Any]:
        first = self._ranks[0]
        first.line.send("state?")
        try:
            return unpack(first.line.recv_bytes())
        except (EOFError, ConnectionError):
            raise self._death(first) from None


def _failure(rank: _Rank, content: Mapping[str, Any]) -> TrialFailed:
    return TrialFailed(f"rank {rank.number}: {content['message']}", kind=content["kind"], details=content["details"])
