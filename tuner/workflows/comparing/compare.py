"""`compare`: from a spec to a comparison, for Python as for the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tuner.analysis.compared import Comparison
from tuner.spec import Budget, StudySpec
from tuner.store import ComparisonPlan, StudyStore, open_store
from tuner.workflows.comparing.budgets import parse_budget
from tuner.workflows.comparing.planning import make_plan
from tuner.workflows.comparing.replaying import open_table
from tuner.workflows.comparing.workflow import Comparing, Tell, check_runnable, run, settle


def plan_of(
    store: StudyStore,
    spec: StudySpec,
    methods: Sequence[str],
    repeats: int,
    *,
    replay: str | Path | None = None,
    budget: Budget | str | None = None,
    workers: int | None = None,
    name: str | None = None,
) -> tuple[ComparisonPlan, bool]:
    """What is to be compared, and whether the store has that comparison already (then what is new is added to it).

    Raises UserMistake for what cannot be compared. Writes nothing.
    """
    plan = make_plan(
        spec,
        methods,
        repeats,
        name=name,
        budget=parse_budget(budget) if isinstance(budget, str) else budget,
        workers=workers,
        replay=None if replay is None else open_table(Path(replay), spec, workers),
    )
    return settle(store, plan, budget_asked=budget is not None)


def compare(
    spec: StudySpec,
    methods: Sequence[str],
    repeats: int = 3,
    *,
    objective: Any = None,
    replay: str | Path | None = None,
    budget: Budget | str | None = None,
    workers: int | None = None,
    name: str | None = None,
    store: str | Path | None = None,
    how: Comparing | None = None,
    tell: Tell = lambda _: None,
) -> Comparison:
    """Compare methods ("[scheduler+]sampler") on one spec: each runs it `repeats` times at an equal budget.

    With `replay`, the path of a table that `tune record` wrote, the runs are replayed on simulated workers in a few
    processes; else they train, one after the other, and `objective` is the object where the spec's reference is not to
    be imported. `budget` is that of each run, such as "units=576"; left out, it is the spec's. Called again, it goes on
    where it was; more methods or repeats are added. `tell` is told of every run.

    Raises UserMistake before anything is written, and RunFailed if a run cannot go on.
    """
    how = replace(how or Comparing(), **({} if objective is None else {"objective": objective}))
    reading = open_store(store, create=False)
    plan, _ = plan_of(reading, spec, methods, repeats, replay=replay, budget=budget, workers=workers, name=name)
    check_runnable(plan, how)
    opened = open_store(store)
    run(opened, plan, how, tell)
    return Comparison(opened, plan.name)
