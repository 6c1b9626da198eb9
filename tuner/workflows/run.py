"""Running a study: the only place where spec, store, controller and executor meet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuner.control import StudyController
from tuner.errors import StudyExists, UserMistake
from tuner.execution import Executor, Job, LocalExecutor
from tuner.objective import load_objective
from tuner.records import Command, Commanded, CommandKind
from tuner.schedule import make_scheduler
from tuner.search import make_sampler
from tuner.spec import Budget, StudySpec
from tuner.store import JournalEntry, StudyState, StudyStore, Writer
from tuner.workflows.driver import StudyDriver, Watch, unwatched
from tuner.workflows.fit import check_fit
from tuner.workflows.gauge import Gauge
from tuner.workflows.memory import with_memory
from tuner.workflows.places import claim_folder, study_folder
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
            f"study {spec.study!r} exists with another spec: {'; '.join(differences(there, spec))}",
            hint="Choose another --name, start anew with --fresh, or go on with the old one by `tune resume`.",
        )
    return spec, True


@dataclass(frozen=True)
class Extension:
    """A study is to go on beyond its end or its budget: the new totals, None where they stay. `author` asks for it."""

    author: str
    trials: int | None = None
    minutes: float | None = None

    def command(self) -> Command:
        """For the command table. Raises SpecError for a budget that cannot be."""
        asked = {"trials": self.trials, "minutes": self.minutes}
        budget = {name: value for name, value in asked.items() if value is not None}
        Budget.model_validate(budget)
        return Command(CommandKind.EXTEND, self.author, budget=budget)


@dataclass(frozen=True)
class Prepared:
    """A study that can be run here: everything was looked at, nothing was written."""

    spec: StudySpec
    executor: Executor
    job: Job


def prepare(spec: StudySpec, objective: Any = None, options: Options = Options()) -> Prepared:
    """Find out whether a study can be run, and get what it needs: the objective, its data, an executor with room.

    `objective` is the object itself; None imports the spec's. Raises UserMistake, or DataError.
    """
    objective = load_objective(spec.objective) if objective is None else objective
    executor = choose_executor(spec, options)
    job = _job(spec, objective, options)
    check_fit(spec, objective)
    try:
        executor.check(job)
        if getattr(objective, "__tuner_task__", False):
            objective.fetch()
    except BaseException:
        executor.close()
        raise
    return Prepared(spec, executor, job)


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
            driver = _driver(store, writer, prepared, watch, gauge)
            if not driver.ended:
                prepared.executor.run(prepared.job, driver)
    finally:
        prepared.executor.close()
    return Study(store, spec.study)


def _refuse_replay(store: StudyStore, name: str) -> None:
    """Raise UserMistake for a study that was replayed: it has no checkpoints, and what it saw was looked up."""
    for run in store.comparisons.runs():
        if run.study == name and store.comparisons.find(run.comparison).plan.replay is not None:
            raise UserMistake(
                f"study {name!r} was replayed for the comparison {run.comparison!r}, and cannot be trained",
                hint="Run its spec under another --name, or compare with a larger --budget.",
            )


def _make_study(store: StudyStore, spec: StudySpec, folder: Path) -> None:
    """Make the study, unless it is there, and its folder; neither if the folder cannot be had."""
    new = spec.study not in set(store.names())
    if spec.warm_start and not spec.memory:
        raise UserMistake(f"study {spec.study!r} has not yet taken what it remembers: settle_name does that first")
    record = store.create(spec) if new else store.study(spec.study)
    try:
        claim_folder(record, folder)
    except UserMistake:
        if new:
            store.delete(spec.study)
        raise


def _driver(store: StudyStore, writer: Writer, prepared: Prepared, watch: Watch, gauge: Gauge | None) -> StudyDriver:
    """A driver that stands where the study's journal ends."""
    spec = prepared.spec
    journal = list(store.journal(spec.study))
    controller = StudyController(spec, make_sampler(spec), make_scheduler(spec.scheduler))
    controller.replay(entry.event for entry in journal)
    controller.on_driver_lost()
    folder, seen = prepared.job.folder, _last_command(journal)
    driver = StudyDriver(controller, store, writer, folder, commands_seen=seen, watch=watch, gauge=gauge)
    driver.follow_commands()
    driver.commit()
    return driver


def choose_executor(spec: StudySpec, options: Options) -> Executor:
    """The executor that the options ask for, or the spec; `auto` is Ray."""
    name = options.executor or spec.executor
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
    if name not in ("auto", "ray"):
        raise UserMistake(f"no such executor: {name!r}", hint="Allowed: auto, local, ray.")
    from tuner.execution.ray.executor import RayTuneExecutor  # imports Ray when it runs

    return RayTuneExecutor(options.address)


def finished(study: Study) -> bool:
    """Whether there is nothing left to run."""
    return study.record.state in (StudyState.FINISHED, StudyState.FAILED)


def differences(there: StudySpec, given: StudySpec) -> list[str]:
    """Where two specs differ, as "path: old -> new"."""
    return list(_differences(there.to_dict(), given.to_dict(), ""))


def _differences(there: Any, given: Any, path: str) -> Iterator[str]:
    if isinstance(there, dict) and isinstance(given, dict):
        for key in [*there, *(key for key in given if key not in there)]:
            below = f"{path}.{key}" if path else str(key)
            if key not in given:
                yield f"{below}: {there[key]!r} -> nothing"
            elif key not in there:
                yield f"{below}: nothing -> {given[key]!r}"
            else:
                yield from _differences(there[key], given[key], below)
        if list(there) != list(given) and set(there) == set(given):
            yield f"{path}: another order"
    elif there != given:
        yield f"{path}: {there!r} -> {given!r}"


def _free_name(name: str, taken: set[str]) -> str:
    numbered = (name if number == 1 else f"{name}-{number}" for number in range(1, len(taken) + 2))
    return next(candidate for candidate in numbered if candidate not in taken)


def _job(spec: StudySpec, objective: Any, options: Options) -> Job:
    parallel = options.parallel or (None if spec.parallel == "auto" else spec.parallel)
    return Job(
        study=spec.study,
        objective=objective,
        metric=spec.metric.name,
        folder=study_folder(spec),
        unit=spec.scheduler.unit,
        resources=spec.resources,
        checkpoint=spec.checkpoint,
        timeouts=spec.timeouts,
        parallel=parallel,
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
        writer.release()
