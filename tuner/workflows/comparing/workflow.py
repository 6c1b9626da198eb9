"""Running a comparison, or going on with it: every run is a study of the store."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tuner.analysis.compared import is_comparison
from tuner.errors import StudyExists
from tuner.spec import differences
from tuner.store import ComparisonPlan, ComparisonRun, StudyStore
from tuner.workflows import run as workflow
from tuner.workflows.comparing.planning import extended, runs_of, spec_of
from tuner.workflows.comparing.processes import in_processes
from tuner.workflows.comparing.replaying import Task, replay
from tuner.workflows.driver import Watch, unwatched
from tuner.workflows.gauge import Gauge
from tuner.workflows.memory import with_memory
from tuner.workflows.study import Study


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a comparison is: `done` of `n_runs` runs; `run` ended a moment ago, or (live) begins."""

    done: int
    n_runs: int
    run: ComparisonRun
    distances: tuple[float, ...] = ()
    """Of a replay: how far what was asked for was from the rows that answered."""


Tell = Callable[[Standing], None]


def settle(store: StudyStore, plan: ComparisonPlan, *, budget_asked: bool = True) -> tuple[ComparisonPlan, bool]:
    """The plan as it is to be run, and whether its comparison is there already: then what is new of it is added.

    A budget that nobody asked for is that of the comparison that is there. Raises StudyExists if the name belongs to a
    study, or to a comparison of something else, and SpecError for a warm start that cannot be.
    """
    if plan.name not in store.comparisons.names():
        if plan.name in store.names():
            raise StudyExists(f"there is a study {plan.name!r} already", hint="Choose another --name.")
        return replace(plan, spec=with_memory(store, plan.spec)), False
    there = store.comparisons.find(plan.name).plan
    changes: dict[str, object] = {} if budget_asked else {"budget": there.spec.budget}
    if not plan.spec.memory and plan.spec.warm_start == there.spec.warm_start:
        changes["memory"] = there.spec.memory  # taken once: what it was taken from may have changed, or gone
    plan = replace(plan, spec=plan.spec.model_copy(update=changes))
    grown = extended(there, plan)
    if grown is None:
        differing = differences(there.spec.to_dict(), plan.spec.to_dict()) or [_replays(there, plan)]
        raise StudyExists(
            f"comparison {plan.name!r} exists and is another one: {'; '.join(differing)}",
            hint="Choose another --name, or delete the old one: tune delete.",
        )
    return grown, True


@dataclass(frozen=True)
class Comparing:
    """How to run a comparison, as opposed to what: nothing here changes what is found."""

    objective: Any = None
    """The object itself, where the spec's reference is not to be imported."""
    options: workflow.Options = field(default_factory=workflow.Options)
    n_processes: int | None = None
    """For replays; None for one per core."""
    watch: Watch = unwatched
    gauge: Gauge | None = None


def check_runnable(plan: ComparisonPlan, how: Comparing = Comparing()) -> None:
    """Raise what would keep a live comparison from running (UserMistake, DataError). Writes nothing."""
    if plan.replay is None:
        workflow.prepare(spec_of(plan, runs_of(plan)[0]), how.objective, how.options).executor.close()


def run(store: StudyStore, plan: ComparisonPlan, how: Comparing = Comparing(), tell: Tell = lambda _: None) -> None:
    """Make the comparison, unless it is there, and do all of its runs that are not finished yet.

    `plan` is as `settle` gave it. Raises as tuner.workflows.run.run does; KeyboardInterrupt passes through: what was
    finished is kept, and so is what a live run reported.
    """
    if is_comparison(store, plan.name):
        store.comparisons.change(plan)
    else:
        store.comparisons.create(plan)
    if plan.replay is None:
        _run_live(store, plan, how, tell)
    else:
        _run_replays(store, plan, plan.replay.table, how, tell)


def _run_replays(store: StudyStore, plan: ComparisonPlan, table: str, how: Comparing, tell: Tell) -> None:
    """Each in another process; this one writes. A replay is stored whole, or not at all."""
    runs = runs_of(plan)
    there = {(run.method, run.repeat) for run in store.comparisons.runs(plan.name)}
    missing = [index for index, run in enumerate(runs) if (run.method, run.repeat) not in there]
    tasks = [Task(index, spec_of(plan, runs[index]), table) for index in missing]
    done = len(runs) - len(missing)
    for task, replayed in in_processes(replay, tasks, how.n_processes or _cores()):
        run = runs[task.run]
        store.comparisons.add_run(run, task.spec, replayed.journal, replayed.trials)
        done += 1
        tell(Standing(done, len(runs), run, replayed.distances))


def _run_live(store: StudyStore, plan: ComparisonPlan, how: Comparing, tell: Tell) -> None:
    """One after the other, each an ordinary study."""
    runs = runs_of(plan)
    there = {run.study for run in store.comparisons.runs(plan.name)}
    for done, run in enumerate(runs):
        if run.study not in there:
            store.comparisons.add_run(run, spec_of(plan, run))
        study = Study(store, run.study)
        if not workflow.finished(study):
            tell(Standing(done, len(runs), run))
            prepared = workflow.prepare(study.spec, how.objective, how.options)
            workflow.run(store, prepared, how.watch, gauge=how.gauge)
    tell(Standing(len(runs), len(runs), runs[-1]))


def _replays(there: ComparisonPlan, asked: ComparisonPlan) -> str:
    def words(plan: ComparisonPlan) -> str:
        replay = plan.replay
        return (
            "live"
            if replay is None
            else f"replayed from {replay.table} ({replay.digest[:8]}), {replay.workers} workers"
        )

    return f"{words(there)} -> {words(asked)}"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
