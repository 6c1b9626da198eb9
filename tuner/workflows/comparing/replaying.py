"""A run replayed from a table of curves, on simulated workers and a virtual clock."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from tuner.control import StudyController
from tuner.errors import UserMistake
from tuner.execution import Job
from tuner.execution.simulated import Curves, CurveTable, SimulatedExecutor, TableSession
from tuner.records import Details, Reported, TrialSummary
from tuner.schedule import make_scheduler
from tuner.search import make_sampler
from tuner.space import Axis, Choice, SearchSpace, describe, same_value
from tuner.spec import StudySpec
from tuner.store import JournalEntry, Replay
from tuner.workflows.comparing.replay_driver import ReplayDriver
from tuner.workflows.places import study_place

WORKERS = 8
"""Simulated workers of a spec that says `parallel: auto`. A fixed number, so that a replay is the same everywhere."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """A study as it was replayed: its journal, with times in virtual seconds, and the trials that follow from it."""

    journal: tuple[JournalEntry, ...]
    trials: tuple[TrialSummary, ...]
    distances: tuple[float, ...] = ()
    """How far each trial's configuration is from that of the row that answered for it; see Neighbours."""


@dataclass(frozen=True, slots=True)
class Task:
    """One study to replay, for a process."""

    run: int
    spec: StudySpec
    table: str


def open_table(path: Path, spec: StudySpec, workers: int | None) -> Replay:
    """What is to be replayed. Raises UserMistake if the table cannot answer for the studies of `spec`."""
    check_table(CurveTable.load(path), spec, path)
    parallel = WORKERS if spec.parallel == "auto" else spec.parallel
    return Replay(str(path), hashlib.sha256(path.read_bytes()).hexdigest(), workers or parallel)


def replay(task: Task) -> Replayed:
    """Replay a study, whichever process does it: the same every time."""
    return replay_study(task.spec, _table(task.table))


def replay_study(spec: StudySpec, curves: Curves) -> Replayed:
    """Replay a study from its start to its end, with `spec.parallel` workers.

    The first report of each trial carries, for people, which row of a table answered for it.
    """
    assert spec.parallel != "auto"
    controller = StudyController(spec, make_sampler(spec), make_scheduler(spec.scheduler))
    executor = SimulatedExecutor()
    driver = ReplayDriver(controller, executor.clock)
    job = Job(
        study=spec.study,
        objective=curves,
        metric=spec.metric.name,
        folder=study_place(spec),
        unit=spec.scheduler.unit,
        checkpoint=spec.checkpoint,
        parallel=spec.parallel,
    )
    executor.run(job, driver)
    trials = tuple(driver.trials[number] for number in sorted(driver.trials))
    if not isinstance(executor.session, TableSession):
        return Replayed(tuple(driver.journal), trials)
    told = tuple(_with_rows(driver.journal, executor.session))
    return Replayed(told, trials, tuple(executor.session.distances.values()))


def _with_rows(journal: Iterable[JournalEntry], session: TableSession) -> Iterator[JournalEntry]:
    told: set[int] = set()
    for entry in journal:
        if isinstance(entry.event, Reported) and (trial := entry.event.report.trial) not in told:
            told.add(trial)
            row = f"row {session.rows[trial]} of the table answers, at a distance of {session.distances[trial]:.3g}"
            report = replace(entry.event.report, details=Details(events=(row,)))
            yield replace(entry, event=Reported(report))
        else:
            yield entry


def check_table(table: CurveTable, spec: StudySpec, path: Path) -> None:
    """Raise UserMistake, naming what does not fit, unless the table knows of every configuration of `spec`."""
    unit, reach = spec.scheduler.unit, spec.scheduler.max_resource
    if spec.metric.name not in table.metrics:
        raise UserMistake(
            f"{path} has no metric {spec.metric.name!r}",
            hint=f"It has {', '.join(table.metrics)}: --set metric.name=...",
        )
    if table.unit != unit:
        raise UserMistake(f"{path} counts in {table.unit}s, and the spec in {unit}s (scheduler.unit)")
    if not table.rows_reaching(reach):
        raise UserMistake(
            f"no curve of {path} goes as far as {unit} {reach}: the longest ends at {table.max_resource}",
            hint=f"Replay shorter trials: --set scheduler.max_resource={table.max_resource}.",
        )
    _check_space(table.info.space, spec, path)


def _check_space(known: SearchSpace, spec: StudySpec, path: Path) -> None:
    for name, axis in spec.axes.items():
        if name not in known:
            there = f"is fixed to {known.fixed[name]!r}" if name in known.fixed else "does not exist"
            raise UserMistake(
                f"space.{name}: is searched, and in {path} it {there}",
                hint=f"The table's axes are {', '.join(known)}. Give {name} as a fixed value, or record another table.",
            )
        if not _lies_in(axis, known[name]):
            raise UserMistake(
                f"space.{name}: {describe(axis)} goes beyond what {path} knows: {describe(known[name])}",
                hint="Search within that, or record another table.",
            )
    for name, axis in known.items():
        if name not in spec.axes and name not in spec.fixed and axis.when is None:
            raise UserMistake(
                f"{path} has an axis {name!r} that the spec does not mention",
                hint=f"Search it, or give it a value: --set fixed.{name}=... ({describe(axis)}).",
            )
        if name in spec.fixed and not axis.contains(spec.fixed[name]):
            raise UserMistake(
                f"fixed.{name}: {spec.fixed[name]!r} is nothing that {path} knows: {describe(axis)}",
            )
    for name, value in known.fixed.items():
        if name in spec.fixed and not same_value(spec.fixed[name], value):
            raise UserMistake(f"fixed.{name}: is {spec.fixed[name]!r}, and {path} was recorded with {value!r}")


def _lies_in(axis: Axis, known: Axis) -> bool:
    """Whether every value of `axis` lies within those of `known`; a choice knows only its own values."""
    if isinstance(known, Choice):
        return isinstance(axis, Choice) and all(known.contains(value) for value in axis.values)
    return all(
        known.none
        if value is None
        else isinstance(value, int | float) and not isinstance(value, bool) and known.low <= value <= known.high
        for value in axis.grid(2)
    )


@lru_cache(maxsize=1)
def _table(path: str) -> CurveTable:
    return CurveTable.load(path)
