"""Running a study: the only place where spec, store, controller and executor meet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from tuner.control import StudyController
from tuner.errors import StoreAway, StudyExists, UserMistake
from tuner.execution import Executor, Job, LocalExecutor
from tuner.execution.devices import local_gpus
from tuner.home import author
from tuner.objective import load_objective
from tuner.records import Command, Commanded, CommandKind, Revised
from tuner.schedule import make_scheduler
from tuner.search import make_sampler
from tuner.spec import Budget, StudySpec, differences
from tuner.storage import Place, open_storage
from tuner.store import JournalEntry, StudyState, StudyStore, Writer
from tuner.workflows.claims import check_place, claim
from tuner.workflows.driver import StudyDriver, Watch, unwatched
from tuner.workflows.fit import check_fit
from tuner.workflows.fusing import auto_lanes, require_fused
from tuner.workflows.gauge import Gauge
from tuner.workflows.memory import with_memory
from tuner.workflows.places import study_place
from tuner.workflows.removal import Removal
from tuner.workflows.revising import horizon_free
from tuner.workflows.study import Study


@dataclass(frozen=True)
class Options:
    """How to run, as opposed to what: nothing here changes what is found, only where and how fast."""

    executor: str | None = None
    """Instead of the spec's."""
    parallel: int | None = None
    address: str | None = None
    """The Ray cluster to use."""


def settle_name(store: StudyStore, spec: StudySpec, *, fresh: bool = False) -> tuple[StudySpec, bool]:
    """The spec under the name that its study will have, with its memory, and whether that study is there already.

    A new study takes its memory from the studies of `warm_start` now (`with_memory` says what is a SpecError); one that
    is there keeps what it has, whatever became of them. Raises StudyExists if the name belongs to
    another spec; `fresh` takes the next free name instead.
    """
    names = set(store.names())
    if fresh:
        spec = spec.model_copy(update={"study": _free_name(spec.study, names)})
    if spec.study not in names:
        return with_memory(store, spec), False
    there = store.study(spec.study).spec
    if not spec.memory and spec.warm_start == there.warm_start:
        spec = spec.model_copy(update={"memory": there.memory})
    if there != spec:
        raise StudyExists(
            f"study {spec.study!r} exists with another spec: {'; '.join(differences(there.to_dict(), spec.to_dict()))}",
            hint="Choose another --name, start anew with --fresh, or go on with the old one by `tune resume`.",
        )
    return spec, True


@dataclass(frozen=True)
class Extension:
    """A study is to go on beyond its end or its budget: the new totals, None where they stay. `author` asks for it.
    `revised` says that the spec that was prepared is a new one (tuner.workflows.revising), which it takes from now on.
    """

    author: str
    trials: int | None = None
    minutes: float | None = None
    epochs: int | None = None
    revised: bool = False

    def command(self) -> Command:
        """For the command table. Raises SpecError for a budget that cannot be."""
        asked = {"trials": self.trials, "minutes": self.minutes, "epochs": self.epochs}
        budget = {name: value for name, value in asked.items() if value is not None}
        Budget.model_validate(budget)
        return Command(CommandKind.EXTEND, self.author, budget=budget)


@dataclass(frozen=True)
class Prepared:
    """A study that can be run here: everything was looked at, nothing was written."""

    spec: StudySpec
    executor: Executor
    job: Job
    note: str = ""
    """What there is to tell a person of how it is run."""


def prepare(spec: StudySpec, objective: Any = None, options: Options = Options()) -> Prepared:
    """Find out whether a study can be run, and get what it needs: the objective, its data, an executor with room.

    `objective` is the object itself; None imports the spec's. Raises UserMistake, or DataError.
    """
    objective = load_objective(spec.objective) if objective is None else objective
    job = _job(spec, objective, options)
    check_fit(spec, objective)
    check_place(job.folder)
    name, note = _executor_name(spec, objective, job, options)
    executor = choose_executor(name, spec, options)
    try:
        executor.check(job)
        if getattr(objective, "__tuner_task__", False):
            objective.fetch()
        if name == "lanes" and not note:
            require_fused(spec, objective, gpus=local_gpus(job))
    except BaseException:
        executor.close()
        raise
    return Prepared(spec, executor, job, note)


def run(
    store: StudyStore,
    prepared: Prepared,
    watch: Watch = unwatched,
    *,
    extension: Extension | None = None,
    gauge: Gauge | None = None,
) -> Study:
    """Run a study, or go on with it, until it ends; nothing is run if it has, and is not extended. `watch` is told of
    every commit; `gauge` measures the workers meanwhile, for a watch that wants to know the time left.

    Raises StudyHeld if someone else is running it, RunFailed if it cannot go on. KeyboardInterrupt passes through, with
    everything reported so far kept and the lease given back.
    """
    spec = prepared.spec
    try:
        _refuse_replay(store, spec.study)
        command = extension.command() if extension else None
        _make_study(store, spec, prepared.job.folder)
        with _writing(store, spec.study) as writer:
            if command is not None:
                store.post(spec.study, command)
            elif store.study(spec.study).state is StudyState.PAUSED:
                store.post(spec.study, Command(CommandKind.UNPAUSE, author()))
            storage = open_storage(prepared.job.folder)
            removal = Removal(storage)
            try:
                driver = _driver(store, writer, prepared, extension, removal, watch, gauge)
                driver.sweep(storage)
                _work(prepared, driver)
                driver.sweep(storage)
            finally:
                removal.finish()
    finally:
        prepared.executor.close()
    return Study(store, spec.study)


def _work(prepared: Prepared, driver: StudyDriver) -> None:
    """Run the study until it ends, through all pauses."""
    try:
        while not driver.ended:
            prepared.executor.run(prepared.job, driver)
            driver.sit_out()
    except KeyboardInterrupt:
        driver.save()
        raise


def _refuse_replay(store: StudyStore, name: str) -> None:
    """Raise UserMistake for a study that was replayed: it has no checkpoints, and what it saw was looked up."""
    for run in store.comparisons.runs():
        if run.study == name and store.comparisons.find(run.comparison).plan.replay is not None:
            raise UserMistake(
                f"study {name!r} was replayed for the comparison {run.comparison!r}, and cannot be trained",
                hint="Run its spec under another --name, or compare with a larger --budget.",
            )


def _make_study(store: StudyStore, spec: StudySpec, place: Place) -> None:
    """Make the study, unless it is there, and mark its place; neither if that cannot be had."""
    new = spec.study not in set(store.names())
    if spec.warm_start and not spec.memory:
        raise UserMistake(f"study {spec.study!r} has not yet taken what it remembers: settle_name does that first")
    record = store.create(spec) if new else store.study(spec.study)
    try:
        claim(record, place)
    except UserMistake:
        if new:
            store.delete(spec.study)
        raise


def _driver(
    store: StudyStore,
    writer: Writer,
    prepared: Prepared,
    extension: Extension | None,
    removal: Removal,
    watch: Watch,
    gauge: Gauge | None,
) -> StudyDriver:
    """A driver that stands where the study's journal ends, and beyond it where the study is extended."""
    spec = prepared.spec
    journal = list(store.journal(spec.study))
    first = _first_spec(journal, store.study(spec.study).spec)
    controller = StudyController(first, make_sampler(spec), make_scheduler(first.scheduler))
    controller.replay(entry.event for entry in journal)
    controller.on_driver_lost()
    if extension is not None and extension.revised:
        free = horizon_free(prepared.job.objective, [trial.config for trial in controller.trials])
        n_again, trials = controller.starting_again(spec, free), Study(store, spec.study).budget.trials
        if n_again and trials is not None and extension.trials is None:  # room for those that start again
            store.post(spec.study, Extension(extension.author, trials + n_again).command())
        controller.on_revision(spec, extension.author, free)
    elif controller.spec != spec:
        raise UserMistake(
            f"the spec of study {spec.study!r} was just changed by somebody else", hint="Look, try again."
        )
    seen = _last_command(journal)
    driver = StudyDriver(controller, store, writer, removal.remove, commands_seen=seen, watch=watch, gauge=gauge)
    driver.follow_commands()
    driver.commit()
    return driver


def _first_spec(journal: list[JournalEntry], newest: StudySpec) -> StudySpec:
    """The spec that the study began with."""
    first = next((entry.event for entry in journal if isinstance(entry.event, Revised)), None)
    return newest if first is None else StudySpec.from_dict(first.before)


def _executor_name(spec: StudySpec, objective: Any, job: Job, options: Options) -> tuple[str, str]:
    """The executor that the options ask for, or the spec, and a note; `auto` is lanes where they fit, or else ray."""
    name = options.executor or spec.executor
    if name != "auto":
        return name, ""
    lanes, note = auto_lanes(spec, objective, job, options.address)
    return ("lanes" if lanes else "ray"), note


def choose_executor(name: str, spec: StudySpec, options: Options) -> Executor:
    """The executor of that name."""
    if name == "local":
        if options.address:
            raise UserMistake("--address is a Ray cluster's, and the executor is local", hint="Leave one of them out.")
        if spec.resources.isolate:
            raise UserMistake("resources.isolate needs processes of its own: use the ray executor")
        if (options.parallel or spec.parallel) not in ("auto", 1):
            raise UserMistake(
                "the local executor is one worker",
                hint="Set parallel: 1 (--parallel 1; --workers 1 of tune compare), or use the ray executor.",
            )
        return LocalExecutor()
    if name not in ("ray", "lanes"):
        raise UserMistake(f"no such executor: {name!r}", hint="Allowed: auto, local, ray, lanes.")
    from tuner.execution.ray.executor import RayTuneExecutor  # imports Ray when it runs

    return RayTuneExecutor(options.address, lanes=name == "lanes")


def finished(study: Study) -> bool:
    """Whether there is nothing left to run."""
    return study.record.state.ended


def _free_name(name: str, taken: set[str]) -> str:
    numbered = (name if number == 1 else f"{name}-{number}" for number in range(1, len(taken) + 2))
    return next(candidate for candidate in numbered if candidate not in taken)


def _job(spec: StudySpec, objective: Any, options: Options) -> Job:
    parallel = options.parallel or (None if spec.parallel == "auto" else spec.parallel)
    return Job(
        study=spec.study,
        objective=objective,
        metric=spec.metric.name,
        folder=study_place(spec),
        unit=spec.scheduler.unit,
        resources=spec.resources,
        checkpoint=spec.checkpoint,
        timeouts=spec.timeouts,
        parallel=parallel,
        trials=spec.budget.trials,
    )


def _last_command(journal: list[JournalEntry]) -> int:
    numbers = (entry.event.number or 0 for entry in journal if isinstance(entry.event, Commanded))
    return max(numbers, default=0)


@contextmanager
def _writing(store: StudyStore, name: str) -> Iterator[Writer]:
    writer = store.write(name)
    try:
        yield writer
    finally:
        with suppress(StoreAway):  # the lease of a process that is gone is free
            writer.release()
