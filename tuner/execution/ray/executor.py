"""RayTuneExecutor: the driver's side of the mailbox, beside a Tune run whose trials are the workers."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

from tuner.control import Nothing
from tuner.errors import RunFailed, SpecError, TunerError
from tuner.execution._base import Driver, Job, Message
from tuner.execution.devices import gpus_per_worker
from tuner.execution.ray.mailbox import Answer, Close, Envelope, Mailbox, Need
from tuner.records import Ending, Segment, SegmentEnd

# Ray reads these when it is imported. Quiet, without telemetry, and our own handling of Ctrl-C.
QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_MAX_PENDING_TRIALS_PG": "2",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "1000000",
}

COLLECT_SECONDS = 0.5
MANY = 10_000
"""The number of workers for `parallel: auto`: those beyond the cluster's room start when nodes join."""


@final
class RayTuneExecutor:
    """Workers on Ray: on this machine, or on the cluster at `address` ("auto" for the one this machine is part of)."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address

    def run(self, job: Job, driver: Driver) -> None:
        """See Executor."""
        with _ray(self._address) as ray:
            resources = ray.cluster_resources()
            gpus = gpus_per_worker(job, resources.get("GPU", 0.0))
            if job.resources.cpus > resources.get("CPU", 0.0):
                raise SpecError(
                    f"{job.resources.cpus:g} CPUs for a worker, but there are {resources.get('CPU', 0.0):g}",
                    path="resources.cpus",
                    hint="Ask for fewer.",
                )
            mailbox = _start_mailbox(ray)
            crew = Crew(job, mailbox, gpus)
            crew.start()
            try:
                Desk(driver, mailbox, crew).serve()
            finally:
                crew.dismiss()


@final
class Crew:
    """The workers: a Tune run in a thread of its own. Tune places them, watches them, and starts them again."""

    def __init__(self, job: Job, mailbox: Any, gpus: float) -> None:
        self._tuner = _tuner(job, mailbox, gpus, self)
        self._thread = threading.Thread(target=self._run, name="tune", daemon=True)
        self._lock = threading.Lock()
        self._lost: list[str] = []
        self.dismissed = False
        self.error: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def lose(self, worker: str) -> None:
        """Tune says that a worker has died (in Tune's thread)."""
        with self._lock:
            self._lost.append(worker)

    def take_lost(self) -> list[str]:
        """The workers that died since the last call."""
        with self._lock:
            lost, self._lost = self._lost, []
        return lost

    @property
    def at_work(self) -> bool:
        return self._thread.is_alive()

    def dismiss(self) -> None:
        """Let Tune end its run; what it would still wait for is not waited for."""
        self.dismissed = True
        self._thread.join(timeout=10)

    def _run(self) -> None:
        try:
            self._tuner.fit()
        except BaseException as error:
            self.error = error


@final
class Desk:
    """Reads the mail, asks the driver, answers: the executor's loop."""

    def __init__(self, driver: Driver, mailbox: Any, crew: Crew) -> None:
        self._driver = driver
        self._mailbox = mailbox
        self._crew = crew
        self._lives: dict[str, int] = {}
        self._holds: dict[str, Segment] = {}
        self._idle: dict[str, None] = {}

    def serve(self) -> None:
        """Return when there is nothing left to hand out and nobody holds a segment."""
        import ray

        answers: dict[tuple[str, int], Answer] = {}
        while True:
            envelopes: list[Envelope] = ray.get(self._mailbox.collect.remote(answers, COLLECT_SECONDS))
            self._driver.tick()
            answers = self._take(envelopes)
            for worker in self._crew.take_lost():
                self._lose(worker)
            done = self._hand_out(answers)
            if done:
                self._close(ray)
                return
            if not self._crew.at_work:
                raise RunFailed(f"Ray Tune ended before the study: {self._crew.error or 'no workers are left'}")

    def _take(self, envelopes: list[Envelope]) -> dict[tuple[str, int], Answer]:
        """Pass all messages on, in one group, and find the decisions that are waited for."""
        messages: list[Message] = []
        wanted: list[tuple[tuple[str, int], int]] = []
        for envelope in envelopes:
            if self._lives.get(envelope.worker, -1) < envelope.life:
                self._lose(envelope.worker)
                self._lives[envelope.worker] = envelope.life
            if envelope.broken:
                raise RunFailed(f"a worker cannot load the objective: {envelope.broken}")
            messages.extend(envelope.messages)
            if envelope.need is Need.DECISION:
                wanted.append(((envelope.worker, envelope.life), len(messages) - 1))
            elif envelope.need is Need.SEGMENT:
                self._idle[envelope.worker] = None
                self._holds.pop(envelope.worker, None)
        decisions = self._driver.push(messages) if messages else []
        return {address: decisions[index] for address, index in wanted}

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
        """Whatever a worker's former life held is lost (nothing happens if a decision had closed it)."""
        self._idle.pop(worker, None)
        segment = self._holds.pop(worker, None)
        if segment is not None:
            self._driver.push([SegmentEnd(segment.trial, segment.index, Ending.LOST)])

    def _close(self, ray: Any) -> None:
        addresses = {(worker, life): Close() for worker, life in self._lives.items()}
        ray.get(self._mailbox.collect.remote(addresses, 0.0))


def _tuner(job: Job, mailbox: Any, gpus: float, crew: Crew) -> Any:
    from ray import cloudpickle, tune

    from tuner.execution.ray.worker import search_path, work

    class Watch(tune.Callback):
        """Tune's word that a worker died."""

        def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
            crew.lose(trial.trial_id)

        on_trial_error = on_trial_recover

    class UntilDismissed(tune.Stopper):
        """Ends the run, pending workers included."""

        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002
            return crew.dismissed

        def stop_all(self) -> bool:
            return crew.dismissed

    trainable = tune.with_parameters(
        work, mailbox=mailbox, job_bytes=cloudpickle.dumps(job)  # type: ignore[no-untyped-call]
    , path=search_path(), gpus=gpus
    )
    return tune.Tuner(
        tune.with_resources(trainable, {"cpu": job.resources.cpus, "gpu": gpus}),
        tune_config=tune.TuneConfig(num_samples=job.parallel or MANY),
        run_config=tune.RunConfig(
            name=job.study,
            storage_path=tempfile.mkdtemp(prefix="tuner-ray-"),
            failure_config=tune.FailureConfig(max_failures=-1),
            callbacks=[Watch()],
            stop=UntilDismissed(),
            verbose=0,
        ),
    )


def _start_mailbox(ray: Any) -> Any:
    here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=False
    )
    actor = ray.remote(num_cpus=0, max_concurrency=10_000, scheduling_strategy=here)(Mailbox)
    return actor.remote()


@contextmanager
def _ray(address: str | None) -> Iterator[Any]:
    """Ray, started here and stopped again, unless this process was connected before."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import ray

    ours = not ray.is_initialized()
    if ours:
        try:
            ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise TunerError(f"Ray could not be started: {error}", hint="Is --address right?") from error
    try:
        yield ray
    finally:
        if ours:
            ray.shutdown()
