"""From a spec and the names of methods to the studies that compare them. Pure: mistakes are found before a write."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from tuner.errors import UserMistake, shown
from tuner.seeds import derive_seed
from tuner.spec import Budget, Failures, Sampler, StudySpec
from tuner.spec.parts import Until
from tuner.spec.study_spec import NAME_PATTERN
from tuner.store import ComparisonPlan, ComparisonRun, Replay
from tuner.workflows.comparing import resolution
from tuner.workflows.comparing.budgets import equal_budget, trials_to_choose
from tuner.workflows.comparing.methods import Method, check_methods, parse_method, parse_methods

MAX_REPEATS = 10_000
NEVER = 10**6


def make_plan(
    spec: StudySpec,
    methods: Sequence[str],
    repeats: int,
    *,
    name: str | None = None,
    budget: Budget | None = None,
    workers: int | None = None,
    replay: Replay | None = None,
) -> ComparisonPlan:
    """What is to be compared. Left out, the name is the study's with "-compare", the budget as `equal_budget` says, and
    workers are those of the spec. Raises UserMistake.
    """
    if not 1 <= repeats <= MAX_REPEATS:
        raise UserMistake(
            f"--repeats: must be at least 1 and at most {MAX_REPEATS:,}, got {shown(repeats)}",
            hint="3 give a first look; a verdict says how many it would take.",
        )
    if budget is not None and budget.until != Until():
        raise UserMistake(
            "--budget: a goal (until) would end the runs at different costs",
            hint="Leave it out: after how much a method reaches what another has is told in any case.",
        )
    parsed = parse_methods(methods)
    check_methods(parsed, spec)
    changes = {
        "study": name or f"{spec.study}-compare",
        "budget": budget or equal_budget(spec, parsed),
        "parallel": workers or spec.parallel,
    }
    plan = ComparisonPlan(spec.model_copy(update=changes), tuple(method.name for method in parsed), repeats, replay)
    for run in runs_of(plan):
        _check_name(run)
    return plan


def extended(there: ComparisonPlan, asked: ComparisonPlan) -> ComparisonPlan | None:
    """The plan of a comparison that goes on as it is asked to: with more methods, or more repeats of all of them.

    None if something else differs, as the runs would not be comparable.
    """
    if there.spec != asked.spec or not _same_replay(there.replay, asked.replay):
        return None
    known = {(method.scheduler, method.sampler) for method in map(parse_method, there.methods)}
    new = [name for name in asked.methods if _parts(name) not in known]
    return replace(there, methods=(*there.methods, *new), repeats=max(there.repeats, asked.repeats))


def runs_of(plan: ComparisonPlan) -> list[ComparisonRun]:
    """All runs, one repeat of every method after the other, so that what is there at any time is paired."""
    return [
        ComparisonRun(plan.name, name, repeat, f"{plan.name}.{parse_method(name).slug}.{repeat}")
        for repeat in range(plan.repeats)
        for name in plan.methods
    ]


def spec_of(plan: ComparisonPlan, run: ComparisonRun) -> StudySpec:
    """The study that a run is. Its seed is a function of (the plan's seed, the repeat): methods' runs are paired."""
    spec = parse_method(run.method).apply(plan.spec)
    changes: dict[str, object] = {"study": run.study, "seed": derive_seed(plan.spec.seed, "repeat", run.repeat)}
    if spec.sampler.name == "grid":
        changes["sampler"] = Sampler(name="grid", points=grid_points(spec))
    if plan.replay is not None:
        # A table has no code that could be broken: trials that failed when it was recorded are no reason to give up.
        changes["failures"] = Failures(retries=spec.failures.retries, give_up_after=NEVER)
        changes["parallel"] = plan.replay.workers
    return spec.model_copy(update=changes)


def grid_points(spec: StudySpec) -> dict[str, int]:
    """The points per axis of a grid that fits the budget; those that the spec gives stay."""
    trials = trials_to_choose(spec)
    if trials is None:  # a budget of time alone: nobody knows how many trials it is
        return dict(spec.sampler.points)
    return resolution.finest(spec.space, trials, spec.sampler.points)


def notes(plan: ComparisonPlan) -> list[str]:
    """What a reader should know of how the plan is fair, a sentence each."""
    methods = [parse_method(name) for name in plan.methods]
    found = [_grid_note(method, method.apply(plan.spec)) for method in methods if method.sampler == "grid"]
    budget = plan.spec.budget
    if budget.trials is not None and len({method.scheduler for method in methods}) > 1:
        found.append(
            "equal numbers of trials are not equal work where some trials are stopped early: --budget units=N is"
        )
    return found


def _grid_note(method: Method, spec: StudySpec) -> str:
    trials = trials_to_choose(spec)
    if trials is None:
        return (
            f"{method.name}: a budget of time does not say how fine a grid it suffices for; 3 values an axis are taken"
        )
    points = grid_points(spec)
    n_points = resolution.n_points(spec.space, points)
    cut = f", of which the budget is for about {trials}" if n_points > trials else ""
    return f"{method.name}: {resolution.in_words(spec.space, points)}{cut}, in random order"


def _parts(name: str) -> tuple[str, str]:
    method = parse_method(name)
    return method.scheduler, method.sampler


def _same_replay(one: Replay | None, other: Replay | None) -> bool:
    """Whether two replays are of one content, wherever the files are."""
    if one is None or other is None:
        return one is other
    return (one.digest, one.workers) == (other.digest, other.workers)


def _check_name(run: ComparisonRun) -> None:
    if not re.fullmatch(NAME_PATTERN, run.study):
        raise UserMistake(
            f"--name: {run.comparison!r} cannot be a comparison's name: its runs are studies, such as {run.study!r}",
            hint="Letters, digits, '.', '_' and '-', the first a letter or digit; at most 100 with the method's name.",
        )
