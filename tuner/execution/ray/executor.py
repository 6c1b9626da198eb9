"""RayTuneExecutor: the driver's side of the mailbox, beside a Tune run whose trials are the workers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tuner.control import Nothing
from tuner.errors import RunFailed, SpecError, TunerError
from tuner.execution._base import Driver, Job, Message
from tuner.execution.devices import gpus_per_worker
from tuner.execution.ray.crew import MANY, Crew
from tuner.execution.ray.mailbox import Answer, Close, Envelope, Mailbox, Need
from tuner.records import Ending, Segment, SegmentEnd

COLLECT_SECONDS = 0.5
"""How long the driver waits for mail before it looks at its clock."""


@final
class RayTuneExecutor:
    """Workers on Ray: on this machine, or on the cluster at `address` ("auto" for the one this machine is part of)."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address

    def check(self, job: Job) -> None:
        """See Executor. Ray stays connected for the run that follows."""
        connect(self._address)
        _gpus_that_fit(job)

    def run(self, job: Job, driver: Driver) -> None:
        """See Executor. Raises RunFailed if the workers are gone."""
        with connected(self._address):
            gpus = _gpus_that_fit(job)
            n_workers = job.parallel or (MANY if self._address else _room(job, gpus))
            mailbox = _start_mailbox()
            crew = Crew(job, mailbox, gpus, n_workers)
            crew.start()
            try:
                Desk(driver, mailbox, crew).serve()
            finally:
                crew.dismiss()


@final
class Desk:
    """Reads the mail, asks the driver, answers: the executor's loop."""

    def __init__(self, driver: Driver, mailbox: Any, crew: Crew) -> None:
        self._driver = driver
        self._mailbox = mailbox
        self._crew = crew
        self._lives: dict[str, int] = {}
        self._holds: dict[str, Segment] = {}
        self._idle: dict[str, None] = {}  # in the order they came

    def serve(self) -> None:
        """Return when there is nothing left to hand out and nobody holds a segment."""
        answers: dict[tuple[str, int], Answer] = {}
        while True:
            envelopes: list[Envelope] = ray.get(self._mailbox.collect.remote(answers, COLLECT_SECONDS))
            self._driver.tick()
            answers = self._take(envelopes)
            while self._crew.lost:
                self._lose(self._crew.lost.pop(0))
            if self._hand_out(answers):
                self._send_home()
                return
            if not self._crew.at_work:
                raise RunFailed(f"Ray Tune ended before the study: {self._crew.error or 'no workers are left'}")

    def _take(self, envelopes: list[Envelope]) -> dict[tuple[str, int], Answer]:
        """Pass all messages on, in one group, and find the decisions that are waited for."""
        messages: list[Message] = []
        wanted: dict[tuple[str, int], int] = {}
        for envelope in envelopes:
            if envelope.broken:
                raise RunFailed(f"a worker cannot load the objective: {envelope.broken}")
            if self._lives.get(envelope.worker, -1) < envelope.life:
                self._lose(envelope.worker)
                self._lives[envelope.worker] = envelope.life
            messages.extend(envelope.messages)
            if envelope.need is Need.DECISION:
                wanted[envelope.worker, envelope.life] = len(messages) - 1
            elif envelope.need is Need.SEGMENT:
                self._holds.pop(envelope.worker, None)
                self._idle[envelope.worker] = None
        decisions = self._driver.push(messages) if messages else []
        return {address: decisions[index] for address, index in wanted.items()}

    def _hand_out(self, answers: dict[tuple[str, int], Answer]) -> bool:
        """Give the idle workers segments; whether the study is over."""
        if not self._idle:
            return False
        segments = self._driver.pull(list(self._idle))
        if isinstance(segments, Nothing):
            return segments is Nothing.DONE
        for worker, segment in zip(list(self._idle), segments, strict=False):
            del self._idle[worker]
            self._holds[worker] = segment
            answers[worker, self._lives[worker]] = segment
        return False

    def _lose(self, worker: str) -> None:
        """What a worker's former life held is lost; nothing happens if a decision had closed it."""
        self._idle.pop(worker, None)
        segment = self._holds.pop(worker, None)
        if segment is not None:
            self._driver.push([SegmentEnd(segment.trial, segment.index, Ending.LOST)])

    def _send_home(self) -> None:
        everyone = {address: Close() for address in self._lives.items()}
        ray.get(self._mailbox.collect.remote(everyone, 0.0))


def _gpus_that_fit(job: Job) -> float:
    """The GPUs of a worker. Raises SpecError if no worker would fit into the cluster."""
    there = ray.cluster_resources()  # type: ignore[no-untyped-call]
    cpus = there.get("CPU", 0.0)
    if job.resources.cpus > cpus:
        raise SpecError(
            f"{job.resources.cpus:g} CPUs for a worker, but there are {cpus:g}",
            path="resources.cpus",
            hint=f"Ask for at most {cpus:g}.",
        )
    return gpus_per_worker(job, there.get("GPU", 0.0))


def _room(job: Job, gpus: float) -> int:
    """How many workers this machine has room for."""
    there = ray.cluster_resources()  # type: ignore[no-untyped-call]
    by_cpus = there.get("CPU", 0.0) / job.resources.cpus
    return int(by_cpus if not gpus else min(by_cpus, there.get("GPU", 0.0) / gpus))


def _start_mailbox() -> Any:
    beside_the_driver = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor: Any = ray.remote(Mailbox)
    return actor.options(num_cpus=0, max_concurrency=10_000, scheduling_strategy=beside_the_driver).remote()


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Ray within; stopped afterwards if it was started by us, here or by a `connect` before."""
    connect(address)
    try:
        yield
    finally:
        if _started.pop("ray", False):
            ray.shutdown()


_started: dict[str, bool] = {}
"""Whether the Ray of this process was started here, and not by its user."""


def connect(address: str | None) -> None:
    """Start or join Ray, unless this process has. Raises TunerError if that fails."""
    if ray.is_initialized():
        return
    try:
        ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise TunerError(f"Ray could not be started: {error}", hint="Is --address right?") from error
    _started["ray"] = True
