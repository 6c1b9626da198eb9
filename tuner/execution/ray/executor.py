"""RayTuneExecutor: the driver's side of the mailbox, beside a Tune run whose trials are the workers."""

from __future__ import annotations

import logging
from typing import Any, final

import ray
from ray import cloudpickle
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tuner.control import Nothing
from tuner.errors import ObjectiveError, RunFailed, SpecError, TunerError
from tuner.execution._base import Driver, Job, Message
from tuner.execution.devices import gpus_per_worker
from tuner.execution.ray.crew import MANY, Crew
from tuner.execution.ray.mailbox import Answer, Envelope, Mailbox, Need
from tuner.records import Decision, Ending, Segment, SegmentEnd

Address = tuple[str, int]
"""A worker and its life."""

COLLECT_SECONDS = 0.5
"""How long the driver waits for mail before it looks at its clock."""


@final
class RayTuneExecutor:
    """Workers on Ray: on this machine, or on the cluster at `address` ("auto" for the one this machine is part of)."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address
        self._ours = False

    def check(self, job: Job) -> None:
        """See Executor. Connects to Ray, which is disconnected by `close`."""
        try:
            cloudpickle.dumps(job)  # type: ignore[no-untyped-call]
        except Exception as error:  # noqa: BLE001  # whatever a `__reduce__` or `__getstate__` raises
            raise ObjectiveError(
                f"the objective cannot be sent to workers: {type(error).__name__}: {error}",
                hint="Make what cannot be pickled (locks, files, connections) inside the objective.",
            ) from None
        self._connect()
        _gpus_that_fit(job)

    def run(self, job: Job, driver: Driver) -> None:
        """See Executor. Raises RunFailed if the workers are gone."""
        self._connect()
        gpus = _gpus_that_fit(job)
        n_workers = job.parallel or (MANY if self._address else _room(job, gpus))
        mailbox = _start_mailbox()
        crew = Crew(job, mailbox, gpus, n_workers)
        crew.start()
        try:
            Desk(driver, mailbox, crew).serve()
        except RayError as error:
            raise RunFailed(f"Ray went away: {error}", hint="Everything reported is saved: `tune resume`.") from error
        finally:
            crew.dismiss()

    def close(self) -> None:
        """See Executor. A Ray that was there before stays."""
        if self._ours:
            self._ours = False
            ray.shutdown()

    def _connect(self) -> None:
        """Start or join Ray, unless this process has. Raises TunerError if that fails."""
        if ray.is_initialized():
            return
        # "local": never join by accident a cluster that somebody else has started on this machine
        address = self._address or "local"
        try:
            ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise TunerError(f"Ray could not be started: {error}", hint="Is --address right?") from error
        self._ours = True


@final
class Desk:
    """Reads the mail, asks the driver, answers: the executor's loop."""

    def __init__(self, driver: Driver, mailbox: Any, crew: Crew) -> None:
        self._driver = driver
        self._mailbox = mailbox
        self._crew = crew
        self._holds: dict[str, Segment] = {}
        self._idle: dict[str, None] = {}  # in the order they came
        self._leaving: set[str] = set()
        """Workers whose objective was told to stop, and may still be tidying up."""

    def serve(self) -> None:
        """Return when there is nothing left to hand out and no objective is at work."""
        answers: dict[Address, Answer] = {}
        while True:
            envelopes: list[Envelope] = ray.get(self._mailbox.collect.remote(answers, COLLECT_SECONDS))
            self._driver.tick()
            decisions = self._take(envelopes)
            self._take_losses()
            segments = self._hand_out()
            self._driver.commit()
            if segments is None and not self._leaving:
                self._send_home()
                return
            given = segments or {}
            for worker, _ in decisions:
                self._idle.pop(worker, None)  # no segment for it now: it will ask when it is waiting for one
            addresses = dict.fromkeys([*decisions, *given])
            answers = {
                address: Answer(decisions.get(address, Decision.CONTINUE), given.get(address)) for address in addresses
            }
            if not self._crew.at_work:
                raise RunFailed(f"Ray Tune ended before the study: {self._crew.error or 'no workers are left'}")

    def _take(self, envelopes: list[Envelope]) -> dict[Address, Decision]:
        """Pass all messages on, in one group; the decisions that workers want to hear."""
        messages: list[Message] = []
        wanted: dict[Address, tuple[int, Need]] = {}
        for envelope in envelopes:
            if envelope.broken:
                raise RunFailed(f"a worker cannot load the objective: {envelope.broken}")
            if self._crew.lives.get(envelope.worker, -1) < envelope.life:
                self._lose(envelope.worker)
                self._crew.lives[envelope.worker] = envelope.life
            messages.extend(envelope.messages)
            if any(isinstance(message, SegmentEnd) for message in envelope.messages):
                self._leaving.discard(envelope.worker)
            if envelope.need is Need.SEGMENT:
                self._release(envelope.worker)
            elif envelope.need is not Need.NOTHING:
                wanted[envelope.worker, envelope.life] = (len(messages) - 1, envelope.need)
        found = self._driver.push(messages) if messages else []
        decisions = {address: found[index] for address, (index, _) in wanted.items()}
        for (worker, life), decision in decisions.items():
            if decision is not Decision.CONTINUE:
                self._leaving.add(worker)
                if wanted[worker, life][1] is Need.DECISION:
                    self._release(worker)  # the next segment goes along with the decision: one exchange less
        return decisions

    def _take_losses(self) -> None:
        while self._crew.lost:
            worker, life = self._crew.lost.pop(0)
            if self._crew.lives.get(worker) == life:  # else its next life has begun, and told so itself
                self._lose(worker)

    def _release(self, worker: str) -> None:
        self._holds.pop(worker, None)
        self._idle[worker] = None

    def _hand_out(self) -> dict[Address, Segment] | None:
        """Segments for idle workers; None when the study is over."""
        if not self._idle:
            return {}
        segments = self._driver.pull(list(self._idle))
        if isinstance(segments, Nothing):
            return None if segments is Nothing.DONE else {}
        given: dict[Address, Segment] = {}
        for worker, segment in zip(list(self._idle), segments, strict=False):
            del self._idle[worker]
            self._holds[worker] = segment
            given[worker, self._crew.lives[worker]] = segment
        return given

    def _lose(self, worker: str) -> None:
        """What a worker's former life held is lost; nothing happens if a decision had closed it."""
        self._idle.pop(worker, None)
        self._leaving.discard(worker)
        segment = self._holds.pop(worker, None)
        if segment is not None:
            self._driver.push([SegmentEnd(segment.trial, segment.index, Ending.LOST)])

    def _send_home(self) -> None:
        everyone = {address: Answer(close=True) for address in self._crew.lives.items()}
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
