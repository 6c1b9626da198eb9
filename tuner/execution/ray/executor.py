"""RayTuneExecutor: starts or joins Ray, and runs a study there; the desk and the crew do the work."""

from __future__ import annotations

import logging
from typing import Any, final

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tuner.errors import ObjectiveError, RunFailed, SpecError, TunerError
from tuner.execution._base import Driver, Job
from tuner.execution.devices import gpus_per_worker
from tuner.execution.ray.crew import MANY, Crew
from tuner.execution.ray.desk import Desk
from tuner.execution.ray.mailbox import Mailbox
from tuner.execution.ray.parcel import pack


@final
class RayTuneExecutor:
    """Workers on Ray: on this machine, or on the cluster at `address` ("auto" for the one this machine is part of).

    With `lanes` each is a lane, which trains `resources.slots` trials at once.
    """

    def __init__(self, address: str | None = None, *, lanes: bool = False) -> None:
        self._address = address
        self._lanes = lanes
        self._ours = False

    def check(self, job: Job) -> None:
        """See Executor. Connects to Ray, which is disconnected by `close`."""
        if self._lanes:
            _check_lanes(job)
        try:
            pack(job)
        except Exception as error:  # noqa: BLE001  # whatever a `__reduce__` or `__getstate__` raises
            raise ObjectiveError(
                f"the objective cannot be sent to workers: {type(error).__name__}: {error}",
                hint="Make what cannot be pickled (locks, files, connections) inside the objective.",
            ) from None
        self._connect()
        _gpus_that_fit(job, lanes=self._lanes)

    def run(self, job: Job, driver: Driver) -> None:
        """See Executor. Raises RunFailed if the workers are gone."""
        self._connect()
        gpus = _gpus_that_fit(job, lanes=self._lanes)
        n_workers = job.parallel or (MANY if self._address else 1 if self._lanes and not gpus else _room(job, gpus))
        mailbox = _start_mailbox()
        crew = Crew(job, mailbox, gpus, n_workers, lanes=self._lanes)
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
            hint = (
                "Is --address right? A cluster with authentication needs RAY_AUTH_MODE=token and its token here, too."
            )
            raise TunerError(f"Ray could not be started: {error}", hint=hint if self._address else None) from error
        self._ours = True


def _check_lanes(job: Job) -> None:
    """Raise SpecError for what no lane has."""
    if not getattr(job.objective, "__tuner_task__", False):
        raise SpecError(
            "lanes train a Task, and the objective is a plain function",
            path="executor",
            hint="Write the training job as a tuner.Task (docs/extending.md), or use executor: ray.",
        )
    if job.resources.isolate:
        raise SpecError(
            "a lane trains all its trials in one process",
            path="resources.isolate",
            hint="Set isolate: false, or use executor: ray.",
        )
    if job.resources.gpus != "auto" and job.resources.gpus > 1:
        raise SpecError(
            f"a lane trains on one GPU, got {job.resources.gpus:g}",
            path="resources.gpus",
            hint="Set gpus: 1, and parallel to the number of lanes.",
        )
    if job.timeouts.straggler is not None:
        raise SpecError(
            f"a lane runs no trial a second time, got {job.timeouts.straggler:g}",
            path="timeouts.straggler",
            hint="Set straggler: null, or use executor: ray.",
        )


def _gpus_that_fit(job: Job, *, lanes: bool) -> float:
    """The GPUs of a worker. Raises SpecError if no worker would fit into the cluster."""
    there = ray.cluster_resources()  # type: ignore[no-untyped-call]
    cpus = there.get("CPU", 0.0)
    if job.resources.cpus > cpus:
        raise SpecError(
            f"{job.resources.cpus:g} CPUs for a worker, but there are {cpus:g}",
            path="resources.cpus",
            hint=f"Ask for at most {cpus:g}.",
        )
    return gpus_per_worker(job, there.get("GPU", 0.0), lanes=lanes)


def _room(job: Job, gpus: float) -> int:
    """How many workers this machine has room for."""
    there = ray.cluster_resources()  # type: ignore[no-untyped-call]
    by_cpus = there.get("CPU", 0.0) / job.resources.cpus
    return int(by_cpus if not gpus else min(by_cpus, there.get("GPU", 0.0) / gpus))


def _start_mailbox() -> Any:
    beside_the_driver = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor: Any = ray.remote(Mailbox)
    return actor.options(num_cpus=0, max_concurrency=10_000, scheduling_strategy=beside_the_driver).remote()
