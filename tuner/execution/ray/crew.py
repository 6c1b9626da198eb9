"""The crew: the workers as a Tune run, in a thread of its own. Tune places them, watches them, starts them again."""

from __future__ import annotations

import logging
import tempfile
import threading
import uuid
from typing import Any, Self, final

from ray import tune
from ray.tune.progress_reporter import TrialProgressCallback

from tuner.execution._base import Job
from tuner.execution.ray.arrival import node_id
from tuner.execution.ray.obituary import obituary
from tuner.execution.ray.parcel import pack
from tuner.execution.ray.worker import search_path, work
from tuner.records import Failure

MANY = 10_000
"""The number of workers for `parallel: auto` on a cluster: those beyond its room start when nodes join."""


GOODBYE_SECONDS = 0.3


@final
class Crew:
    """Started once, dismissed once."""

    def __init__(self, job: Job, mailbox: Any, gpus: float, n_workers: int, *, lanes: bool) -> None:
        self.lives: dict[str, int] = {}
        """The number of each worker's present life, as the desk has heard."""
        self.lost: list[tuple[str, int | None]] = []
        """The workers that died, and in which life, as Tune tells (in its thread: append and pop are atomic)."""
        self.obituaries: dict[tuple[str, int | None], Failure] = {}
        """What they died of."""
        self.dismissed = False
        self.error: BaseException | None = None
        # What Tune writes is disposable: the store is the truth. It may still be writing when that goes.
        self._scratch = tempfile.TemporaryDirectory(prefix="tuner-ray-", ignore_cleanup_errors=True)
        self._tuner = self._make_tuner(job, mailbox, gpus, n_workers, lanes=lanes)
        self._thread = threading.Thread(target=self._run, name="tune", daemon=True)

    def start(self) -> None:
        """Let Tune begin."""
        self._thread.start()

    @property
    def at_work(self) -> bool:
        """Whether Tune's run goes on."""
        return self._thread.is_alive()

    def dismiss(self) -> None:
        """End Tune's run. It would wait up to 15 s for its actors to leave; nothing here depends on that."""
        self.dismissed = True
        self._thread.join(GOODBYE_SECONDS)
        self._scratch.cleanup()

    def _make_tuner(self, job: Job, mailbox: Any, gpus: float, n_workers: int, *, lanes: bool) -> tune.Tuner:
        trainable = tune.with_parameters(
            work,
            mailbox=mailbox,
            parcel=pack(job),
            path=search_path(),
            gpus=gpus,
            run=uuid.uuid4().hex,
            home=node_id(),
            lanes=lanes,
        )
        return tune.Tuner(
            tune.with_resources(trainable, {"cpu": job.resources.cpus, "gpu": gpus}),
            tune_config=tune.TuneConfig(num_samples=n_workers),
            run_config=tune.RunConfig(
                name=job.study,
                storage_path=self._scratch.name,
                failure_config=tune.FailureConfig(max_failures=-1),
                callbacks=[Watch(self)],
                stop=UntilDismissed(self),
                verbose=0,
            ),
        )

    def _run(self) -> None:
        # A worker that dies is replaced, and the study says so; Tune would print the actor's obituary, three times.
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
        try:
            self._tuner.fit()
        except BaseException as error:  # noqa: BLE001 (told by whoever waits for the workers)
            self.error = error


class _OfCrew:
    """Tune keeps copies and pickles of what it is given; these are of no use without the crew."""

    def __init__(self, crew: Crew | None = None) -> None:
        self._crew = crew

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[type[Self], tuple[()]]:
        return (type(self), ())


@final
class Watch(_OfCrew, TrialProgressCallback):
    """Tune's word that a worker died, and is started again.

    Being a TrialProgressCallback that prints nothing, it keeps Tune from adding its own, which does.
    """

    # Tune gives all by name.
    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
        """See tune.Callback."""
        if self._crew is not None:
            worker = (trial.trial_id, self._crew.lives.get(trial.trial_id))
            self._crew.obituaries[worker] = obituary(trial.pickled_error_file)
            self._crew.lost.append(worker)

    def _silence(self, *args: Any, **info: Any) -> None:
        """Nothing is printed."""

    on_trial_result = on_trial_complete = on_trial_error = _silence


@final
class UntilDismissed(_OfCrew, tune.Stopper):
    """Ends Tune's run when the crew is dismissed."""

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002 - as Tune calls it
        return self.stop_all()

    def stop_all(self) -> bool:
        """See tune.Stopper."""
        return self._crew is not None and self._crew.dismissed
